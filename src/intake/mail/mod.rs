//! Parses one RFC 5322 message into headers, visible text and attachment names. Only this module knows mail-parser.

mod body;
mod bounds;
mod calendar;
mod decoded;
pub(super) mod emlx;
mod headers;
mod names;
pub(super) mod outlook;
mod placeholder;
mod sealed;
mod smime;
mod words;

pub use headers::{day, seconds};

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use mail_parser::{Message, MessageParser, PartType};
use regex::Regex;

use super::clean::lexicon::{self, subjects};
use super::clean::{Switches, ThreadPlace};
use super::lines;
use super::mbox;
use super::pattern;
use super::sniff;
use super::source::MAX_DOCUMENT;
use super::visible::{self, Visible};
use crate::charset::{self, Doubt};
use crate::guard;
use crate::record::{Envelope, Reason, Removed};

/// A message before cleaning.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// Decoded headers.
    pub envelope: Envelope,
    /// The visible text: plain, or rendered from HTML.
    pub body: String,
    /// Names of attached files.
    pub attachments: Vec<String>,
    /// What was removed before the cleaning steps.
    pub removed: Vec<Removed>,
    /// What encloses the text, if only its recipient can open it.
    pub sealed: Option<&'static str>,
    /// Its place in a conversation.
    pub place: ThreadPlace,
    /// Why the charset of its text is in doubt, if it declares none.
    pub doubt: Option<Doubt>,
    /// True if something was left out: header fields, parts, or text of an attachment.
    pub cut: bool,
    /// True where the subject is a question and the text its answer.
    pub answers: bool,
}

/// How far S/MIME messages are opened, which may be inside each other.
struct Opening<'w> {
    /// The headers that the envelope of the outermost message keeps, in lower case.
    wanted: &'w BTreeSet<String>,
    depth: usize,
    /// The bytes that may still come out of them.
    bytes: usize,
}

/// Parses a message. Bytes without a header are a document: all of them are the body.
///
/// `wanted` are the headers that its envelope keeps, in lower case.
///
/// # Errors
/// If the bytes are not text.
pub fn parse(bytes: &[u8], switches: &Switches, wanted: &BTreeSet<String>) -> Result<Mail, Reason> {
    parse_within(bytes, switches, &mut Opening { wanted, depth: 0, bytes: MAX_DOCUMENT })
}

fn parse_within(bytes: &[u8], switches: &Switches, opening: &mut Opening<'_>) -> Result<Mail, Reason> {
    let bytes = with_line_feeds(bytes);
    let whole = emlx::message(charset::without_mark(&bytes));
    let whole = sniff::without_blank_lines(charset::without_mark(mbox::without_from_line(whole)));
    let bounds::Bounded { bytes, is_tame } = bounds::bounded(whole);
    let cut = bytes.len() < whole.len();
    let bytes = terminated(parted(bytes));
    let bytes = bytes.as_ref();
    let parsed = if is_tame { guard::catch(|| MessageParser::default().parse(bytes)).ok() } else { None };
    let mail = match parsed {
        // Not fit to be parsed, or the parser panicked.
        None => unparsed(bytes, opening.wanted),
        Some(Some(message)) if sniff::is_field(first_line(bytes)) => {
            let mut mail = read(&message, switches, opening);
            if opening.depth == 0 {
                mail.envelope.headers = headers::kept(&message, opening.wanted);
            }
            mail
        }
        Some(_) if sniff::is_binary(bytes) || charset::utf16_of(bytes).is_some() => return Err(Reason::Binary),
        Some(_) => visible::undeclared(bytes).into(),
    };
    Ok(Mail { cut: cut || mail.cut, ..mail })
}

/// The message with line feeds. UTF-16 stays what it is, no message: no header can be put before it.
fn with_line_feeds(bytes: &[u8]) -> Cow<'_, [u8]> {
    if lines::end_in_cr(&bytes[..bytes.len().min(sniff::HEAD)]) {
        return bytes.iter().map(|&byte| if byte == b'\r' { b'\n' } else { byte }).collect();
    }
    bytes.into()
}

/// A message whose body begins without a blank line above it has one put there, as Python's email reads it: the parser
/// would pass over its lines.
fn parted(bytes: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if !sniff::is_field(first_line(&bytes)) {
        return bytes;
    }
    let start = sniff::first_line(&bytes);
    let (mut at, mut body, mut others, mut fields) = (start, None, 0, 0);
    for line in bytes[start..].split_inclusive(|&byte| byte == b'\n') {
        if line.trim_ascii().is_empty() {
            break;
        }
        let is_field = sniff::is_field(line) || line.starts_with(b" ") || line.starts_with(b"\t");
        match body {
            None if !is_field => body = Some(at),
            None => {}
            Some(_) if is_field => fields += 1,
            Some(_) => others += 1,
        }
        at += line.len();
    }
    match body {
        // A line that is none among headers is one that a program wrote wrongly.
        Some(body) if fields <= others => {
            let (headers, body) = bytes.split_at(body);
            [headers, b"\n", body].concat().into()
        }
        _ => bytes,
    }
}

/// The parser ignores a header line without an end, as in a message that was cut off in its header.
fn terminated(bytes: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let ends = bytes.ends_with(b"\n") || !sniff::is_field(first_line(&bytes));
    if ends || memchr::memmem::find(&bytes, b"\n\n").is_some() || memchr::memmem::find(&bytes, b"\n\r\n").is_some() {
        return bytes;
    }
    let mut bytes = bytes.into_owned();
    bytes.push(b'\n');
    bytes.into()
}

fn read(message: &Message<'_>, switches: &Switches, opening: &mut Opening<'_>) -> Mail {
    let (envelope, doubt) = headers::envelope(message);
    let has = |name| message.header(name).is_some();
    // Without an identifier it is not as it was sent, and the others may be lost too.
    let may_answer = has("In-Reply-To") || has("References") || !has("Message-ID");
    let place = place(envelope.subject.as_deref(), may_answer);
    let switches = Switches { quotes: switches.quotes && place.has_history(), ..*switches };
    let mut mail = Mail { envelope, place, ..body::read(message, &switches).into() };
    mail.sealed = sealed::text_is(message).or(mail.sealed);
    mail.doubt = mail.doubt.take().or(doubt);
    let mut names = Vec::new();
    attachment_names(message, 0, &mut names);
    names.append(&mut mail.attachments);
    mail.attachments = names;
    open(message, 0, &switches, opening, &mut mail);
    mail
}

/// Adds what signed and compressed S/MIME parts hold, in the message and in those forwarded in it.
fn open(message: &Message<'_>, depth: usize, switches: &Switches, opening: &mut Opening, mail: &mut Mail) {
    for part in &message.parts {
        if let PartType::Message(inner) = &part.body {
            if depth < body::MAX_DEPTH && !body::is_report(message) {
                open(inner, depth + 1, switches, opening, mail);
            }
        } else if sealed::is_open(message, part) {
            let most = if opening.depth < body::MAX_DEPTH { opening.bytes } else { 0 };
            let Some(content) = smime::content(&decoded::content(message, part), most) else {
                mail.sealed = mail.sealed.or(Some(sealed::SMIME));
                continue;
            };
            opening.bytes -= content.len();
            opening.depth += 1;
            if let Ok(inner) = parse_within(&content, switches, opening) {
                mail.add(inner);
            }
            opening.depth -= 1;
        }
    }
}

/// The place that the subject tells, and whether headers leave it open that the message answers another one.
fn place(subject: Option<&str>, may_answer: bool) -> ThreadPlace {
    match subject {
        Some(subject) if is_forward(subject) => ThreadPlace::Forward,
        Some(subject) if !may_answer && !is_reply(subject) && !is_prefixed(subject) => ThreadPlace::First,
        _ => ThreadPlace::Reply,
    }
}

/// Tags such as those of mailing lists, before the prefixes of a subject.
const TAGS: &str = r"(?i)^\s*(\[[^\]]{1,40}\]\s*)*";

/// True for a subject with the prefix of a forward.
fn is_forward(subject: &str) -> bool {
    static FORWARD: LazyLock<Regex> =
        LazyLock::new(|| pattern(&format!(r"{TAGS}({})\s*[:：]", subjects::FORWARDS.join("|"))));
    FORWARD.is_match(&lexicon::lower(subject))
}

/// True for a subject with the prefix of a reply, such as `Re[2]:`.
fn is_reply(subject: &str) -> bool {
    static REPLY: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(r"{TAGS}({})\s*([\[(^]?\d{{1,3}}[\])]?)?\s*[:：]", subjects::REPLIES.join("|")))
    });
    REPLY.is_match(&lexicon::lower(subject))
}

/// True for a subject with a short word before a colon, which may be the prefix of a reply in any language.
fn is_prefixed(subject: &str) -> bool {
    static PREFIX: LazyLock<Regex> = LazyLock::new(|| pattern(&format!(r"{TAGS}\p{{L}}{{1,10}}\.?\s*[:：]")));
    PREFIX.is_match(subject)
}

/// Names of the attachments of a message and of those forwarded in it.
fn attachment_names(message: &Message<'_>, depth: usize, found: &mut Vec<String>) {
    for part in message.attachments().filter(|part| !sealed::is_open(message, part) && !body::is_amp(part)) {
        found.extend(names::attachment_name(message, part).or_else(|| sealed::type_name(message, part)));
        if let PartType::Message(inner) = &part.body
            && depth < body::MAX_DEPTH
        {
            attachment_names(inner, depth + 1, found);
        }
    }
}

impl Mail {
    /// Adds a message that was inside, but not its headers.
    fn add(&mut self, inner: Mail) {
        let mut visible = Visible { text: std::mem::take(&mut self.body), ..Visible::default() };
        visible.push_text(&inner.body);
        self.body = visible.text;
        self.attachments.extend(inner.attachments);
        self.removed.extend(inner.removed);
        self.sealed = self.sealed.or(inner.sealed);
        self.cut |= inner.cut;
        self.doubt = self.doubt.take().or(inner.doubt);
    }
}

impl From<Visible> for Mail {
    /// A text without headers; files inside the text count as attachments.
    fn from(visible: Visible) -> Self {
        let Visible { text, removed, files, encrypted, cut, doubt } = visible;
        let sealed = encrypted.then_some(sealed::PGP);
        Self { body: text, attachments: files, removed, sealed, cut, doubt, ..Self::default() }
    }
}

/// A message of which only the headers are parsed.
fn unparsed(bytes: &[u8], wanted: &BTreeSet<String>) -> Mail {
    let Some(message) = MessageParser::default().parse_headers(bytes) else {
        return visible::undeclared(bytes).into();
    };
    let start = message.parts.first().map_or(0, |root| root.offset_body as usize);
    let body = visible::undeclared(bytes.get(start..).unwrap_or_default());
    let (envelope, doubt) = headers::envelope(&message);
    let envelope = Envelope { headers: headers::kept(&message, wanted), ..envelope };
    let doubt = body.doubt.clone().or(doubt);
    Mail { envelope, doubt, ..body.into() }
}

/// The first line that is not blank, because some messages start with an empty line.
fn first_line(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.trim_ascii_start();
    bytes.split(|&b| b == b'\n').next().unwrap_or(bytes)
}

#[cfg(test)]
mod tests;
