//! Tells the format of an input from its bytes.

use std::path::Path;

use encoding_rs::Encoding;

use super::mail::{emlx, outlook};
use super::mbox;
use super::tables::{self, Likeness};
use crate::charset::{UTF16_HEAD, utf16_of, without_mark};

/// The input formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum SourceFormat {
    /// Several messages, each after a `From ` line.
    Mbox,
    /// One RFC 5322 message.
    Mail,
    /// One message in Outlook's format. From bytes alone: any compound file, such as an old Office document.
    Msg,
    /// One HTML page.
    Html,
    /// Plain text, including Markdown.
    Text,
    /// JSON Lines: one object with a `text` field per line.
    Jsonl,
    /// A PDF.
    Pdf,
    /// A word processor document (Office Open XML). From bytes alone: any zip archive, because only its end shows
    /// what it is.
    Docx,
    /// A table of text: CSV, TSV, or with semicolons or bars between the cells.
    Delimited,
    /// A JSON array of objects, or objects one after another.
    Json,
    /// A workbook of Excel.
    Workbook,
}

impl SourceFormat {
    /// True for what holds rows with columns.
    pub fn is_table(self) -> bool {
        matches!(self, Self::Delimited | Self::Json | Self::Workbook)
    }
}

/// How many leading bytes [`sniff`] needs.
pub const HEAD: usize = 16 * 1024;

/// How far into a page its first tags are searched.
const PAGE_START: usize = 512;

/// The first bytes of a PDF, and how far into a file they may be: some programs put other bytes in front.
const PDF: &[u8] = b"%PDF-";
const PDF_START: usize = 1024;

/// The first bytes of a zip archive that is not empty.
const ZIP: &[u8] = b"PK\x03\x04";

/// Headers that do not start prose. One of them among the first lines makes a file a message.
const MAIL_HEADERS: &[&str] = &[
    "apparently-to",
    "arc-seal",
    "authentication-results",
    "bcc",
    "cc",
    "content-transfer-encoding",
    "content-type",
    "date",
    "delivered-to",
    "dkim-signature",
    "envelope-to",
    "from",
    "in-reply-to",
    "list-id",
    "message-id",
    "mime-version",
    "newsgroups",
    "path",
    "received",
    "references",
    "reply-to",
    "return-path",
    "sender",
    "status",
    "subject",
    "to",
    "x-mozilla-status",
    "xref",
];

/// The format by the file's name, ignoring a final `.gz`. A file `mbox` is what Apple Mail and others call a mailbox.
pub fn by_name(path: &Path) -> Option<SourceFormat> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    if name == "mbox" {
        return Some(SourceFormat::Mbox);
    }
    let (_, ending) = name.rsplit_once('.')?;
    match ending {
        "mbox" | "mbx" | "mboxrd" => Some(SourceFormat::Mbox),
        "eml" | "emlx" | "rfc822" | "mail" => Some(SourceFormat::Mail),
        "html" | "htm" | "xhtml" => Some(SourceFormat::Html),
        "txt" | "text" | "md" | "markdown" => Some(SourceFormat::Text),
        "jsonl" | "ndjson" => Some(SourceFormat::Jsonl),
        "pdf" => Some(SourceFormat::Pdf),
        "docx" | "docm" | "dotx" | "dotm" => Some(SourceFormat::Docx),
        "csv" | "tsv" | "tab" | "psv" => Some(SourceFormat::Delimited),
        "json" => Some(SourceFormat::Json),
        "xlsx" | "xlsm" => Some(SourceFormat::Workbook),
        _ => None,
    }
}

/// Tells the format from the first [`HEAD`] bytes; `None` if they are not text.
pub fn sniff(head: &[u8]) -> Option<SourceFormat> {
    if mbox::begins(head) {
        return Some(SourceFormat::Mbox);
    }
    if has_mail_headers(head) {
        return Some(SourceFormat::Mail);
    }
    if starts_pdf(head) {
        return Some(SourceFormat::Pdf);
    }
    if head.starts_with(ZIP) {
        return Some(SourceFormat::Docx);
    }
    if head.starts_with(outlook::MAGIC) {
        return Some(SourceFormat::Msg);
    }
    let start = without_mark(head).trim_ascii_start();
    // Before the check for NULs, because a NUL in a later row makes only that row invalid.
    if is_json_row(start) {
        return Some(SourceFormat::Jsonl);
    }
    if tables::starts_array(start) {
        return Some(SourceFormat::Json);
    }
    if is_binary(head) {
        return None;
    }
    if is_html(start) {
        return Some(SourceFormat::Html);
    }
    Some(SourceFormat::Text)
}

/// True if more bytes would not change the answer of [`sniff`], so that the format does not depend on the speed of a
/// stream: a header block or a row is complete, or the start of a page is there.
pub fn is_enough(head: &[u8]) -> bool {
    // Whether NUL is of UTF-16 shows a little later.
    if head.len() < UTF16_HEAD && head.contains(&0) && Encoding::for_bom(head).is_none() {
        return false;
    }
    let start = without_mark(head).trim_ascii_start();
    let has = |needle: &[u8]| memchr::memmem::find(start, needle).is_some();
    match start.first() {
        _ if start.starts_with(outlook::MAGIC) || start.starts_with(PDF) && start.len() > PDF.len() => true,
        // The names of its first files show a workbook.
        _ if start.starts_with(ZIP) => false,
        Some(b'<') => start.len() >= PAGE_START,
        Some(b'{') => has(b"\n"),
        Some(b'[') if tables::starts_array(start) => true,
        Some(b'[') if start.iter().filter(|byte| !byte.is_ascii_whitespace()).count() < 3 => false,
        // Only rows with columns are told apart here, which have no header of mail in the first line.
        _ => match tables::likeness(head, false) {
            Likeness::Yes => true,
            Likeness::No => has(b"\n\n") || has(b"\r\n\r\n"),
            Likeness::Unsure => false,
        },
    }
}

/// True if the bytes cannot be text: they have a NUL without being UTF-16, or start like a known archive or image.
pub fn is_binary(head: &[u8]) -> bool {
    has_magic(head) || head.contains(&0) && utf16_of(head).is_none()
}

/// True for the first bytes of a known archive, picture or program.
pub(super) fn has_magic(head: &[u8]) -> bool {
    const MAGIC: &[&[u8]] = &[
        PDF,
        b"\x89PNG",
        b"\xff\xd8\xff",
        b"GIF8",
        ZIP,
        b"\x7fELF",
        b"SQLite format 3",
        b"Rar!",
        b"7z\xbc\xaf",
        b"\x1f\x8b\x08",
    ];
    MAGIC.iter().any(|magic| head.starts_with(magic))
}

/// True for decoded text that is not text: compressed or encrypted bytes have many control characters or invalid
/// bytes, and text in any language has hardly any.
pub fn is_noise(text: &str) -> bool {
    const LOOKED_AT: usize = 4096;
    let is_control = |c: char| c < ' ' && !matches!(c, '\t'..='\r' | '\u{8}' | '\u{1b}');
    let (mut all, mut controls, mut unknown) = (0, 0, 0);
    for c in text.chars().take(LOOKED_AT) {
        all += 1;
        controls += usize::from(is_control(c));
        unknown += usize::from(c == '\u{fffd}');
    }
    (controls > 4 && controls * 25 > all) || (unknown > 4 && unknown * 3 > all)
}

/// True for a PDF by its first bytes, which end with a version.
fn starts_pdf(head: &[u8]) -> bool {
    let start = without_mark(head).trim_ascii_start();
    start.strip_prefix(PDF).is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_digit))
}

/// Where a PDF starts, which may be after other bytes. Only for files named `.pdf`, because a text may mention the
/// mark.
pub fn find_pdf(head: &[u8]) -> Option<usize> {
    memchr::memmem::find(&head[..head.len().min(PDF_START)], PDF)
}

/// True if `line` starts with a header field: printable characters without a colon, then a colon.
pub fn is_field(line: &[u8]) -> bool {
    field_name(line).is_some()
}

fn field_name(line: &[u8]) -> Option<&[u8]> {
    // Rows and pages start like this, and no header.
    if line.starts_with(b"{") || line.starts_with(b"<") {
        return None;
    }
    let colon = line.iter().take(100).position(|&b| b == b':' || !(33..=126).contains(&b))?;
    // Old mail programs put blanks between the name and its colon.
    let rest = line[colon..].iter().find(|byte| !matches!(byte, b' ' | b'\t'));
    (colon > 0 && rest == Some(&b':')).then(|| &line[..colon])
}

/// True if the bytes start with a header block that has at least one known header of mail. Prose whose first line
/// looks like `Note: ...` does not count.
fn has_mail_headers(head: &[u8]) -> bool {
    is_header(emlx::message(without_mark(head))) || without_blank_lines(head).len() < head.len()
}

/// True for a header block of mail. Forms have fields too, of which one may be called as a header is.
fn is_header(block: &[u8]) -> bool {
    let (known, all) = counted_headers(block);
    known > 0 && 2 * known >= all
}

/// Where the first line that is not blank starts.
pub(super) fn first_line(bytes: &[u8]) -> usize {
    let blank = bytes.len() - bytes.trim_ascii_start().len();
    memchr::memrchr(b'\n', &bytes[..blank]).map_or(0, |end| end + 1)
}

/// A message without the blank lines that some programs put before its headers. procmail and formail skip them.
pub fn without_blank_lines(bytes: &[u8]) -> &[u8] {
    /// One line of prose may look like a header
    const FEWEST: usize = 2;
    let rest = &bytes[first_line(bytes)..];
    if known_headers(&rest[..rest.len().min(HEAD)]) >= FEWEST { rest } else { bytes }
}

/// The number of known headers of mail in the header block at the start of the bytes.
pub(super) fn known_headers(block: &[u8]) -> usize {
    counted_headers(block).0
}

/// The numbers of known headers, and of all that are not somebody's own.
fn counted_headers(block: &[u8]) -> (usize, usize) {
    let (mut known, mut all) = (0, 0);
    for (at, line) in block.split(|&b| b == b'\n').take(200).enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if at > 0 && (line[0] == b' ' || line[0] == b'\t') {
            continue;
        }
        let Some(name) = field_name(line) else {
            break;
        };
        let name = name.to_ascii_lowercase();
        let is_known = MAIL_HEADERS.iter().any(|known| known.as_bytes() == name);
        known += usize::from(is_known);
        // Those of programs and of lists are many, and have a hyphen.
        all += usize::from(is_known || !name.contains(&b'-'));
    }
    (known, all)
}

fn is_html(start: &[u8]) -> bool {
    let head: Vec<u8> = start.iter().take(PAGE_START).map(u8::to_ascii_lowercase).collect();
    const TAGS: &[&[u8]] =
        &[b"<!doctype html", b"<html", b"<head", b"<body", b"<meta", b"<title", b"<div", b"<table", b"<p>", b"<p "];
    if TAGS.iter().any(|tag| head.starts_with(tag)) {
        return true;
    }
    let after_preamble = head.starts_with(b"<?xml") || head.starts_with(b"<!--");
    after_preamble && memchr::memmem::find(&head, b"<html").is_some()
}

/// True if the first line is, or starts like, a JSON object with a `text` field.
pub(super) fn is_json_row(start: &[u8]) -> bool {
    let line = start.split(|&b| b == b'\n').next().unwrap_or(start);
    line.starts_with(b"{") && !line.contains(&0) && memchr::memmem::find(line, b"\"text\"").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stay_rows() {
        assert_eq!(sniff(b"{\"text\":\"a\"}\n{\"text\":\"\0\"}\n"), Some(SourceFormat::Jsonl));
        assert_eq!(sniff(b"{\"text\":\"a\"}\nMessage-ID: <a@b>\n"), Some(SourceFormat::Jsonl));
        assert_eq!(sniff(b"{\"text\":\"\0\"}\n"), None);
    }

    #[test]
    fn kinds() {
        let check = |bytes: &[u8], expected| assert_eq!(sniff(bytes), expected, "{}", bytes.escape_ascii());
        check(b"From a@b Mon Jan  1 00:00:00 2024\nSubject: x\n\nbody\n", Some(SourceFormat::Mbox));
        check(b"From the beginning\nthere was prose\n", Some(SourceFormat::Text));
        check(b"Return-Path: <a@b>\r\nSubject: x\r\n\r\nbody\r\n", Some(SourceFormat::Mail));
        check(b"Subject : x\n\nbody", Some(SourceFormat::Mail));
        check(b"Note: buy milk\nand bread\n", Some(SourceFormat::Text));
        check(
            b"Ticket: 12\nSubject: Printer\nPriority: high\nDescription: it burns\n\nBob\n",
            Some(SourceFormat::Text),
        );
        check(b"Subject: Printer\nX-Ticket: 7\nX-Who: me\n\nBob\n", Some(SourceFormat::Mail));
        check(b"\xef\xbb\xbf<!DOCTYPE html><p>x", Some(SourceFormat::Html));
        check(b"<?xml version=\"1.0\"?>\n<html>", Some(SourceFormat::Html));
        check(b"{\"text\": \"x\"}\n", Some(SourceFormat::Jsonl));
        check(b"{\"other\": 1}\n", Some(SourceFormat::Text));
        check(b"%PDF-1.7\n\xe2\xe3\xcf\xd3\n1 0 obj", Some(SourceFormat::Pdf));
        check(b"\xef\xbb\xbf\r\n%PDF-1.4", Some(SourceFormat::Pdf));
        check(b"Subject: x\n\n%PDF-1.4", Some(SourceFormat::Mail));
        check(b"PK\x03\x04\x14\0", Some(SourceFormat::Docx));
        check(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", Some(SourceFormat::Msg));
        check(b"\x89PNG\r\n\x1a\n\0", None);
        check(b"\xff\xfeh\0i\0", Some(SourceFormat::Text));
        check(b"33      \nSubject: x\nFrom: a@b\n\nbody\n", Some(SourceFormat::Mail));
        check(b"33\nbottles\n", Some(SourceFormat::Text));
        check(b"", Some(SourceFormat::Text));
    }

    #[test]
    fn a_part_that_is_enough_is_the_same_kind_as_the_whole() {
        for whole in [
            "\n\n<!-- a\n\nb --><html><p>x</p>".to_string() + &"y".repeat(600),
            "From a x\nSubject: y\n\nbody\n\nmore".into(),
            "Subject: y\r\nTo: z\r\n\r\n<html>".into(),
            "\u{feff}{\"text\":\n\n".into(),
            "\n\n{\"a\": 1, \"text\": 2}\n".into(),
            "prose\n\nSubject: z\n".into(),
            "%PDF-1.7\n%x\n\n1 0 obj".into(),
            "\n%PDF-x\n\n".into(),
            "PK\u{3}\u{4}\n\n".into(),
        ] {
            for end in (0..=whole.len()).filter(|&end| is_enough(&whole.as_bytes()[..end])) {
                assert_eq!(sniff(&whole.as_bytes()[..end]), sniff(whole.as_bytes()), "{whole:?} at {end}");
            }
        }
    }

    #[test]
    fn names() {
        assert_eq!(by_name(Path::new("a/Inbox.MBOX.gz")), Some(SourceFormat::Mbox));
        assert_eq!(by_name(Path::new("1718.M1P1.host:2,S")), None);
        assert_eq!(by_name(Path::new("Vertrag.DOCX.gz")), Some(SourceFormat::Docx));
        assert_eq!(by_name(Path::new("Work.mbox/mbox")), Some(SourceFormat::Mbox));
        assert_eq!(by_name(Path::new("77.partial.emlx")), Some(SourceFormat::Mail));
        assert_eq!(by_name(Path::new("README.md")), Some(SourceFormat::Text));
    }
}
