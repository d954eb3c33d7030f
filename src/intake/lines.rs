//! Reads a stream line by line and can look ahead as far as needed.

use std::io::{self, Read};

/// The size of a read, and the longest part of a line that is returned at once.
const PART: usize = 64 * 1024;

/// True if the lines of a text end with CR alone, as old Macs wrote them, going by its first bytes.
pub(super) fn end_in_cr(head: &[u8]) -> bool {
    memchr::memchr(b'\n', head).is_none() && memchr::memchr(b'\r', head).is_some()
}

/// A stream in which each CR is read as a line feed, so that offsets stay as they are.
pub(super) struct FromCr<R>(pub(super) R);

impl<R: Read> Read for FromCr<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        buffer[..read].iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
        Ok(read)
    }
}

/// One line with its line break; only the first bytes of a longer line are kept.
#[derive(Debug, PartialEq, Eq)]
pub struct InputLine {
    /// Byte offset of the line in the stream.
    pub offset: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// True if bytes were dropped.
    pub cut: bool,
}

/// A stream of lines.
pub struct Lines<R> {
    reader: R,
    /// The bytes from `start` to `end` are read and not yet consumed.
    window: Vec<u8>,
    start: usize,
    end: usize,
    /// The offset of `start` in the stream.
    offset: u64,
    ended: bool,
}

impl<R: Read> Lines<R> {
    /// Reads from `reader`.
    pub fn new(reader: R) -> Self {
        Self { reader, window: Vec::new(), start: 0, end: 0, offset: 0, ended: false }
    }

    /// The offset of the next byte in the stream.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next bytes: at least `wanted`, or all up to the end of the stream, and then `true`.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub fn ahead(&mut self, wanted: usize) -> io::Result<(&[u8], bool)> {
        while self.end - self.start < wanted && !self.ended {
            if self.end == self.window.len() {
                self.make_room();
            }
            match self.reader.read(&mut self.window[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok((&self.window[self.start..self.end], self.ended))
    }

    /// Moves the remaining bytes to the front if that frees at least half of the window, else doubles the window, so
    /// that bytes are rarely moved.
    fn make_room(&mut self) {
        if self.start == 0 || self.start < self.window.len() / 2 {
            self.window.resize((2 * self.window.len()).max(PART), 0);
            return;
        }
        self.window.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.window.len() > 16 * PART && self.end < PART {
            self.window.truncate(2 * PART);
            self.window.shrink_to_fit();
        }
    }

    /// The next line with its line break, or a part of a very long one; empty at the end. It stays the next line
    /// until it is consumed.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub fn part(&mut self) -> io::Result<&[u8]> {
        let mut seen = 0;
        loop {
            let (bytes, ended) = self.ahead(seen + 1)?;
            let longest = bytes.len().min(PART);
            if let Some(at) = memchr::memchr(b'\n', &bytes[seen..longest]) {
                let length = seen + at + 1;
                return Ok(&self.window[self.start..self.start + length]);
            }
            if ended || longest == PART {
                return Ok(&self.window[self.start..self.start + longest]);
            }
            seen = longest;
        }
    }

    /// Skips `length` bytes that were seen ahead.
    pub fn consume(&mut self, length: usize) {
        self.start += length;
        self.offset += length as u64;
    }

    /// The next line, of which at most `room` bytes are kept; `None` at the end.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub fn next_line(&mut self, room: usize) -> io::Result<Option<InputLine>> {
        let mut line = InputLine { offset: self.offset, bytes: Vec::new(), cut: false };
        loop {
            let part = self.part()?;
            let (length, last) = (part.len(), part.last().is_none_or(|&byte| byte == b'\n'));
            let kept = length.min(room.saturating_sub(line.bytes.len()));
            line.bytes.extend_from_slice(&part[..kept]);
            line.cut |= kept < length;
            self.consume(length);
            if last {
                return Ok((self.offset > line.offset).then_some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Yields at most three bytes at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(3);
            self.0.read(&mut buffer[..length])
        }
    }

    #[test]
    fn long_lines_are_cut_and_offsets_stay_right() {
        let mut lines = Lines::new(Slow(b"abcdefgh\nx\n\nend"));
        let mut seen = Vec::new();
        while let Some(line) = lines.next_line(4).unwrap() {
            seen.push((line.offset, String::from_utf8(line.bytes).unwrap(), line.cut));
        }
        let expected = [(0, "abcd", true), (9, "x\n", false), (11, "\n", false), (12, "end", false)];
        assert_eq!(seen, expected.map(|(offset, text, cut)| (offset, text.to_string(), cut)));
    }

    #[test]
    fn lines_longer_than_the_window_come_whole() {
        let input = format!("{}\nshort\n{}", "x".repeat(3 * PART + 1), "y".repeat(PART));
        let mut lines = Lines::new(input.as_bytes());
        let mut next = || lines.next_line(usize::MAX).unwrap().map(|line| line.bytes.len());
        assert_eq!([next(), next(), next(), next()], [Some(3 * PART + 2), Some(6), Some(PART), None]);
    }

    #[test]
    fn looking_ahead_changes_nothing_and_its_memory_goes_back() {
        let input: Vec<u8> = (0..400_000).flat_map(|n: u32| format!("{n}\n").into_bytes()).collect();
        let mut lines = Lines::new(input.as_slice());
        for n in 0..400_000 {
            if n % 90_000 == 7 {
                let wanted = 40 * PART;
                assert!(lines.ahead(wanted).unwrap().0.len() >= wanted.min(input.len() - lines.offset() as usize));
            }
            assert_eq!(lines.next_line(99).unwrap().unwrap().bytes, format!("{n}\n").as_bytes());
        }
        assert_eq!(lines.next_line(99).unwrap(), None);
        assert_eq!(lines.offset(), input.len() as u64);
        assert!(lines.window.len() <= 40 * PART * 2, "{}", lines.window.len());
    }
}
