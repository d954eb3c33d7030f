//! Label sets: names, descriptions and thresholds of labels.
//!
//! Two file formats. Text: one label per line, `name` or `name: description`, with `#` comments and blank lines.
//! TOML (by the extension `.toml`): `instruct`, `threshold` and `[[label]]` tables.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::platform;

/// Maximum size of a label file. A longer one is a mailbox given by mistake, or a device that never ends.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// A label.
#[derive(Clone, Debug, PartialEq, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The name in the output.
    pub name: Arc<str>,
    /// What messages with this label are like, in words that such a message would use.
    pub description: Option<String>,
    /// Minimum score; takes precedence over `--threshold` and the threshold of the set.
    pub threshold: Option<f32>,
    /// Example texts.
    #[serde(default)]
    pub examples: Vec<String>,
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
    label: Vec<toml::Spanned<Label>>,
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
}

impl Label {
    /// A label without a description.
    pub fn named(name: Arc<str>) -> Self {
        Self { name, description: None, threshold: None, examples: Vec::new() }
    }

    /// Parses `name` or `name: description`.
    ///
    /// # Errors
    /// When the name is empty or holds a control character.
    pub fn parse(line: &str) -> Result<Self> {
        // The fullwidth colon is what a Chinese keyboard types.
        let (name, description) = match line.split_once([':', '：']) {
            Some((name, description)) => (name.trim(), Some(description.trim())),
            None => (line.trim(), None),
        };
        let description = description.filter(|text| !text.is_empty()).map(String::from);
        let label = Label { description, ..Self::named(name.into()) };
        label.check()?;
        Ok(label)
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.name.trim().is_empty(), "the label has no name");
        ensure!(!self.name.chars().any(char::is_control), "the label name {:?} holds a control character", self.name);
        check_threshold(self.threshold)
    }

    /// The name as words: `card_arrival` becomes `card arrival`.
    pub fn words(&self) -> String {
        self.name.replace(['_', '-', '.', '/'], " ")
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
    /// Reads a label file: TOML if the extension is `.toml`, text otherwise.
    ///
    /// # Errors
    /// When the file is missing, unreadable, not UTF-8 or empty, or a line is invalid or a duplicate. The message names
    /// the file and the line.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let bytes = platform::read_file_or_pipe(path, MAX_FILE).with_context(|| {
            format!("cannot read the label file {shown} (a file with one label a line, `name: description`)")
        })?;
        ensure!(!bytes.contains(&0), "{shown} is no text in UTF-8; a label file has one label a line");
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
            Err(error) => {
                let line = 1 + memchr::memchr_iter(b'\n', &bytes[..error.valid_up_to()]).count();
                bail!("{shown}: line {line} is not UTF-8; save the label file as UTF-8");
            }
        };
        if let Some(what) = no_labels(text) {
            bail!("{shown} {what}; a label file has one label a line, `name: description`");
        }
        let name = path.file_stem().map_or_else(|| "labels".to_string(), |s| s.to_string_lossy().into_owned());
        let is_toml = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"));
        let parsed = if is_toml { Self::from_toml(name, text) } else { Self::from_text(name, text) };
        parsed.with_context(|| shown.to_string())
    }

    /// Parses the text format.
    ///
    /// # Errors
    /// When a line is invalid, a name occurs twice (the message names the lines), or there is no label.
    pub fn from_text(name: String, text: &str) -> Result<Self> {
        let mut labels = Vec::new();
        let mut lines = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            ensure!(!line.starts_with("[["), "line {}: this looks like TOML; let the file's name end in .toml", at + 1);
            labels.push(Label::parse(line).with_context(|| format!("line {}", at + 1))?);
            lines.push(at + 1);
        }
        Self { name, instruct: None, threshold: None, labels }.checked(&lines)
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
            label.get_ref().check().with_context(|| format!("line {line}"))?;
            let mut label = label.into_inner();
            // As in the text format.
            label.name = label.name.trim().into();
            labels.push(label);
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
        });
        let threshold = self.threshold.map(|threshold| (f64::from(threshold) * 1e6).round() / 1e6);
        Ok(toml::to_string(&WrittenSet { instruct: self.instruct.as_deref(), threshold, label: written.collect() })?)
    }

    /// Makes a set from `--label` arguments.
    ///
    /// # Errors
    /// As [`LabelSet::from_text`], naming the argument.
    pub fn from_arguments(arguments: &[String]) -> Result<Self> {
        let mut labels = Vec::new();
        for argument in arguments {
            labels.push(Label::parse(argument).with_context(|| format!("--label {argument:?}"))?);
        }
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
            if let Some(before) = seen.insert(label.name.nfc().collect::<String>(), at) {
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
