//! Bytes in, documents out. Intake never fails; what cannot be read is skipped with a reason.
//!
//! [`Source`] walks the inputs and yields raw documents in order; [`read`] turns one of them into text. `Source` does
//! all I/O; `read` is pure and runs on every core.

pub mod clean;
mod data;
mod enough;
mod files;
pub mod html;
pub mod labelled;
mod length;
pub mod lines;
pub mod mail;
pub mod mbox;
pub mod office;
mod open;
pub mod rows;
mod separator;
pub mod sniff;
mod source;
mod tables;
mod visible;
mod whole;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::charset::{self, DecodedText};
use crate::guard;
use crate::maildir;
use crate::record::{Document, Envelope, Intake, Reason, Removed, Skip};
use clean::Switches;
use sniff::SourceFormat;
use visible::Visible;

pub use enough::MIN_TEXT;
pub use files::{FileEntry, Files};
pub use source::{MAX_DOCUMENT, Options, Raw, Source, shown, unshown};
pub use tables::{RowFields, TableForm};
pub use visible::decode_html;
pub use whole::{WholeText, whole};

/// How raw documents become text.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default)]
pub struct Reading {
    /// Which cleaning steps run.
    pub switches: Switches,
    /// The least number of letters and digits in the subject and sender's name of a message whose body has no text.
    pub min_text: usize,
    /// The headers that are kept, in lower case: those that labels and rules ask for.
    #[serde(skip)]
    pub headers: BTreeSet<String>,
}

impl Default for Reading {
    fn default() -> Self {
        Self { switches: Switches::default(), min_text: MIN_TEXT, headers: BTreeSet::new() }
    }
}

/// Reads one raw document: decodes, renders and cleans it. A panic of a parser becomes a [`Skip`].
pub fn read(raw: Raw, reading: &Reading) -> Intake {
    let origin = raw.origin.clone();
    guard::catch(|| read_unguarded(raw, reading)).unwrap_or_else(|_| {
        Err(Skip { origin, envelope: Envelope::default(), attachments: Vec::new(), reason: Reason::Panicked })
    })
}

fn read_unguarded(raw: Raw, reading: &Reading) -> Intake {
    let Raw { origin, format, bytes, mut truncated } = raw;
    let mut switches = reading.switches;
    let parsed = match format {
        SourceFormat::Mail | SourceFormat::Mbox => mail::parse(&bytes, &switches, &reading.headers),
        SourceFormat::Msg => mail::outlook::read(bytes, truncated, &switches, &reading.headers),
        SourceFormat::Html | SourceFormat::Text if sniff::is_binary(&bytes) => Err(Reason::Binary),
        SourceFormat::Html => {
            let DecodedText { text, doubt } = charset::read(visible::declared_by(&bytes), &bytes);
            Ok(Visible { doubt, ..visible::Rendering::new(&switches).page(&text) }.into())
        }
        SourceFormat::Text => Ok(visible::undeclared(&bytes).into()),
        SourceFormat::Pdf | SourceFormat::Docx => office::read(format, bytes, truncated).map(|text| {
            truncated = text.truncated;
            switches = office::cleaning(&switches);
            let envelope = Envelope { subject: text.title, ..Envelope::default() };
            mail::Mail { envelope, body: text.body, ..Default::default() }
        }),
        SourceFormat::Jsonl | SourceFormat::Delimited if truncated => {
            Err(Reason::BadRow(format!("longer than {} MiB", MAX_DOCUMENT >> 20)))
        }
        SourceFormat::Jsonl => rows::mail(&bytes, &switches),
        SourceFormat::Delimited | SourceFormat::Json | SourceFormat::Workbook => rows::table_mail(&bytes, &switches),
    };
    let mail::Mail { envelope, body, attachments, mut removed, sealed, cut, place, doubt, answers } = match parsed {
        Ok(parsed) => parsed,
        Err(reason) => {
            return Err(Skip { origin, envelope: Envelope::default(), attachments: Vec::new(), reason });
        }
    };
    let cleaned = clean::clean(&body, &switches, place);
    let body = cleaned.text;
    if body.trim().is_empty() && !enough::suffices(&envelope, reading.min_text) {
        let reason = sealed.map_or(Reason::NoText, Reason::Sealed);
        return Err(Skip { origin, envelope, attachments, reason });
    }
    removed.extend(cleaned.removed.into_iter().map(|cut| Removed { step: cut.step.name(), text: cut.text }));
    Ok(Document {
        origin,
        envelope,
        body,
        attachments,
        removed,
        truncated: truncated || cut,
        doubt: doubt.map(|doubt| doubt.charsets()),
        answers,
    })
}

/// A header as one line: white space folded, control characters removed.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// Checks an input path of the command line before the run starts.
///
/// # Errors
/// If it is missing or unreadable, or a folder without files. An empty maildir is fine, because between two
/// deliveries maildirs are empty.
pub fn check(path: &Path, options: &Options) -> Result<()> {
    if open::is_stdin(path) {
        return Ok(());
    }
    let shown = path.display();
    let metadata = std::fs::metadata(path)
        .with_context(|| format!("cannot read the input {shown} (a file or folder, or `-` for standard input)"))?;
    if metadata.is_dir() {
        std::fs::read_dir(path).with_context(|| format!("cannot list the folder {shown}"))?;
        if !maildir::is_maildir(path) && Files::new(path, options.recursive).next().is_none() {
            bail!("no mail in the folder {shown}: {}", source::NO_FILE);
        }
    } else if metadata.is_file() {
        std::fs::File::open(path).with_context(|| format!("cannot read the input {shown}"))?;
    } else if matches!(
        options.format,
        Some(SourceFormat::Mbox | SourceFormat::Jsonl | SourceFormat::Delimited | SourceFormat::Json)
    ) && open::is_endless(path)
    {
        bail!("the input {shown} is a device that never ends");
    }
    Ok(())
}

/// Compiles a regular expression that is part of the program.
#[allow(clippy::expect_used, reason = "the pattern is part of the program")]
fn pattern(source: &str) -> regex::Regex {
    regex::Regex::new(source).expect("a valid pattern")
}

/// The same for a pattern over bytes.
#[allow(clippy::expect_used, reason = "the pattern is part of the program")]
fn byte_pattern(source: &str) -> regex::bytes::Regex {
    regex::bytes::Regex::new(source).expect("a valid pattern")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Origin;

    #[test]
    fn a_row_beyond_the_cap_is_said_to_be_too_long() {
        let origin = Origin { source: "x".into(), index: 0, offset: 0 };
        let raw = Raw { origin, format: SourceFormat::Jsonl, bytes: b"{\"text\":\"cut of".to_vec(), truncated: true };
        let reason = read(raw, &Reading::default()).unwrap_err().reason;
        assert_eq!(reason.to_string(), "bad row: longer than 32 MiB");
    }

    #[test]
    fn one_line_folds() {
        assert_eq!(one_line(" a\r\n\tb\u{0}c \u{1b}[31m "), "a b c [31m");
    }
}
