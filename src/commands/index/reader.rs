//! What an index reads: the files of the inputs, and their documents as intake has them.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use anyhow::{Result, ensure};
use sha2::{Digest, Sha256};

use crate::contracts::Contract;
use crate::intake::sniff::SourceFormat;
use crate::intake::{self, FileEntry, Files, Options, Raw, Reading, RowFields, Source};
use crate::knowledge::passages::{self, Passage, PassageKind};
use crate::knowledge::{DocumentReader, FileListing, FileStat, FoundDocument, Index, Read, hashes};
use crate::platform;
use crate::record::{Document, Origin, Skip};

/// Changes when a file would be read in another way: it is read again then.
const VERSION: u32 = 2;
/// Fewer numbered clauses do not make a contract.
const FEWEST_CLAUSES: usize = 3;
/// Headers by which messages belong together.
const THREAD: [&str; 2] = ["references", "in-reply-to"];

/// The files of some inputs.
pub(in crate::commands) struct InputReader {
    inputs: BTreeSet<PathBuf>,
    /// The index itself, with what stands beside it.
    own: [PathBuf; 4],
    options: Options,
    reading: Reading,
    /// What a person should know of the documents that were read.
    warnings: Mutex<Vec<String>>,
}

impl InputReader {
    /// Reads `inputs` for an index at `into`.
    pub(in crate::commands) fn new(inputs: Vec<PathBuf>, into: &Path, options: Options, mut reading: Reading) -> Self {
        reading.headers = BTreeSet::from(THREAD.map(String::from));
        let fields = RowFields { answers: true, ..options.fields };
        let options = Options { fields, ..options };
        let inputs = inputs.into_iter().collect();
        Self { inputs, own: Index::files(into), options, reading, warnings: Mutex::default() }
    }

    /// What a person should know of the documents that were read since the last call.
    pub(in crate::commands) fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How all files are read, as a number: another way reads them again.
    fn way(&self) -> Result<String> {
        let way = serde_json::to_vec(&(VERSION, passages::VERSION, &self.options, &self.reading))?;
        Ok(Sha256::digest(way).iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// What else decides how one file is read: its name, and whether it was named.
    fn kind(&self, way: &str, path: &Path, is_message: bool) -> String {
        let ending = path.extension().filter(|_| !is_message).map(|ending| ending.to_string_lossy().to_lowercase());
        let named = if self.is_input(path) { "named" } else { "found" };
        let kind = if is_message { "message" } else { "file" };
        format!("{way} {named} {kind} {}", ending.unwrap_or_default())
    }

    fn is_input(&self, path: &Path) -> bool {
        self.inputs.contains(path)
    }

    /// The options for one file.
    fn options_of(&self, path: &Path) -> Options {
        let mut options = self.options.clone();
        // The columns are those of tables; a text beside them has none.
        if !is_table(path) && !self.is_input(path) {
            options.fields = RowFields { answers: true, ..RowFields::default() };
        }
        options
    }

    fn stat(&self, way: &str, found: FileEntry) -> FileStat {
        let (path, is_message, failure) = match found {
            FileEntry::File(path) => (path, false, None),
            FileEntry::Message(path) => (path, true, None),
            FileEntry::Failed(path, why) => (path, false, Some(why)),
        };
        let (kind, shown) = (self.kind(way, &path, is_message), intake::shown(&path).to_string());
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) => {
                let failure = failure.or_else(|| Some(error.to_string()));
                return FileStat { path: shown, kind, failure, ..FileStat::default() };
            }
        };
        let changed = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let (inode, device) = platform::file_number(&metadata);
        FileStat {
            path: shown,
            size: metadata.len(),
            mtime: changed.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)),
            inode,
            device,
            kind,
            grows: failure.is_none() && !is_message && is_mailbox(&path),
            failure,
        }
    }
}

impl DocumentReader for InputReader {
    fn list(&self) -> Result<FileListing> {
        let way = self.way()?;
        let mut listing = FileListing::default();
        let mut seen = HashSet::new();
        for input in &self.inputs {
            if let Err(error) = fs::metadata(input) {
                // It may come back, as a file that is written anew does.
                ensure!(error.kind() == ErrorKind::NotFound, "cannot read the input {}: {error}", input.display());
                listing.unread.push(intake::shown(input).to_string());
                continue;
            }
            for found in Files::new(input, self.options.recursive) {
                let (FileEntry::File(path) | FileEntry::Message(path) | FileEntry::Failed(path, _)) = &found;
                // Inputs may lie in each other.
                if self.own.contains(path) || !seen.insert(path.clone()) {
                    continue;
                }
                let is_unread = matches!(found, FileEntry::Failed(..));
                let file = self.stat(&way, found);
                listing.unread.extend(is_unread.then(|| file.path.clone()));
                listing.files.push(file);
            }
        }
        Ok(listing)
    }

    fn read<'a>(&'a self, file: &FileStat, first: u64) -> Result<Box<dyn Iterator<Item = FoundDocument> + 'a>> {
        let path = intake::unshown(&file.path);
        let options = self.options_of(&path);
        let source = Source::new(std::iter::once(path), options);
        let is_new = move |raw: &Result<Raw, Skip>| {
            raw.as_ref().map_or_else(|skip| skip.origin.index, |raw| raw.origin.index) >= first
        };
        Ok(Box::new(source.filter(is_new).map(|raw| self.found(raw))))
    }

    fn hashes(&self, file: &FileStat, bytes: u64) -> Result<[[u8; 32]; 2]> {
        hashes(&intake::unshown(&file.path), file.size, bytes)
    }
}

impl InputReader {
    fn found(&self, raw: Result<Raw, Skip>) -> FoundDocument {
        let format = raw.as_ref().ok().map(|raw| raw.format);
        match raw.and_then(|raw| intake::read(raw, &self.reading)) {
            Ok(document) => {
                let Origin { source, index, .. } = &document.origin;
                let cut =
                    document.truncated.then(|| format!("{source} [{index}] is not indexed whole: it is too long"));
                let warnings = document.doubted().into_iter().chain(cut);
                self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(warnings);
                FoundDocument::Document(Box::new(read(document, format)))
            }
            Err(skip) => FoundDocument::Failure(skip.origin.index, skip.reason.to_string()),
        }
    }
}

/// A document as the index keeps it.
fn read(document: Document, format: Option<SourceFormat>) -> Read {
    let Document { origin, envelope, body, answers: is_faq, .. } = document;
    // The first of `References` begins the conversation, wherever the headers stand.
    let mut of_thread: Vec<_> =
        envelope.headers.iter().filter(|header| THREAD.contains(&header.name.as_str())).collect();
    of_thread.sort_by_key(|header| header.name != THREAD[0]);
    let references = of_thread.into_iter().flat_map(|header| header.value.split_whitespace()).map(String::from);
    let references: Vec<String> = references.filter(|id| id.starts_with('<')).collect();
    let made = Read {
        index: origin.index,
        id: envelope.id.clone(),
        subject: envelope.subject.clone(),
        from: envelope.from.clone(),
        date: envelope.date.as_deref().and_then(intake::mail::seconds),
        date_line: envelope.date.as_deref().map(|date| date.chars().take(10).collect()),
        references,
        ..Read::default()
    };
    match format {
        Some(SourceFormat::Mail | SourceFormat::Mbox | SourceFormat::Msg) => {
            Read { text: body, kind: Some(PassageKind::Mail), ..made }
        }
        Some(SourceFormat::Jsonl | SourceFormat::Delimited | SourceFormat::Json | SourceFormat::Workbook) => {
            of_row(made, body, is_faq)
        }
        _ => of_text(made, body),
    }
}

/// A row: its question and its answer, or its text.
fn of_row(made: Read, body: String, is_faq: bool) -> Read {
    match made.subject.clone().filter(|_| is_faq) {
        Some(question) => {
            let text = format!("{question}\n{body}");
            Read { question: question.len(), subject: None, text, kind: Some(PassageKind::Faq), ..made }
        }
        None => Read { text: body, kind: Some(PassageKind::Document), ..made },
    }
}

/// A text: a contract where it has numbered clauses.
fn of_text(made: Read, body: String) -> Read {
    let contract = Contract::read(&body);
    let numbered = contract.clauses.iter().filter(|clause| clause.is_numbered()).count();
    if numbered < FEWEST_CLAUSES || 2 * numbered < contract.clauses.len() {
        return Read { text: body, kind: Some(PassageKind::Document), ..made };
    }
    let passage = |clause: &crate::contracts::Clause| {
        let own = [clause.number.as_str(), clause.heading.as_str()].join(" ");
        let path: Vec<&str> = clause.path.iter().map(String::as_str).chain([own.trim()]).collect();
        Passage { range: clause.start..clause.end, breadcrumb: path.join(" / ") }
    };
    let clauses = contract.clauses.iter().map(passage).collect();
    Read { text: body, kind: Some(PassageKind::Contract), clauses, ..made }
}

/// True for an mbox, to which programs append.
fn is_mailbox(path: &Path) -> bool {
    let begins_as_one = || {
        let mut head = [0; 5];
        File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && &head == b"From "
    };
    match path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase) {
        Some(ending) => ["mbox", "mbx"].contains(&ending.as_str()),
        None => begins_as_one(),
    }
}

/// True for a file whose name says that it is a table.
fn is_table(path: &Path) -> bool {
    let whole =
        if path.extension().is_some_and(|ending| ending == "gz") { path.with_extension("") } else { path.into() };
    let ending = whole.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    ending.is_some_and(|ending| ["csv", "tsv", "jsonl", "ndjson", "json", "xlsx", "xlsm"].contains(&ending.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_numbered_clauses_is_a_contract() {
        let kind = |text: &str| of_text(Read::default(), text.into()).kind;
        assert_eq!(
            kind("1. Fees\n\nDue in 30 days.\n\n2. Term\n\nOne year.\n\n3. Law\n\nGerman.\n"),
            Some(PassageKind::Contract)
        );
        assert_eq!(kind("# Notes\n\nWe met on Monday.\n\nIt rained.\n"), Some(PassageKind::Document));
    }
}
