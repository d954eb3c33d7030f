//! All documents of a run as one stream of raw bytes with their origins, in input order.

mod current;

use std::io::{self, BufReader, Read};
use std::iter::Empty;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use encoding_rs::Encoding;
use serde::Serialize;

use super::files::{FileEntry, Files, NOT_REGULAR};
use super::lines::Lines;
use super::mbox::Mbox;
use super::open::{self, InputStream, Opened};
use super::sniff::SourceFormat;
use super::tables::{RowFields, TableForm, TableReader};
use crate::charset::{self, BYTE_ORDER_MARK, Transcoded};
use crate::header;
use crate::maildir;
use crate::platform;
use crate::record::{Envelope, Origin, Reason, Skip};
use current::{Current, Many};
pub(super) use current::{next_row, table_row};

/// Only this many bytes of a longer document are read; the rest of such a message is attachments.
pub const MAX_DOCUMENT: usize = 32 * 1024 * 1024;

/// One document as it is in the input.
#[derive(Debug)]
pub struct Raw {
    /// Where it is.
    pub origin: Origin,
    /// How to read it: never [`SourceFormat::Mbox`]; [`SourceFormat::Jsonl`] means one line, and
    /// [`SourceFormat::Delimited`] one row of any table.
    pub format: SourceFormat,
    /// Its bytes, at most [`MAX_DOCUMENT`].
    pub bytes: Vec<u8>,
    /// True if the document was longer.
    pub truncated: bool,
}

impl Raw {
    /// Its weight in a bounded queue: its bytes, or more for formats that are slow to read, so that few of these are
    /// read at the same time.
    pub fn weight(&self) -> usize {
        let least = if self.format == SourceFormat::Pdf { 1024 * 1024 } else { 0 };
        self.bytes.len().max(least)
    }
}

/// How inputs are read.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Options {
    /// Reads every file as this format, whatever its name and bytes say.
    pub format: Option<SourceFormat>,
    /// Also reads the subfolders of a maildir.
    pub recursive: bool,
    /// The inputs are names from a list: pipes and devices among them are not opened.
    pub listed: bool,
    /// What links in a folder lead to is not read.
    pub without_links: bool,
    /// The charset of tables, rows, texts and pages, instead of telling it from their bytes.
    #[serde(serialize_with = "charset_name")]
    pub encoding: Option<&'static Encoding>,
    /// Which columns of tables and rows hold their texts, subjects and ids.
    pub fields: RowFields,
    /// The sheet of a workbook; `None` for all that are visible.
    pub sheet: Option<String>,
}

fn charset_name<S: serde::Serializer>(encoding: &Option<&'static Encoding>, serializer: S) -> Result<S::Ok, S::Error> {
    encoding.map(Encoding::name).serialize(serializer)
}

/// The error for a folder without documents.
pub(super) const NO_FILE: &str = "it holds no file that is not hidden";

/// How often a message is searched for that is renamed again and again.
const TRIES: usize = 20;

/// Iterates over all documents of all inputs.
pub struct Source<I> {
    inputs: I,
    options: Options,
    files: Option<Files>,
    /// The folder whose files are read, as long as no document was found in it.
    barren: Option<PathBuf>,
    renamed: maildir::Renamed,
    current: Option<Current>,
    /// A document that was opened before it is asked for.
    first: Option<Result<Raw, Skip>>,
    bytes_read: Arc<AtomicU64>,
}

impl<I: Iterator<Item = PathBuf>> Source<I> {
    /// Reads `inputs` in order; `-` means standard input.
    pub fn new(inputs: I, options: Options) -> Self {
        Self {
            inputs,
            options,
            files: None,
            barren: None,
            renamed: maildir::Renamed::default(),
            current: None,
            first: None,
            bytes_read: Arc::default(),
        }
    }

    /// The number of bytes read so far, before decompression.
    pub fn bytes_read(&self) -> Arc<AtomicU64> {
        self.bytes_read.clone()
    }

    fn next_file(&mut self) -> Option<FileEntry> {
        loop {
            if let Some(found) = self.files.as_mut().and_then(Iterator::next) {
                self.barren = None;
                return Some(found);
            }
            self.files = None;
            // An empty maildir is normal between two deliveries; any other empty folder is a mistake.
            if let Some(folder) = self.barren.take().filter(|folder| !maildir::is_maildir(folder)) {
                return Some(FileEntry::Failed(folder, NO_FILE.into()));
            }
            let input = self.inputs.next()?;
            if self.options.listed && is_special(&input) {
                return Some(FileEntry::Failed(input, NOT_REGULAR.into()));
            }
            let recursive = self.options.recursive;
            self.files = Some(match self.options.without_links {
                true => Files::without_links(&input, recursive),
                false => Files::new(&input, recursive),
            });
            self.barren = input.is_dir().then_some(input);
        }
    }

    /// Opens a file. Returns a single document; an archive becomes the current input.
    fn open(&mut self, found: FileEntry) -> Option<Result<Raw, Skip>> {
        let is_message = matches!(found, FileEntry::Message(_));
        let (path, forced) = match found {
            FileEntry::File(path) => (path, self.options.format),
            FileEntry::Message(path) => (path, Some(SourceFormat::Mail)),
            FileEntry::Failed(path, why) => return Some(Err(skip(origin(&path), Reason::Unreadable(why)))),
        };
        let opened = match if is_message { self.open_message(&path) } else { self.open_file(&path).map(Some) } {
            Ok(Some(opened)) => opened,
            // Deleted or moved to another folder since it was listed, so it is no longer part of this maildir.
            Ok(None) => return None,
            Err(error) => return Some(Err(skip(origin(&path), Reason::Unreadable(reason(&error))))),
        };
        self.begin(&path, opened, forced)
    }

    /// Begins to read what was opened.
    fn begin(&mut self, path: &Path, opened: Opened, forced: Option<SourceFormat>) -> Option<Result<Raw, Skip>> {
        let unreadable = |why: String| Some(Err(skip(origin(path), Reason::Unreadable(why))));
        let Some(format) = open::format(path, &opened.head, forced) else {
            return Some(Err(skip(origin(path), Reason::Binary)));
        };
        if let Some(why) = open::refusal(path, &opened.head).or(self.options.refusal(format)) {
            return unreadable(why.into());
        }
        let many = match format {
            SourceFormat::Mbox => Many::Mbox(Mbox::new(opened.stream, MAX_DOCUMENT)),
            SourceFormat::Jsonl => Many::Rows(Lines::new(self.options.decoded(opened, format))),
            format if format.is_table() => match self.options.table(opened, format) {
                Ok(table) => Many::Table(table),
                Err(error) => return unreadable(reason(&error)),
            },
            format => return Some(read_one(path, format, opened, self.options.encoding)),
        };
        let fields = self.options.fields.clone();
        self.current = Some(Current::new(shown(path), many, fields));
        None
    }

    /// What is known of the first input, if it is a table. Opens it, and keeps what is read.
    pub fn first_table(&mut self) -> Option<TableForm> {
        while self.first.is_none() && self.current.is_none() {
            let found = self.next_file()?;
            self.first = self.open(found);
        }
        let current = self.current.as_mut()?;
        match current.form()? {
            Ok(form) => Some(form),
            Err(skip) => {
                self.first = Some(Err(skip));
                self.current = None;
                None
            }
        }
    }

    fn open_file(&self, path: &Path) -> io::Result<open::Opened> {
        open::open(path, self.options.encoding, &self.bytes_read)
    }

    /// Opens a message of a maildir; `None` if it was deleted. A mail reader that sets a flag renames the file
    /// between listing and opening it, perhaps repeatedly.
    fn open_message(&mut self, listed: &Path) -> io::Result<Option<open::Opened>> {
        let mut path = listed.to_path_buf();
        for _ in 0..TRIES {
            match open::open_message(&path, &self.bytes_read) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {}
                result => return result.map(Some),
            }
            match self.renamed.find(listed, &path)? {
                Some(now) => path = now,
                None => return Ok(None),
            }
        }
        open::open_message(&path, &self.bytes_read).map(Some)
    }
}

impl Source<Empty<PathBuf>> {
    /// Reads messages of maildirs, which may be renamed meanwhile.
    pub fn messages(paths: Vec<PathBuf>) -> Self {
        let files = Files::only(paths.into_iter().map(FileEntry::Message));
        Self { files: Some(files), ..Source::new(std::iter::empty(), Options::default()) }
    }

    /// Reads one input that is in memory, as a file of this name would be read; `-` is that of standard input.
    pub fn of_bytes(name: &Path, bytes: Vec<u8>, options: Options) -> Self {
        let (path, forced) = (name, options.format);
        let mut source = Source::new(std::iter::empty(), options);
        source.first = match open::open_bytes(bytes, source.options.encoding, &source.bytes_read) {
            Ok(opened) => source.begin(path, opened, forced),
            Err(error) => Some(Err(skip(origin(path), Reason::Unreadable(reason(&error))))),
        };
        source
    }

    /// Reads what was opened at `path`.
    pub(super) fn of_opened(path: &Path, opened: Opened, options: Options) -> Self {
        let mut source = Source::new(std::iter::empty(), options);
        source.first = source.begin(path, opened, None);
        source
    }

    /// Reads the file at `path`, a message that may be renamed if it is in a maildir.
    pub(super) fn at(path: &Path, options: Options) -> Self {
        let path = path.to_path_buf();
        // A row of somebody else names it, so a pipe or a device is not meant.
        let found = match (is_special(&path), is_message(&path)) {
            (true, _) => FileEntry::Failed(path, NOT_REGULAR.into()),
            (false, true) => FileEntry::Message(path),
            (false, false) => FileEntry::File(path),
        };
        Self { files: Some(Files::only(std::iter::once(found))), ..Source::new(std::iter::empty(), options) }
    }
}

/// True for a path in `cur` or `new` of a maildir.
pub(super) fn is_message(path: &Path) -> bool {
    let folder = path.parent().filter(|folder| folder.ends_with("cur") || folder.ends_with("new"));
    folder.and_then(Path::parent).is_some_and(maildir::is_maildir)
}

impl Options {
    /// Why documents of this kind cannot be read with these options.
    fn refusal(&self, format: SourceFormat) -> Option<&'static str> {
        match format {
            SourceFormat::Text if !self.fields.are_default() && self.format.is_none() => Some(
                "it is one text, without the columns that --text-field names; --input-format csv reads it as a table",
            ),
            _ => None,
        }
    }

    /// A stream of rows as UTF-8. Lines and values of JSON are UTF-8 by their standard, so that one row with another
    /// byte is an error by itself.
    pub(super) fn decoded(&self, opened: Opened, format: SourceFormat) -> InputStream {
        let given = self.encoding.filter(|_| !opened.was_utf16);
        let is_utf8 = matches!(format, SourceFormat::Jsonl | SourceFormat::Json) && given.is_none();
        if is_utf8 || format == SourceFormat::Workbook {
            return opened.stream;
        }
        BufReader::with_capacity(64 * 1024, Box::new(Transcoded::new(opened.stream, given)))
    }

    /// Opens a table, in which a column of texts must be.
    fn table(&self, opened: Opened, format: SourceFormat) -> io::Result<TableReader> {
        let fields = self.fields.clone();
        let check = move |names: &[&str]| fields.choose(names).map(drop);
        TableReader::open(format, self.decoded(opened, format), self.sheet.as_deref(), Arc::new(check))
    }
}

/// True for a pipe, a socket or a device.
fn is_special(path: &Path) -> bool {
    !open::is_stdin(path) && path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

fn read_one(
    path: &Path,
    format: SourceFormat,
    opened: Opened,
    encoding: Option<&'static Encoding>,
) -> Result<Raw, Skip> {
    let Opened { stream, was_utf16, .. } = opened;
    let encoding = encoding.filter(|_| !was_utf16);
    let mut bytes = Vec::new();
    // One byte more than the cap tells whether the document is longer.
    match stream.take(MAX_DOCUMENT as u64 + 1).read_to_end(&mut bytes) {
        Ok(_) => {
            if let Some(kind) = header::compression(&bytes).filter(|_| format == SourceFormat::Mail) {
                return Err(skip(
                    origin(path),
                    Reason::Unreadable(format!("it is compressed with {kind}, which is not read")),
                ));
            }
            let truncated = bytes.len() > MAX_DOCUMENT;
            bytes.truncate(MAX_DOCUMENT);
            if let Some(given) = encoding.filter(|_| matches!(format, SourceFormat::Text | SourceFormat::Html)) {
                let text = charset::decode_one_of_many(&bytes, Some(given))
                    .map_err(|doubt| skip(origin(path), Reason::Unreadable(doubt.to_string())))?;
                // The mark says more than what a page declares of the bytes that it had.
                bytes = [BYTE_ORDER_MARK, text.as_bytes()].concat();
            }
            Ok(Raw { origin: origin(path), format, bytes, truncated })
        }
        Err(error) => Err(skip(origin(path), Reason::Unreadable(reason(&error)))),
    }
}

fn origin(path: &Path) -> Origin {
    Origin { source: shown(path), index: 0, offset: 0 }
}

/// A path as text, from which [`unshown`] restores it. Bytes that are not text, and control characters, with which a
/// file name could forge lines of a terminal or table, are written as `\xE9`; in such a path a backslash is written
/// as `\\`. Other paths are unchanged, including those with a backslash (qmail writes `\057` for a slash), unless
/// they look like a changed one.
pub fn shown(path: &Path) -> Arc<str> {
    let bytes = path.as_os_str().as_encoded_bytes();
    let is_changed = |text: &str| text.contains(breaks_lines) || (!cfg!(windows) && looks_changed(text));
    match str::from_utf8(bytes) {
        Ok(text) if !is_changed(text) => text.into(),
        _ => escaped(bytes).into(),
    }
}

/// True for characters that some program treats as a line end, and for those that move a terminal's cursor.
fn breaks_lines(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

fn looks_changed(text: &str) -> bool {
    text.contains("\\x") || text.contains("\\\\")
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 16);
    let push = |text: &mut String, bytes: &[u8]| bytes.iter().for_each(|byte| *text += &format!("\\x{byte:02X}"));
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if breaks_lines(c) => push(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => text.push(c),
            }
        }
        push(&mut text, chunk.invalid());
    }
    text
}

/// Restores the path of a text made by [`shown`].
pub fn unshown(text: &str) -> PathBuf {
    if cfg!(windows) || !looks_changed(text) {
        return text.into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let byte = match (first, after) {
            (b'\\', [b'\\', ..]) => Some((b'\\', 1)),
            (b'\\', [b'x', high, low, ..]) => hexadecimal(*high, *low).map(|byte| (byte, 3)),
            _ => None,
        };
        let (byte, length) = byte.unwrap_or((first, 0));
        bytes.push(byte);
        rest = &after[length..];
    }
    platform::path_of_bytes(bytes)
}

fn hexadecimal(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

fn skip(origin: Origin, reason: Reason) -> Skip {
    Skip { origin, envelope: Envelope::default(), attachments: Vec::new(), reason }
}

/// The error without the operating system's error number, which differs between systems.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_string()
}

impl<I: Iterator<Item = PathBuf>> Iterator for Source<I> {
    type Item = Result<Raw, Skip>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(first) = self.first.take() {
                return Some(first);
            }
            // A stream that failed once does not recover.
            if let Some(current) = self.current.as_mut().filter(|current| !current.has_failed())
                && let Some(document) = current.next_document()
            {
                return Some(document);
            }
            self.current = None;
            let found = self.next_file()?;
            if let Some(document) = self.open(found) {
                return Some(document);
            }
        }
    }
}

#[cfg(test)]
mod tests;
