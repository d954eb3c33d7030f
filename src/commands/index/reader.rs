//! What an index reads: the files of the inputs, and their documents as intake has them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};

use crate::contracts::Contract;
use crate::intake::sniff::SourceFormat;
use crate::intake::{self, FileEntry, Files, Options, Raw, Reading, RowFields, Source};
use crate::knowledge::passages::{Passage, PassageKind};
use crate::knowledge::{DocumentReader, FileStat, FoundDocument, Read};
use crate::platform;
use crate::record::{Document, Skip};

/// Changes when a file would be read in another way: it is read again then.
const VERSION: u32 = 1;
/// Bytes of a file in which the names of its columns are looked for.
const HEAD: u64 = 64 * 1024;
/// Fewer numbered clauses do not make a contract.
const FEWEST_CLAUSES: usize = 3;
/// Headers by which messages belong together.
const THREAD: [&str; 2] = ["references", "in-reply-to"];

/// Names of columns that hold questions and answers.
const FAQ: [(&str, &str); 6] =
    [("question", "answer"), ("q", "a"), ("frage", "antwort"), ("问题", "答案"), ("问题", "回答"), ("问", "答")];

/// The files of some inputs.
pub(in crate::commands) struct InputReader {
    inputs: Vec<PathBuf>,
    options: Options,
    reading: Reading,
}

impl InputReader {
    pub(in crate::commands) fn new(inputs: Vec<PathBuf>, options: Options, mut reading: Reading) -> Self {
        reading.headers = BTreeSet::from(THREAD.map(String::from));
        Self { inputs, options, reading }
    }

    /// How files are read, so that another way reads them again.
    fn way(&self) -> Result<String> {
        Ok(format!("{VERSION} {}", serde_json::to_string(&(&self.options, &self.reading))?))
    }

    /// The options for one file: columns of questions and answers are told by their names.
    fn options_of(&self, path: &Path) -> Options {
        let mut options = self.options.clone();
        // The columns are those of tables; a text beside them has none.
        if !is_table(path) && !self.inputs.iter().any(|input| input == path) {
            options.fields = RowFields::default();
        }
        if options.fields.text.is_empty()
            && options.fields.subject.is_empty()
            && let Some((question, answer)) = faq_columns(path)
        {
            options.fields.subject = vec![question];
            options.fields.text = vec![answer];
        }
        options
    }
}

impl DocumentReader for InputReader {
    fn list(&self) -> Result<Vec<FileStat>> {
        let way = self.way()?;
        let mut files = Vec::new();
        for input in &self.inputs {
            fs::metadata(input).with_context(|| format!("cannot read the input {}", input.display()))?;
            for found in Files::new(input, self.options.recursive) {
                let (path, is_message) = match found {
                    FileEntry::File(path) => (path, false),
                    FileEntry::Message(path) => (path, true),
                    // It has a state of its own when it is read.
                    FileEntry::Failed(path, _) => (path, false),
                };
                let Ok(metadata) = fs::metadata(&path) else { continue };
                let changed = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
                let (inode, device) = platform::file_number(&metadata);
                files.push(FileStat {
                    path: intake::shown(&path).to_string(),
                    size: metadata.len(),
                    mtime: changed.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)),
                    inode,
                    device,
                    kind: way.clone(),
                    grows: !is_message && is_mailbox(&path),
                });
            }
        }
        Ok(files)
    }

    fn read<'a>(
        &'a self,
        file: &FileStat,
        from: u64,
        first: u64,
    ) -> Result<Box<dyn Iterator<Item = FoundDocument> + 'a>> {
        let path = intake::unshown(&file.path);
        let options = self.options_of(&path);
        let is_faq = !options.fields.subject.is_empty() && !options.fields.text.is_empty();
        let source = Source::new(std::iter::once(path), options);
        let is_new = move |raw: &Result<Raw, Skip>| {
            let origin = raw.as_ref().map_or_else(|skip| &skip.origin, |raw| &raw.origin);
            origin.offset >= from && origin.index >= first
        };
        Ok(Box::new(source.filter(is_new).map(move |raw| self.found(raw, is_faq))))
    }
}

impl InputReader {
    fn found(&self, raw: Result<Raw, Skip>, is_faq: bool) -> FoundDocument {
        let format = raw.as_ref().ok().map(|raw| raw.format);
        match raw.and_then(|raw| intake::read(raw, &self.reading)) {
            Ok(document) => FoundDocument::Document(Box::new(read(document, format, is_faq))),
            Err(skip) => FoundDocument::Failure(skip.origin.index, skip.reason.to_string()),
        }
    }
}

/// A document as the index keeps it.
fn read(document: Document, format: Option<SourceFormat>, is_faq: bool) -> Read {
    let Document { origin, envelope, body, .. } = document;
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
    match path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase) {
        Some(ending) => ["mbox", "mbx"].contains(&ending.as_str()),
        None => head(path, 5).is_some_and(|head| head == b"From "),
    }
}

fn head(path: &Path, length: u64) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(length).read_to_end(&mut head).ok()?;
    Some(head)
}

/// True for a file whose name says that it is a table.
fn is_table(path: &Path) -> bool {
    let whole =
        if path.extension().is_some_and(|ending| ending == "gz") { path.with_extension("") } else { path.into() };
    let ending = whole.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    ending.is_some_and(|ending| ["csv", "tsv", "jsonl", "ndjson", "json", "xlsx", "xlsm"].contains(&ending.as_str()))
}

/// The columns of questions and answers of a table or of JSON Lines, as they are spelled there.
fn faq_columns(path: &Path) -> Option<(String, String)> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    if !["csv", "tsv", "jsonl", "ndjson", "json"].contains(&ending.as_str()) {
        return None;
    }
    let head = head(path, HEAD)?;
    let text = String::from_utf8_lossy(&head);
    let line = text.trim_start_matches(['\u{feff}', '[', ' ', '\n', '\r']).lines().next()?;
    let names: Vec<String> = match serde_json::Deserializer::from_str(line).into_iter::<serde_json::Map<_, _>>().next()
    {
        Some(Ok(row)) => row.keys().cloned().collect::<Vec<String>>(),
        _ => line.split([',', ';', '\t', '|']).map(|name| name.trim().trim_matches('"').to_string()).collect(),
    };
    let find = |wanted: &str| names.iter().find(|name| name.to_lowercase() == wanted).cloned();
    FAQ.iter().find_map(|(question, answer)| Some((find(question)?, find(answer)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_are_told_by_their_columns() {
        let folder = tempfile::tempdir().unwrap();
        let check = |name: &str, text: &str, expected: Option<(&str, &str)>| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            let expected = expected.map(|(question, answer)| (question.to_string(), answer.to_string()));
            assert_eq!(faq_columns(&path), expected, "{text}");
        };
        check("a.csv", "id,Question,\"Answer\"\n1,a,b\n", Some(("Question", "Answer")));
        check("a.jsonl", "{\"问题\":\"怎么退货?\",\"答案\":\"七天内\"}\n", Some(("问题", "答案")));
        check("a.json", "[{\"q\": 1, \"a\": 2}]", Some(("q", "a")));
        check("b.csv", "text,label\na,b\n", None);
        check("a.txt", "question,answer\n", None);
    }

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
