//! Labelled samples: documents with known labels.
//!
//! They come from rows (JSON Lines, CSV, TSV), from folders and maildirs whose names are labels, and from records
//! that `classify` has written. The text of a row goes through the same [`read`](super::read) as any other document.
//! What has no label or is not found again is returned as [`Left`], so that it can be counted and reported; a
//! labelled document that cannot be read is a sample whose document is a [`Skip`].

mod folders;
mod found_again;
mod row;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use encoding_rs::Encoding;
use glob::Pattern;

use super::lines::Lines;
use super::open::{self, InputStream};
use super::sniff::SourceFormat;
use super::source::{self, Options, Source};
use super::tables::{self, CheckNames, RowFields, TableReader};
use super::{Raw, Reading};
use crate::record::{Document, Envelope, Intake, Origin, Reason, Skip};
use found_again::Wanted;
use row::{SampleRow, What};

pub use row::WEIGHTS;

/// The usual field of labels.
const LABEL_FIELD: &str = "label";

/// How labelled samples are read.
#[derive(Clone, Debug)]
pub struct LabelledOptions {
    /// The fields or columns that hold a row's text, subject and id.
    pub fields: RowFields,
    /// The field or column that holds a row's label, or a list of them.
    pub label_field: String,
    /// Which label set to use if records have several.
    pub set: Option<String>,
    /// Records with a lower score are left out.
    pub min_score: Option<f32>,
    /// Folders to leave out, by name or path.
    pub exclude: Vec<Pattern>,
    /// The inbox of a maildir tree is a label too.
    pub inbox: bool,
    /// Rows may name any file of this machine, not only those of their own folder.
    pub paths_anywhere: bool,
    /// The charset of files of rows, instead of telling it from their bytes.
    pub encoding: Option<&'static Encoding>,
    /// The sheet of a workbook; `None` for all that are visible.
    pub sheet: Option<String>,
    /// What becomes of documents without a label.
    pub unlabelled: Unlabelled,
}

/// What becomes of documents without a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unlabelled {
    /// They are no samples.
    #[default]
    LeftOut,
    /// They are samples without labels; inputs that say nothing of labels are read as `classify` reads them.
    Taken,
    /// All are, so that folders are no labels; a row with a label keeps it.
    Expected,
}

impl Default for LabelledOptions {
    fn default() -> Self {
        Self {
            fields: RowFields::default(),
            label_field: LABEL_FIELD.into(),
            set: None,
            min_score: None,
            exclude: Vec::new(),
            inbox: false,
            paths_anywhere: false,
            encoding: None,
            sheet: None,
            unlabelled: Unlabelled::LeftOut,
        }
    }
}

/// A document with its labels, before it is read.
#[derive(Debug)]
pub struct Labelled {
    /// The document as it is in the input.
    pub raw: Result<Raw, Skip>,
    /// Its labels; at least one, unless documents without a label are samples.
    pub labels: Vec<Arc<str>>,
    /// Its weight; 1 unless a row gives another.
    pub weight: f32,
    /// Identity that a document found again must have.
    known: Option<Box<Identity>>,
}

/// What a record says about a document besides its position.
#[derive(Clone, Debug, Default, PartialEq)]
struct Identity {
    /// Like `subject`.
    id: Option<Option<String>>,
    /// `None` if the record has no such field; `Some(None)` if the field is null.
    subject: Option<Option<String>>,
}

/// A document with its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The document, or why it cannot be read.
    pub document: Intake,
    /// Its labels; at least one, unless documents without a label are samples.
    pub labels: Vec<Arc<str>>,
    /// Its weight: `weight` of a row, else the score of a record of `classify`, else 1.
    pub weight: f32,
    /// True if the record has neither id nor subject, so that only its position identifies the document.
    pub by_place_alone: bool,
}

/// One item of an input.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are of the large one")]
pub enum Candidate {
    /// A sample.
    Sample(Labelled),
    /// Something that is not a sample.
    Left(Left),
}

/// Something that is not a sample, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Where it stands.
    pub origin: Origin,
    /// Why it is not a sample.
    pub why: Why,
}

/// Why something is not a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is no label.
    NoLabel(&'static str),
    /// The score is below the minimum.
    Doubtful,
    /// The row cannot be used; the text says why.
    BadRow(String),
    /// The document of a record was not found again; the text says more.
    Gone(String),
    /// The input cannot be read to its end.
    Broken(String),
}

impl Why {
    /// A short fixed name for counting.
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
    /// If it was found by its position in a mailbox and is a different document.
    pub fn read(self, reading: &Reading) -> Result<Sample, Left> {
        let document = self.raw.and_then(|raw| super::read(raw, reading)).and_then(certain);
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

/// The document, unless its charset is in doubt: words that are read wrongly would be learned.
fn certain(document: Document) -> Intake {
    let Some(charsets) = document.doubt else { return Ok(document) };
    let Document { origin, envelope, attachments, .. } = document;
    let why = format!(
        "its charset is in doubt ({charsets}), and no name that fits is given: save it as UTF-8, name that of texts and \
         pages with --encoding, or that of a message in its Content-Type"
    );
    Err(Skip { origin, envelope, attachments, reason: Reason::Unreadable(why) })
}

impl Identity {
    /// How the document differs from the recorded one.
    fn differs(&self, now: &Envelope) -> Option<String> {
        let stands = |now: &str, was: &str| Some(format!("{now} stands there now, where {was} was"));
        let id = |id: &Option<String>| id.clone().unwrap_or_else(|| "no id".into());
        if let Some(was) = self.id.as_ref().filter(|was| **was != now.id) {
            return stands(&id(&now.id), &id(was));
        }
        // An id identifies a message; without one, the subject is compared.
        let has_id = self.id.as_ref().is_some_and(Option::is_some);
        let subject = self.subject.as_ref().filter(|subject| !has_id && **subject != now.subject)?;
        let quoted =
            |subject: &Option<String>| subject.as_ref().map_or("no subject".into(), |text| format!("{text:?}"));
        stands(&quoted(&now.subject), &quoted(subject))
    }
}

/// The samples of one input, in its order; samples of records in the order of their sources.
pub type Samples = Box<dyn Iterator<Item = Candidate> + Send>;

/// Opens an input and tells its kind from its content. With `tree`, a folder is treated as a maildir tree.
///
/// # Errors
/// If it is missing or unreadable, or has no labels and they are needed.
pub fn open(path: &Path, tree: bool, options: &Arc<LabelledOptions>) -> Result<Samples> {
    let shown = path.display();
    if path.is_dir() && options.unlabelled == Unlabelled::Expected {
        return options.documents(path);
    }
    if path.is_dir() {
        return folders::open(path, tree, options);
    }
    if tree {
        bail!("{shown} is no folder; --maildir takes the folder of a maildir tree");
    }
    let opened = open::open(path, options.encoding, &Arc::default()).with_context(|| {
        format!("cannot read the samples {shown} (JSON Lines, CSV or TSV with labels, or a folder of labels)")
    })?;
    if opened.head.trim_ascii().is_empty() {
        bail!("{shown} is empty; samples are rows of JSON Lines, CSV or TSV with a text and a label");
    }
    if let Some(why) = open::refusal(path, &opened.head) {
        bail!("cannot read the samples {shown}: {why}");
    }
    let reading = options.reading();
    let format = open::format(path, &opened.head, None);
    let has_rows = |format: SourceFormat| format == SourceFormat::Jsonl || format.is_table();
    // Who names a column gives a table, whatever it looks like.
    let is_table = options.names_columns() && matches!(format, Some(SourceFormat::Text) | None);
    if options.unlabelled != Unlabelled::LeftOut && !format.is_some_and(has_rows) && !is_table {
        // What was read of a pipe does not come again.
        return Ok(unlabelled(Source::of_opened(path, opened, reading)));
    }
    match format {
        Some(SourceFormat::Jsonl) => {
            let lines = Lines::new(reading.decoded(opened, SourceFormat::Jsonl));
            Ok(Box::new(RowSamples::new(path, options, lines)))
        }
        format @ (Some(SourceFormat::Text | SourceFormat::Delimited | SourceFormat::Json | SourceFormat::Workbook)
        | None) => {
            let format = format.filter(|format| format.is_table()).unwrap_or(SourceFormat::Delimited);
            let stream = reading.decoded(opened, format);
            let table = TableReader::open(format, stream, options.sheet.as_deref(), options.check_of_names());
            Ok(Box::new(RowSamples::new(path, options, table.with_context(|| shown.to_string())?)))
        }
        Some(_) => bail!(
            "{shown} says nothing of labels; put messages and mailboxes into folders that are named as their labels, and \
             give the folder around those"
        ),
    }
}

/// What to do where rows name files outside of the folders that they may read.
const ANYWHERE: &str = "--paths-anywhere reads it all the same, if you trust who wrote the samples";

/// True where `path` lies below one of `folders` when links and `..` are followed; where it does not exist, what there
/// is of it. Whoever sends samples would otherwise choose which files of this machine end up in a report.
fn is_below(path: &Path, folders: &[&Path]) -> bool {
    let resolved = |path: &Path| if path.as_os_str().is_empty() { Path::new(".") } else { path }.canonicalize();
    let found = path.ancestors().find_map(|path| resolved(path).ok());
    found.is_some_and(|found| {
        folders.iter().any(|folder| resolved(folder).is_ok_and(|folder| found.starts_with(folder)))
    })
}

/// Documents as samples without a label.
fn unlabelled<I: Iterator<Item = PathBuf> + Send + 'static>(documents: Source<I>) -> Samples {
    Box::new(documents.map(|raw| Candidate::Sample(Labelled::new(raw, Vec::new(), 1.0))))
}

impl LabelledOptions {
    /// The documents of a file or folder that says nothing of labels, as `classify` reads them.
    ///
    /// # Errors
    /// If it cannot be read.
    fn documents(&self, path: &Path) -> Result<Samples> {
        let reading = self.reading();
        super::check(path, &reading)?;
        Ok(unlabelled(Source::new(std::iter::once(path.to_path_buf()), reading)))
    }

    /// How files of rows are read.
    fn reading(&self) -> Options {
        Options {
            encoding: self.encoding,
            fields: self.fields.clone(),
            sheet: self.sheet.clone(),
            ..Options::default()
        }
    }

    /// True where samples without any label are a mistake.
    pub fn needs_label(&self) -> bool {
        match self.unlabelled {
            Unlabelled::LeftOut => true,
            // A field that is named and not there would make all rows texts without a label.
            Unlabelled::Taken => self.names_label(),
            Unlabelled::Expected => false,
        }
    }

    /// True where the field of labels is not the usual one.
    fn names_label(&self) -> bool {
        self.label_field != LABEL_FIELD
    }

    fn names_columns(&self) -> bool {
        self.names_label() || !self.fields.are_default()
    }

    /// The columns of samples: one of labels, and one of texts or of where these are.
    fn check_of_names(&self) -> CheckNames {
        let (fields, label) = (self.fields.clone(), self.label_field.clone());
        let needs_label = self.needs_label();
        Arc::new(move |names: &[&str]| {
            let is_named = |name: &str| names.iter().any(|column| column.trim().eq_ignore_ascii_case(name));
            let has_place = fields.are_default() && (is_named("path") || is_named("source"));
            let has_text = has_place || fields.choose(names).is_ok();
            if has_text && (!needs_label || is_named(&label) || is_named("labels")) {
                return Ok(());
            }
            let text = fields.text.first().map_or("text", String::as_str);
            Err(format!(
                "these are no labelled samples: neither JSON Lines, nor a table whose first row names the columns `{text}` \
                 (or `path`) and `{label}`; its first row reads {}. --text-field and --label-field name other columns",
                tables::listed(names)
            ))
        })
    }
}

/// A reader of rows: yields each row with its offset, or its error.
trait TableRows: Send {
    /// The next row; `None` at the end.
    fn next_row(&mut self) -> std::io::Result<Option<(u64, Result<SampleRow, String>)>>;
}

impl TableRows for Lines<InputStream> {
    fn next_row(&mut self) -> std::io::Result<Option<(u64, Result<SampleRow, String>)>> {
        Ok(source::next_row(self)?.map(source::table_row).map(|row| (row.offset, SampleRow::of_json(row))))
    }
}

impl TableRows for TableReader {
    fn next_row(&mut self) -> std::io::Result<Option<(u64, Result<SampleRow, String>)>> {
        Ok(TableReader::next_row(self)?.map(|row| (row.offset, SampleRow::of_table(row))))
    }
}

/// The samples of a file of rows. Documents of records are found after all rows are read, each source once.
struct RowSamples<T> {
    table: T,
    options: Arc<LabelledOptions>,
    source: Arc<str>,
    /// Paths in rows are relative to it.
    folder: PathBuf,
    index: u64,
    wanted: Wanted,
    /// Samples of a path in a row, or of a source of records.
    pending: Option<Samples>,
    ended: bool,
}

impl<T: TableRows> RowSamples<T> {
    fn new(path: &Path, options: &Arc<LabelledOptions>, table: T) -> Self {
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let wanted = Wanted::new(folder.clone(), options.reading(), options.paths_anywhere);
        let source = source::shown(path);
        Self { table, options: options.clone(), source, folder, index: 0, wanted, pending: None, ended: false }
    }

    /// Takes one row; `None` at the end of the file.
    fn step(&mut self) -> Option<Option<Candidate>> {
        let origin = Origin { source: self.source.clone(), index: self.index, offset: 0 };
        let left = |origin, why| Some(Some(Candidate::Left(Left { origin, why })));
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
                let raw = Raw { origin, format: SourceFormat::Delimited, bytes, truncated: false };
                Some(Some(Candidate::Sample(Labelled::new(Ok(raw), labels, weight))))
            }
            What::Path(path) => {
                let named = self.folder.join(&path);
                if !self.options.paths_anywhere && !is_below(&named, &[&self.folder]) {
                    let why = format!("its `path` {path:?} is not below the folder of the samples; {ANYWHERE}");
                    return left(origin, Why::BadRow(why));
                }
                let found = source::Source::at(&named, Options::default());
                let sample = move |raw| Candidate::Sample(Labelled::new(raw, labels.clone(), weight));
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

impl<T: TableRows> Iterator for RowSamples<T> {
    type Item = Candidate;

    fn next(&mut self) -> Option<Candidate> {
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
