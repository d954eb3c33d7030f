//! Splits an mbox stream into messages without holding more than one of them.
//!
//! A line that begins `From ` separates messages only if a header field follows it, and if the line before it is
//! blank or the line itself ends like the envelope of a mailbox, with a time and a year. Prose that happens to
//! begin with "From " passes neither test.

use std::io::{self, BufRead};
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::lines::{Line, Lines};
use super::pattern;
use super::sniff::is_field;

/// One message of an mbox: its bytes without the `From ` line, `>From ` unquoted.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// Byte offset of the `From ` line in the stream.
    pub offset: u64,
    /// The message, at most the reader's cap of bytes.
    pub bytes: Vec<u8>,
    /// True when the message was longer than the cap.
    pub truncated: bool,
}

/// Reads messages one after the other.
pub struct Mbox<R> {
    lines: Lines<R>,
    cap: usize,
}

impl<R: BufRead> Mbox<R> {
    /// Reads from `reader`, keeping at most `cap` bytes of a message.
    pub fn new(reader: R, cap: usize) -> Self {
        Self { lines: Lines::new(reader), cap }
    }

    /// The next message, or `None` at the end.
    ///
    /// # Errors
    /// When the stream cannot be read; what was read of the message so far is lost.
    pub fn next_message(&mut self) -> io::Result<Option<Message>> {
        let first = loop {
            match self.line(self.cap)? {
                None => return Ok(None),
                // Blank lines before a message are no message.
                Some(line) if is_blank(&line.bytes) => {}
                Some(line) => break line,
            }
        };
        let mut message = Message { offset: first.offset, bytes: Vec::new(), truncated: false };
        let mut blank_before = false;
        let mut at_start = true;
        let mut line = if is_from_line(&first.bytes) { self.line(self.cap)? } else { Some(first) };
        while let Some(current) = line {
            if !at_start && self.separates(&current, blank_before)? {
                self.lines.put_back(current);
                drop_blank_line(&mut message.bytes);
                break;
            }
            at_start = false;
            blank_before = is_blank(&current.bytes);
            message.truncated |= current.cut || message.bytes.len() + current.bytes.len() > self.cap;
            append(&mut message.bytes, &current.bytes, self.cap);
            line = self.line(self.cap.saturating_sub(message.bytes.len()))?;
        }
        Ok(Some(message))
    }

    /// True when `line` begins the next message. Reads one line ahead.
    fn separates(&mut self, line: &Line, blank_before: bool) -> io::Result<bool> {
        if !is_from_line(&line.bytes) || !(blank_before || ends_like_envelope(&line.bytes)) {
            return Ok(false);
        }
        let Some(next) = self.line(self.cap)? else {
            return Ok(false);
        };
        // Some mailboxes were quoted once too often and hold the old envelope as the first header.
        let follows = is_field(&next.bytes) || next.bytes.starts_with(b">From ");
        self.lines.put_back(next);
        Ok(follows)
    }

    /// The next line within `room`, or enough of it to see a separator or a header field, however full the message is.
    fn line(&mut self, room: usize) -> io::Result<Option<Line>> {
        self.lines.next_line(room.max(1024))
    }
}

/// The message behind a `From ` line that a delivery agent left in front of it.
pub fn without_from_line(bytes: &[u8]) -> &[u8] {
    match memchr::memchr(b'\n', bytes) {
        Some(end) if is_from_line(bytes) || bytes.starts_with(b">From ") => &bytes[end + 1..],
        _ => bytes,
    }
}

fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

fn is_from_line(line: &[u8]) -> bool {
    line.starts_with(b"From ")
}

/// True for `From someone Sat Jan  3 01:05:34 1996` and its many variants with a zone or without seconds.
fn ends_like_envelope(line: &[u8]) -> bool {
    static ENVELOPE: LazyLock<Regex> = LazyLock::new(|| pattern::bytes(r"\d:\d\d.{0,20}\b\d{4}\b.{0,12}\r?\n?$"));
    ENVELOPE.is_match(line)
}

/// Appends a body or header line within the cap; one `>` of a quoted `>From ` goes, which is right for mboxo and
/// for mboxrd.
fn append(bytes: &mut Vec<u8>, line: &[u8], cap: usize) {
    let quotes = line.iter().take_while(|&&b| b == b'>').count();
    let line = if quotes > 0 && line[quotes..].starts_with(b"From ") { &line[1..] } else { line };
    let room = cap.saturating_sub(bytes.len());
    bytes.extend_from_slice(&line[..line.len().min(room)]);
}

/// The blank line before a separator belongs to the mailbox, not to the message.
fn drop_blank_line(bytes: &mut Vec<u8>) {
    for blank in [b"\n\r\n".as_slice(), b"\n\n"] {
        if bytes.ends_with(blank) {
            bytes.truncate(bytes.len() + 1 - blank.len());
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(input: &str) -> Vec<(u64, String)> {
        split_capped(input, 1 << 20).into_iter().map(|(offset, text, _)| (offset, text)).collect()
    }

    fn split_capped(input: &str, cap: usize) -> Vec<(u64, String, bool)> {
        // A tiny buffer, so that lines cross its border.
        let mut mbox = Mbox::new(io::BufReader::with_capacity(7, input.as_bytes()), cap);
        let mut out = Vec::new();
        while let Some(m) = mbox.next_message().unwrap() {
            out.push((m.offset, String::from_utf8(m.bytes).unwrap(), m.truncated));
        }
        out
    }

    #[test]
    fn separators_and_offsets() {
        let input = "From a@b Sat Jan  3 01:05:34 1996\nSubject: 1\n\none\n\nFrom - \nSubject: 2\n\ntwo\n";
        assert_eq!(split(input), [(0, "Subject: 1\n\none\n".into()), (51, "Subject: 2\n\ntwo\n".into())]);
    }

    #[test]
    fn prose_is_no_separator() {
        let prose = "From a@b x\nSubject: 1\n\nFrom here on: prose\nFrom Monday on\n\nFrom that day\nwe met\n";
        assert_eq!(split(prose).len(), 1);
        let unblanked =
            "From a Sat Jan  3 01:05:34 1996\nA: 1\n\nx\nFrom b at c  Sun Jan  4 01:05:34 1996\nA: 2\n\ny\n";
        assert_eq!(split(unblanked).len(), 2);
        let quoting = "From a x\nA: 1\n\nhe wrote\nFrom b x\nTo: me\n";
        assert_eq!(split(quoting).len(), 1, "no blank line and no date");
    }

    #[test]
    fn quoted_from_lines_lose_one_mark() {
        let input = "From a x\nA: 1\n\n>From me\n>>From you\n> From\n";
        assert_eq!(split(input)[0].1, "A: 1\n\nFrom me\n>From you\n> From\n");
    }

    #[test]
    fn crlf_empty_and_headless() {
        assert_eq!(split(""), []);
        assert_eq!(split("\n\r\n\nFrom a x\nA: 1\n\nx\n"), [(4, "A: 1\n\nx\n".into())]);
        let crlf = "From a x\r\nA: 1\r\n\r\none\r\n\r\nFrom b x\r\nA: 2\r\n\r\n";
        assert_eq!(split(crlf), [(0, "A: 1\r\n\r\none\r\n".into()), (25, "A: 2\r\n\r\n".into())]);
        assert_eq!(split("From \n"), [(0, String::new())]);
        assert_eq!(split("From a\nFrom b\nFrom c\n").len(), 1, "only separators");
    }

    #[test]
    fn a_long_message_is_cut_and_the_next_found() {
        let input = format!("From a x\nA: 1\n\n{}\n{}\n\nFrom b x\nA: 2\n\ntwo\n", "x".repeat(3000), "y\n".repeat(900));
        let messages = split_capped(&input, 2000);
        assert_eq!(messages.len(), 2);
        assert_eq!((messages[0].1.len(), messages[0].2), (2000, true));
        assert_eq!((messages[1].1.as_str(), messages[1].2), ("A: 2\n\ntwo\n", false));
    }
}
