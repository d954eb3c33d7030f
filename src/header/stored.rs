//! Messages as mail servers store them: plain, or compressed one by one, as Dovecot does. What inflates them inflates
//! archives too.

use std::borrow::Cow;
use std::io::{self, BufRead, Read, Write};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;

/// The name of what is inflated here.
pub const GZIP: &str = "gzip";

/// What a message is compressed with, by its first bytes. `None` for plain bytes.
pub fn compression(mail: &[u8]) -> Option<&'static str> {
    match mail {
        [0x1f, 0x8b, 8, ..] => Some(GZIP),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz"),
        [b'B', b'Z', b'h', _, b'1', b'A', b'Y', b'&', b'S', b'Y', ..] => Some("bzip2"),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some("lz4"),
        _ => mail.starts_with(b"Dovecot-LZ4\r\x2a\x9b\xc5").then_some("lz4"),
    }
}

/// A message, and the form in which it is stored.
#[derive(Clone, Debug)]
pub struct Stored<'m> {
    stored: Cow<'m, [u8]>,
    /// The message, if that is something else.
    inflated: Option<Vec<u8>>,
}

impl<'m> Stored<'m> {
    /// Reads a message that is plain or compressed with gzip, of at most `most` bytes.
    ///
    /// # Errors
    /// When it is compressed otherwise, damaged, or longer.
    pub fn new(stored: impl Into<Cow<'m, [u8]>>, most: u64) -> io::Result<Self> {
        let stored = stored.into();
        let inflated = match compression(&stored) {
            None => None,
            Some(GZIP) => {
                let mut mail = Vec::new();
                let read = Inflated::new(&stored[..]).take(most + 1).read_to_end(&mut mail);
                read.map_err(|error| io::Error::other(format!("it is damaged gzip: {error}")))?;
                Some(mail)
            }
            Some(kind) => return Err(io::Error::other(format!("it is compressed with {kind}, which is not read"))),
        };
        if inflated.as_ref().map_or(stored.len(), Vec::len) as u64 > most {
            return Err(io::Error::other(format!("it is longer than {most} bytes")));
        }
        Ok(Self { stored, inflated })
    }

    /// The message.
    pub fn mail(&self) -> &[u8] {
        self.inflated.as_deref().unwrap_or(&self.stored)
    }

    /// True for a message that is compressed.
    pub fn is_compressed(&self) -> bool {
        self.inflated.is_some()
    }

    /// Another version of the message in the form of this one: `pieces` are the message.
    ///
    /// # Errors
    /// Never, in memory.
    pub fn with<'s>(&'s self, pieces: Vec<Cow<'s, [u8]>>) -> io::Result<Vec<Cow<'s, [u8]>>> {
        let Some(inflated) = &self.inflated else {
            return Ok(pieces);
        };
        if pieces.iter().map(|piece| piece.len()).sum::<usize>() == inflated.len() && pieces.concat() == *inflated {
            return Ok(vec![Cow::Borrowed(&self.stored)]);
        }
        let mut deflated = GzEncoder::new(Vec::new(), Compression::default());
        pieces.iter().try_for_each(|piece| deflated.write_all(piece))?;
        Ok(vec![deflated.finish()?.into()])
    }
}

/// Decompresses gzip, one member after the other. Zeros after a member are the padding of tapes and blocks; anything
/// else there is an error, because a damaged archive goes on so.
///
/// Nothing bounds how far a stream inflates: its readers keep a bounded part of each message and skip the rest.
pub struct Inflated<R> {
    /// `None` after the last member.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Inflated<R> {
    /// Reads `stored`, which begins with a member.
    pub fn new(stored: R) -> Self {
        Self { member: Some(GzDecoder::new(stored)) }
    }
}

impl<R: BufRead> Read for Inflated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = self.member.as_mut().filter(|_| !buffer.is_empty()) {
            let read = member.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            self.member = self.member.take().map(GzDecoder::into_inner).map(next_member).transpose()?.flatten();
        }
        Ok(0)
    }
}

/// The next member of gzip behind one that ended; `None` at the end of the stream.
fn next_member<R: BufRead>(mut rest: R) -> io::Result<Option<GzDecoder<R>>> {
    loop {
        let bytes = rest.fill_buf()?;
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        match bytes.get(zeros) {
            Some(0x1f) => {
                rest.consume(zeros);
                return Ok(Some(GzDecoder::new(rest)));
            }
            Some(_) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes that are not gzip follow the gzip data"));
            }
            None if zeros == 0 => return Ok(None),
            None => rest.consume(zeros),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Field, marked};
    use super::*;

    fn gzip(mail: &[u8]) -> Vec<u8> {
        let mut deflated = GzEncoder::new(Vec::new(), Compression::best());
        deflated.write_all(mail).unwrap();
        deflated.finish().unwrap()
    }

    #[test]
    fn a_field_goes_inside_the_gzip_stream() {
        let mail = b"Subject: x\n\nbody\n";
        let field = Field::verdict("bills", true, 0.5, "builtin", None);
        let zipped = gzip(mail);
        let stored = Stored::new(&zipped, 100).unwrap();
        assert!(stored.mail() == mail && stored.is_compressed());
        let written = stored.with(marked(stored.mail(), &[field])).unwrap().concat();
        let text = String::from_utf8(Stored::new(&written, 100).unwrap().mail().to_vec()).unwrap();
        assert_eq!(text, "Subject: x\nX-Mailsort: bills; score=0.5000; model=builtin\n\nbody\n");
        assert_eq!(stored.with(marked(stored.mail(), &[])).unwrap().concat(), zipped, "nothing is changed for nothing");
        let halves = [gzip(b"Subject: x\n"), gzip(b"\nbody\n")].concat();
        assert_eq!(Stored::new(&halves, 100).unwrap().mail(), mail);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let check = |bytes: &[u8], why: &str| {
            let said = Stored::new(bytes, 20).unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        };
        let zipped = gzip(b"Subject: x\n\nbody\n");
        check(&zipped[..zipped.len() - 6], "damaged gzip");
        check(&[&zipped[..], b"more"].concat(), "damaged gzip");
        check(&gzip(&[b'x'; 21]), "longer than 20 bytes");
        check(&[b'x'; 21], "longer than 20 bytes");
        check(b"\x28\xb5\x2f\xfd a: b\n\n", "zstd");
        check(b"BZh91AY&SY a: b\n\n", "bzip2");
    }
}
