//! What a model would see of each document: as JSON Lines, or to read.

use std::io::{self, Write};

use serde::Serialize;

use super::TextFormat;
use super::jsonl::OwnCells;
use crate::record::{Document, Envelope, Intake, Skip};
use crate::terminal;

/// Writes texts.
pub struct Texts<W> {
    out: W,
    format: TextFormat,
    removed: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    source: &'a str,
    index: u64,
    id: Option<&'a str>,
    from: Option<&'a str>,
    subject: Option<&'a str>,
    body: Option<&'a str>,
    attachments: &'a [String],
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<OwnCells<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<Vec<Cut<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct Cut<'a> {
    step: &'a str,
    text: &'a str,
}

impl<W: Write> Texts<W> {
    /// Writes to `out`; with `removed`, also what was cut.
    pub fn new(out: W, format: TextFormat, removed: bool) -> Self {
        Self { out, format, removed }
    }

    /// Writes what is seen of one document, or why nothing is.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn write(&mut self, document: &Intake) -> io::Result<()> {
        match self.format {
            TextFormat::Jsonl => {
                serde_json::to_writer(&mut self.out, &shown(document, self.removed))?;
                self.out.write_all(b"\n")
            }
            TextFormat::Text => self.write_text(document),
        }
    }

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn write_text(&mut self, document: &Intake) -> io::Result<()> {
        let origin = match document {
            Ok(Document { origin, .. }) | Err(Skip { origin, .. }) => origin,
        };
        writeln!(self.out, "==> {} [{}]", terminal::escape(&origin.source), origin.index)?;
        match document {
            Err(skip) => {
                self.write_headers(&skip.envelope, &skip.attachments)?;
                writeln!(self.out, "error: {}", terminal::escape(&skip.reason.to_string()))?;
            }
            Ok(document) => self.write_document(document)?,
        }
        writeln!(self.out)
    }

    fn write_headers(&mut self, envelope: &Envelope, attachments: &[String]) -> io::Result<()> {
        let headers = [("Subject", &envelope.subject), ("From", &envelope.from)];
        for (name, value) in headers {
            if let Some(value) = value {
                writeln!(self.out, "{name}: {}", terminal::escape(value))?;
            }
        }
        for name in attachments {
            writeln!(self.out, "Attached: {}", terminal::escape(name))?;
        }
        Ok(())
    }

    fn write_document(&mut self, document: &Document) -> io::Result<()> {
        self.write_headers(&document.envelope, &document.attachments)?;
        write!(self.out, "\n{}", body(&document.body))?;
        if !self.removed {
            return Ok(());
        }
        for cut in &document.removed {
            writeln!(self.out, "\n--- cut: {}", cut.step)?;
            for line in body(&cut.text).lines() {
                writeln!(self.out, "- {line}")?;
            }
        }
        Ok(())
    }
}

/// A document as its line of JSON shows it.
fn shown<'a>(document: &'a Intake, removed: bool) -> Shown<'a> {
    let (origin, envelope) = match document {
        Ok(document) => (&document.origin, &document.envelope),
        Err(skip) => (&skip.origin, &skip.envelope),
    };
    let read = document.as_ref().ok();
    let cuts = |read: &'a Document| read.removed.iter().map(|cut| Cut { step: cut.step, text: &cut.text }).collect();
    Shown {
        source: &origin.source,
        index: origin.index,
        id: envelope.id.as_deref(),
        from: envelope.from.as_deref(),
        subject: envelope.subject.as_deref(),
        body: read.map(|read| read.body.as_str()),
        attachments: document.as_ref().map_or_else(|skip| &skip.attachments, |read| &read.attachments),
        truncated: read.is_some_and(|read| read.truncated),
        row: OwnCells::of(envelope),
        removed: removed.then(|| read.map_or_else(Vec::new, cuts)),
        error: document.as_ref().err().map(|skip| skip.reason.to_string()),
    }
}

/// The text, with line breaks and tabs as they are.
fn body(text: &str) -> String {
    let lines = text.trim_matches(['\r', '\n']).lines();
    lines.map(|line| line.split('\t').map(terminal::escape).collect::<Vec<_>>().join("\t") + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Origin, Reason, Removed};

    fn written(format: TextFormat, removed: bool, document: &Intake) -> String {
        let mut out = Vec::new();
        Texts::new(&mut out, format, removed).write(document).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn document() -> Document {
        let origin = Origin { source: "a.eml".into(), index: 0, offset: 0 };
        let envelope = Envelope { subject: Some("s\u{1b}[2J".into()), from: Some("Ann".into()), ..Envelope::default() };
        let removed = vec![Removed { step: "quotes", text: "> a\n> b\n".into() }];
        let attachments = vec!["x.pdf".to_string()];
        Document {
            origin,
            envelope,
            body: "hi\n".into(),
            attachments,
            removed,
            truncated: false,
            doubt: None,
            answers: false,
        }
    }

    #[test]
    fn json_lines() {
        let shown = Ok(document());
        let all = "{\"source\":\"a.eml\",\"index\":0,\"id\":null,\"from\":\"Ann\",\"subject\":\"s\\u001b[2J\",\"body\":\"hi\\n\",\
                   \"attachments\":[\"x.pdf\"],\"truncated\":false,\"removed\":[{\"step\":\"quotes\",\"text\":\"> a\\n> b\\n\"}]}\n";
        assert_eq!(written(TextFormat::Jsonl, true, &shown), all);
        let Document { origin, envelope, .. } = document();
        let skip = Err(Skip { origin, envelope, attachments: Vec::new(), reason: Reason::NoText });
        let line = written(TextFormat::Jsonl, false, &skip);
        assert!(
            line.ends_with("\"body\":null,\"attachments\":[],\"truncated\":false,\"error\":\"no text\"}\n"),
            "{line}"
        );
    }

    #[test]
    fn text() {
        let expected = "==> a.eml [0]\nSubject: s\\u{1b}[2J\nFrom: Ann\nAttached: x.pdf\n\nhi\n\n--- cut: quotes\n- > a\n- > b\n\n";
        assert_eq!(written(TextFormat::Text, true, &Ok(document())), expected);
    }
}
