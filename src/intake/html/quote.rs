//! Quote containers: the elements in which mail clients put what is being answered

use std::collections::HashMap;

use super::super::clean;
use super::strip::strip_tokens;
use super::tokens::{Token, attribute, is_any};

/// Classes of elements that hold nothing but a quotation or the line above it
#[rustfmt::skip]
const CLASSES: &[&str] = &[
    "gmail_attr", "moz-cite-prefix", "yahoo_quoted", "yahoo-quoted-begin", "protonmail_quote",
    "tutanota_quote", "zmail_extra", "quoted-text", "gmail_quote_attribution",
    "ydp-quoted", "hm_quoted", "mail-quote-collapse", "freebirdformviewerviewitemsitemitem-quote",
    "zimbra-quote", "airmail_quote", "spark_quote", "x_gmail_attr",
];

/// Ids of such elements
const IDS: &[&str] = &[
    "isreplycontent",
    "olk_src_body_section",
    "mail-editor-reference-message-container",
    "replyblock",
    "zwchr",
    "x_yahoo_quoted",
];

/// Ids and classes of elements below which everything to the end of the document is history
const MARKS: &[&str] =
    &["divrplyfwdmsg", "appendonsend", "x_divrplyfwdmsg", "outlookmessageheader", "replysplit", "stopspelling"];

/// How the elements of a document nest: for each start tag, where its element ends
pub(super) struct Nesting {
    ends: Vec<usize>,
    /// Quotes of Gmail's that begin before each token
    quotes: Vec<u32>,
}

impl Nesting {
    /// One pass over the tokens, with one stack a tag name
    pub(super) fn of(tokens: &[Token<'_>]) -> Self {
        let mut ends = vec![tokens.len(); tokens.len()];
        let mut quotes = Vec::with_capacity(tokens.len() + 1);
        let mut open: HashMap<String, Vec<usize>> = HashMap::new();
        let mut count = 0;
        for (i, token) in tokens.iter().enumerate() {
            quotes.push(count);
            match token {
                Token::Open(name, inside) => {
                    count += u32::from(is_cite(name, inside));
                    open.entry(name.to_ascii_lowercase()).or_default().push(i);
                }
                Token::Close(name) => {
                    if let Some(start) = open.get_mut(&name.to_ascii_lowercase()).and_then(Vec::pop) {
                        ends[start] = i + 1;
                    }
                }
                _ => {}
            }
        }
        quotes.push(count);
        Nesting { ends, quotes }
    }

    /// Where the element that starts at this token ends
    pub(super) fn end(&self, start: usize) -> usize {
        self.ends[start]
    }

    fn holds_quotes(&self, start: usize) -> bool {
        self.quotes[self.ends[start]] > self.quotes[start + 1]
    }
}

/// Does a quotation start with this tag, and where does it end? `own`: the text before it, unless it was asked for
/// too often.
pub(super) fn container(
    tokens: &[Token<'_>],
    nesting: &Nesting,
    at: usize,
    own: impl FnOnce() -> Option<String>,
) -> Option<usize> {
    let Token::Open(name, inside) = tokens[at] else {
        return None;
    };
    let end = nesting.end(at);
    if is_cite(name, inside) {
        return (!is_forward(&tokens[at..end])).then_some(end);
    }
    let class = attribute(inside, "class").unwrap_or("");
    let id = attribute(inside, "id").unwrap_or("");
    if class.is_empty() && id.is_empty() {
        return None;
    }
    let named = |names: &[&str]| is_any(id, names) || class.split_ascii_whitespace().any(|class| is_any(class, names));
    if named(MARKS) && !name.eq_ignore_ascii_case("body") {
        let own = own()?;
        let note = !own.chars().any(char::is_alphanumeric) || clean::is_cover_note(&own);
        return (!note).then_some(tokens.len());
    }
    // Gmail wraps attribution, quotation and the answers between them in one element: only where
    // nothing inside is marked as quoted is the whole of it the quotation.
    let gmail = named(&["gmail_quote", "gmail_quote_container", "gmail_extra"]);
    if gmail && (is_any(name, &["span"]) || nesting.holds_quotes(at) || named(&["gmail_extra"])) {
        return None;
    }
    ((gmail || named(CLASSES) || is_any(id, IDS)) && !is_forward(&tokens[at..end])).then_some(end)
}

/// `<blockquote type="cite">` and the like
fn is_cite(name: &str, inside: &str) -> bool {
    if !name.eq_ignore_ascii_case("blockquote") || inside.is_empty() {
        return false;
    }
    let class = attribute(inside, "class").unwrap_or("");
    attribute(inside, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("cite"))
        || attribute(inside, "cite").is_some_and(|cite| cite.starts_with("mid:"))
        || class.split_ascii_whitespace().any(|class| {
            is_any(
                class,
                &["gmail_quote", "protonmail_quote", "tutanota_quote", "yahoo_quoted", "quote", "crisp-quote"],
            )
        })
        || attribute(inside, "id").is_some_and(|id| id.eq_ignore_ascii_case("replyBlockquote"))
        || attribute(inside, "style").is_some_and(|style| {
            style.contains("border-left") && (style.contains("padding-left") || style.contains("PADDING-LEFT"))
        })
        || attribute(inside, "style").is_some_and(|style| style.contains("BORDER-LEFT"))
}

/// How far into a container its marker of a forward is looked for
const MOST_FORWARD_TOKENS: usize = 200;

/// A forward's content is what the mail is about, whatever the element it stands in
fn is_forward(tokens: &[Token<'_>]) -> bool {
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

/// Elements in which clients put the signature; a delimiter is written above it, so that it is cut where
/// all signatures are
pub(super) fn is_signature(inside: &str) -> bool {
    let class = attribute(inside, "class").unwrap_or("");
    class.split_ascii_whitespace().any(|class| {
        is_any(class, &["gmail_signature", "moz-signature", "protonmail_signature_block", "signature_block"])
    }) || attribute(inside, "id")
        .is_some_and(|id| is_any(id, &["signature", "x_signature", "ms-outlook-mobile-signature"]))
}
