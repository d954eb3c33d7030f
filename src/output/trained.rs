//! What `train` has learned, as a table for people.

use std::io::{self, Write};

use super::Sink;
use super::table::fit::fit;
use crate::terminal::escape;

/// A longer label is cut.
const WIDEST: usize = 40;

/// The table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Lines above it.
    pub head: Vec<String>,
    /// The names of the columns behind that of the labels, and how wide they are at least.
    pub columns: Vec<(&'static str, usize)>,
    /// One for each label.
    pub lines: Vec<LabelLine>,
    /// True label, given label, how often; the most frequent first.
    pub confused: Vec<(String, String, u64)>,
    /// The line below it.
    pub foot: String,
}

/// One label.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelLine {
    /// Its name.
    pub label: String,
    /// One for each column.
    pub cells: Vec<String>,
}

impl Table {
    /// Writes it.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn write(&self, out: &mut Sink) -> io::Result<()> {
        for line in &self.head {
            writeln!(out, "{}", escape(line))?;
        }
        let widest = self.lines.iter().map(|line| fit(&line.label, WIDEST).width).max().unwrap_or(0).max("label".len());
        let columns = || self.columns.iter().map(|(name, least)| (name, (*least).max(name.len())));
        let names: String = columns().map(|(name, width)| format!("  {name:>width$}")).collect();
        writeln!(out, "\n{}{names}", padded("label", widest))?;
        for LabelLine { label, cells } in &self.lines {
            let cells: String =
                cells.iter().zip(columns()).map(|(cell, (_, width))| format!("  {cell:>width$}")).collect();
            writeln!(out, "{}{cells}", padded(label, widest))?;
        }
        if !self.confused.is_empty() {
            writeln!(out, "\nmost confused")?;
            let widest = |which: fn(&(String, String, u64)) -> &String| {
                self.confused.iter().map(|pair| fit(which(pair), WIDEST).width).max().unwrap_or(0)
            };
            let (truths, given) = (widest(|pair| &pair.0), widest(|pair| &pair.1));
            for (truth, label, count) in &self.confused {
                writeln!(out, "  {} taken for {}  {count}", padded(truth, truths), padded(label, given))?;
            }
        }
        writeln!(out, "\n{}", escape(&self.foot))
    }
}

fn padded(text: &str, width: usize) -> String {
    let fitted = fit(text, WIDEST);
    format!("{}{}", fitted.text, " ".repeat(width.saturating_sub(fitted.width)))
}
