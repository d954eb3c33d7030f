//! Reads a stream line by line without ever holding more of a line than asked for.

use std::io::{self, BufRead};

/// One line with its line break; of a longer line only the first bytes are kept.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Byte offset of the line in the stream.
    pub offset: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// True when bytes were left out.
    pub cut: bool,
}

/// A stream of lines, into which lines can be put back.
pub struct Lines<R> {
    reader: R,
    offset: u64,
    /// Lines put back, the next one last.
    ahead: Vec<Line>,
}

impl<R: BufRead> Lines<R> {
    /// Reads from `reader`.
    pub fn new(reader: R) -> Self {
        Self { reader, offset: 0, ahead: Vec::new() }
    }

    /// Makes `line` the next one again.
    pub fn put_back(&mut self, line: Line) {
        self.ahead.push(line);
    }

    /// The next line, of which at most `room` bytes are kept, or `None` at the end.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub fn next_line(&mut self, room: usize) -> io::Result<Option<Line>> {
        if let Some(line) = self.ahead.pop() {
            return Ok(Some(line));
        }
        let mut line = Line { offset: self.offset, bytes: Vec::new(), cut: false };
        loop {
            let available = match self.reader.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                return Ok((self.offset > line.offset).then_some(line));
            }
            let end = memchr::memchr(b'\n', available);
            let taken = end.map_or(available.len(), |at| at + 1);
            let kept = taken.min(room.saturating_sub(line.bytes.len()));
            line.bytes.extend_from_slice(&available[..kept]);
            line.cut |= kept < taken;
            self.reader.consume(taken);
            self.offset += taken as u64;
            if end.is_some() {
                return Ok(Some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_and_offsets_stay_right() {
        let mut lines = Lines::new(io::BufReader::with_capacity(3, b"abcdefgh\nx\n\nend".as_slice()));
        let mut seen = Vec::new();
        while let Some(line) = lines.next_line(4).unwrap() {
            seen.push((line.offset, String::from_utf8(line.bytes).unwrap(), line.cut));
        }
        let expected = [(0, "abcd", true), (9, "x\n", false), (11, "\n", false), (12, "end", false)];
        assert_eq!(seen, expected.map(|(offset, text, cut)| (offset, text.to_string(), cut)));
    }
}
