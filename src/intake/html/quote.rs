//! Recognizes the elements in which mail clients put quoted replies.

use std::collections::HashMap;

use html5ever::{LocalName, local_name};

use super::super::clean;
use super::strip::strip_tokens;
use super::tokens::{Element, Token};

/// Classes of elements that hold only a quote or its attribution line.
#[rustfmt::skip]
const CLASSES: &[&str] = &[
    "gmail_attr", "moz-cite-prefix", "yahoo_quoted", "yahoo-quoted-begin", "protonmail_quote",
    "tutanota_quote", "zmail_extra", "quoted-text", "gmail_quote_attribution",
    "ydp-quoted", "hm_quoted", "mail-quote-collapse", "freebirdformviewerviewitemsitemitem-quote",
    "zimbra-quote", "airmail_quote", "spark_quote", "x_gmail_attr",
];

/// Ids of such elements.
const IDS: &[&str] = &[
    "isreplycontent",
    "olk_src_body_section",
    "mail-editor-reference-message-container",
    "replyblock",
    "zwchr",
    "x_yahoo_quoted",
];

/// Ids and classes of elements after which the rest of the document is history.
const MARKS: &[&str] =
    &["divrplyfwdmsg", "appendonsend", "x_divrplyfwdmsg", "outlookmessageheader", "replysplit", "stopspelling"];

/// Where the element of each start tag ends.
pub(super) struct Nesting {
    ends: Vec<usize>,
    /// Number of quotes that begin before each token.
    quotes: Vec<u32>,
}

impl Nesting {
    /// One pass over the tokens, with a stack per tag name.
    pub(super) fn of(tokens: &[Token]) -> Self {
        let mut ends = vec![tokens.len(); tokens.len()];
        let mut quotes = Vec::with_capacity(tokens.len() + 1);
        let mut open: HashMap<&LocalName, Vec<usize>> = HashMap::new();
        let mut count = 0;
        for (i, token) in tokens.iter().enumerate() {
            quotes.push(count);
            match token {
                Token::Open(element) => {
                    count += u32::from(is_cite(element));
                    open.entry(&element.name).or_default().push(i);
                }
                Token::Close(name) => {
                    if let Some(start) = open.get_mut(name).and_then(Vec::pop) {
                        ends[start] = i + 1;
                    }
                }
                _ => {}
            }
        }
        quotes.push(count);
        Nesting { ends, quotes }
    }

    /// Where the element that starts at this token ends.
    pub(super) fn end(&self, start: usize) -> usize {
        self.ends[start]
    }

    fn holds_quotes(&self, start: usize) -> bool {
        self.quotes[self.ends[start]] > self.quotes[start + 1]
    }
}

/// Where a quote ends that begins with the tag `at`, if one does. `own` gives the text before it, unless it was called too
/// often.
pub(super) fn container(
    tokens: &[Token],
    nesting: &Nesting,
    at: usize,
    own: impl FnOnce() -> Option<String>,
) -> Option<usize> {
    let Token::Open(element) = &tokens[at] else {
        return None;
    };
    let end = nesting.end(at);
    if is_cite(element) {
        return (!is_forward(&tokens[at..end])).then_some(end);
    }
    let class = element.attribute(local_name!("class")).unwrap_or("");
    let id = element.attribute(local_name!("id")).unwrap_or("");
    if class.is_empty() && id.is_empty() {
        return None;
    }
    let named = |names: &[&str]| is_any(id, names) || has_class(class, names);
    if named(MARKS) && element.name != local_name!("body") {
        let own = own()?;
        let note = !own.chars().any(char::is_alphanumeric) || clean::is_cover_note(&own);
        return (!note).then_some(tokens.len());
    }
    // Gmail wraps attribution, quotes and the answers between them in one element. The whole element is a quote only if
    // nothing inside is marked as one.
    let gmail = named(&["gmail_quote", "gmail_quote_container", "gmail_extra"]);
    if gmail && (element.name == local_name!("span") || nesting.holds_quotes(at) || named(&["gmail_extra"])) {
        return None;
    }
    ((gmail || named(CLASSES) || is_any(id, IDS)) && !is_forward(&tokens[at..end])).then_some(end)
}

/// True if `text` is one of `known`, ignoring case.
fn is_any(text: &str, known: &[&str]) -> bool {
    known.iter().any(|known| text.eq_ignore_ascii_case(known))
}

fn has_class(class: &str, known: &[&str]) -> bool {
    class.split_ascii_whitespace().any(|class| is_any(class, known))
}

/// `<blockquote type="cite">` and the like.
fn is_cite(element: &Element) -> bool {
    if element.name != local_name!("blockquote") {
        return false;
    }
    let (class, style) = (element.attribute(local_name!("class")), element.attribute(local_name!("style")));
    element.attribute(local_name!("type")).is_some_and(|kind| kind.eq_ignore_ascii_case("cite"))
        || element.attribute(local_name!("cite")).is_some_and(|cite| cite.starts_with("mid:"))
        || has_class(
            class.unwrap_or(""),
            &["gmail_quote", "protonmail_quote", "tutanota_quote", "yahoo_quoted", "quote", "crisp-quote"],
        )
        || element.attribute(local_name!("id")).is_some_and(|id| id.eq_ignore_ascii_case("replyBlockquote"))
        || style.is_some_and(|style| {
            style.contains("border-left") && (style.contains("padding-left") || style.contains("PADDING-LEFT"))
                || style.contains("BORDER-LEFT")
        })
}

/// Number of tokens in which the marker of a forwarded message is looked for.
const MOST_FORWARD_TOKENS: usize = 200;

/// True for a forwarded message. It is kept, whatever element it is in.
fn is_forward(tokens: &[Token]) -> bool {
    let mut taken = 0;
    let head = tokens.iter().take(MOST_FORWARD_TOKENS).take_while(|token| {
        if let Token::Text(text) = token {
            taken += text.trim().len();
        }
        taken < 300
    });
    let text = strip_tokens(&tokens[..head.count().min(tokens.len())]);
    text.lines().take(3).any(clean::is_forward_marker)
}

/// Elements in which clients put the signature. It gets a delimiter above, so that the step for signatures cuts it.
pub(super) fn is_signature(element: &Element) -> bool {
    let classes = ["gmail_signature", "moz-signature", "protonmail_signature_block", "signature_block"];
    has_class(element.attribute(local_name!("class")).unwrap_or(""), &classes)
        || element
            .attribute(local_name!("id"))
            .is_some_and(|id| is_any(id, &["signature", "x_signature", "ms-outlook-mobile-signature"]))
}
