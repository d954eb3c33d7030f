//! Labelled samples: documents of which somebody has said what they are.
//!
//! They come from rows (JSON Lines, CSV, TSV), from folders and maildirs whose names are labels, and from the records that
//! `classify` has written. The text of a row goes through the same [`read`](super::read) as any other document. What
//! bears no label or cannot be found again is handed out as [`Left`], so that it can be counted and named; a document
//! that has a label and cannot be read is a sample whose document is a [`Skip`](crate::record::Skip).

mod folders;
mod found_again;
mod row;
mod tables;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use glob::Pattern;

use super::lines::Lines;
use super::open::{self, Stream};
use super::sniff::Format;
use super::source::{self, MAX_DOCUMENT};
use super::{Raw, Reading};
use crate::record::{Envelope, Intake, Origin, Skip};
use found_again::Wanted;
use row::{Row, What};

pub use row::WEIGHTS;

/// How labelled samples are read.
#[derive(Clone, Debug)]
pub struct LabelledOptions {
    /// The field or column that holds a row's text.
    pub text_field: String,
    /// The field or column that holds a row's label, or a list of them.
    pub label_field: String,
    /// Which label set of records that have several.
    pub set: Option<String>,
    /// Records that the model was less sure of are left out.
    pub min_score: Option<f32>,
    /// Folders that are left out, by their names or paths.
    pub exclude: Vec<Pattern>,
    /// The inbox of a maildir tree is a label too.
    pub inbox: bool,
}

impl Default for LabelledOptions {
    fn default() -> Self {
        Self {
            text_field: "text".into(),
            label_field: "label".into(),
            set: None,
            min_score: None,
            exclude: Vec::new(),
            inbox: false,
        }
    }
}

/// A document with its labels, before it is read.
#[derive(Debug)]
pub struct Labelled {
    /// The document as it stands in the input.
    pub raw: Result<Raw, Skip>,
    /// What it is; at least one.
    pub labels: Vec<Arc<str>>,
    /// How much it counts; 1 unless a row says otherwise.
    pub weight: f32,
    /// What a document found again by its place must say.
    known: Option<Box<Known>>,
}

/// What a record says of a document besides its place.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    /// As `subject`.
    id: Option<Option<String>>,
    /// `None` where the record says nothing of a subject; `Some(None)` where it says that there is none.
    subject: Option<Option<String>>,
}

/// A document with its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The document, or why it cannot be read.
    pub document: Intake,
    /// What it is; at least one.
    pub labels: Vec<Arc<str>>,
    /// How much it counts: what `weight` says in a row, else the score of a record of `classify`, else 1.
    pub weight: f32,
    /// True where a record has neither id nor subject, so that nothing but its place says which document it is of.
    pub by_place_alone: bool,
}

/// What an input holds.
#[derive(Debug)]
pub enum Found {
    /// A sample.
    Sample(Labelled),
    /// Something that is none.
    Left(Left),
}

/// Something that is no sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Where it stands.
    pub origin: Origin,
    /// Why it is none.
    pub why: Why,
}

/// Why something is no sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is no label.
    NoLabel(&'static str),
    /// The model was not sure enough.
    Doubtful,
    /// The row cannot be used; the text says why.
    BadRow(String),
    /// The document of a record is no longer where it was; the text says more.
    Gone(String),
    /// The input cannot be read to its end.
    Broken(String),
}

impl Why {
    /// A short fixed name, to count by.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoLabel(_) => "without a label",
            Self::Doubtful => "below --min-score",
            Self::BadRow(_) => "bad row",
            Self::Gone(_) => "not found again",
            Self::Broken(_) => "unreadable",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLabel("") | Self::Doubtful => f.write_str(self.kind()),
            Self::NoLabel(why) => write!(f, "{}: {why}", self.kind()),
            Self::BadRow(why) | Self::Gone(why) | Self::Broken(why) => write!(f, "{}: {why}", self.kind()),
        }
    }
}

impl Labelled {
    fn new(raw: Result<Raw, Skip>, labels: Vec<Arc<str>>, weight: f32) -> Self {
        Self { raw, labels, weight, known: None }
    }

    /// Reads the document, as [`read`](super::read) does.
    ///
    /// # Errors
    /// When it was found by its place in a mailbox and is another one than it was.
    pub fn read(self, reading: &Reading) -> Result<Sample, Left> {
        let document = self.raw.and_then(|raw| super::read(raw, reading));
        let (origin, envelope) = match &document {
            Ok(document) => (&document.origin, &document.envelope),
            Err(skip) => (&skip.origin, &skip.envelope),
        };
        if let Some(why) = self.known.as_ref().and_then(|known| known.differs(envelope)) {
            return Err(Left { origin: origin.clone(), why: Why::Gone(why) });
        }
        let by_place_alone =
            self.known.is_some_and(|known| known.id.flatten().is_none() && known.subject.flatten().is_none());
        Ok(Sample { document, labels: self.labels, weight: self.weight, by_place_alone })
    }
}

impl Known {
    /// How a document is another one than it was.
    fn differs(&self, now: &Envelope) -> Option<String> {
        let stands = |now: &str, was: &str| Some(format!("{now} stands there now, where {was} was"));
        let id = |id: &Option<String>| id.clone().unwrap_or_else(|| "no id".into());
        if let Some(was) = self.id.as_ref().filter(|was| **was != now.id) {
            return stands(&id(&now.id), &id(was));
        }
        // An id tells mails apart by itself; without one, the subject may.
        let has_id = self.id.as_ref().is_some_and(Option::is_some);
        let subject = self.subject.as_ref().filter(|subject| !has_id && **subject != now.subject)?;
        let quoted =
            |subject: &Option<String>| subject.as_ref().map_or("no subject".into(), |text| format!("{text:?}"));
        stands(&quoted(&now.subject), &quoted(subject))
    }
}

/// The samples of one input, in its order; of records, in the order of their sources.
pub type Samples = Box<dyn Iterator<Item = Found> + Send>;

/// Opens an input and tells from its content what it is. With `tree`, a folder is a maildir tree whatever it looks like.
///
/// # Errors
/// When it is missing or unreadable, or nothing that bears labels.
pub fn open(path: &Path, tree: bool, options: &Arc<LabelledOptions>) -> Result<Samples> {
    let shown = path.display();
    if path.is_dir() {
        return folders::open(path, tree, options);
    }
    if tree {
        bail!("{shown} is no folder; --maildir takes the folder of a maildir tree");
    }
    let opened = open::open(path, &Arc::default()).with_context(|| {
        format!("cannot read the samples {shown} (JSON Lines, CSV or TSV with labels, or a folder of labels)")
    })?;
    if opened.head.trim_ascii().is_empty() {
        bail!("{shown} is empty; samples are rows of JSON Lines, CSV or TSV with a text and a label");
    }
    let format = open::format(path, &opened.head, None);
    if format == Some(Format::Jsonl) {
        return Ok(Box::new(Rows::new(path, options, Lines::new(opened.stream))));
    }
    match (tables::open(opened.stream, &opened.head, options), format) {
        (Ok(cells), _) => Ok(Box::new(Rows::new(path, options, cells))),
        (Err(_), _) if starts_array(&opened.head) => {
            bail!("{shown} is one JSON value; write one object a line, as `jq -c .[]` does")
        }
        (Err(error), Some(Format::Text) | None) => Err(error.context(shown.to_string())),
        (Err(_), Some(_)) => bail!(
            "{shown} says nothing of labels; put mails and mailboxes into folders that are named as their labels, and \
             give the folder around those"
        ),
    }
}

fn starts_array(head: &[u8]) -> bool {
    head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start().starts_with(b"[")
}

/// What yields the rows of a file: each with its offset, or what is wrong with it.
trait Table: Send {
    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read on.
    fn next_row(&mut self) -> std::io::Result<Option<(u64, Result<Row, String>)>>;
}

impl Table for Lines<Stream> {
    fn next_row(&mut self) -> std::io::Result<Option<(u64, Result<Row, String>)>> {
        let line = source::next_row(self)?;
        Ok(line.map(|line| {
            let too_long = || format!("longer than {} MiB", MAX_DOCUMENT >> 20);
            (line.offset, if line.cut { Err(too_long()) } else { Row::from_json(&line.bytes) })
        }))
    }
}

/// The samples of a file of rows. Texts of records are found again when all rows are read, each source once.
struct Rows<T> {
    table: T,
    options: Arc<LabelledOptions>,
    source: Arc<str>,
    /// Paths are relative to it.
    folder: PathBuf,
    index: u64,
    wanted: Wanted,
    /// What a row or the records lead to.
    pending: Option<Samples>,
    ended: bool,
}

impl<T: Table> Rows<T> {
    fn new(path: &Path, options: &Arc<LabelledOptions>, table: T) -> Self {
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let wanted = Wanted::new(folder.clone());
        let source = source::shown(path);
        Self { table, options: options.clone(), source, folder, index: 0, wanted, pending: None, ended: false }
    }

    /// Takes one row; `None` at the end of the file.
    fn step(&mut self) -> Option<Option<Found>> {
        let origin = Origin { source: self.source.clone(), index: self.index, offset: 0 };
        let left = |origin, why| Some(Some(Found::Left(Left { origin, why })));
        let (offset, row) = match self.table.next_row() {
            Ok(row) => row?,
            Err(error) => {
                self.ended = true;
                return left(origin, Why::Broken(source::reason(&error)));
            }
        };
        self.index += 1;
        let origin = Origin { offset, ..origin };
        let labelled = match row.map_err(Why::BadRow).and_then(|row| row.labelled(&self.options)) {
            Ok(labelled) => labelled,
            Err(why) => return left(origin, why),
        };
        let (labels, weight) = (labelled.labels, labelled.weight);
        match labelled.what {
            What::Text(bytes) => {
                let raw = Raw { origin, format: Format::Jsonl, bytes, truncated: false };
                Some(Some(Found::Sample(Labelled::new(Ok(raw), labels, weight))))
            }
            What::Path(path) => {
                let found = source::Source::at(&self.folder.join(path));
                let sample = move |raw| Found::Sample(Labelled::new(raw, labels.clone(), weight));
                self.pending = Some(Box::new(found.map(sample)));
                Some(None)
            }
            What::Record { source, index, known } => {
                self.wanted.add(&source, index, known, labels, weight);
                Some(None)
            }
        }
    }
}

impl<T: Table> Iterator for Rows<T> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            if let Some(found) = self.pending.as_mut().and_then(Iterator::next) {
                return Some(found);
            }
            self.pending = None;
            if !self.ended {
                match self.step() {
                    Some(Some(found)) => return Some(found),
                    Some(None) => continue,
                    None => self.ended = true,
                }
            }
            self.pending = Some(Box::new(self.wanted.next_source()?));
        }
    }
}

#[cfg(test)]
mod tests;
