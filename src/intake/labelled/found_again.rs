//! Finds the documents of records that `classify` has written.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::vec;

use super::{ANYWHERE, Candidate, Identity, Labelled, Left, Samples, Why, is_below};
use crate::intake::sniff::{self, SourceFormat};
use crate::intake::source::{self, Options, Source};
use crate::record::Origin;

/// The documents to find. Each source is read once, whatever the order of the records.
pub(super) struct Wanted {
    folder: PathBuf,
    /// True where sources may lie outside of that folder and the current one.
    anywhere: bool,
    /// How sources are read that are tables.
    reading: Options,
    at: HashMap<Arc<str>, usize>,
    sources: vec::IntoIter<(Arc<str>, Vec<Sought>)>,
    collected: Vec<(Arc<str>, Vec<Sought>)>,
}

/// A document to find in a source.
struct Sought {
    index: u64,
    known: Identity,
    labels: Vec<Arc<str>>,
    weight: f32,
}

impl Wanted {
    /// Starts empty. A source that is not where its record says is searched for in `folder`.
    pub(super) fn new(folder: PathBuf, reading: Options, anywhere: bool) -> Self {
        let sources = Vec::new().into_iter();
        Self { folder, anywhere, reading, at: HashMap::new(), sources, collected: Vec::new() }
    }

    /// Adds a document to find.
    pub(super) fn add(&mut self, source: &str, index: u64, known: Identity, labels: Vec<Arc<str>>, weight: f32) {
        let sought = Sought { index, known, labels, weight };
        match self.at.get(source) {
            Some(&at) => self.collected[at].1.push(sought),
            None => {
                let source: Arc<str> = source.into();
                self.at.insert(source.clone(), self.collected.len());
                self.collected.push((source, vec![sought]));
            }
        }
    }

    /// The documents of the next source; `None` after the last one.
    pub(super) fn next_source(&mut self) -> Option<Samples> {
        if !self.collected.is_empty() {
            self.sources = std::mem::take(&mut self.collected).into_iter();
        }
        let (source, mut sought) = self.sources.next()?;
        sought.sort_by_key(|sought| sought.index);
        let path = match self.path(&source) {
            Ok(path) => path,
            Err(why) => {
                let gone = move |sought: Sought| gone(source.clone(), sought.index, &why);
                return Some(Box::new(sought.into_iter().map(gone)));
            }
        };
        Some(Box::new(Reader {
            source,
            documents: Source::at(&path, self.reading_of(&path)),
            sought: sought.into_iter().peekable(),
            last: None,
        }))
    }

    /// The path of a source: as the record says, relative to the current folder or to the folder of the records; or
    /// below that folder the end of the path that is longest, for records that were moved together with their mail. It
    /// lies below one of these, where `classify` was run and its records were corrected.
    ///
    /// # Errors
    /// When it is not there, or lies elsewhere; the text says so.
    fn path(&self, source: &str) -> Result<PathBuf, String> {
        if source == "-" {
            return Err("it came from standard input".into());
        }
        let path = source::unshown(source);
        let parts: Vec<Component<'_>> = path.components().collect();
        let ends = (1..parts.len()).map(|skipped| &parts[skipped..]);
        let is_plain = |end: &&[Component<'_>]| end.iter().all(|part| matches!(part, Component::Normal(_)));
        let moved = ends.filter(is_plain).map(|end| self.folder.join(end.iter().collect::<PathBuf>()));
        let is_there = |path: &PathBuf| path.exists() || source::is_message(path);
        let all = [path.clone(), self.folder.join(&path)].into_iter().chain(moved);
        let folders = [Path::new(""), &self.folder];
        let mut is_elsewhere = false;
        for path in all.filter(is_there) {
            if self.anywhere || is_below(&path, &folders) {
                return Ok(path);
            }
            is_elsewhere = true;
        }
        Err(if is_elsewhere {
            format!("the file is below neither the current folder nor that of the samples; {ANYWHERE}")
        } else {
            "the file is not there".into()
        })
    }

    /// What --encoding and the columns say is of rows, and of no mail.
    fn reading_of(&self, path: &Path) -> Options {
        match sniff::by_name(path) {
            Some(format) if format.is_table() || format == SourceFormat::Jsonl => self.reading.clone(),
            _ => Options::default(),
        }
    }
}

fn gone(source: Arc<str>, index: u64, why: &str) -> Candidate {
    let origin = Origin { source, index, offset: 0 };
    Candidate::Left(Left { origin, why: Why::Gone(why.into()) })
}

/// Reads one source up to the last document to find.
struct Reader {
    source: Arc<str>,
    documents: Source<std::iter::Empty<PathBuf>>,
    sought: std::iter::Peekable<vec::IntoIter<Sought>>,
    last: Option<u64>,
}

impl Iterator for Reader {
    type Item = Candidate;

    fn next(&mut self) -> Option<Candidate> {
        let index = self.sought.peek()?.index;
        if self.last.replace(index) == Some(index) {
            self.sought.next();
            let origin = Origin { source: self.source.clone(), index, offset: 0 };
            return Some(Candidate::Left(Left {
                origin,
                why: Why::BadRow("a record before it is of the same document".into()),
            }));
        }
        loop {
            let Some(raw) = self.documents.next() else {
                let sought = self.sought.next()?;
                return Some(gone(self.source.clone(), sought.index, "it holds fewer documents now"));
            };
            let found = raw.as_ref().map_or_else(|skip| &skip.origin, |raw| &raw.origin).index;
            if found < index {
                continue;
            }
            let Sought { known, labels, weight, .. } = self.sought.next()?;
            return Some(Candidate::Sample(Labelled { raw, labels, weight, known: Some(Box::new(known)) }));
        }
    }
}
