//! Bytes in, documents out. This room never fails: what cannot be read is skipped with a reason.
//!
//! [`Source`] walks the inputs and yields raw documents in order; [`read`] turns one of them into text. The first
//! does all the input and output, the second is pure and runs on every core.

pub mod charset;
pub mod clean;
mod files;
mod guard;
pub mod html;
pub mod lines;
pub mod mail;
pub mod maildir;
pub mod mbox;
pub mod office;
mod open;
mod pattern;
pub mod rows;
pub mod sniff;
mod source;

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::record::{Document, Envelope, Intake, Reason, Skip};
use clean::Switches;
use sniff::Format;

pub use files::{Files, Found};
pub use source::{MAX_DOCUMENT, Options, Raw, Source};

/// Reads one raw document: decodes, renders and cleans it. A panic of a parser becomes a [`Skip`].
pub fn read(raw: Raw, switches: &Switches) -> Intake {
    let origin = raw.origin.clone();
    guard::catch(|| read_unguarded(raw, *switches)).unwrap_or(Err(Skip {
        origin,
        envelope: Envelope::default(),
        reason: Reason::Panicked,
    }))
}

fn read_unguarded(raw: Raw, mut switches: Switches) -> Intake {
    let Raw { origin, format, bytes, mut truncated } = raw;
    let parsed = match format {
        Format::Mail | Format::Mbox => mail::parse(&bytes, &switches),
        Format::Html | Format::Text if sniff::is_binary(&bytes) => Err(Reason::Binary),
        Format::Html => Ok(mail::Mail { body: html_body(&bytes, &switches), ..Default::default() }),
        Format::Text => Ok(mail::Mail { body: charset::decode(&bytes), ..Default::default() }),
        Format::Pdf | Format::Docx => office::read(format, bytes, truncated).map(|text| {
            truncated = text.truncated;
            switches = office::cleaning(&switches);
            let envelope = Envelope { subject: text.title, ..Envelope::default() };
            mail::Mail { envelope, body: text.body, ..Default::default() }
        }),
        Format::Jsonl if truncated => Err(Reason::BadRow(format!("longer than {} MiB", MAX_DOCUMENT >> 20))),
        Format::Jsonl => {
            rows::parse(&bytes).map(|(envelope, body)| mail::Mail { envelope, body, ..Default::default() })
        }
    };
    let mail::Mail { envelope, body, attachments } = match parsed {
        Ok(parsed) => parsed,
        Err(reason) => return Err(Skip { origin, envelope: Envelope::default(), reason }),
    };
    let body = clean::clean(&body, &switches).text;
    if body.trim().is_empty() && envelope.subject.is_none() {
        return Err(Skip { origin, envelope, reason: Reason::NoText });
    }
    Ok(Document { origin, envelope, body, attachments, truncated })
}

fn html_body(bytes: &[u8], switches: &Switches) -> String {
    html::to_text(&charset::decode_html(bytes), switches.quotes).text
}

/// A header as one line: white space folded, control characters gone.
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

/// Checks an input path of the command line before the run begins.
///
/// # Errors
/// When it is missing or unreadable, or a folder that holds no file. An empty maildir is fine: that is what a
/// maildir is between two deliveries.
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
            bail!("no mail in the folder {shown}: it holds no file that is not hidden");
        }
    } else if metadata.is_file() {
        std::fs::File::open(path).with_context(|| format!("cannot read the input {shown}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Origin;

    #[test]
    fn a_row_beyond_the_cap_is_said_to_be_too_long() {
        let origin = Origin { source: "x".into(), index: 0, offset: 0 };
        let raw = Raw { origin, format: Format::Jsonl, bytes: b"{\"text\":\"cut of".to_vec(), truncated: true };
        let reason = read(raw, &Switches::default()).unwrap_err().reason;
        assert_eq!(reason.to_string(), "bad row: longer than 32 MiB");
    }

    #[test]
    fn one_line_folds() {
        assert_eq!(one_line(" a\r\n\tb\u{0}c \u{1b}[31m "), "a b c [31m");
    }
}
