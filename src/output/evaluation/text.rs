//! A report as plain text for a terminal.

use super::lines::{self, Section};
use super::{Evaluated, compared::Compared};
use crate::output::table::fit::fit;
use crate::terminal::escape;

/// Maximum width of a cell, in columns.
const WIDEST: usize = 40;

/// The report as text.
pub(super) fn report(report: &Evaluated) -> String {
    let mut text =
        format!("{} samples, {}, labels {}\n\n", report.samples, escape(&report.model), escape(&report.label_set));
    if let Some(note) = lines::note(report) {
        text.push_str(&format!("{note}\n\n"));
    }
    for [name, figure, note] in lines::figures(report) {
        text.push_str(&format!("{name:<12} {figure:>7}  {note}\n"));
    }
    text.push_str(&table(&lines::labels(report)));
    for part in [lines::confused(report), lines::reliability(report), lines::abstention(report)] {
        text.push_str(&table(&part));
    }
    if let Some((title, snippet)) = lines::target(report) {
        let snippet: String = snippet.lines().map(|line| escape(line) + "\n").collect();
        text.push_str(&format!("\n{title}, for a label file\n\n{snippet}"));
    }
    text.extend(lines::timing(&report.timing).map(|timing| format!("\nSpeed: {timing}\n")));
    text.push_str(&table(&lines::bars(report)));
    text
}

/// A comparison as text.
pub(super) fn compared(compared: &Compared) -> String {
    let mut text = String::new();
    for (name, side) in ["old", "new"].iter().zip([&compared.old, &compared.new]) {
        text.push_str(&format!(
            "{name}: {}, {}, labels {}\n",
            escape(&side.name),
            escape(&side.model),
            escape(&side.label_set)
        ));
    }
    text.push_str(&format!("\n{}\n", compared.summary()));
    for part in compared.tables() {
        text.push_str(&table(&part));
    }
    text
}

/// A table with a blank line and its title above it. Empty without rows.
fn table(section: &Section) -> String {
    if section.rows.is_empty() {
        return String::new();
    }
    let cell = |text: &str| fit(text, WIDEST);
    let rows: Vec<Vec<_>> = section.rows.iter().map(|row| row.iter().map(|text| cell(text)).collect()).collect();
    let head: Vec<_> = section.head.iter().map(|name| cell(name)).collect();
    let widest = |at: usize| rows.iter().chain([&head]).map(|row| row[at].width).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(widest).collect();
    let mut text = format!("\n{}\n\n", section.title);
    for row in [&head].into_iter().chain(&rows) {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let blanks = " ".repeat(width - cell.width);
            let (before, behind) = if at < section.texts { ("", &*blanks) } else { (&*blanks, "") };
            line.push_str(&format!("{}{before}{}{behind}", if at == 0 { "" } else { "  " }, cell.text));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if let Some(more) = &section.more {
        text.push_str(&format!("… {more}\n"));
    }
    text
}
