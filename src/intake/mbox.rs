//! Splits an mbox stream into messages without holding more than one of them, and MMDF mailboxes too.
//!
//! Where a message begins is told by [`separator`](super::separator), and by `Content-Length` where that is right: in
//! mboxcl2 nobody quotes the `From ` lines of a body, and a mail with an attached mailbox looks like many. A length is
//! believed only if it reaches over a line that would be a separator, at its end stands the end of the file or the
//! separator of a mail that has a length as well, and every mail before had one. Otherwise it is ignored, since
//! many are wrong: edited mail, converted line ends, forged spam. So no length can swallow the mails behind it, short
//! of naming to the byte where one of them ends, in a mailbox where all have lengths.
//!
//! One `>` of a quoted `>From ` goes, as mboxo, mboxrd and mboxcl want it. In mboxcl2 that is one mark too many,
//! but nothing tells it from mboxcl, and a text loses nothing by it.
//!
//! The "folder internal data" with which uw-imap's mailboxes begin is a message as any other: whatever looks like a
//! mail gets a record, since anybody can write that subject.

use std::io::{self, Read};

use super::length::{LOOK_AHEAD, Length, is_end};
use super::lines::Lines;
use super::separator::{Before, begins_mail, envelope_length};

/// Stands before and after each message of an MMDF mailbox, on a line of its own.
const MMDF: &[u8] = b"\x01\x01\x01\x01";

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One message of an mbox: its bytes without the `From ` line, `>From ` unquoted.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// Byte offset in the stream of the `From ` line, or of the message where it has none.
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
    kind: Kind,
    /// True while every message had a `Content-Length`.
    all_have_lengths: bool,
}

/// What stands between messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Not known before the first line.
    Unknown,
    From,
    Mmdf,
}

/// The message being read.
struct Reading {
    message: Message,
    before: Before,
    /// True up to the blank line behind the header block.
    in_header: bool,
    /// True when the next bytes begin a line.
    at_line: bool,
    length: Length,
}

impl<R: Read> Mbox<R> {
    /// Reads from `reader`, keeping at most `cap` bytes of a message.
    pub fn new(reader: R, cap: usize) -> Self {
        Self { lines: Lines::new(reader), cap, kind: Kind::Unknown, all_have_lengths: true }
    }

    /// The next message, or `None` at the end.
    ///
    /// # Errors
    /// When the stream cannot be read; what was read of the message so far is lost.
    pub fn next_message(&mut self) -> io::Result<Option<Message>> {
        if !self.find_start()? {
            return Ok(None);
        }
        let mut reading = Reading::new(self.lines.offset());
        if self.kind == Kind::From {
            // What comes next is an envelope or the mailbox has none; asking makes sure that all of it is there.
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
        // That of the last mail too: it must not be another mail once a next one stands behind it.
        if self.kind == Kind::From && self.lines.part()?.is_empty() {
            reading.message.drop_blank_line();
        }
        self.all_have_lengths &= reading.length != Length::None;
        Ok(Some(reading.message))
    }

    /// Goes on to the first line of a message: blank lines before it, and what stands between those of an MMDF mailbox,
    /// are none. False at the end.
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
            if self.kind == Kind::Unknown && !is_blank(part) {
                self.kind = if is_mmdf(part) { Kind::Mmdf } else { Kind::From };
            }
            let is_between = is_blank(part) || (self.kind == Kind::Mmdf && is_mmdf(part));
            if !is_between {
                return Ok(true);
            }
            self.lines.consume(length);
        }
    }

    /// True when the message ends where the next line begins.
    fn ends(&mut self, reading: &mut Reading) -> io::Result<bool> {
        let at = self.lines.offset();
        let mut before = reading.before;
        match (self.kind, reading.length) {
            (Kind::Mmdf, _) => {
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

    /// Looks as far ahead as it takes to tell whether a mail begins with the next line.
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

    /// Looks as far ahead as it takes to tell whether a mail ends `distance` bytes from here.
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

impl Reading {
    fn new(offset: u64) -> Self {
        let message = Message { offset, bytes: Vec::new(), truncated: false };
        Self { message, before: Before::Start, in_header: true, at_line: true, length: Length::None }
    }

    /// Adds a line or a part of one, which ends at `end` in the stream.
    fn take(&mut self, part: &[u8], end: u64, cap: usize, kind: Kind) {
        let blank = self.at_line && is_blank(part);
        if self.in_header && self.at_line {
            self.in_header = !blank;
            self.length = if blank { self.length.from(end) } else { self.length.or_said(part) };
        }
        let quotes = kind == Kind::From && self.at_line && is_quoted_from(part);
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

/// True when the bytes begin like an mbox or an MMDF mailbox.
pub(super) fn begins(head: &[u8]) -> bool {
    let mut start = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    while let [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] = start {
        start = rest;
    }
    is_mmdf(start.split_inclusive(|&b| b == b'\n').next().unwrap_or(start))
        || begins_mail(start, Before::Start, true) == Some(true)
}

/// The message behind a `From ` line that a delivery agent left in front of it.
pub fn without_from_line(bytes: &[u8]) -> &[u8] {
    let envelope = envelope_length(bytes.strip_prefix(b">").unwrap_or(bytes));
    let is_line = envelope > 0 && memchr::memchr(b'\n', bytes).is_some();
    if is_line { &bytes[envelope + usize::from(bytes[0] == b'>')..] } else { bytes }
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
