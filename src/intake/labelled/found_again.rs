//! The texts of records that `classify` has written, found again where they came from.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec;

use super::{Found, Known, Labelled, Left, Samples, Why};
use crate::intake::source::{self, Source};
use crate::record::Origin;

/// The documents that are looked for: each source is read once, whatever the order of the records.
pub(super) struct Wanted {
    folder: PathBuf,
    at: HashMap<Arc<str>, usize>,
    sources: vec::IntoIter<(Arc<str>, Vec<Sought>)>,
    collected: Vec<(Arc<str>, Vec<Sought>)>,
}

/// A document that is looked for in a source.
struct Sought {
    index: u64,
    known: Known,
    labels: Vec<Arc<str>>,
    weight: f32,
}

impl Wanted {
    /// Nothing yet. Sources that are not where they are said to be are looked for in `folder`.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, at: HashMap::new(), sources: Vec::new().into_iter(), collected: Vec::new() }
    }

    /// Looks for another document.
    pub(super) fn add(&mut self, source: &str, index: u64, known: Known, labels: Vec<Arc<str>>, weight: f32) {
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

    /// The documents of the next source; `None` when all were read.
    pub(super) fn next_source(&mut self) -> Option<Samples> {
        if !self.collected.is_empty() {
            self.sources = std::mem::take(&mut self.collected).into_iter();
        }
        let (source, mut sought) = self.sources.next()?;
        sought.sort_by_key(|sought| sought.index);
        let Some(path) = self.path(&source) else {
            let why = if &*source == "-" { "it came from standard input" } else { "the file is not there" };
            let gone = move |sought: Sought| gone(source.clone(), sought.index, why);
            return Some(Box::new(sought.into_iter().map(gone)));
        };
        Some(Box::new(Reader {
            source,
            documents: Source::at(&path),
            sought: sought.into_iter().peekable(),
            last: None,
        }))
    }

    /// Where a source is: as the record says, seen from here, or seen from where the records lie.
    fn path(&self, source: &str) -> Option<PathBuf> {
        let path = source::unshown(source);
        let renamed = |path: &Path| path.exists() || source::is_message(path);
        [path.clone(), self.folder.join(path)].into_iter().find(|path| renamed(path) && source != "-")
    }
}

fn gone(source: Arc<str>, index: u64, why: &str) -> Found {
    let origin = Origin { source, index, offset: 0 };
    Found::Left(Left { origin, why: Why::Gone(why.into()) })
}

/// Reads one source up to the last document that is looked for.
struct Reader {
    source: Arc<str>,
    documents: Source<std::iter::Empty<PathBuf>>,
    sought: std::iter::Peekable<vec::IntoIter<Sought>>,
    last: Option<u64>,
}

impl Iterator for Reader {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let index = self.sought.peek()?.index;
        if self.last.replace(index) == Some(index) {
            self.sought.next();
            let origin = Origin { source: self.source.clone(), index, offset: 0 };
            return Some(Found::Left(Left {
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
            return Some(Found::Sample(Labelled { raw, labels, weight, known: Some(Box::new(known)) }));
        }
    }
}
