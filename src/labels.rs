//! Label sets: names, descriptions, thresholds and headers of labels.
//!
//! Three file formats. Text: one label per line, `name` or `name: description`, with `#` comments and blank lines.
//! TOML (by the extension `.toml`): `instruct`, `threshold` and `[[label]]` tables. CSV (by the extension, or by a
//! first line that names the columns): `name`, `description`, `threshold`.

mod table;
mod text;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};

use crate::charset;
use crate::condition::HeaderCondition;
use crate::platform;
use crate::record::{is_invisible, label_key};

/// Maximum size of a label file. A longer one is a mailbox given by mistake, or a device that never ends.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// A label.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Label {
    /// The name in the output.
    pub name: Arc<str>,
    /// What messages with this label are like, in words that such a message would use.
    pub description: Option<String>,
    /// Minimum score; takes precedence over `--threshold` and the threshold of the set.
    pub threshold: Option<f32>,
    /// Example texts.
    pub examples: Vec<String>,
    /// The headers that make the label certain or impossible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<HeaderCondition>,
}

/// Mutually exclusive labels. A run may use several sets.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct LabelSet {
    /// Name of the set in the output: the file name without its extension.
    pub name: String,
    /// Task description for models that take an instruction.
    pub instruct: Option<String>,
    /// Default threshold of the set.
    pub threshold: Option<f32>,
    /// At least one label; the names are distinct.
    pub labels: Vec<Label>,
}

impl LabelSet {
    /// A set of labels without descriptions.
    pub fn named(name: String, labels: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self { name, instruct: None, threshold: None, labels: labels.into_iter().map(Label::named).collect() }
    }
}

/// A TOML label file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TomlSet {
    instruct: Option<String>,
    threshold: Option<f32>,
    #[serde(default)]
    label: Vec<toml::Spanned<TomlLabel>>,
}

/// A label of such a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TomlLabel {
    name: Arc<str>,
    description: Option<String>,
    threshold: Option<f32>,
    #[serde(default)]
    examples: Vec<String>,
    headers: Option<toml::Value>,
}

/// A TOML label file for writing: thresholds are f64, so that they have the decimals of the source.
#[derive(Serialize)]
struct WrittenSet<'a> {
    instruct: Option<&'a str>,
    threshold: Option<f64>,
    label: Vec<WrittenLabel<'a>>,
}

#[derive(Serialize)]
struct WrittenLabel<'a> {
    name: &'a str,
    description: Option<&'a str>,
    threshold: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    examples: &'a [String],
    headers: Option<&'a HeaderCondition>,
}

impl Label {
    /// A label without a description.
    pub fn named(name: Arc<str>) -> Self {
        Self { name, description: None, threshold: None, examples: Vec::new(), headers: None }
    }

    /// Parses `name` or `name: description`.
    ///
    /// # Errors
    /// When the name is empty or holds a control character.
    pub fn parse(line: &str) -> Result<Self> {
        text::Line::new(line).label()
    }

    fn check(&self) -> Result<()> {
        ensure!(!visible(&self.name).is_empty(), "the label has no name");
        ensure!(!self.name.chars().any(char::is_control), "the label name {:?} holds a control character", self.name);
        let is_damaged = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
        ensure!(
            !is_damaged(&self.name) && !self.description.as_deref().is_some_and(is_damaged),
            "the label {:?} holds a character that could not be read (U+FFFD); write it anew, and save the file as UTF-8",
            self.name
        );
        check_threshold(self.threshold)
    }

    /// The name as words: `card_arrival` becomes `card arrival`.
    pub fn words(&self) -> String {
        self.name.replace(['_', '-', '.', '/'], " ")
    }
}

/// The text without white space and characters without width around it.
fn visible(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c))
}

/// The text of a label file, with line feeds as line ends.
///
/// # Errors
/// When its charset is in doubt.
fn decoded(bytes: &[u8], encoding: Option<&'static Encoding>) -> Result<String> {
    let text = charset::decode_one_of_many(bytes, encoding).with_context(|| {
        // The first line that is not in UTF-8 is where a user has to look.
        let valid = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), |_| 0);
        format!("line {}", 1 + memchr::memchr_iter(b'\n', &bytes[..valid]).count())
    })?;
    ensure!(!text.contains('\0'), "this is no text; a label file has one label a line, `name: description`");
    Ok(text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n"))
}

impl TomlLabel {
    fn label(self) -> Result<Label> {
        let Self { name, description, threshold, examples, headers } = self;
        let headers = headers.map(HeaderCondition::new).transpose();
        let headers = headers.with_context(|| format!("the headers of the label {name:?}"))?;
        let label = Label { name, description, threshold, examples, headers };
        label.check()?;
        // As in the text format.
        Ok(Label { name: visible(&label.name).into(), ..label })
    }
}

/// Recognizes a file that is not a label file but was given as one. Any text would pass as a list of labels.
fn no_labels(text: &str) -> Option<&'static str> {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let is_header = |line: &str| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        matches!(&*name, "received" | "return-path" | "delivered-to" | "message-id" | "mime-version" | "x-spam-status")
    };
    let is_time = |word: &str| word.split(':').filter(|part| part.len() == 2 && part.parse::<u8>().is_ok()).count() > 1;
    if first.starts_with("From ") && first.split(' ').any(is_time) {
        return Some("is a mailbox");
    }
    let headers = || text.lines().take_while(|line| !line.trim().is_empty());
    if headers().filter(|line| is_header(line)).count() > 1 {
        return Some("is a mail");
    }
    let is_json = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok();
    if first.starts_with(['{', '[']) && (is_json(first) || is_json(text)) {
        return Some("is JSON");
    }
    let lower = first.to_ascii_lowercase();
    (lower.starts_with("<!doctype") || lower.starts_with("<html") || lower.starts_with("<?xml")).then_some("is markup")
}

fn check_threshold(threshold: Option<f32>) -> Result<()> {
    match threshold {
        // A cosine may be negative, and the set does not know the kind of score.
        Some(t) if !(-1.0..=1.0).contains(&t) => {
            bail!("the threshold {t} is not a score: 0 to 1, or -1 to 1 with --raw-scores")
        }
        _ => Ok(()),
    }
}

impl LabelSet {
    /// Reads a label file: TOML if the extension is `.toml`, otherwise CSV or text. `encoding` is the charset of a file
    /// that is not in UTF-8; `None` to tell it from the bytes.
    ///
    /// # Errors
    /// When the file is missing, unreadable or empty, its charset is in doubt, or a line is invalid or a duplicate. The
    /// message names the file and the line.
    pub fn read(path: &Path, encoding: Option<&'static Encoding>) -> Result<Self> {
        let shown = path.display();
        let bytes = platform::read_file_or_pipe(path, MAX_FILE).with_context(|| {
            format!("cannot read the label file {shown} (a file with one label a line, `name: description`)")
        })?;
        let name = path.file_stem().map_or_else(|| "labels".to_string(), |s| s.to_string_lossy().into_owned());
        let extension = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        Self::parse(name, &bytes, extension.as_deref().unwrap_or_default(), encoding).with_context(|| shown.to_string())
    }

    /// Parses the bytes of a file whose name ends in `extension` (in lower case, without a dot).
    ///
    /// # Errors
    /// As [`LabelSet::read`]; the message names the line, but not the file.
    pub fn parse(name: String, bytes: &[u8], extension: &str, encoding: Option<&'static Encoding>) -> Result<Self> {
        let text = decoded(bytes, encoding)?;
        if let Some(what) = no_labels(&text) {
            bail!("this {what}; a label file has one label a line, `name: description`");
        }
        match extension {
            "toml" => Self::from_toml(name, &text),
            "csv" | "tsv" => Self::from_csv(name, &text),
            _ if table::has_header(&text) => Self::from_csv(name, &text),
            _ => Self::from_text(name, &text),
        }
    }

    /// Parses the TOML format.
    ///
    /// # Errors
    /// As [`LabelSet::from_text`], and for an unknown key.
    pub fn from_toml(name: String, text: &str) -> Result<Self> {
        let set: TomlSet = toml::from_str(text)?;
        let mut labels = Vec::new();
        let mut lines = Vec::new();
        // Line breaks are counted from label to label: from the beginning each time would be quadratic.
        let (mut line, mut counted) = (1, 0);
        for label in set.label {
            let start = label.span().start;
            line += text.get(counted..start).unwrap_or_default().matches('\n').count();
            counted = start;
            labels.push(label.into_inner().label().with_context(|| format!("line {line}"))?);
            lines.push(line);
        }
        check_threshold(set.threshold).context("the threshold of the set")?;
        Self { name, instruct: set.instruct, threshold: set.threshold, labels }.checked(&lines)
    }

    /// The set as a TOML file. Each label gets its threshold in `thresholds`, or none.
    ///
    /// # Errors
    /// When it cannot be written as TOML.
    pub fn to_toml(&self, thresholds: &HashMap<&str, f64>) -> Result<String> {
        let written = self.labels.iter().map(|label| WrittenLabel {
            name: &label.name,
            description: label.description.as_deref(),
            threshold: thresholds.get(&*label.name).copied(),
            examples: &label.examples,
            headers: label.headers.as_ref(),
        });
        let threshold = self.threshold.map(|threshold| (f64::from(threshold) * 1e6).round() / 1e6);
        Ok(toml::to_string(&WrittenSet { instruct: self.instruct.as_deref(), threshold, label: written.collect() })?)
    }

    /// Makes a set from `--label` arguments.
    ///
    /// # Errors
    /// As [`LabelSet::from_text`], naming the argument.
    pub fn from_arguments(arguments: &[String]) -> Result<Self> {
        let numbered: Vec<(usize, &str)> = arguments.iter().map(String::as_str).enumerate().collect();
        if let Some((_, why)) = text::divided(&numbered) {
            bail!("--label: {why}");
        }
        let labels = arguments.iter().map(|argument| {
            let line = text::Line::new(argument);
            if arguments.len() == 1 {
                line.check_alone()?;
            }
            line.label()
        });
        let named =
            |(label, argument): (Result<Label>, &String)| label.with_context(|| format!("--label {argument:?}"));
        let labels = labels.zip(arguments).map(named).collect::<Result<_>>()?;
        let set = Self { name: "label".into(), instruct: None, threshold: None, labels };
        set.checked(&[]).context("--label")
    }

    /// Checks what every set must be, whoever made it: a label at least, each with a name of its own after Unicode
    /// normalisation.
    ///
    /// # Errors
    /// When it is not so.
    pub fn check(&self) -> Result<()> {
        self.labels.iter().try_for_each(Label::check)?;
        self.check_names(&[])
    }

    fn checked(self, lines: &[usize]) -> Result<Self> {
        self.check_names(lines)?;
        Ok(self)
    }

    /// `lines` are the line numbers of the labels.
    fn check_names(&self, lines: &[usize]) -> Result<()> {
        ensure!(!self.labels.is_empty(), "there is no label in it; write one label a line, `name: description`");
        let mut seen = HashMap::new();
        for (at, label) in self.labels.iter().enumerate() {
            if let Some(before) = seen.insert(label_key(&label.name), at) {
                match (lines.get(before), lines.get(at)) {
                    (Some(first), Some(second)) => bail!(
                        "line {second}: the label {:?} stands on line {first} already; every label needs its own name",
                        label.name
                    ),
                    _ => bail!("the label {:?} is given twice", label.name),
                }
            }
        }
        Ok(())
    }

    /// The threshold of label `index`: its own, else `given`, else the threshold of the set.
    pub fn threshold(&self, index: usize, given: Option<f32>) -> Option<f32> {
        self.labels.get(index).and_then(|l| l.threshold).or(given).or(self.threshold)
    }
}

#[cfg(test)]
mod tests;
