//! Tells the line that starts a message of an mbox from prose that starts with "From ".
//!
//! An mbox envelope line has a sender and a date (`From a@b Sat Jan  3 01:05:34 1996`, pipermail's `a at b`,
//! Takeout's `1844…@xxx`, Eudora's `???@???`, Thunderbird's `-`), and headers follow. If the date is missing or has
//! another form, there must be a blank line before and well-known headers after it. Both are needed: people write
//! "From here on" above "Note: ...", and paste whole envelopes into their messages.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::byte_pattern;
use super::sniff::{self, is_field};

/// What precedes a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing: it is the first of its file.
    Start,
    /// A blank line.
    Blank,
    /// Other text.
    Text,
}

/// Envelopes and the headers that follow them are no longer than this.
const LONGEST_LINE: usize = 1024;

/// How much of a header block is searched for well-known headers.
const LONGEST_BLOCK: usize = 16 * 1024;

/// True if a message starts at the start of `bytes`, which are the next bytes of the stream, all of them if `ended`;
/// `None` if more are needed.
pub(super) fn begins_mail(bytes: &[u8], before: Before, ended: bool) -> Option<bool> {
    let known = bytes.len().min(5);
    if bytes[..known] != b"From "[..known] {
        return Some(false);
    }
    let (envelope, rest) = split_envelope(bytes, ended)?;
    // Old mail programs wrote the header as `From : a@b`.
    if is_field(envelope) {
        return Some(false);
    }
    // Thunderbird may omit the date, and prose does not start like this.
    let is_bare = before != Before::Text && envelope.trim_ascii_end() == b"From -";
    if is_bare || has_date(envelope) {
        return header_follows(rest, before, ended);
    }
    if before == Before::Text {
        return Some(false);
    }
    let is_whole = ended || rest.len() >= LONGEST_BLOCK || has_blank_line(rest);
    let needed = if before == Before::Start || names_sender_or_time(envelope) { 1 } else { 2 };
    is_whole.then(|| sniff::known_headers(without_old_envelope(&rest[..rest.len().min(LONGEST_BLOCK)])) >= needed)
}

/// The length of the envelope at the start of `bytes`; 0 if there is none.
pub(super) fn envelope_length(bytes: &[u8]) -> usize {
    let is_envelope = bytes.starts_with(b"From ") && !is_field(bytes);
    let envelope = is_envelope.then(|| split_envelope(bytes, true)).flatten();
    // A very long line is text.
    let envelope = envelope.filter(|(envelope, rest)| envelope.ends_with(b"\n") || rest.is_empty());
    envelope.map_or(0, |(envelope, _)| envelope.len())
}

/// The envelope and the bytes after it. Pipermail breaks the line where the sender's name had a line break; then the
/// second line has the date. `None` if more bytes are needed.
fn split_envelope(bytes: &[u8], ended: bool) -> Option<(&[u8], &[u8])> {
    let first = line_end(bytes, ended)?;
    let rest = &bytes[first..];
    match rest.first() {
        None if !ended => return None,
        Some(b' ' | b'\t') if !has_date(&bytes[..first]) => {
            let second = line_end(rest, ended)?;
            if has_date(&rest[..second]) {
                return Some(bytes.split_at(first + second));
            }
        }
        _ => {}
    }
    Some(bytes.split_at(first))
}

/// Where the first line ends, up to the length of an envelope.
fn line_end(bytes: &[u8], ended: bool) -> Option<usize> {
    let searched = &bytes[..bytes.len().min(LONGEST_LINE)];
    let is_all = ended || searched.len() == LONGEST_LINE;
    memchr::memchr(b'\n', searched).map(|at| at + 1).or(is_all.then_some(searched.len()))
}

/// True if a header field follows, which is enough after an envelope with a date.
fn header_follows(rest: &[u8], before: Before, ended: bool) -> Option<bool> {
    // Some mailboxes were quoted twice and have the old envelope as the first header.
    if is_field(rest) || rest.starts_with(b">From ") {
        return Some(true);
    }
    let is_cut = memchr::memchr(b'\n', rest).is_none() && rest.len() < LONGEST_LINE;
    match is_cut {
        true if !ended => None,
        // The file ends in the middle of a delivery.
        true => Some(before != Before::Text && rest.iter().all(u8::is_ascii_graphic)),
        false => Some(false),
    }
}

fn without_old_envelope(rest: &[u8]) -> &[u8] {
    let old = rest.starts_with(b">From ").then(|| line_end(rest, true)).flatten();
    &rest[old.unwrap_or(0)..]
}

fn has_blank_line(bytes: &[u8]) -> bool {
    let starts = bytes.starts_with(b"\n") || bytes.starts_with(b"\r\n");
    starts || memchr::memmem::find(bytes, b"\n\n").is_some() || memchr::memmem::find(bytes, b"\n\r\n").is_some()
}

/// True for `Sat Jan  3 01:05:34 1996` and its variants: with a zone, without seconds, `Sat, 3 Jan 1996 01:05`.
fn has_date(line: &[u8]) -> bool {
    static DATE: LazyLock<Regex> = LazyLock::new(|| {
        byte_pattern(
            r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +(?:[A-Z][a-z]{2} +\d{1,2}|\d{1,2}[ -][A-Z][a-z]{2}[ -]\d{2,4}),? +\d{1,2}:\d\d.{0,40}$",
        )
    });
    DATE.is_match(line.trim_ascii_end())
}

/// True if the line has an address or Thunderbird's dash as the sender, or a time and a year.
fn names_sender_or_time(line: &[u8]) -> bool {
    static TIME: LazyLock<Regex> = LazyLock::new(|| byte_pattern(r"\d:\d\d.{0,20}\b\d{4}\b.{0,12}$"));
    let line = line.trim_ascii_end();
    let sender = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(1);
    sender.is_none_or(|sender| sender == b"-" || sender.contains(&b'@')) || TIME.is_match(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: &str = "\nReturn-Path: <a@b>\nSubject: x\n\nbody\n";

    fn check(text: &str, before: Before, expected: bool) {
        assert_eq!(begins_mail(text.as_bytes(), before, true), Some(expected), "{text:?}");
        let crlf = text.replace('\n', "\r\n");
        assert_eq!(begins_mail(crlf.as_bytes(), before, true), Some(expected), "{crlf:?}");
        // A decision made on part of the stream never changes.
        for end in 0..text.len() {
            let part = begins_mail(&text.as_bytes()[..end], before, false);
            assert!(part.is_none_or(|said| said == expected), "{:?}", &text[..end]);
        }
    }

    #[test]
    fn envelopes_in_the_wild() {
        for line in [
            "From a@b Sat Jan  3 01:05:34 1996",
            "From ripley at stats.ox.ac.uk  Mon Jan  1 10:12:00 2001",
            "From - Tue Aug 06 13:34:34 2002",
            "From 1844627352468423953@xxx Mon Oct 07 15:53:54 +0000 2025",
            "From ???@??? Sat Jan 03 01:05:34 1996",
            "From MAILER-DAEMON Fri Jul  8 12:08:34 2011",
            "From \"A B\"@c Sat Jan  3 01:05 1996 remote from host",
            "From a@b Sat, 03 Jan 1996 01:05:34 +0100",
            "From a@b Sat Jan  3 01:05:34 CET 1996",
        ] {
            for before in [Before::Start, Before::Blank, Before::Text] {
                check(&format!("{line}{HEADERS}"), before, true);
                check(&format!("{line}\nX-Anything: x\n"), before, true);
                check(&format!("{line}\n\nprose\n"), before, false);
            }
        }
        check("From - \nX-Account-Key: account1\n", Before::Blank, true);
        for line in ["From - ", "From ", "From a@b", "From <a@b> 2024-01-03T01:05:34Z", "From a 1:00 2024", "From x"] {
            check(&format!("{line}{HEADERS}"), Before::Start, true);
            check(&format!("{line}{HEADERS}"), Before::Blank, true);
            check(&format!("{line}\n>From a x{HEADERS}"), Before::Blank, true);
            check(&format!("{line}{HEADERS}"), Before::Text, false);
        }
    }

    #[test]
    fn a_broken_envelope() {
        let text = "From jens@x\"\n <jens@x  Mon Jan 15 12:58:00 2001\nFrom: jens@x\"\n";
        check(text, Before::Blank, true);
        assert_eq!(&text[envelope_length(text.as_bytes())..], "From: jens@x\"\n");
        assert_eq!(envelope_length(b"From a@b\nTo: c\n"), 9);
        assert_eq!(envelope_length(b"To: c\n"), 0);
    }

    #[test]
    fn prose() {
        for text in [
            "From here on\nNote: something\n\n",
            "From here on\nSubject: matters\nmost\n",
            "From now on:\nhttp://example.org/\n\n",
            "From me@example.org you hear\nP.S.: more\n",
            "From Monday on\n\nSubject: x\nTo: y\n\n",
            "From 10:30 on Sat Jan 3\nwe met\n",
            "From : a@b\nSubject: x\nTo: y\n\n",
            "Fromage\nTo: a\nFrom: b\n",
        ] {
            check(text, Before::Blank, false);
            check(text, Before::Text, false);
        }
    }

    #[test]
    fn a_file_may_end_in_the_middle_of_an_envelope_or_header() {
        for text in ["From a@b Sat Jan  3 01:05:34 1996", "From a@b Sat Jan  3 01:05:34 1996\nRecei"] {
            assert_eq!(begins_mail(text.as_bytes(), Before::Blank, true), Some(true));
            assert_eq!(begins_mail(text.as_bytes(), Before::Text, true), Some(false));
        }
    }
}
