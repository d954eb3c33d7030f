//! A stream of any charset as a stream of UTF-8.

use std::io::{self, Read};

use encoding_rs::{Decoder, Encoding, UTF_8};

use super::whole::{self, DAMAGED, Doubt};

/// How much of a stream is read, from the first character on that is not ASCII, before its charset is told.
const WINDOW: usize = 256 * 1024;

/// Stray bytes that are put up with in a text of ASCII.
const FEW_DAMAGED: usize = 4;

/// The size of a read.
const PART: usize = 64 * 1024;

/// A stream as UTF-8 without a byte order mark. Its charset is told from the first 256 KiB in which there is a
/// character that is not ASCII; what comes before is ASCII in all of them but UTF-16, which shows at once. Fails with a
/// [`Doubt`] where the charset is not known, or where the bytes are of another one further on.
pub struct Transcoded<R> {
    reader: R,
    given: Option<&'static Encoding>,
    decoder: Option<Decoder>,
    /// Damage so far; `None` where it does not count.
    damage: Option<Damage>,
    /// Bytes that are read and not decoded.
    raw: Vec<u8>,
    /// Text that is decoded and not returned, from `start` on.
    text: Vec<u8>,
    start: usize,
    began: bool,
    ended: bool,
}

/// Characters beyond ASCII, and bytes that are none. Those of the last 64 KiB count twice as much as those of the
/// 64 KiB before, so that a long beginning does not hide what comes behind it.
#[derive(Default)]
struct Damage {
    good: usize,
    damaged: usize,
    /// Bytes since counts were halved.
    since: usize,
}

impl<R: Read> Transcoded<R> {
    /// Reads `reader` in the charset that is `given`, or else in the one that its bytes tell.
    pub fn new(reader: R, given: Option<&'static Encoding>) -> Self {
        let damage = Some(Damage::default());
        let (raw, text) = (Vec::new(), Vec::new());
        Self { reader, given, decoder: None, damage, raw, text, start: 0, began: false, ended: false }
    }

    /// Reads `reader` in a charset that is certain, and replaces what is damaged.
    pub fn known(reader: R, encoding: &'static Encoding) -> Self {
        let decoder = Some(encoding.new_decoder_with_bom_removal());
        Self { decoder, damage: None, ..Self::new(reader, None) }
    }

    /// Reads the next part behind `raw`.
    fn fill(&mut self) -> io::Result<()> {
        let filled = self.raw.len();
        self.raw.resize(filled + PART, 0);
        let read = loop {
            match self.reader.read(&mut self.raw[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.raw.truncate(filled + *read.as_ref().unwrap_or(&0));
        self.ended |= matches!(read, Ok(0));
        read.map(|_| ())
    }

    /// Tells the charset, or passes on what is ASCII.
    fn begin(&mut self) -> io::Result<()> {
        // Bytes of UTF-16 and of a mark stand at the beginning.
        while !self.ended && self.raw.len() < if self.began { 1 } else { 4 } {
            self.fill()?;
        }
        let is_plain = |bytes: &[u8]| bytes.is_ascii() && !bytes.contains(&0x1b) && !bytes.contains(&0);
        if self.given.is_none() && is_plain(&self.raw) {
            self.began = true;
            self.text = std::mem::take(&mut self.raw);
            return Ok(());
        }
        while !self.ended && self.raw.len() < WINDOW {
            self.fill()?;
        }
        let (encoding, mark) = match self.given {
            None if self.began => (whole::guess(&self.raw).map_err(io::Error::other)?, 0),
            given => whole::tell(&self.raw, given).map_err(io::Error::other)?,
        };
        if self.raw.is_ascii() && encoding == UTF_8 {
            self.text = std::mem::take(&mut self.raw);
            return Ok(());
        }
        self.raw.drain(..mark);
        self.decoder = Some(encoding.new_decoder_without_bom_handling());
        Ok(())
    }

    fn decode(&mut self, mut decoder: Decoder) -> io::Result<()> {
        if self.raw.is_empty() && !self.ended {
            self.fill()?;
        }
        let room = decoder.max_utf8_buffer_length(self.raw.len()).unwrap_or(4 * self.raw.len() + 16);
        self.text.resize(room, 0);
        let (_, read, written, has_errors) = decoder.decode_to_utf8(&self.raw, &mut self.text, self.ended);
        self.text.truncate(written);
        self.raw.drain(..read);
        if let Some(damage) = &mut self.damage {
            damage.count(&self.text, has_errors, decoder.encoding())?;
        }
        if self.ended {
            self.raw.clear();
        } else {
            self.decoder = Some(decoder);
        }
        Ok(())
    }
}

impl Damage {
    /// # Errors
    /// Where there are more than a few stray bytes here and there.
    fn count(&mut self, text: &[u8], has_errors: bool, encoding: &'static Encoding) -> io::Result<()> {
        let damaged = if has_errors { memchr::memmem::find_iter(text, "\u{fffd}").count() } else { 0 };
        self.damaged += damaged;
        // Of each character beyond ASCII one byte is no continuation.
        self.good += text.iter().filter(|byte| **byte >= 0xc0).count().saturating_sub(damaged);
        if self.damaged > FEW_DAMAGED + self.good / DAMAGED {
            return Err(io::Error::other(Doubt::Changes(encoding.name())));
        }
        self.since += text.len();
        while self.since >= PART {
            (self.since, self.good, self.damaged) = (self.since - PART, self.good / 2, self.damaged / 2);
        }
        Ok(())
    }
}

impl<R: Read> Read for Transcoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.start == self.text.len() {
            self.text.clear();
            self.start = 0;
            match self.decoder.take() {
                Some(decoder) => self.decode(decoder)?,
                None if self.ended && self.raw.is_empty() => return Ok(0),
                None => self.begin()?,
            }
        }
        let part = &self.text[self.start..];
        let count = part.len().min(buffer.len());
        buffer[..count].copy_from_slice(&part[..count]);
        self.start += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::{GB18030, UTF_16LE};

    use super::*;

    const CHINESE: &str = "负面\n会议：日程安排\n发票\n投诉与建议\n";

    fn read(bytes: &[u8], given: Option<&'static Encoding>) -> Result<String, String> {
        let mut text = String::new();
        let read = Transcoded::new(bytes, given).read_to_string(&mut text);
        read.map(|_| text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_charset_that_shows_late_is_told_from_there_on() {
        let plain = "a,b\n".repeat(200_000);
        let text = format!("{plain}\u{1b}[31m{}", CHINESE.repeat(100));
        assert!(read(&GB18030.encode(&text).0, None).as_deref() == Ok(&text));
        assert_eq!(read(b"", None).as_deref(), Ok(""));
    }

    #[test]
    fn a_charset_that_changes_further_on_is_named() {
        let other = GB18030.encode(CHINESE).0;
        let rows = CHINESE.repeat(20_000);
        for given in [None, Some(UTF_8)] {
            let said = read(&[rows.as_bytes(), &other.repeat(2000)].concat(), given).err().unwrap_or_default();
            assert!(said.contains("UTF-8 at first") && said.contains("--encoding"), "{said}");
        }
        // A stray byte here and there damages a character each.
        let stray = [rows.as_bytes(), b"\xff", rows.as_bytes(), b"\xff", rows.as_bytes()].concat();
        assert_eq!(read(&stray, None).unwrap().matches('\u{fffd}').count(), 2);
    }

    #[test]
    fn a_charset_that_is_certain_is_read_whatever_is_damaged() {
        let bytes: Vec<u8> = "\u{feff}Grüße".encode_utf16().chain([0xd800, 0x0a]).flat_map(u16::to_le_bytes).collect();
        let mut text = String::new();
        Transcoded::known(&bytes[..], UTF_16LE).read_to_string(&mut text).unwrap();
        assert_eq!(text, "Grüße\u{fffd}\n");
    }
}
