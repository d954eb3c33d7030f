//! Conditions on the headers of a message, as label files and rules state them.
//!
//! `{ "List-Id" = "*", "Precedence" = ["bulk", "list"] }` holds where each header has a value that matches one of its
//! patterns; a list of such tables holds where one of them does. `{ not = "no" }` in place of a pattern holds where no
//! value matches. A pattern stands for a whole value, with `*` and `?` as in file names; `/…/` is a regular expression.
//! Upper and lower case are alike.

use anyhow::{Context, Result, bail, ensure};
use regex::{Regex, RegexBuilder};
use serde::{Serialize, Serializer};
use toml::Value;

use crate::record::Header;

/// Memory of a compiled pattern. A pattern that needs more is refused.
const MAX_PATTERN: usize = 1 << 20;

/// A condition on headers.
#[derive(Clone, Debug)]
pub struct HeaderCondition {
    /// As it was written, which is how two are compared and written again.
    written: Value,
    /// It holds where one of these does.
    any_of: Vec<HeaderTests>,
}

/// One table: it holds where all of its tests do.
#[derive(Clone, Debug)]
struct HeaderTests(Vec<HeaderTest>);

/// What is asked of one header.
#[derive(Clone, Debug)]
struct HeaderTest {
    name: String,
    patterns: Vec<Regex>,
    /// True where no value may match.
    is_not: bool,
}

/// What the headers of a message say about a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderSign {
    /// The label fits.
    Certain,
    /// The label does not fit.
    Impossible,
}

impl HeaderCondition {
    /// Reads a condition: a table, or a list of tables.
    ///
    /// # Errors
    /// When it is something else, a header has no such name, or a pattern is invalid. The message names the header and
    /// the pattern.
    pub fn new(written: Value) -> Result<Self> {
        let tables = match &written {
            Value::Array(tables) => tables.as_slice(),
            table => std::slice::from_ref(table),
        };
        ensure!(!tables.is_empty(), "there is no header in it; write {{ \"List-Id\" = \"*\" }}");
        let any_of = tables.iter().map(HeaderTests::new).collect::<Result<_>>()?;
        Ok(Self { written, any_of })
    }

    /// The names of the headers, in lower case.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.any_of.iter().flat_map(|tests| &tests.0).map(|test| &*test.name)
    }

    /// True where the headers fulfil it.
    pub fn holds(&self, headers: &[Header]) -> bool {
        self.any_of.iter().any(|tests| tests.hold(headers))
    }

    /// What the headers say about a label that has this condition. It is certain where a table holds, and impossible
    /// where a table of nothing but `not` does not.
    pub fn sign(&self, headers: &[Header]) -> Option<HeaderSign> {
        let (mut is_certain, mut is_impossible) = (false, false);
        for tests in &self.any_of {
            let holds = tests.hold(headers);
            if tests.0.iter().all(|test| test.is_not) {
                is_impossible |= !holds;
            } else {
                is_certain |= holds;
            }
        }
        match (is_impossible, is_certain) {
            (true, _) => Some(HeaderSign::Impossible),
            (false, true) => Some(HeaderSign::Certain),
            (false, false) => None,
        }
    }
}

impl HeaderTests {
    fn new(table: &Value) -> Result<Self> {
        let table =
            table.as_table().context("it is a table such as { \"List-Id\" = \"*\" }, or a list of such tables")?;
        ensure!(!table.is_empty(), "there is no header in it; write {{ \"List-Id\" = \"*\" }}");
        table.iter().map(|(name, asked)| HeaderTest::new(name, asked)).collect::<Result<_>>().map(Self)
    }

    fn hold(&self, headers: &[Header]) -> bool {
        self.0.iter().all(|test| test.holds(headers))
    }
}

impl HeaderTest {
    fn new(name: &str, asked: &Value) -> Result<Self> {
        let is_name = !name.is_empty() && name.bytes().all(|byte| matches!(byte, 0x21..=0x7e) && byte != b':');
        ensure!(is_name, "{name:?} is no name of a header; write it without a colon, as in \"List-Id\"");
        const WITH_HYPHENS: [&str; 9] =
            ["auto-", "content-", "delivered-", "in-reply-", "list-", "message-id", "mime-", "reply-to", "return-path"];
        let hyphens = name.replace('_', "-");
        let is_meant = hyphens != name && WITH_HYPHENS.iter().any(|known| hyphens.to_lowercase().starts_with(known));
        ensure!(!is_meant, "no message has the header {name:?}; write it with hyphens, {hyphens:?}");
        let (asked, is_not) = match asked {
            Value::Table(table) if table.len() == 1 && table.contains_key("not") => (&table["not"], true),
            other => (other, false),
        };
        let patterns = match asked {
            Value::Array(patterns) => patterns.as_slice(),
            pattern => std::slice::from_ref(pattern),
        };
        ensure!(!patterns.is_empty(), "the header {name:?} has no pattern; \"*\" is any value");
        let patterns = patterns.iter().map(|pattern| {
            let Some(text) = pattern.as_str() else {
                bail!(
                    "the header {name:?} is \"*\", another pattern, a list of patterns, or {{ not = \"a pattern\" }}"
                );
            };
            compiled(text).with_context(|| format!("the header {name:?}: the pattern {text:?}"))
        });
        Ok(Self { name: name.to_ascii_lowercase(), patterns: patterns.collect::<Result<_>>()?, is_not })
    }

    fn holds(&self, headers: &[Header]) -> bool {
        let matches = |value: &str| self.patterns.iter().any(|pattern| pattern.is_match(value));
        let found = headers.iter().any(|header| header.name == self.name && matches(&header.value));
        found != self.is_not
    }
}

/// Compiles a pattern.
///
/// # Errors
/// When it is empty, no regular expression, or too large.
fn compiled(pattern: &str) -> Result<Regex> {
    ensure!(!pattern.trim().is_empty(), "it is empty; \"*\" is any value");
    let source = match pattern.strip_prefix('/') {
        Some(rest) => {
            let inner = rest.strip_suffix('/').filter(|inner| !inner.is_empty());
            inner.context("a regular expression stands between two slashes, without flags")?.to_string()
        }
        None => {
            let pattern = pattern.trim();
            let is_glob = pattern.contains(['*', '?']);
            let is_expression = [".*", ".+", "^"].iter().any(|start| pattern.starts_with(start))
                || !is_glob && pattern.ends_with('$')
                || [r"\b", r"\d", r"\w", r"\s", r"\."].iter().any(|class| pattern.contains(class))
                || pattern.contains('|');
            ensure!(
                !is_expression || Regex::new(pattern).is_err(),
                "a regular expression stands between two slashes, as in \"/{pattern}/\"; several patterns are a list"
            );
            glob(pattern)
        }
    };
    let built = RegexBuilder::new(&source).case_insensitive(true).size_limit(MAX_PATTERN).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => anyhow::anyhow!("it needs too much memory; make it shorter"),
        other => anyhow::anyhow!("it is no regular expression: {other}"),
    })
}

/// A pattern of file names as a regular expression for the whole of a value.
fn glob(pattern: &str) -> String {
    let mut source = String::from(r"\A");
    let mut buffer = [0; 4];
    for character in pattern.chars() {
        match character {
            '*' if source.ends_with(".*") => {}
            '*' => source.push_str(".*"),
            '?' => source.push('.'),
            other => source.push_str(&regex::escape(other.encode_utf8(&mut buffer))),
        }
    }
    source.push_str(r"\z");
    source
}

impl PartialEq for HeaderCondition {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Serialize for HeaderCondition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(text: &str) -> Result<HeaderCondition> {
        let mut table: toml::Table = toml::from_str(&format!("headers = {text}")).unwrap();
        HeaderCondition::new(table.remove("headers").unwrap())
    }

    fn headers(fields: &[(&str, &str)]) -> Vec<Header> {
        fields.iter().map(|(name, value)| Header { name: name.to_string(), value: value.to_string() }).collect()
    }

    #[track_caller]
    fn check(text: &str, fields: &[(&str, &str)], expected: bool) {
        assert_eq!(condition(text).unwrap().holds(&headers(fields)), expected, "{text} {fields:?}");
    }

    const BULK: &[(&str, &str)] = &[("list-id", "News <news.example.com>"), ("precedence", "Bulk")];

    #[test]
    fn all_of_a_table_and_any_of_a_list() {
        check(r#"{ "List-Id" = "*" }"#, BULK, true);
        check(r#"{ "LIST-ID" = "*", Precedence = "list" }"#, BULK, false);
        check(r#"{ "List-Id" = "*", Precedence = ["list", "bulk"] }"#, BULK, true);
        check(r#"[{ "X-Loop" = "*" }, { Precedence = "bulk" }]"#, BULK, true);
        check(r#"{ "List-Id" = "*" }"#, &[], false);
        check(r#"{ "Return-Path" = "<>" }"#, &[("return-path", "<>")], true);
        check(r#"{ "X-A" = "b" }"#, &[("x-a", "a"), ("x-a", "b")], true);
    }

    #[test]
    fn patterns_are_of_the_whole_value_and_expressions_of_a_part() {
        let list = &[("list-id", "News <news.example.com>")];
        check(r#"{ "List-Id" = "news" }"#, list, false);
        check(r#"{ "List-Id" = "news*" }"#, list, true);
        check(r#"{ "List-Id" = "*<news.example?com>" }"#, list, true);
        check(r#"{ "List-Id" = "/<NEWS\\.[a-z]+\\.com>/" }"#, list, true);
        check(r#"{ "List-Id" = "/^news$/" }"#, list, false);
        check(r#"{ "List-Id" = "*.*" }"#, &[("list-id", "no dot")], false);
    }

    #[test]
    fn not_holds_where_nothing_matches() {
        let auto = r#"{ "Auto-Submitted" = "*", "AUTO-SUBMITTED" = { not = "no" } }"#;
        check(auto, &[("auto-submitted", "auto-replied")], true);
        check(auto, &[("auto-submitted", "No")], false);
        check(auto, &[], false);
        check(r#"{ "X-Spam" = { not = ["yes", "maybe"] } }"#, &[("x-spam", "maybe")], false);
        check(r#"{ "X-Spam" = { not = ["yes", "maybe"] } }"#, &[], true);
    }

    #[test]
    fn a_label_is_certain_or_impossible() {
        let sign = |text: &str, fields: &[(&str, &str)]| condition(text).unwrap().sign(&headers(fields));
        let personal = r#"{ "List-Id" = { not = "*" } }"#;
        assert_eq!(sign(personal, BULK), Some(HeaderSign::Impossible));
        // What has no headers is not certain for that.
        assert_eq!(sign(personal, &[]), None);
        let news = r#"[{ "List-Id" = "*" }, { "In-Reply-To" = { not = "*" } }]"#;
        assert_eq!(sign(news, BULK), Some(HeaderSign::Certain));
        assert_eq!(sign(news, &[BULK, &[("in-reply-to", "<a@b>")]].concat()), Some(HeaderSign::Impossible));
        assert_eq!(
            sign(r#"{ "List-Id" = "*", "In-Reply-To" = { not = "*" } }"#, &[("list-id", "a"), ("in-reply-to", "b")]),
            None
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let fails = |text: &str, needle: &str| {
            let message = format!("{:#}", condition(text).unwrap_err());
            assert!(message.contains(needle), "{message:?} lacks {needle:?}");
        };
        fails("{}", "no header");
        fails("[]", "no header");
        fails("true", "a table such as");
        fails(r#"{ "List-Id:" = "*" }"#, "without a colon");
        fails(r#"{ "List-Id" = true }"#, "\"List-Id\" is \"*\"");
        fails(r#"{ "List-Id" = [] }"#, "no pattern");
        fails(r#"{ "List_Id" = "*" }"#, "write it with hyphens, \"List-Id\"");
        check(r#"{ "Ticket_ID" = "CORP\\*" }"#, &[("ticket_id", r"corp\7")], true);
        for pattern in [".*", ".+bulk", "^bulk", "bulk$", r"bulk\\b", "bulk|junk", "(bulk|list)"] {
            fails(&format!(r#"{{ "Precedence" = "{pattern}" }}"#), "stands between two slashes, as in");
        }
        fails(r#"{ "List-Id" = "" }"#, "it is empty");
        fails(r#"{ "List-Id" = { nit = "*" } }"#, "{ not = ");
        fails(r#"{ "List-Id" = "/a/i" }"#, "between two slashes");
        fails(r#"{ "List-Id" = "/(/" }"#, "the header \"List-Id\": the pattern \"/(/\": it is no regular expression");
        fails(r#"{ "List-Id" = "/((a{99}){99}){99}/" }"#, "too much memory");
    }
}
