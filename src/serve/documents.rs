//! Documents of a request: a raw message, a file of any kind that `classify` reads, JSON, or a form with files.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use axum::extract::multipart::MultipartError;
use axum::extract::{FromRequest, Multipart, Query, Request};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode, Uri};
use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::body::{ReadBody, Room};
use super::failure::Failure;
use super::labels::{Wanted, label_sets};
use super::state::State;
use crate::intake::sniff::SourceFormat;
use crate::intake::{Options, Raw, Source};
use crate::labels::LabelSet;
use crate::record::{Origin, Skip};

/// Most documents of one request, and how many times the largest body their bytes may be after decompression.
pub(super) const MOST_DOCUMENTS: usize = 10_000;
const MOST_TIMES: usize = 16;
/// Bytes of a file that are taken for a document, until they are counted.
const BYTES_A_DOCUMENT: usize = 16 * 1024;
/// Most labels that an answer shows.
const MOST_SHOWN: usize = 1_000_000;

/// What a request asks about which documents.
pub(super) struct DocumentRequest {
    /// Its documents.
    pub(super) incoming: Incoming,
    /// Its own labels.
    pub(super) labels: Option<Vec<LabelSet>>,
    /// How labels are ranked; `None` where nothing is said.
    pub(super) wanted: Option<Wanted>,
    pub(super) model: Option<String>,
    pub(super) form: AnswerForm,
}

/// What the answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerForm {
    /// One record.
    One,
    /// `{"records":[…]}`
    Many,
    /// JSON Lines.
    Lines,
}

/// Raw documents, with an end to their number and size.
pub(super) struct Incoming {
    documents: Box<dyn Iterator<Item = Result<Raw, Skip>> + Send>,
    /// How many there are, as far as can be told.
    pub(super) expected: usize,
    count: usize,
    bytes: usize,
    most_bytes: usize,
    /// Theirs until all are answered. It grows, as a small body may hold much that is compressed.
    room: Room,
    refused: Option<Failure>,
}

impl Iterator for Incoming {
    type Item = Result<Raw, Skip>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.refused.is_some() {
            return None;
        }
        let next = self.documents.next()?;
        self.count += 1;
        self.bytes += next.as_ref().map_or(0, |raw| raw.bytes.len());
        self.refused = self.check().err();
        self.refused.is_none().then_some(next)
    }
}

impl Incoming {
    fn new(
        documents: impl Iterator<Item = Result<Raw, Skip>> + Send + 'static,
        expected: usize,
        most_bytes: usize,
        room: Room,
    ) -> Self {
        let (documents, expected) = (Box::new(documents), expected.max(1));
        Self { documents, expected, count: 0, bytes: 0, most_bytes, room, refused: None }
    }

    /// # Errors
    /// When there are more than one request may have, or more than there is room for beside the others.
    fn check(&mut self) -> Result<(), Failure> {
        if self.count > MOST_DOCUMENTS || self.bytes > self.most_bytes {
            let message = format!(
                "it holds more than {MOST_DOCUMENTS} documents or {} MiB; send less at once, or run `mailsort classify` on the file",
                self.most_bytes >> 20
            );
            return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        self.room.hold(self.bytes)
    }

    /// After all documents were taken.
    ///
    /// # Errors
    /// When some were refused.
    pub(super) fn finished(self) -> Result<(), Failure> {
        self.refused.map_or(Ok(()), Err)
    }
}

/// A request in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked<'a> {
    text: Option<String>,
    subject: Option<String>,
    from: Option<String>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    documents: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    labels: Option<&'a RawValue>,
    top_k: Option<usize>,
    threshold: Option<f32>,
    model: Option<String>,
}

/// A document as an object, whose other members are ignored as those of a line of JSON Lines are.
#[derive(Deserialize)]
#[serde(expecting = "a text, or an object with `text` or `subject`")]
struct GivenRow<'a> {
    text: Option<String>,
    subject: Option<String>,
    from: Option<String>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// A line of JSON Lines, as intake reads it.
#[derive(Serialize)]
struct Line<'a> {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
}

/// What a query string may say.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    top_k: Option<usize>,
    threshold: Option<f32>,
    /// The name of the file in the body.
    filename: Option<String>,
}

/// A file of a request.
struct File {
    name: String,
    kind: Option<Mime>,
    bytes: Vec<u8>,
}

/// A media type: `text/html`, and a charset.
struct Mime {
    essence: String,
    encoding: Option<&'static Encoding>,
}

impl Mime {
    fn of(text: &str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let charset =
            parts.find_map(|part| part.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("charset")));
        let encoding = charset.and_then(|(_, name)| Encoding::for_label(name.trim_matches('"').as_bytes()));
        Self { essence, encoding }
    }

    /// The format that it names; `None` for one that is told from the bytes.
    fn format(&self) -> Option<SourceFormat> {
        Some(match &*self.essence {
            "message/rfc822" | "message/global" => SourceFormat::Mail,
            "application/mbox" => SourceFormat::Mbox,
            "text/html" | "application/xhtml+xml" => SourceFormat::Html,
            "text/plain" => SourceFormat::Text,
            "text/csv" | "text/tab-separated-values" => SourceFormat::Delimited,
            "application/pdf" => SourceFormat::Pdf,
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => SourceFormat::Docx,
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => SourceFormat::Workbook,
            "application/x-ndjson" | "application/jsonl" => SourceFormat::Jsonl,
            _ => return None,
        })
    }

    /// True where it stands for any file.
    fn is_any(&self) -> bool {
        matches!(&*self.essence, "application/octet-stream" | "application/gzip" | "application/vnd.ms-outlook")
    }
}

/// True for formats of which a file is one document.
fn is_single(format: SourceFormat) -> bool {
    matches!(
        format,
        SourceFormat::Mail | SourceFormat::Html | SourceFormat::Text | SourceFormat::Pdf | SourceFormat::Docx
    )
}

impl State {
    /// Reads the documents of a request.
    ///
    /// # Errors
    /// When the body cannot be read or is written in a way that is not known.
    pub(super) async fn documents(&self, request: Request) -> Result<DocumentRequest, Failure> {
        let (parts, body) = request.into_parts();
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).map(Mime::of);
        let Some(kind) = kind else { return Err(unsupported("there is no Content-Type")) };
        let parameters = parameters(&parts.uri)?;
        let body = self.bodies.read(&parts.headers, body).await?;
        let most_bytes = self.bodies.most() * MOST_TIMES;
        if kind.essence == "multipart/form-data" {
            let request = Request::from_parts(parts, axum::body::Body::from(body.bytes));
            return form(request, parameters, most_bytes, body.room).await;
        }
        let is_lines = wants_lines(&parts.headers);
        if kind.essence == "application/json" {
            return json(body, parameters, is_lines);
        }
        let format = kind.format();
        if format.is_none() && !kind.is_any() {
            return Err(unsupported(&format!("the Content-Type {:?} is not read", kind.essence)));
        }
        let ReadBody { bytes, room } = body;
        if format == Some(SourceFormat::Mail) && is_mailbox(&bytes) {
            return Err(Failure::bad("it is a mailbox of several messages; send it as application/mbox"));
        }
        let is_one = format.is_some_and(is_single);
        let Parameters { top_k, threshold, filename } = parameters;
        let file = File { name: filename.unwrap_or("-".into()), kind: Some(kind), bytes };
        Ok(DocumentRequest {
            incoming: of_files(vec![file], most_bytes, room),
            labels: None,
            wanted: wanted(top_k, threshold)?,
            model: None,
            form: form_of(is_one, is_lines),
        })
    }
}

/// True for an mbox of more than one message.
fn is_mailbox(bytes: &[u8]) -> bool {
    let options = Options { format: Some(SourceFormat::Mbox), ..Options::default() };
    let source = || Source::of_bytes(Path::new("-"), bytes.to_vec(), options);
    bytes.starts_with(b"From ") && source().nth(1).is_some()
}

fn form_of(is_one: bool, is_lines: bool) -> AnswerForm {
    match (is_one, is_lines) {
        (_, true) => AnswerForm::Lines,
        (true, _) => AnswerForm::One,
        _ => AnswerForm::Many,
    }
}

fn unsupported(why: &str) -> Failure {
    let message = format!(
        "{why}; send JSON (application/json), a message (message/rfc822), a form with files (multipart/form-data), or any \
         file that `mailsort classify` reads (application/octet-stream)"
    );
    Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
}

/// True where the client wants a record a line.
fn wants_lines(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok()).unwrap_or_default();
    ["application/x-ndjson", "application/jsonl"].iter().any(|kind| accepted.contains(kind))
}

fn parameters(uri: &Uri) -> Result<Parameters, Failure> {
    Query::try_from_uri(uri).map(|Query(parameters)| parameters).map_err(|error| Failure::bad(error.body_text()))
}

/// # Errors
/// When the numbers make no sense.
fn wanted(top_k: Option<usize>, threshold: Option<f32>) -> Result<Option<Wanted>, Failure> {
    if top_k.is_some_and(|top_k| !(1..=MOST_SHOWN).contains(&top_k)) {
        return Err(Failure::bad(format!("top_k is 1 to {MOST_SHOWN}")).about("top_k"));
    }
    if threshold.is_some_and(|threshold| !(0.0..=1.0).contains(&threshold)) {
        return Err(Failure::bad("threshold is a probability, 0 to 1").about("threshold"));
    }
    if top_k.is_none() && threshold.is_none() {
        return Ok(None);
    }
    Ok(Some(Wanted { top_k: top_k.unwrap_or(Wanted::default().top_k), threshold }))
}

/// # Errors
/// When a request has more documents or texts than one may have.
pub(super) fn check_count(count: usize, field: &'static str) -> Result<(), Failure> {
    if count <= MOST_DOCUMENTS {
        return Ok(());
    }
    let message = format!("there are {count} of `{field}`; send at most {MOST_DOCUMENTS} at once");
    Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message).about(field))
}

/// # Errors
/// When a request brings more labels than one may have.
fn check_labels(sets: &[LabelSet]) -> Result<(), Failure> {
    check_count(sets.iter().map(|set| set.labels.len()).sum(), "labels")
}

/// Reads a request in JSON.
fn json(body: ReadBody, parameters: Parameters, is_lines: bool) -> Result<DocumentRequest, Failure> {
    let Asked { text, subject, from, id, documents, labels, top_k, threshold, model } = body.json()?;
    let labels = labels.filter(|given| given.get() != "null").map(label_sets).transpose();
    let labels = labels.map_err(|error| Failure::of(&error.context("labels")).about("labels"))?;
    check_labels(labels.as_deref().unwrap_or_default())?;
    let has_one = text.is_some() || subject.is_some();
    let is_one = documents.is_none();
    if has_one != is_one {
        return Err(Failure::bad("send either `text`, with or without `subject` and `from`, or a list of `documents`"));
    }
    let raws = match documents {
        None => vec![raw(0, GivenRow { text, subject, from, id })?],
        Some(rows) => {
            check_count(rows.len(), "documents")?;
            let row = |(at, given): (usize, &RawValue)| raw(at, row(at, given)?);
            rows.into_iter().enumerate().map(row).collect::<Result<Vec<Raw>, _>>()?
        }
    };
    let wanted = wanted(top_k.or(parameters.top_k), threshold.or(parameters.threshold))?;
    let count = raws.len();
    let incoming = Incoming::new(raws.into_iter().map(Ok), count, usize::MAX, body.room);
    Ok(DocumentRequest { incoming, labels, wanted, model, form: form_of(is_one, is_lines) })
}

/// A document of a list: its text, or an object.
fn row(at: usize, given: &RawValue) -> Result<GivenRow<'_>, Failure> {
    let bad = |error: serde_json::Error| Failure::bad(format!("document {at}: {error}")).about("documents");
    if given.get().starts_with('"') {
        let text = serde_json::from_str(given.get()).map_err(bad)?;
        return Ok(GivenRow { text: Some(text), subject: None, from: None, id: None });
    }
    if !given.get().starts_with('{') {
        return Err(Failure::bad(format!("document {at} is neither a text nor an object")).about("documents"));
    }
    serde_json::from_str(given.get()).map_err(bad)
}

/// A document in JSON, as one of JSON Lines.
fn raw(at: usize, GivenRow { text, subject, from, id }: GivenRow<'_>) -> Result<Raw, Failure> {
    if text.is_none() && subject.is_none() {
        return Err(Failure::bad(format!("document {at} has neither `text` nor `subject`")).about("documents"));
    }
    let line = Line { text: text.unwrap_or_default(), subject, from, id };
    let bytes = serde_json::to_vec(&line).map_err(|error| Failure::bad(error.to_string()))?;
    let origin = Origin { source: Arc::from("-"), index: at as u64, offset: 0 };
    Ok(Raw { origin, format: SourceFormat::Jsonl, bytes, truncated: false })
}

/// Reads a form: `file` one or several times, `labels` as a label file or text, `top_k` and `threshold`.
async fn form(
    request: Request,
    parameters: Parameters,
    most_bytes: usize,
    room: Room,
) -> Result<DocumentRequest, Failure> {
    let is_lines = wants_lines(request.headers());
    let bad = |error: MultipartError| Failure::new(error.status(), format!("the form: {}", error.body_text()));
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|error| Failure::new(error.status(), error.body_text()))?;
    let (mut files, mut sets) = (Vec::new(), Vec::new());
    let Parameters { mut top_k, mut threshold, .. } = parameters;
    while let Some(field) = form.next_field().await.map_err(bad)? {
        let name = field.name().unwrap_or_default().to_string();
        let filename = field.file_name().map(String::from);
        let kind = field.content_type().map(Mime::of);
        let bytes = field.bytes().await.map_err(bad)?.to_vec();
        match &*name {
            "file" => files.push(File { name: filename.unwrap_or("-".into()), kind, bytes }),
            "labels" => sets.push(set_of_form(filename.as_deref(), &bytes)?),
            "top_k" => top_k = Some(number(&bytes, "top_k")?),
            "threshold" => threshold = Some(number(&bytes, "threshold")?),
            other => {
                let message = format!("the form has a field {other:?}; there are file, labels, top_k and threshold");
                return Err(Failure::bad(message));
            }
        }
    }
    if files.is_empty() {
        return Err(Failure::bad("the form has no field `file`"));
    }
    check_labels(&sets)?;
    for (at, set) in sets.iter().enumerate() {
        if sets[..at].iter().any(|before: &LabelSet| before.name == set.name) {
            return Err(Failure::bad(format!("two label sets are called {:?}", set.name)).about("labels"));
        }
    }
    Ok(DocumentRequest {
        incoming: of_files(files, most_bytes, room),
        labels: (!sets.is_empty()).then_some(sets),
        wanted: wanted(top_k, threshold)?,
        model: None,
        form: form_of(false, is_lines),
    })
}

fn set_of_form(filename: Option<&str>, bytes: &[u8]) -> Result<LabelSet, Failure> {
    let path = Path::new(filename.unwrap_or("label"));
    let name = path.file_stem().map_or_else(|| "label".into(), |stem| stem.to_string_lossy().into_owned());
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    LabelSet::parse(name, bytes, &ending, None).map_err(|error| Failure::of(&error.context("labels")).about("labels"))
}

fn number<T: std::str::FromStr>(bytes: &[u8], name: &'static str) -> Result<T, Failure> {
    let text = std::str::from_utf8(bytes).unwrap_or_default().trim();
    text.parse().map_err(|_| Failure::bad(format!("{name}: {text:?} is no such number")).about(name))
}

/// The documents of files, as `classify` reads them.
fn of_files(files: Vec<File>, most_bytes: usize, room: Room) -> Incoming {
    let expected = files.iter().map(|file| {
        let is_one = file.kind.as_ref().and_then(Mime::format).is_some_and(is_single);
        if is_one { 1 } else { 1 + file.bytes.len() / BYTES_A_DOCUMENT }
    });
    let expected = expected.sum::<usize>().min(MOST_DOCUMENTS);
    let source = |File { name, kind, bytes }: File| {
        // Browsers send text/plain for what they do not know; the name and the bytes say more.
        let is_named = Path::new(&name).extension().is_some();
        let format = kind.as_ref().and_then(Mime::format).filter(|format| !is_named || *format == SourceFormat::Mail);
        let encoding = kind.and_then(|kind| kind.encoding);
        Source::of_bytes(Path::new(&name), bytes, Options { format, encoding, ..Options::default() })
    };
    let mut documents = files.into_iter().flat_map(source);
    // A document may have to be decompressed, which must not hold up other connections.
    let documents = std::iter::from_fn(move || tokio::task::block_in_place(|| documents.next()));
    Incoming::new(documents, expected, most_bytes, room)
}
