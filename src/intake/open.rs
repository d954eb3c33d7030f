//! Opens a file or standard input, decompresses gzip, and tells the format.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, BufReader, Cursor, IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encoding_rs::Encoding;

use super::lines::{self, FromCr};
use super::mail::outlook;
use super::sniff::{self, SourceFormat};
use super::tables::{self, Likeness};
use crate::charset::{self, Transcoded};
use crate::header::{self, Inflated};
use crate::platform;

/// A readable stream, decompressed.
pub(super) type InputStream = BufReader<Box<dyn Read + Send>>;

/// An opened input.
pub(super) struct Opened {
    /// All bytes, from the start.
    pub stream: InputStream,
    /// The first bytes.
    pub head: Vec<u8>,
    /// True where the bytes were UTF-16 and come as UTF-8.
    pub was_utf16: bool,
}

/// Counts bytes as they are read, for the progress display, and fails where a file ends before the length that it had
/// when it was opened: whoever cut it may have cut a message in two.
struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
    /// Bytes that a regular file must still hold.
    left: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            let why = format!("the file became shorter while it was read: {} bytes are missing", self.left);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
        self.left = self.left.saturating_sub(read as u64);
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The charset that the user has named.
type Given = Option<&'static Encoding>;

/// Opens `path`, or standard input for `-`: UTF-16 comes as UTF-8, unless another charset is `given`, and bare CR as
/// line feeds.
///
/// # Errors
/// If it cannot be opened, or its first bytes cannot be read or decompressed.
pub(super) fn open(path: &Path, given: Given, count: &Arc<AtomicU64>) -> io::Result<Opened> {
    let Opened { stream, head, .. } = open_message(path, count)?;
    readable(head, given, Box::new(stream))
}

/// Opens what is in memory, as [`open`] does.
///
/// # Errors
/// If its first bytes cannot be decompressed.
pub(super) fn open_bytes(bytes: Vec<u8>, given: Given, count: &Arc<AtomicU64>) -> io::Result<Opened> {
    let Opened { stream, head, .. } = unzipped(Box::new(Cursor::new(bytes)), 0, count)?;
    readable(head, given, Box::new(stream))
}

/// The same for a message that may be written back, whose bytes come as they are.
///
/// # Errors
/// As [`open`].
pub(super) fn open_message(path: &Path, count: &Arc<AtomicU64>) -> io::Result<Opened> {
    let (reader, left): (Box<dyn Read + Send>, u64) = if is_stdin(path) {
        (Box::new(io::stdin()), 0)
    } else {
        let file = File::open(path)?;
        let length = file.metadata().ok().filter(Metadata::is_file).map_or(0, |metadata| metadata.len());
        (Box::new(file), length)
    };
    unzipped(reader, left, count)
}

fn unzipped(reader: Box<dyn Read + Send>, left: u64, count: &Arc<AtomicU64>) -> io::Result<Opened> {
    let (head, stream) = peek(Box::new(Counted { inner: reader, count: count.clone(), left }))?;
    if header::compression(&head) != Some(header::GZIP) {
        return Ok(Opened { stream: BufReader::with_capacity(64 * 1024, stream), head, was_utf16: false });
    }
    let inflated = Inflated::new(BufReader::with_capacity(64 * 1024, stream));
    let (head, stream) = peek(Box::new(inflated))?;
    Ok(Opened { stream: BufReader::with_capacity(64 * 1024, stream), head, was_utf16: false })
}

/// Text in UTF-16 as UTF-8, and lines that end with a bare CR with line feeds.
fn readable(head: Vec<u8>, given: Given, stream: Box<dyn Read + Send>) -> io::Result<Opened> {
    let is_document = sniff::is_binary(&head) || sniff::find_pdf(&head).is_some();
    let is_told =
        |utf16: &&'static Encoding| given.is_none_or(|given| given == *utf16) || Encoding::for_bom(&head).is_some();
    let utf16 = charset::utf16_of(&head).filter(is_told);
    let (head, stream): (_, Box<dyn Read + Send>) = match utf16 {
        Some(encoding) => peek(Box::new(Transcoded::known(stream, encoding)))?,
        None => (head, stream),
    };
    let (head, stream) =
        if !is_document && lines::end_in_cr(&head) { peek(Box::new(FromCr(stream)))? } else { (head, stream) };
    Ok(Opened { stream: BufReader::with_capacity(64 * 1024, stream), head, was_utf16: utf16.is_some() })
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
            _ => Some(text_or_table(head)),
        },
        // So may a file named as a table, whose columns are not told by its bytes where their names are unusual.
        Some(named @ (SourceFormat::Delimited | SourceFormat::Json)) => match sniff::sniff(head) {
            Some(found @ (SourceFormat::Mbox | SourceFormat::Pdf | SourceFormat::Html)) => Some(found),
            Some(SourceFormat::Jsonl) if named == SourceFormat::Json => Some(SourceFormat::Jsonl),
            Some(SourceFormat::Mail) if sniff::known_headers(head) > 1 => Some(SourceFormat::Mail),
            Some(SourceFormat::Docx) => Some(zipped(head)),
            None if sniff::has_magic(head) => None,
            _ => Some(named),
        },
        Some(SourceFormat::Workbook) if head.starts_with(b"PK") || head.starts_with(outlook::MAGIC) => {
            Some(SourceFormat::Workbook)
        }
        Some(SourceFormat::Workbook) => format_of_bytes(head),
        Some(SourceFormat::Pdf) if sniff::find_pdf(head).is_some() => Some(SourceFormat::Pdf),
        // An error page is often saved under the name of the document. An encrypted DOCX is a compound file too.
        Some(named @ (SourceFormat::Pdf | SourceFormat::Docx)) => {
            sniff::sniff(head).filter(|found| *found != SourceFormat::Msg).or(Some(named))
        }
        Some(named) => Some(named),
        None if head.is_empty() && !is_stdin(path) && is_empty_mailbox(path) => Some(SourceFormat::Mbox),
        None => format_of_bytes(head),
    }
}

/// True for an empty file that is a mail folder by its name: one without an ending, as below /var/mail, or with an
/// index of Thunderbird beside it. A number is a message of MH.
fn is_empty_mailbox(path: &Path) -> bool {
    let Some(name) = path.file_name().map(OsStr::to_string_lossy).filter(|_| path.is_file()) else { return false };
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    (!name.contains('.') && !is_number) || path.with_file_name(format!("{name}.msf")).is_file()
}

fn format_of_bytes(head: &[u8]) -> Option<SourceFormat> {
    Some(match sniff::sniff(head)? {
        SourceFormat::Text => text_or_table(head),
        SourceFormat::Docx => zipped(head),
        found => found,
    })
}

fn text_or_table(head: &[u8]) -> SourceFormat {
    match tables::likeness(head, head.len() < sniff::HEAD) {
        Likeness::Yes => SourceFormat::Delimited,
        _ => SourceFormat::Text,
    }
}

/// The kind of a zip archive, by the names of its first files.
fn zipped(head: &[u8]) -> SourceFormat {
    let is_workbook =
        ["xl/w", "xl/_", "xl/s", "xl/t"].iter().any(|name| memchr::memmem::find(head, name.as_bytes()).is_some());
    if is_workbook { SourceFormat::Workbook } else { SourceFormat::Docx }
}

/// Why a file of this name and beginning cannot be read as what it is.
pub(super) fn refusal(path: &Path, head: &[u8]) -> Option<&'static str> {
    if head.starts_with(b"{\\rtf") {
        return Some("rich text (RTF): save it as .docx, .html or .txt");
    }
    let ending = path.extension()?.to_string_lossy().to_ascii_lowercase();
    let is_zip = head.starts_with(b"PK");
    // An encrypted workbook, or one of an older Excel.
    let is_compound = head.starts_with(outlook::MAGIC);
    match &*ending {
        "xls" | "xlt" if is_compound => Some("a workbook of Excel 97-2003: save it as .xlsx or .csv"),
        "xlsx" | "xlsm" if is_compound => Some("the workbook is encrypted: save it without a password"),
        "xlsb" if is_zip => Some("a binary workbook: save it as .xlsx or .csv"),
        "ods" if is_zip => Some("an OpenDocument spreadsheet: save it as .xlsx or .csv"),
        _ => None,
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

    #[test]
    fn utf16_and_bare_cr_are_lines_of_utf8() {
        let check = |bytes: &[u8], expected: &str, format: Option<SourceFormat>| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x");
            std::fs::write(&path, bytes).unwrap();
            let mut opened = open(&path, None, &Arc::default()).unwrap();
            let mut text = String::new();
            opened.stream.read_to_string(&mut text).unwrap();
            let seen = sniff::sniff(&opened.head);
            assert_eq!((text.as_str(), seen), (expected, format), "{:.60}", bytes.escape_ascii().to_string());
        };
        let mail = "Subject: Grüße\n\nPlease pay 发票.\n";
        let little: Vec<u8> = mail.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = mail.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in
            [little.clone(), [b"\xff\xfe", &little[..]].concat(), big.clone(), [b"\xfe\xff", &big[..]].concat()]
        {
            check(&bytes, mail, Some(SourceFormat::Mail));
        }
        check(mail.replace('\n', "\r").as_bytes(), mail, Some(SourceFormat::Mail));
        let mailbox = "From a@b Sat Jan  3 01:05:34 1996\nSubject: 1\n\nx\n\n".repeat(1000);
        check(mailbox.replace('\n', "\r").as_bytes(), &mailbox, Some(SourceFormat::Mbox));
        check(b"%PDF-1.4\r%x\r", "%PDF-1.4\r%x\r", Some(SourceFormat::Pdf));
        let wide: Vec<u8> = "\u{feff}id\ttext\r\n1\ta\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let opened = open_bytes(wide, None, &Arc::default()).unwrap();
        assert_eq!(format(Path::new("-"), &opened.head, None), Some(SourceFormat::Delimited));
    }

    fn unzip(bytes: &[u8]) -> io::Result<String> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("x.gz");
        std::fs::write(&path, bytes)?;
        let mut text = String::new();
        open(&path, None, &Arc::default())?.stream.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn what_inflates_a_thousand_times_is_read_to_its_end() {
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        let block = vec![b'\n'; 1 << 20];
        (0..100).for_each(|_| bomb.write_all(&block).unwrap());
        bomb.write_all(b"end").unwrap();
        let text = unzip(&bomb.finish().unwrap()).unwrap();
        assert_eq!((text.len(), text.ends_with("\nend")), ((100 << 20) + 3, true));
    }

    #[test]
    fn a_file_that_is_cut_while_it_is_read_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.mbox");
        std::fs::write(&path, "line of text\n".repeat(40_000)).unwrap();
        let mut opened = open(&path, None, &Arc::default()).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(200_000).unwrap();
        let mut text = String::new();
        let failure = opened.stream.read_to_string(&mut text).unwrap_err();
        assert_eq!(failure.to_string(), "the file became shorter while it was read: 320000 bytes are missing");
    }

    #[test]
    fn gzip_with_members_and_padding() {
        let mut member = GzEncoder::new(Vec::new(), Compression::fast());
        member.write_all(b"one ").unwrap();
        let member = member.finish().unwrap();
        assert_eq!(unzip(&member.repeat(2)).unwrap(), "one one ");
        assert_eq!(unzip(&[member.as_slice(), &[0; 512]].concat()).unwrap(), "one ");
        let fails = |bytes: &[u8], why: &str| {
            let failure = unzip(bytes).unwrap_err().to_string();
            assert!(failure.contains(why), "{failure:?} lacks {why:?}");
        };
        (1..=8).for_each(|end| fails(&member[..member.len() - end], "unexpected end of file"));
        fails(&member[..member.len() - 9], "incomplete deflate stream");
        let mut damaged = member.clone();
        let checksum = member.len() - 8;
        damaged[checksum] ^= 1;
        fails(&damaged, "checksum");
        fails(&[&damaged[..], &member].concat(), "checksum");
        fails(&[&member[..], b"one more"].concat(), "not gzip");
        fails(&[&member[..], &[0; 512], &member[1..]].concat(), "not gzip");
        assert_eq!(unzip(&[&member[..], &[0; 512], &member].concat()).unwrap(), "one one ");
    }
}
