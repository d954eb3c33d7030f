//! Comparison of two reports, with the messages whose label changed.

use std::io::{self, Write};

use anyhow::{Result, bail};
use serde::Serialize;

use super::lines::{NONE, Section};
use super::{ReportFormat, html, json, markdown, share, text};

/// Number of messages that are named. JSON names all.
const NAMED: usize = 100;

/// Comparison of two evaluations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// `mailsort-comparison`.
    pub format: String,
    /// Version of the format.
    pub version: u32,
    /// The first evaluation.
    pub old: Side,
    /// The second evaluation.
    pub new: Side,
    /// Number of samples in both. The metrics of each side are over all of its own samples.
    pub matched: u64,
    /// Matched samples that were right and are wrong now.
    pub lost: u64,
    /// Matched samples that were wrong and are right now.
    pub won: u64,
    /// Two-sided p-value of McNemar's test.
    pub p: f64,
    /// F1 of each label, old and new; `null` where a side lacks the label.
    pub labels: Vec<(String, Option<f64>, Option<f64>)>,
    /// Matched samples whose label changed.
    pub changed: Vec<Changed>,
}

/// One of two evaluations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// Name of the file.
    pub name: String,
    /// Name of the model.
    pub model: String,
    /// Name of the label set.
    pub label_set: String,
    /// Number of samples.
    pub samples: u64,
    /// Samples that the other side lacks.
    pub alone: u64,
    /// Share of samples that are right.
    pub accuracy: f64,
    /// Unweighted mean F1 of the labels.
    pub macro_f1: f64,
    /// Mean F1, weighted by support.
    pub weighted_f1: f64,
    /// The expected calibration error.
    pub ece: f64,
}

/// A message whose label changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Changed {
    /// File or mailbox of the document, in the new report.
    pub source: String,
    /// Its index there.
    pub index: u64,
    /// Its id, if it has one.
    pub id: Option<String>,
    /// True labels, in the new report.
    pub truth: Vec<String>,
    /// Old label.
    pub old: Option<String>,
    /// New label.
    pub new: Option<String>,
    /// Whether the change is better, worse or neither.
    pub verdict: &'static str,
}

impl Compared {
    /// `format` and `version` of a comparison.
    pub fn head() -> (String, u32) {
        ("mailsort-comparison".into(), 1)
    }

    /// Writes the comparison.
    ///
    /// # Errors
    /// When the output cannot be written, or the format has no comparisons.
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

    /// Refuses formats without comparisons.
    ///
    /// # Errors
    /// For JUnit, which has tests only.
    pub fn check(format: ReportFormat) -> Result<()> {
        if format == ReportFormat::Junit {
            bail!(
                "--format junit has no meaning with --compare, which asks for nothing that could fail; --baseline does"
            );
        }
        Ok(())
    }

    /// The changes in a sentence or two.
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

    /// The tables below the summary.
    pub(super) fn tables(&self) -> Vec<Section> {
        vec![self.figures(), self.by_label(), self.by_mail()]
    }

    fn figures(&self) -> Section {
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
        Section { title: "Figures", head: vec!["", "old", "new", "change"], texts: 1, rows, more: None }
    }

    fn by_label(&self) -> Section {
        let differs = self.labels.iter().filter(|(_, old, new)| old != new);
        let figure = |f1: &Option<f64>| f1.map_or("–".into(), share);
        let change = |old: &Option<f64>, new: &Option<f64>| {
            old.zip(*new).map_or(String::new(), |(old, new)| format!("{:+.4}", new - old))
        };
        let row = |(label, old, new): &(String, Option<f64>, Option<f64>)| {
            vec![label.clone(), figure(old), figure(new), change(old, new)]
        };
        let rows = differs.map(row).collect();
        Section { title: "F1 of labels", head: vec!["label", "old", "new", "change"], texts: 1, rows, more: None }
    }

    fn by_mail(&self) -> Section {
        let name = |label: &Option<String>| label.clone().unwrap_or(NONE.into());
        let row = |changed: &Changed| {
            let place = format!("{} [{}]", changed.source, changed.index);
            vec![place, name(&changed.old), name(&changed.new), changed.truth.join(", "), changed.verdict.to_string()]
        };
        let left = self.changed.len().saturating_sub(NAMED);
        Section {
            title: "Mails whose label changed",
            head: vec!["mail", "old", "new", "true", ""],
            texts: 5,
            rows: self.changed.iter().take(NAMED).map(row).collect(),
            more: (left > 0).then(|| format!("{left} more, which --format json names")),
        }
    }
}
