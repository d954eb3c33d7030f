//! Reads back what a run that was stopped has written, so that another can go on after it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::charset::{BYTE_ORDER_MARK, without_mark};

/// The complete lines of an output, one after the other.
pub struct ResumeReader {
    reader: BufReader<File>,
    /// Bytes read so far.
    at: u64,
    /// Bytes up to the end of the last complete line.
    whole: u64,
    /// The line behind them that was torn off, as far as it is there.
    torn: Vec<u8>,
    path: PathBuf,
}

/// No record is longer: a mail is read up to 32 MiB, of which cleaning may name as much again, and JSON escapes.
const LONGEST: u64 = 512 << 20;

/// How every record begins that has no header above it.
const RECORD: &[u8] = b"{\"source\":";

/// Of a torn line this much is kept, to see whose it is.
const TORN: u64 = 64;

impl ResumeReader {
    /// Reads `file`, which is what there is of the output at `path`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn new(mut file: File, path: &Path) -> Result<Self> {
        let whole = end_of_lines(&mut file)?;
        file.seek(SeekFrom::Start(whole))?;
        let mut torn = Vec::new();
        (&file).take(TORN).read_to_end(&mut torn)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { reader: BufReader::new(file), at: 0, whole, torn, path: path.to_path_buf() })
    }

    /// The output's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes are complete lines.
    pub fn length(&self) -> u64 {
        self.whole
    }

    /// True when all complete lines were read.
    pub fn is_read(&self) -> bool {
        self.at == self.whole
    }

    /// Reads past a header. False when something else stands there, unless it is a header that was torn off itself.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn skip_header(&mut self, header: &[u8]) -> io::Result<bool> {
        if self.whole == 0 {
            let first = if header.is_empty() { RECORD } else { header };
            let begins = |torn: &[u8]| torn.iter().zip(first).all(|(torn, first)| torn == first);
            let is_torn_mark = BYTE_ORDER_MARK.starts_with(&self.torn);
            return Ok(is_torn_mark || begins(&self.torn) || begins(without_mark(&self.torn)));
        }
        if header.is_empty() {
            return Ok(self.reader.fill_buf()?.starts_with(RECORD));
        }
        // A complete file may have got a mark in front.
        if self.reader.fill_buf()?.starts_with(BYTE_ORDER_MARK) && !header.starts_with(BYTE_ORDER_MARK) {
            self.reader.consume(BYTE_ORDER_MARK.len());
            self.at += BYTE_ORDER_MARK.len() as u64;
        }
        let mut found = vec![0; header.len().min((self.whole - self.at) as usize)];
        self.reader.read_exact(&mut found)?;
        self.at += found.len() as u64;
        Ok(found == header)
    }

    /// The next complete line with its line break.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.is_read() {
            return Ok(None);
        }
        let mut line = Vec::new();
        self.at += Read::by_ref(&mut self.reader).take(LONGEST).read_until(b'\n', &mut line)? as u64;
        if line.len() as u64 == LONGEST {
            return Err(io::Error::other("it has a line that is longer than any record"));
        }
        Ok(Some(line))
    }
}

/// Where the last line break ends, looked for from the end.
fn end_of_lines(file: &mut File) -> io::Result<u64> {
    const BLOCK: u64 = 64 * 1024;
    let mut end = file.seek(SeekFrom::End(0))?;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::new();
        Read::by_ref(file).take(end - start).read_to_end(&mut block)?;
        if let Some(at) = memchr::memrchr(b'\n', &block) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn written(bytes: &[u8]) -> ResumeReader {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        ResumeReader::new(file, Path::new("out")).unwrap()
    }

    #[test]
    fn complete_lines_are_read_and_a_torn_one_is_not() {
        let long = "x".repeat(200_000);
        let mut found = written(format!("a\n{long}\n{long}").as_bytes());
        assert_eq!(found.length(), 2 + 200_001);
        assert_eq!(found.next_line().unwrap().unwrap(), b"a\n");
        assert!(!found.is_read());
        assert_eq!(found.next_line().unwrap().unwrap().len(), 200_001);
        assert!(found.is_read() && found.next_line().unwrap().is_none());
    }

    #[test]
    fn a_header_is_told_from_other_files() {
        assert!(written(b"a,b\n1,2\n").skip_header(b"a,b\n").unwrap());
        assert!(!written(b"a,c\n1,2\n").skip_header(b"a,b\n").unwrap());
        assert!(written(b"a,").skip_header(b"a,b\n").unwrap(), "torn off");
        assert!(!written(b"my notes").skip_header(b"a,b\n").unwrap());
        assert!(!written(b"my notes").skip_header(b"").unwrap());
        assert!(written(b"{\"sour").skip_header(b"").unwrap());
        assert!(written(b"").skip_header(b"").unwrap());
        assert!(written("\u{feff}a,b\n1,2\n".as_bytes()).skip_header(b"a,b\n").unwrap());
        assert!(written("\u{feff}a,b\n1,2\n".as_bytes()).skip_header("\u{feff}a,b\n".as_bytes()).unwrap());
    }
}
