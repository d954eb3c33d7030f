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
mod tests {
    use super::*;

    fn split(input: &str) -> Vec<(u64, String)> {
        split_capped(input, 1 << 20).into_iter().map(|(offset, text, _)| (offset, text)).collect()
    }

    fn split_capped(input: &str, cap: usize) -> Vec<(u64, String, bool)> {
        // A tiny buffer, so that every look ahead is a look at the stream.
        let mut mbox = Mbox::new(io::BufReader::with_capacity(7, Slow(input.as_bytes())), cap);
        let mut out = Vec::new();
        while let Some(m) = mbox.next_message().unwrap() {
            out.push((m.offset, String::from_utf8(m.bytes).unwrap(), m.truncated));
        }
        out
    }

    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(7);
            self.0.read(&mut buffer[..length])
        }
    }

    /// The subjects of a mailbox, and checks that offsets point at its separators.
    fn subjects(input: &str) -> Vec<String> {
        let subject = |text: &str| text.lines().find_map(|line| line.strip_prefix("Subject: ")).map(String::from);
        let messages = split(input);
        for (offset, _) in &messages {
            assert!(input[*offset as usize..].starts_with("From "), "{offset} in {input}");
        }
        messages.iter().map(|(_, text)| subject(text).unwrap_or_default()).collect()
    }

    /// One message as mboxcl2 holds it, whose length is said to be longer than it is.
    fn with_length(subject: &str, body: &str, more: i64) -> String {
        let length = body.len() as i64 + more;
        format!("From a@b Sat Jan  3 01:05:34 1996\nSubject: {subject}\nContent-Length: {length}\n\n{body}\n")
    }

    const ATTACHED: &str =
        "see:\n\nFrom c@d Sun Jan  4 01:05:34 1996\nSubject: inner\n\nx\n\nFrom d\nTo: e\nDate: f\n\ny\n";

    #[test]
    fn separators_and_offsets() {
        let input = "From a@b Sat Jan  3 01:05:34 1996\nSubject: 1\n\none\n\nFrom - \nSubject: 2\n\ntwo\n";
        assert_eq!(split(input), [(0, "Subject: 1\n\none\n".into()), (51, "Subject: 2\n\ntwo\n".into())]);
        let broken = "From a@b\" \n <a@b  Sat Jan  3 01:05:34 1996\nSubject: 1\n\none\n\n";
        assert_eq!(split(&broken.repeat(2)).len(), 2);
        assert_eq!(split(&broken.repeat(2))[1], (broken.len() as u64, "Subject: 1\n\none\n\n".into()));
    }

    #[test]
    fn prose_is_no_separator() {
        let prose = "From a@b x\nSubject: 1\n\nFrom here on: prose\nFrom Monday on\n\nFrom that day\nwe met\n";
        assert_eq!(split(prose).len(), 1);
        let header_like = "From a@b x\nSubject: 1\n\nsee\n\nFrom here on\nNote: prose\n\nFrom now on\nP.S.: more\n";
        assert_eq!(split(header_like).len(), 1);
        let unblanked =
            "From a Sat Jan  3 01:05:34 1996\nA: 1\n\nx\nFrom b at c  Sun Jan  4 01:05:34 1996\nA: 2\n\ny\n";
        assert_eq!(split(unblanked).len(), 2);
        let quoting = "From a x\nTo: 1\n\nhe wrote\nFrom b x\nTo: me\nDate: now\n";
        assert_eq!(split(quoting).len(), 1, "no blank line and no date");
    }

    #[test]
    fn quoted_from_lines_lose_one_mark() {
        let input = "From a x\nTo: 1\n\n>From me\n>>From you\n> From\n";
        assert_eq!(split(input)[0].1, "To: 1\n\nFrom me\n>From you\n> From\n");
    }

    #[test]
    fn crlf_empty_and_headless() {
        assert_eq!(split(""), []);
        assert_eq!(split("\n\r\n\nFrom a x\nTo: 1\n\nx\n"), [(4, "To: 1\n\nx\n".into())]);
        assert_eq!(split("\u{feff}\nFrom a x\nTo: 1\n\nx\n"), [(4, "To: 1\n\nx\n".into())]);
        let crlf = "From a@x\r\nTo: 1\r\n\r\none\r\n\r\nFrom b@x\r\nTo: 2\r\n\r\n";
        assert_eq!(split(crlf), [(0, "To: 1\r\n\r\none\r\n".into()), (26, "To: 2\r\n\r\n".into())]);
        assert_eq!(split("From \n"), [(0, String::new())]);
        assert_eq!(split("From a\nFrom b\nFrom c\n").len(), 1, "only separators");
        assert_eq!(split("the end of a mail\n\nFrom a@b\nTo: c\n\nx\n").len(), 2);
    }

    #[test]
    fn the_last_mail_may_be_cut_off() {
        let whole = "From a@b Sat Jan  3 01:05:34 1996\nSubject: 1\n\none\n\n";
        let second = "From b@c Sat Jan  3 01:05:34 1996\nSubject: 2\n\ntwo\n";
        for end in 0..second.len() {
            let messages = split(&format!("{whole}{}", &second[..end]));
            let expected = 1 + usize::from(end >= second.find(" 1996").unwrap() - 3);
            assert_eq!(messages.len(), expected, "{:?}", &second[..end]);
        }
        // Such a mail may also stand in the middle, where the disk was full for a while.
        assert_eq!(split(&format!("{whole}{}\n{whole}", &second[..44])).len(), 3);
    }

    #[test]
    fn right_lengths_hold_what_looks_like_mails() {
        let input = [with_length("1", ATTACHED, 0), with_length("2", "x\n", 0), with_length("3", ATTACHED, 0)].concat();
        assert_eq!(subjects(&input), ["1", "2", "3"]);
        assert_eq!(split(&input)[0].1.split_once("\n\n").unwrap().1, ATTACHED);
        // Some programs count the blank line, some count no final line break, some write no blank line.
        for more in [-1, 1] {
            let input = [with_length("1", ATTACHED, more), with_length("2", ATTACHED, more)].concat();
            assert_eq!(subjects(&input), ["1", "2"], "{more}");
        }
        let input = [with_length("1", ATTACHED, 0).trim_end(), "\n", &with_length("2", ATTACHED, 0)].concat();
        assert_eq!(subjects(&input), ["1", "2"]);
    }

    #[test]
    fn right_lengths_of_crlf_files() {
        let crlf = ATTACHED.replace('\n', "\r\n");
        let mail = |subject| with_length(subject, "#", crlf.len() as i64 - 1).replace('\n', "\r\n").replace('#', &crlf);
        let input = [mail("1"), mail("2"), mail("3")].concat();
        assert_eq!(subjects(&input), ["1", "2", "3"]);
        // Converted afterwards, so that no length is right.
        let input = [with_length("1", "x\ny\n", 0), with_length("2", "x\n", 0)].concat().replace('\n', "\r\n");
        assert_eq!(subjects(&input), ["1", "2"]);
    }

    #[test]
    fn wrong_lengths_neither_lose_nor_merge_mails() {
        let plain = |subject: &str| format!("From a@b Sat Jan  3 01:05:34 1996\nSubject: {subject}\n\nx\n\n");
        let rest = [with_length("2", "y\n", 0), with_length("3", "z\n", 0)].concat();
        // Every length there is but those that end where a mail ends.
        let boundaries = [2, rest.len() as i64 / 2 + 3, rest.len() as i64 + 3];
        for length in -3..=rest.len() as i64 + 9 {
            if boundaries.iter().all(|boundary| (length - boundary).abs() > 2) {
                assert_eq!(subjects(&(with_length("1", "x\n", length - 2) + &rest)), ["1", "2", "3"], "{length}");
            }
            // And all of them where the other mails have no lengths: there are none in such a mailbox.
            let before = plain("0") + &with_length("1", "x\n", length - 2) + &plain("2") + &plain("3");
            assert_eq!(subjects(&before), ["0", "1", "2", "3"], "{length}");
            let first = with_length("1", "x\n", length - 2) + &plain("2") + &plain("3") + &plain("4");
            assert_eq!(subjects(&first)[..1], ["1"], "{length}");
        }
        for length in ["1000000000000000000000000000000", "18446744073709551615", "9223372036854775807", "x", "-0"] {
            let input = with_length("1", "x\n", 0).replace("Length: 2", &format!("Length: {length}")) + &rest;
            assert_eq!(subjects(&input), ["1", "2", "3"], "{length}");
        }
    }

    #[test]
    fn a_length_is_looked_for_only_so_far() {
        let far = with_length("1", &(ATTACHED.to_string() + &"x\n".repeat(9 << 20)), 0) + &with_length("2", "y\n", 0);
        let mut mbox = Mbox::new(far.as_bytes(), 1 << 20);
        let mut count = 0;
        while mbox.next_message().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 4, "the mails of the attachment are taken for mails, and none is lost");
    }

    #[test]
    fn mmdf() {
        let mail = |subject: &str| {
            format!("\u{1}\u{1}\u{1}\u{1}\nSubject: {subject}\n\nFrom a\n>From b\n\u{1}\u{1}\u{1}\u{1}\n")
        };
        let input = mail("1") + &mail("2");
        let body = "\n\nFrom a\n>From b\n";
        assert_eq!(split(&input), [(5, format!("Subject: 1{body}")), (42, format!("Subject: 2{body}"))]);
        assert_eq!(split(&input.replace('\n', "\r\n")).len(), 2);
        assert_eq!(split("\u{1}\u{1}\u{1}\u{1}\n\u{1}\u{1}\u{1}\u{1}\n"), []);
    }

    #[test]
    fn beginnings() {
        for (head, expected) in [
            ("From a@b x\nSubject: x\n\n", true),
            ("\u{feff}\r\n\nFrom a@b x\nSubject: x\n\n", true),
            ("\u{1}\u{1}\u{1}\u{1}\nSubject: x\n", true),
            ("From the beginning\nNote: x\n\n", false),
            ("From : a@b\nSubject: x\n\n", false),
            ("", false),
        ] {
            assert_eq!(begins(head.as_bytes()), expected, "{head:?}");
        }
    }

    #[test]
    fn a_delivery_agents_line_is_no_header() {
        assert_eq!(without_from_line(b"From a@b\nTo: c\n"), b"To: c\n");
        assert_eq!(without_from_line(b">From a@b\nTo: c\n"), b"To: c\n");
        assert_eq!(without_from_line(b"From : a@b\nTo: c\n"), b"From : a@b\nTo: c\n");
        assert_eq!(without_from_line(b"From a@b"), b"From a@b");
    }

    #[test]
    fn a_long_message_is_cut_and_the_next_found() {
        let input =
            format!("From a x\nTo: 1\n\n{}\n{}\n\nFrom b@x\nTo: 2\n\ntwo\n", "x".repeat(3000), "y\n".repeat(900));
        let messages = split_capped(&input, 2000);
        assert_eq!(messages.len(), 2);
        assert_eq!((messages[0].1.len(), messages[0].2), (2000, true));
        assert_eq!((messages[1].1.as_str(), messages[1].2), ("To: 2\n\ntwo\n", false));
    }
}
