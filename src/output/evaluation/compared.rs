//! Two reports side by side, and the mails whose label changed.

use std::io::{self, Write};

use anyhow::{Result, bail};
use serde::Serialize;

use super::lines::{NONE, Table};
use super::{ReportFormat, html, json, markdown, share, text};

/// So many mails are named, but in JSON, where all are.
const NAMED: usize = 100;

/// Two evaluations and what changed between them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// `mailsort-comparison`.
    pub format: String,
    /// The version of this form.
    pub version: u32,
    /// The one that was there before.
    pub old: Side,
    /// The other.
    pub new: Side,
    /// Samples that are in both. The figures of each side are over all of its own.
    pub matched: u64,
    /// Samples that are right before and wrong now.
    pub lost: u64,
    /// Samples that are wrong before and right now.
    pub won: u64,
    /// How likely such a difference is by chance alone, by McNemar's test.
    pub p: f64,
    /// The F1 of each label, before and now; `null` where one of both has not the label.
    pub labels: Vec<(String, Option<f64>, Option<f64>)>,
    /// Matched samples whose label changed.
    pub changed: Vec<Changed>,
}

/// One of two evaluations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// The file's name.
    pub name: String,
    /// The model's.
    pub model: String,
    /// The label set's.
    pub label_set: String,
    /// How many samples it has.
    pub samples: u64,
    /// Samples that the other has not.
    pub alone: u64,
    /// The share that is right.
    pub accuracy: f64,
    /// The mean F1 of the labels.
    pub macro_f1: f64,
    /// The same, weighted.
    pub weighted_f1: f64,
    /// The expected calibration error.
    pub ece: f64,
}

/// A mail whose label changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Changed {
    /// Where the document stands now.
    pub source: String,
    /// Its position there.
    pub index: u64,
    /// Its id, if it has one.
    pub id: Option<String>,
    /// The true labels now.
    pub truth: Vec<String>,
    /// The label before.
    pub old: Option<String>,
    /// The label now.
    pub new: Option<String>,
    /// Whether that is better, worse, or neither.
    pub verdict: &'static str,
}

impl Compared {
    /// What stands at the top of every comparison of this version.
    pub fn head() -> (String, u32) {
        ("mailsort-comparison".into(), 1)
    }

    /// Writes the comparison.
    ///
    /// # Errors
    /// When the output cannot be written, or the form has no place for a comparison.
    pub fn write(&self, format: ReportFormat, mut out: impl Write) -> io::Result<()> {
        match format {
            ReportFormat::Json => json(self, &mut out)?,
            ReportFormat::Text => out.write_all(text::compared(self).as_bytes())?,
            ReportFormat::Markdown => out.write_all(markdown::compared(self).as_bytes())?,
            ReportFormat::Html => out.write_all(html::compared(self).as_bytes())?,
            ReportFormat::Junit => return Err(io::Error::other("a comparison has no bars, so no tests")),
        }
        out.flush()
    }

    /// Refuses forms without a place for a comparison.
    ///
    /// # Errors
    /// When this is one.
    pub fn check(format: ReportFormat) -> Result<()> {
        if format == ReportFormat::Junit {
            bail!(
                "--format junit has no meaning with --compare, which asks for nothing that could fail; --baseline does"
            );
        }
        Ok(())
    }

    /// What changed, in a sentence or two.
    pub(super) fn summary(&self) -> String {
        let alone = match (self.old.alone, self.new.alone) {
            (0, 0) => String::new(),
            (old, new) => format!(" Only the old one has {old} more, only the new one {new}."),
        };
        format!(
            "{} samples are in both: {} are right now that were wrong, {} are wrong that were right (p = {:.4}, McNemar's \
             test); {} labels changed.{alone}",
            self.matched,
            self.won,
            self.lost,
            self.p,
            self.changed.len()
        )
    }

    /// The tables below it.
    pub(super) fn tables(&self) -> Vec<Table> {
        vec![self.figures(), self.by_label(), self.by_mail()]
    }

    fn figures(&self) -> Table {
        let (old, new) = (&self.old, &self.new);
        let figures = [
            ("accuracy", old.accuracy, new.accuracy),
            ("macro F1", old.macro_f1, new.macro_f1),
            ("weighted F1", old.weighted_f1, new.weighted_f1),
            ("ECE", old.ece, new.ece),
        ];
        let row = |(name, old, new): (&str, f64, f64)| {
            vec![name.to_string(), share(old), share(new), format!("{:+.4}", new - old)]
        };
        let samples = vec!["samples".into(), old.samples.to_string(), new.samples.to_string(), String::new()];
        let rows = figures.into_iter().map(row).chain([samples]).collect();
        Table { title: "Figures", head: vec!["", "old", "new", "change"], texts: 1, rows, more: None }
    }

    fn by_label(&self) -> Table {
        let differs = self.labels.iter().filter(|(_, old, new)| old != new);
        let figure = |f1: &Option<f64>| f1.map_or("–".into(), share);
        let change = |old: &Option<f64>, new: &Option<f64>| {
            old.zip(*new).map_or(String::new(), |(old, new)| format!("{:+.4}", new - old))
        };
        let row = |(label, old, new): &(String, Option<f64>, Option<f64>)| {
            vec![label.clone(), figure(old), figure(new), change(old, new)]
        };
        let rows = differs.map(row).collect();
        Table { title: "F1 of labels", head: vec!["label", "old", "new", "change"], texts: 1, rows, more: None }
    }

    fn by_mail(&self) -> Table {
        let name = |label: &Option<String>| label.clone().unwrap_or(NONE.into());
        let row = |changed: &Changed| {
            let place = format!("{} [{}]", changed.source, changed.index);
            vec![place, name(&changed.old), name(&changed.new), changed.truth.join(", "), changed.verdict.to_string()]
        };
        let left = self.changed.len().saturating_sub(NAMED);
        Table {
            title: "Mails whose label changed",
            head: vec!["mail", "old", "new", "true", ""],
            texts: 5,
            rows: self.changed.iter().take(NAMED).map(row).collect(),
            more: (left > 0).then(|| format!("{left} more, which --format json names")),
        }
    }
}
