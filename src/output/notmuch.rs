//! Lines for `notmuch tag --batch`. Its manual, notmuch-tag(1), says what a line may hold; where it leaves something
//! open, notmuch 0.37 was asked.

use std::fmt::Write as _;
use std::io::{self, Write};

use anyhow::{Result, ensure};

use super::{Format, Layout, Records};
use crate::record::Verdict;
use crate::terminal::escape;

/// The longest tag in bytes. At a longer one notmuch ends, and leaves the lines behind it undone.
const LONGEST_TAG: usize = 200;

/// The longest Message-ID in bytes; a longer one notmuch knows only by a hash of its own.
const LONGEST_ID: usize = 189;

/// Tags that stand for something else. With most of them notmuch changes a file's maildir flags; it hides `deleted`,
/// and many a hook removes such mail for good.
const TAKEN: &[&str] = &["deleted", "draft", "flagged", "passed", "replied", "unread"];

/// For `notmuch tag --batch`.
pub static FORMAT: Format = Format {
    name: "notmuch",
    help: "Lines for `notmuch tag --batch`; comments for messages that get no tag",
    extensions: &[],
    has_columns: false,
    record_key: None,
    check: Some(|form, layout| check(layout, &form.tag_prefix)),
    records: |form, out, _| Ok(Box::new(NotmuchRecords::new(out, &form.tag_prefix))),
};

/// Writes one line a document: its tags, or a comment that says why there are none.
pub struct NotmuchRecords<W> {
    out: W,
    prefix: String,
}

impl<W: Write> NotmuchRecords<W> {
    /// Writes to `out`; every tag is `prefix` and the label.
    pub fn new(out: W, prefix: &str) -> Self {
        Self { out, prefix: prefix.to_string() }
    }

    fn line(&self, verdict: &Verdict) -> String {
        match self.tags(verdict) {
            Ok(line) => line,
            Err(why) => format!("# {} [{}]: {}", escape(&verdict.origin.source), verdict.origin.index, escape(&why)),
        }
    }

    fn tags(&self, verdict: &Verdict) -> Result<String, String> {
        let outcome = verdict.outcome.as_ref().map_err(|reason| format!("error: {reason}"))?;
        let mut line = String::new();
        for label in outcome.rankings.iter().filter_map(|ranking| ranking.label.as_deref()) {
            line.push('+');
            encode(&mut line, &self.prefix);
            encode(&mut line, label);
            line.push(' ');
        }
        if line.is_empty() {
            return Err("no label".into());
        }
        let id = id(verdict.envelope.id.as_deref())?;
        Ok(format!("{line}-- id:\"{}\"", id.replace('"', "\"\"")))
    }
}

/// The id by which notmuch knows a mail, or why it knows none.
fn id(message_id: Option<&str>) -> Result<String, &'static str> {
    let id = message_id.unwrap_or_default();
    let id = id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id);
    // It drops blanks within an id.
    let id: String = id.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    match id.len() {
        0 => Err("no Message-ID"),
        _ if id.contains('\u{fffd}') => Err("a Message-ID that is no text"),
        1..=LONGEST_ID => Ok(id),
        _ => Err("a Message-ID that is too long for notmuch"),
    }
}

/// Writes what stands for itself as it is, and every other byte as `%` and two digits.
fn encode(line: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"@=.,_+-".contains(&byte) {
            line.push(byte.into());
        } else {
            let _ = write!(line, "%{byte:02x}");
        }
    }
}

/// Refuses labels of which notmuch would make nothing, or something else.
///
/// # Errors
/// When a label with `prefix` in front cannot be a tag.
fn check(layout: &Layout, prefix: &str) -> Result<()> {
    for label in layout.sets.iter().flat_map(|set| &set.labels) {
        let tag = format!("{prefix}{label}");
        ensure!(
            !tag.starts_with('-'),
            "notmuch knows no tag that begins with `-`, as {tag:?} does; rename the label, or set --tag-prefix"
        );
        ensure!(
            tag.len() <= LONGEST_TAG,
            "notmuch knows no tag of more than {LONGEST_TAG} bytes, as {tag:?} has; name the label in fewer words"
        );
        ensure!(
            !TAKEN.contains(&tag.as_str()),
            "the label {tag:?} would be a tag that notmuch acts upon; rename the label, or set --tag-prefix"
        );
    }
    Ok(())
}

impl<W: Write> Records for NotmuchRecords<W> {
    fn write(&mut self, verdict: &Verdict) -> io::Result<()> {
        writeln!(self.out, "{}", self.line(verdict))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_notmuch() {
        assert_eq!(id(Some("<a@b>")).as_deref(), Ok("a@b"));
        assert_eq!(id(Some("<a b@c>")).as_deref(), Ok("ab@c"));
        assert_eq!(id(Some("row 7")).as_deref(), Ok("row7"));
        assert!(id(None).is_err() && id(Some("<>")).is_err() && id(Some("< >")).is_err());
        assert!(id(Some("<\u{fffd}@x>")).is_err());
        assert!(id(Some(&"x".repeat(LONGEST_ID))).is_ok() && id(Some(&"x".repeat(LONGEST_ID + 1))).is_err());
    }

    #[test]
    fn tags_are_encoded() {
        let mut line = String::new();
        encode(&mut line, "a-b_c \"ü\" 100%\n");
        assert_eq!(line, "a-b_c%20%22%c3%bc%22%20100%25%0a");
    }
}
