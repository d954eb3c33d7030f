//! Removes fields of our name from a stream, wherever a mail program might read a header.
//!
//! The block in which this is done is larger than any one program's. It goes on past malformed lines (procmail,
//! reformail, maildrop and Dovecot do) and past a line that holds only a carriage return where other lines end without
//! one (procmail does). Blank lines may precede it (formail, procmail and reformail skip them). Until its first blank
//! line a lone carriage return ends a line (in Python's email). A line counts as ours whatever follows the name.
//! Continuation lines go with their field.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use super::NAME;
use crate::charset::BYTE_ORDER_MARK;

/// Bytes that are copied at a time.
const CHUNK: usize = 64 * 1024;

/// Copies a message without fields of our name.
///
/// # Errors
/// When it cannot be read or written.
pub fn copy_without_ours(mail: &mut impl Read, out: &mut impl Write) -> io::Result<()> {
    let mut removal = Remover::new(false);
    let (mut chunk, mut kept) = (vec![0; CHUNK], Vec::new());
    while !removal.is_over {
        let read = match mail.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let taken = removal.push(&chunk[..read], &mut kept);
        out.write_all(&kept)?;
        out.write_all(&chunk[taken..read])?;
        kept.clear();
    }
    removal.finish(&mut kept);
    out.write_all(&kept)?;
    io::copy(mail, out).map(drop)
}

/// The header block of a message without fields of our name, and the rest of the message. When `is_marked`, a new field
/// will precede leading blank lines, which then end the block.
pub(super) fn without_ours(mail: &[u8], is_marked: bool) -> (Cow<'_, [u8]>, &[u8]) {
    let (mut removal, mut kept) = (Remover::new(is_marked), Vec::new());
    let taken = removal.push(mail, &mut kept);
    removal.finish(&mut kept);
    let (block, rest) = mail.split_at(taken);
    (if kept.len() == block.len() { block.into() } else { kept.into() }, rest)
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineFate {
    /// It is not known yet.
    Open,
    Stays,
    Goes,
}

/// Reads a message in pieces. A line is what Python's email takes for one: it may end with a lone carriage return.
struct Remover {
    line: LineFate,
    /// The bytes of an open line, at most as many as tell whether it is ours.
    begin: Vec<u8>,
    /// True when the last field, of which continuation lines follow, goes.
    goes: bool,
    /// The last byte is a carriage return, and a line feed may follow.
    has_return: bool,
    /// A lone carriage return ended the last line that stays. It is written when another follows.
    owes_return: bool,
    is_blank: bool,
    /// True while a line is the first after a line feed.
    is_after_feed: bool,
    /// True until a byte was seen.
    is_first: bool,
    /// True until the first line that is not blank.
    is_leading: bool,
    /// Leading blank lines end the block.
    is_marked: bool,
    /// True while all lines end with carriage return and line feed.
    has_crlf: bool,
    /// True until the first blank line: a lone carriage return ends a line.
    splits_at_return: bool,
    is_over: bool,
}

impl Remover {
    fn new(is_marked: bool) -> Self {
        Self {
            line: LineFate::Open,
            begin: Vec::new(),
            goes: false,
            has_return: false,
            owes_return: false,
            is_blank: false,
            is_after_feed: true,
            is_first: true,
            is_leading: true,
            is_marked,
            has_crlf: true,
            splits_at_return: true,
            is_over: false,
        }
    }

    /// Takes bytes and appends what stays of them to `kept`. Returns how many were taken: all until the block is over.
    fn push(&mut self, bytes: &[u8], kept: &mut Vec<u8>) -> usize {
        let mut at = 0;
        while at < bytes.len() && !self.is_over {
            let rest = &bytes[at..];
            if std::mem::take(&mut self.has_return) {
                if rest[0] == b'\n' {
                    at += 1;
                    self.end_line(b"\r\n", kept);
                } else {
                    self.end_with_return(kept);
                }
            } else if self.line == LineFate::Open {
                if matches!(rest[0], b'\r' | b'\n') {
                    self.decide(kept);
                    continue;
                }
                self.begin.push(rest[0]);
                at += 1;
                if self.is_ours().is_some() {
                    self.decide(kept);
                }
            } else {
                let length = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                if self.line == LineFate::Stays {
                    kept.extend_from_slice(&rest[..length]);
                }
                self.is_blank &= length == 0;
                at += length;
                match rest.get(length) {
                    Some(b'\n') => self.end_line(b"\n", kept),
                    Some(_) => self.has_return = true,
                    None => continue,
                }
                at += 1;
            }
        }
        at
    }

    /// At the end of the message.
    fn finish(&mut self, kept: &mut Vec<u8>) {
        if std::mem::take(&mut self.has_return) {
            self.end_with_return(kept);
        }
        if !self.begin.is_empty() {
            self.decide(kept);
        }
        if std::mem::take(&mut self.owes_return) {
            kept.push(b'\r');
        }
    }

    /// The byte order mark before the first line, which some programs skip, and the rest of the line so far.
    fn split_mark(&self) -> (&[u8], &[u8]) {
        let has_mark = self.is_first && self.begin.starts_with(BYTE_ORDER_MARK);
        self.begin.split_at(if has_mark { BYTE_ORDER_MARK.len() } else { 0 })
    }

    /// Whether an open line begins with our name; `None` if more bytes are needed to tell.
    fn is_ours(&self) -> Option<bool> {
        if self.is_first && self.begin.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(&self.begin) {
            return None;
        }
        let (_, text) = self.split_mark();
        let is_like = text.eq_ignore_ascii_case(&NAME.as_bytes()[..text.len()]);
        (!is_like || text.len() == NAME.len()).then_some(is_like)
    }

    /// Decides on an open line.
    fn decide(&mut self, kept: &mut Vec<u8>) {
        let continues = matches!(self.begin.first(), Some(b' ' | b'\t'));
        self.goes = if continues { self.goes } else { self.is_ours() == Some(true) };
        if !self.goes && std::mem::take(&mut self.owes_return) {
            kept.push(b'\r');
        }
        let (mark, text) = self.split_mark();
        kept.extend_from_slice(mark);
        if !self.goes {
            kept.extend_from_slice(text);
        }
        self.line = if self.goes { LineFate::Goes } else { LineFate::Stays };
        self.is_blank = self.begin.is_empty();
        self.is_first = false;
        self.begin.clear();
    }

    /// A line ends with a line feed.
    fn end_line(&mut self, ending: &[u8], kept: &mut Vec<u8>) {
        if self.line == LineFate::Stays || std::mem::take(&mut self.owes_return) {
            kept.extend_from_slice(ending);
        }
        if self.is_blank {
            self.splits_at_return = false;
            let ends_all = self.is_after_feed && (self.has_crlf || ending == b"\n");
            self.is_over = ends_all && (self.is_marked || !self.is_leading);
        } else {
            self.is_leading = false;
            self.has_crlf &= ending == b"\r\n";
        }
        (self.line, self.is_after_feed) = (LineFate::Open, true);
    }

    /// A lone carriage return. What follows it in a line that goes is kept, as Python's email may read it.
    fn end_with_return(&mut self, kept: &mut Vec<u8>) {
        self.is_leading = false;
        let ends_block = std::mem::take(&mut self.is_blank);
        self.splits_at_return &= !ends_block;
        if self.line == LineFate::Goes {
            self.line = LineFate::Open;
            return;
        }
        self.is_after_feed = false;
        if self.splits_at_return {
            (self.line, self.owes_return) = (LineFate::Open, true);
        } else {
            kept.push(b'\r');
        }
    }
}
