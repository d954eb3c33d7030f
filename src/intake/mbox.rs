//! Splits an mbox or MMDF stream into messages and holds only one of them at a time.
//!
//! `separator` tells where a message starts. `Content-Length` is used where it is right: in
//! mboxcl2 the `From ` lines of a body are not quoted, and a message with an attached mailbox looks like many
//! messages. A length counts only if it spans a line that would be a separator, if it ends at the end of the file or
//! at a message that has a length too, and if every message before had one. Otherwise it is ignored, because many
//! lengths are wrong: edited messages, converted line ends, forged spam. So a wrong length cannot swallow the
//! messages after it.
//!
//! One `>` of a quoted `>From ` is removed, as in mboxo, mboxrd and mboxcl. In mboxcl2 this removes one mark too
//! many, but mboxcl2 cannot be told from mboxcl.
//!
//! A message that Thunderbird has deleted stays in the file until the folder is compacted, with a mark in
//! `X-Mozilla-Status`. It is left out, as Thunderbird leaves it out. The mark counts only where Thunderbird writes it, above
//! all other fields: a sender cannot put one there.
//!
//! The "folder internal data" message at the start of uw-imap mailboxes gets a record like any other message, because
//! anybody can write that subject.

use std::io::{self, Read};

use super::length::{LOOK_AHEAD, Length, is_end};
use super::lines::Lines;
use super::separator::{Before, begins_mail, envelope_length};
use crate::charset::{BYTE_ORDER_MARK, without_mark};

/// The line before and after each message of an MMDF mailbox.
const MMDF: &[u8] = b"\x01\x01\x01\x01";

/// One message of an mbox, without the `From ` line and with `>From ` unquoted.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// The offset of the `From ` line in the stream, or of the message if it has none.
    pub offset: u64,
    /// The message, at most as many bytes as the reader's cap.
    pub bytes: Vec<u8>,
    /// True if the message was longer than the cap.
    pub truncated: bool,
}

/// Reads one message after another.
pub struct Mbox<R> {
    lines: Lines<R>,
    cap: usize,
    kind: Delimiter,
    /// True as long as every message had a `Content-Length`.
    all_have_lengths: bool,
}

/// The delimiter between messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delimiter {
    /// Not known before the first line.
    Unknown,
    From,
    Mmdf,
}

/// A message while it is read.
struct Partial {
    message: Message,
    before: Before,
    /// True up to the blank line after the header block.
    in_header: bool,
    /// True if the next bytes start a line.
    at_line: bool,
    length: Length,
}

impl<R: Read> Mbox<R> {
    /// Reads from `reader`, keeping at most `cap` bytes of a message.
    pub fn new(reader: R, cap: usize) -> Self {
        Self { lines: Lines::new(reader), cap, kind: Delimiter::Unknown, all_have_lengths: true }
    }

    /// The next message that is not deleted, or `None` at the end.
    ///
    /// # Errors
    /// When the stream cannot be read; what was read of the message so far is lost.
    pub fn next_message(&mut self) -> io::Result<Option<Message>> {
        loop {
            match self.any_message()? {
                Some(message) if is_expunged(&message.bytes) => {}
                found => return Ok(found),
            }
        }
    }

    fn any_message(&mut self) -> io::Result<Option<Message>> {
        if !self.find_start()? {
            return Ok(None);
        }
        let mut reading = Partial::new(self.lines.offset());
        if self.kind == Delimiter::From {
            // The next line is an envelope, or the mailbox has none. Asking makes sure that all of it is buffered.
            self.begins_mail(Before::Start)?;
            let envelope = envelope_length(self.lines.ahead(0)?.0);
            self.lines.consume(envelope);
        }
        loop {
            let part = self.lines.part()?;
            let length = part.len();
            let may_end = reading.at_line && (part.starts_with(b"From ") || part.starts_with(MMDF));
            if length == 0 || (may_end && self.ends(&mut reading)?) {
                break;
            }
            let end = self.lines.offset() + length as u64;
            reading.take(&self.lines.ahead(length)?.0[..length], end, self.cap, self.kind);
            self.lines.consume(length);
        }
        // Also for the last message, so that its bytes do not change when another message is appended.
        if self.kind == Delimiter::From && self.lines.part()?.is_empty() {
            reading.message.drop_blank_line();
        }
        self.all_have_lengths &= reading.length != Length::None;
        Ok(Some(reading.message))
    }

    /// Moves to the first line of a message, past blank lines and MMDF delimiters; false at the end.
    fn find_start(&mut self) -> io::Result<bool> {
        if self.lines.offset() == 0 && self.lines.ahead(BYTE_ORDER_MARK.len())?.0.starts_with(BYTE_ORDER_MARK) {
            self.lines.consume(BYTE_ORDER_MARK.len());
        }
        loop {
            let part = self.lines.part()?;
            let length = part.len();
            if length == 0 {
                return Ok(false);
            }
            if self.kind == Delimiter::Unknown && !is_blank(part) {
                self.kind = if is_mmdf(part) { Delimiter::Mmdf } else { Delimiter::From };
            }
            let is_between = is_blank(part) || (self.kind == Delimiter::Mmdf && is_mmdf(part));
            if !is_between {
                return Ok(true);
            }
            self.lines.consume(length);
        }
    }

    /// True if the message ends before the next line.
    fn ends(&mut self, reading: &mut Partial) -> io::Result<bool> {
        let at = self.lines.offset();
        let mut before = reading.before;
        match (self.kind, reading.length) {
            (Delimiter::Mmdf, _) => {
                let ends = is_mmdf(self.lines.part()?);
                return Ok(ends);
            }
            (_, Length::Holds(end)) if at < end => return Ok(false),
            // Some programs count the blank line that belongs to the mailbox, some do not write it.
            (_, Length::Holds(end)) if at - end <= 4 => before = Before::Blank,
            _ => {}
        }
        if before == Before::Start || !self.begins_mail(before)? {
            return Ok(false);
        }
        if let Length::Ends(end) = reading.length
            && at < end
            && self.is_end(end - at)?
        {
            reading.length = Length::Holds(end);
            return Ok(false);
        }
        reading.message.drop_blank_line();
        Ok(true)
    }

    /// Looks as far ahead as needed to decide whether the next line starts a message.
    fn begins_mail(&mut self, before: Before) -> io::Result<bool> {
        let mut wanted = 1;
        loop {
            let (bytes, ended) = self.lines.ahead(wanted)?;
            if let Some(said) = begins_mail(bytes, before, ended) {
                return Ok(said);
            }
            wanted = bytes.len() + 1;
        }
    }

    /// Looks as far ahead as needed to decide whether a message ends `distance` bytes from here.
    fn is_end(&mut self, distance: u64) -> io::Result<bool> {
        if distance > LOOK_AHEAD || !self.all_have_lengths {
            return Ok(false);
        }
        let mut wanted = distance as usize;
        loop {
            let (bytes, ended) = self.lines.ahead(wanted)?;
            if let Some(said) = is_end(bytes, distance as usize, ended) {
                return Ok(said);
            }
            wanted = bytes.len() + 1;
        }
    }
}

impl Partial {
    fn new(offset: u64) -> Self {
        let message = Message { offset, bytes: Vec::new(), truncated: false };
        Self { message, before: Before::Start, in_header: true, at_line: true, length: Length::None }
    }

    /// Appends a line or a part of one, which ends at offset `end`.
    fn take(&mut self, part: &[u8], end: u64, cap: usize, kind: Delimiter) {
        let blank = self.at_line && is_blank(part);
        if self.in_header && self.at_line {
            self.in_header = !blank;
            self.length = if blank { self.length.from(end) } else { self.length.or_said(part) };
        }
        let quotes = kind == Delimiter::From && self.at_line && is_quoted_from(part);
        self.message.append(&part[usize::from(quotes)..], cap);
        self.before = if blank { Before::Blank } else { Before::Text };
        self.at_line = part.ends_with(b"\n");
    }
}

impl Message {
    fn append(&mut self, bytes: &[u8], cap: usize) {
        let kept = bytes.len().min(cap - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..kept]);
        self.truncated |= kept < bytes.len();
    }

    /// The blank line before a separator belongs to the mailbox, not to the message.
    fn drop_blank_line(&mut self) {
        for blank in [b"\n\r\n".as_slice(), b"\n\n"] {
            if self.bytes.ends_with(blank) {
                self.bytes.truncate(self.bytes.len() + 1 - blank.len());
                return;
            }
        }
    }
}

/// True if the bytes start like an mbox or an MMDF mailbox.
pub(super) fn begins(head: &[u8]) -> bool {
    let mut start = without_mark(head);
    while let [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] = start {
        start = rest;
    }
    is_mmdf(start.split_inclusive(|&b| b == b'\n').next().unwrap_or(start))
        || begins_mail(start, Before::Start, true) == Some(true)
}

/// The message without the `From ` line that a delivery agent left in front of it.
pub fn without_from_line(bytes: &[u8]) -> &[u8] {
    let envelope = envelope_length(bytes.strip_prefix(b">").unwrap_or(bytes));
    let is_line = envelope > 0 && memchr::memchr(b'\n', bytes).is_some();
    if is_line { &bytes[envelope + usize::from(bytes[0] == b'>')..] } else { bytes }
}

/// True for a message that Thunderbird has deleted.
fn is_expunged(bytes: &[u8]) -> bool {
    const EXPUNGED: u16 = 0x0008;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let mut parts = line.splitn(2, |&byte| byte == b':');
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        match &name[..] {
            b"x-mozilla-status" => {
                let flags = str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
                return u16::from_str_radix(flags.trim(), 16).is_ok_and(|flags| flags & EXPUNGED != 0);
            }
            // Thunderbird writes these above it.
            b"x-account-key" | b"x-uidl" => {}
            _ => return false,
        }
    }
    false
}

fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

fn is_mmdf(line: &[u8]) -> bool {
    line.strip_prefix(MMDF).is_some_and(|rest| rest.is_empty() || is_blank(rest))
}

fn is_quoted_from(line: &[u8]) -> bool {
    let quotes = line.iter().take_while(|&&b| b == b'>').count();
    quotes > 0 && line[quotes..].starts_with(b"From ")
}

#[cfg(test)]
mod tests;
