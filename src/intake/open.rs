//! Opens a file or standard input, decompresses gzip, and tells the format.

use std::fs::File;
use std::io::{self, BufReader, Cursor, IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use super::sniff::{self, SourceFormat};
use crate::platform;

/// A readable stream, decompressed.
pub(super) type InputStream = BufReader<Box<dyn Read + Send>>;

/// An opened input.
pub(super) struct Opened {
    /// All bytes, from the start.
    pub stream: InputStream,
    /// The first bytes.
    pub head: Vec<u8>,
}

/// Counts bytes as they are read, for the progress display.
struct Counted<R> {
    inner: R,
    counts: [Arc<AtomicU64>; 2],
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        for count in &self.counts {
            count.fetch_add(read as u64, Ordering::Relaxed);
        }
        Ok(read)
    }
}

/// Decompresses gzip. Like gzip(1), ignores bytes after the last member, because archives padded with zeros are
/// common. Fails on a decompression bomb.
struct Unzipped<R> {
    inner: MultiGzDecoder<R>,
    started: bool,
    /// Bytes read, before and after decompression.
    compressed: Arc<AtomicU64>,
    inflated: u64,
}

/// Any input may expand to this many bytes.
const FREE: u64 = 64 << 20;
/// Beyond that, the allowed ratio of decompressed to compressed bytes: mail reaches 10, a bomb 1,000.
const MOST_INFLATED: u64 = 200;

impl<R: io::BufRead> Read for Unzipped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Err(error) if self.started && error.kind() == io::ErrorKind::InvalidInput => Ok(0),
            Err(error) => Err(error),
            Ok(read) => {
                self.started |= read > 0;
                self.inflated += read as u64;
                if self.inflated > FREE + MOST_INFLATED * self.compressed.load(Ordering::Relaxed) {
                    return Err(io::Error::other("it is a gzip bomb: it inflates more than any text does"));
                }
                Ok(read)
            }
        }
    }
}

/// Opens `path`, or standard input for `-`.
///
/// # Errors
/// If it cannot be opened, or its first bytes cannot be read or decompressed.
pub(super) fn open(path: &Path, count: &Arc<AtomicU64>) -> io::Result<Opened> {
    let reader: Box<dyn Read + Send> = if is_stdin(path) { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    // Counts the bytes of this input by themselves, beside those of all inputs.
    let own: Arc<AtomicU64> = Arc::default();
    let counted = Counted { inner: reader, counts: [count.clone(), own.clone()] };
    let (head, stream) = peek(Box::new(counted))?;
    if !head.starts_with(&[0x1f, 0x8b, 8]) {
        return Ok(Opened { stream: BufReader::with_capacity(64 * 1024, stream), head });
    }
    let unzipped: Box<dyn Read + Send> = Box::new(Unzipped {
        inner: MultiGzDecoder::new(BufReader::new(stream)),
        started: false,
        compressed: own,
        inflated: 0,
    });
    let (head, stream) = peek(unzipped)?;
    Ok(Opened { stream: BufReader::with_capacity(64 * 1024, stream), head })
}

/// True for `-`, which means standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// True for a device such as `/dev/zero`, but not for a terminal or `/dev/null`.
pub(super) fn is_endless(path: &Path) -> bool {
    let is_device = path.metadata().is_ok_and(|metadata| platform::is_character_device(&metadata));
    let ends = path.canonicalize().is_ok_and(|path| path == Path::new("/dev/null"));
    is_device && !ends && File::open(path).is_ok_and(|file| !file.is_terminal())
}

/// Reads the head of a stream and puts it back in front. Of a slow stream it reads no more than needed to tell the
/// format.
fn peek(mut reader: Box<dyn Read + Send>) -> io::Result<(Vec<u8>, Box<dyn Read + Send>)> {
    let mut head = vec![0; sniff::HEAD];
    let mut filled = 0;
    while filled < head.len() && !sniff::is_enough(&head[..filled]) {
        match reader.read(&mut head[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    head.truncate(filled);
    Ok((head.clone(), Box::new(Cursor::new(head).chain(reader))))
}

/// The format of an opened input: as forced, by its name, or from its bytes; `None` if it is not text.
pub(super) fn format(path: &Path, head: &[u8], forced: Option<SourceFormat>) -> Option<SourceFormat> {
    if forced.is_some() {
        return forced;
    }
    match sniff::by_name(path) {
        // A file named as text may hold a saved message or a mailbox, which its bytes show.
        Some(SourceFormat::Text) => match sniff::sniff(head)? {
            found @ (SourceFormat::Mbox | SourceFormat::Pdf | SourceFormat::Docx) => Some(found),
            SourceFormat::Mail if looks_like_whole_mail(head) => Some(SourceFormat::Mail),
            _ => Some(SourceFormat::Text),
        },
        Some(SourceFormat::Pdf) if sniff::find_pdf(head).is_some() => Some(SourceFormat::Pdf),
        // An error page is often saved under the name of the document.
        Some(named @ (SourceFormat::Pdf | SourceFormat::Docx)) => sniff::sniff(head).or(Some(named)),
        Some(named) => Some(named),
        None => sniff::sniff(head),
    }
}

/// True for several header fields of mail, rather than one line such as `Subject: notes`.
fn looks_like_whole_mail(head: &[u8]) -> bool {
    head.split(|&b| b == b'\n')
        .take(4)
        .all(|line| sniff::is_field(line) || line.starts_with(b" ") || line.starts_with(b"\t"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn unzip(bytes: &[u8]) -> io::Result<String> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("x.gz");
        std::fs::write(&path, bytes)?;
        let mut text = String::new();
        open(&path, &Arc::default())?.stream.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn a_bomb_is_not_inflated_to_its_end() {
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        let block = vec![b'\n'; 1 << 20];
        (0..400).for_each(|_| bomb.write_all(&block).unwrap());
        let failure = unzip(&bomb.finish().unwrap()).unwrap_err();
        assert!(failure.to_string().contains("gzip bomb"), "{failure}");
        let text: String = (0..2_000_000).map(|line| format!("line {line}\n")).collect();
        let mut whole = GzEncoder::new(Vec::new(), Compression::best());
        whole.write_all(text.as_bytes()).unwrap();
        assert_eq!(unzip(&whole.finish().unwrap()).unwrap(), text);
    }

    #[test]
    fn gzip_with_members_and_padding() {
        let mut member = GzEncoder::new(Vec::new(), Compression::fast());
        member.write_all(b"one ").unwrap();
        let member = member.finish().unwrap();
        assert_eq!(unzip(&member.repeat(2)).unwrap(), "one one ");
        assert_eq!(unzip(&[member.as_slice(), &[0; 512]].concat()).unwrap(), "one ");
        assert!(unzip(&member[..member.len() - 6]).is_err(), "a cut file is not whole");
    }
}
