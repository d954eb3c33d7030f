//! Quote containers: the elements in which mail clients put what is being answered

use std::borrow::Cow;
use std::collections::HashMap;

use super::super::clean;
use super::strip::strip_tokens;
use super::tokens::{Token, attribute, classes, is_any};

/// Classes and ids of elements that hold nothing but the line above a quotation
const ATTRIBUTIONS: &[&str] =
    &["gmail_attr", "moz-cite-prefix", "gmail_quote_attribution", "reply-intro", "airmail_on", "airmail_ext_on"];

/// Classes, ids and names of elements that hold nothing but a quotation. Prefixes that webmail adds are left out.
#[rustfmt::skip]
const QUOTES: &[&str] = &[
    // Yahoo, Proton, Tuta, Skiff, Zoho, Zimbra, Hotmail
    "yahoo_quoted", "yahoo-quoted-begin", "ydp-quoted", "iosymail", "protonmail_quote", "tutanota_quote", "skiff_quote",
    "zmail_extra", "zimbra-quote", "zwchr", "hm_quoted",
    // Outlook on phones and on the Mac
    "mail-editor-reference-message-container", "ms-outlook-mobile-reference-message", "olk_src_body_section",
    "mac_outlook_attribution_blockquote",
    // NetEase, Coremail, Foxmail, 139, Aliyun, Feishu
    "isreplycontent", "ntes-mailmaster-quote", "origbody", "referencequote", "fmoriginalcontent", "reply139content",
    "orimsghtmlseperator", "__aliyun_previous_body_wrap", "history-quote-wrapper",
    // Spark, Airmail, Mailspring, Front, Freshdesk, HubSpot, Crisp and others
    "spark_quote", "messagereplysection", "airmail_quote", "nylas-quote", "front-blockquote", "freshdesk_quote", "hs_reply",
    "crisp-quote", "quoted-text", "mail-quote-collapse", "freebirdformviewerviewitemsitemitem-quote", "replyblock",
];

/// Classes and ids of elements below which everything to the end of the document is history
const MARKS: &[&str] = &[
    "divrplyfwdmsg",
    "appendonsend",
    "outlookmessageheader",
    "replysplit",
    "stopspelling",
    "xm_mail_oringinal_describe",
];

/// A class or an id as the mail program that set it wrote it: Outlook, Hotmail and Yahoo put prefixes before those of
/// mail that they show or quote
fn bare(name: &str) -> &str {
    let mut name = name;
    loop {
        let prefix = name
            .get(..2)
            .filter(|start| start.eq_ignore_ascii_case("x_"))
            .or_else(|| name.get(..3).filter(|start| *start == "ecx"));
        if let Some(prefix) = prefix {
            name = &name[prefix.len()..];
            continue;
        }
        // yiv1234567890gmail_quote, ydpdb28840fyahoo_quoted
        let behind = name.strip_prefix("yiv").map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
        let behind = behind.or_else(|| name.strip_prefix("ydp").and_then(|rest| rest.get(8..)));
        match behind {
            Some(rest) if !rest.is_empty() && !rest.starts_with('-') => name = rest,
            _ => return name,
        }
    }
}

/// The classes, the id and the name of a start tag
fn names(inside: &str) -> impl Iterator<Item = &str> {
    let others = ["id", "name"].into_iter().filter_map(|name| attribute(inside, name)).map(str::trim);
    classes(inside).chain(others).map(bare)
}

/// True for the line above which Outlook puts the header of what is answered, in every language the same
fn is_outlook_rule(inside: &str) -> bool {
    let Some(style) = attribute(inside, "style").filter(|style| style.len() < 300) else { return false };
    let tight: String = style.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
    let solid = [
        "border-top:solid#e1e1e1",
        "border-top:solid#b5c4df",
        "border-top:#e1e1e11ptsolid",
        "border-top:#b5c4df1ptsolid",
    ];
    solid.iter().any(|border| tight.contains(border)) && tight.contains("padding:3")
}

/// True for an element that holds only the line above a quotation
pub(super) fn is_attribution(inside: &str) -> bool {
    names(inside).any(|name| is_any(name, ATTRIBUTIONS))
}

/// The name of a tag in lower case, as most are written
fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}

/// How the elements of a document nest: for each start tag, where its element ends
pub(super) struct Nesting {
    ends: Vec<Option<usize>>,
    /// Quotes of Gmail's that begin before each token
    quotes: Vec<u32>,
}

impl Nesting {
    /// One pass over the tokens, with one stack a tag name
    pub(super) fn of(tokens: &[Token<'_>]) -> Self {
        let mut ends = vec![None; tokens.len()];
        let mut quotes = Vec::with_capacity(tokens.len() + 1);
        let mut open: HashMap<Cow<'_, str>, Vec<usize>> = HashMap::new();
        let mut count = 0;
        for (i, token) in tokens.iter().enumerate() {
            quotes.push(count);
            match token {
                Token::Open(name, inside) => {
                    count += u32::from(is_cite(name, inside));
                    open.entry(lower(name)).or_default().push(i);
                }
                Token::Close(name) => {
                    if let Some(start) = open.get_mut(&lower(name)).and_then(Vec::pop) {
                        ends[start] = Some(i + 1);
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
        self.ends[start].unwrap_or(self.ends.len())
    }

    /// The same, if it has an end tag
    pub(super) fn closed_end(&self, start: usize) -> Option<usize> {
        self.ends[start]
    }

    fn holds_quotes(&self, start: usize) -> bool {
        self.quotes[self.end(start)] > self.quotes[start + 1]
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
    if inside.is_empty() {
        return None;
    }
    let named = |known: &[&str]| names(inside).any(|name| is_any(name, known));
    if (named(MARKS) || is_any(name, &["div"]) && is_outlook_rule(inside)) && !is_any(name, &["body"]) {
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
    // GMX and Web.de: `<div name="quote">`.
    let quote = named(QUOTES) || named(ATTRIBUTIONS) || attribute(inside, "name").is_some_and(|name| name == "quote");
    let holds = !is_any(name, &["body", "html", "a", "meta", "input"]);
    ((gmail || quote && holds) && !is_forward(&tokens[at..end])).then_some(end)
}

/// `<blockquote type="cite">` and the like
fn is_cite(name: &str, inside: &str) -> bool {
    if !name.eq_ignore_ascii_case("blockquote") || inside.is_empty() {
        return false;
    }
    attribute(inside, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("cite"))
        || attribute(inside, "cite").is_some_and(|cite| cite.starts_with("mid:"))
        || names(inside).any(|name| is_any(name, CITES))
        || attribute(inside, "style").is_some_and(|style| {
            // The last is Mail.ru's.
            let style = style.to_ascii_lowercase();
            style.contains("border-left") && (style.contains("padding-left") || style.contains("#0857a6"))
        })
        || attribute(inside, "style").is_some_and(|style| style.contains("BORDER-LEFT"))
}

/// Classes and ids of quotations
#[rustfmt::skip]
const CITES: &[&str] = &[
    "gmail_quote", "protonmail_quote", "tutanota_quote", "yahoo_quoted", "quote", "crisp-quote", "replyblockquote",
    "iosymail", "referencequote", "isreplycontent",
];

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
    names(inside).any(|name| is_any(name, SIGNATURES))
        || attribute(inside, "id").is_some_and(|id| bare(id).eq_ignore_ascii_case("signature"))
}

/// Classes, ids and names of such elements
#[rustfmt::skip]
const SIGNATURES: &[&str] = &[
    "gmail_signature", "moz-signature", "protonmail_signature_block", "signature_block", "ms-outlook-mobile-signature",
    "applemailsignature", "composer_signature", "ymail_android_signature", "imail_signature", "ntes-signature",
    "bloop_sign", "messagesignaturesection",
];
