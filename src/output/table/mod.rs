//! A table for people: one line a document, as wide as the page and never wider. The subject stands last, so that where
//! a terminal disagrees about the width of foreign writing, nothing behind it is moved.

pub(super) mod fit;
mod grid;

use std::io::{self, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use terminal_size::{Width, terminal_size};

use self::fit::{Fitted, fit};
use self::grid::{BAR, Grid, SCORE};
use super::{Color, Format, Layout, Records, decimals};
use crate::record::{Origin, Outcome, Verdict};

const HEAD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const PLAIN: Style = Style::new();
const LABEL: Style = AnsiColor::Cyan.on_default();
const ERROR: Style = AnsiColor::Red.on_default();

/// Stands where a threshold left no label.
const NO_LABEL: &str = "–";

/// Width in columns where it is unknown.
const WIDTH: usize = 100;

/// The width of the terminal, and whether it has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// In columns.
    pub(super) width: usize,
    /// True to use colours.
    pub(super) color: bool,
}

impl Page {
    /// Measures the terminal. If the output is not a terminal, COLUMNS gives the width.
    pub(super) fn new(is_terminal: bool, color: Color) -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let measured = terminal_size().filter(|_| is_terminal).map(|(Width(width), _)| width.into());
        let told = || set("COLUMNS").and_then(|columns| columns.parse().ok());
        // https://no-color.org: any value of NO_COLOR that is not empty.
        let plain = || set("NO_COLOR").is_some() || set("TERM").as_deref() == Some("dumb");
        Self {
            width: measured.or_else(told).filter(|&width| width > 0).unwrap_or(WIDTH),
            color: match color {
                Color::Auto => is_terminal && !plain(),
                Color::Always => true,
                Color::Never => false,
            },
        }
    }
}

/// For people.
pub(super) static FORMAT: Format = Format {
    name: "table",
    help: "For people: one line a document, as wide as the terminal",
    extensions: &[],
    has_columns: false,
    record_key: None,
    check: None,
    records: |form, out, layout| {
        let page = Page::new(out.is_terminal(), form.color);
        Ok(Box::new(TableRecords::new(out, &layout, page)?))
    },
};

/// Writes a table.
struct TableRecords<W> {
    out: W,
    grid: Grid,
    page: Page,
}

/// One line being put together, cell by cell.
struct Line {
    page: Page,
    text: String,
    /// Columns that are taken.
    width: usize,
    /// Blanks to write before the next text; those at the end of a line are never written.
    blanks: usize,
}

impl Line {
    fn new(page: Page) -> Self {
        Self { page, text: String::new(), width: 0, blanks: 0 }
    }

    /// Adds a cell of `width` columns and the gap behind it.
    fn cell(&mut self, cell: &Fitted, style: Style, width: usize, gap: usize) {
        let before = self.blanks;
        let behind = width.saturating_sub(cell.width) + gap;
        // Below some 20 columns not even the narrowest table has room.
        let room = self.page.width.saturating_sub(self.width + before);
        if cell.width == 0 || room == 0 {
            self.blanks += behind;
            return;
        }
        self.blanks = behind;
        let cut = fit(&cell.text, room.min(cell.width));
        self.text.extend(std::iter::repeat_n(' ', before));
        self.width += before + cut.width;
        if self.page.color && style != PLAIN {
            self.text.push_str(&format!("{style}{}{style:#}", cut.text));
        } else {
            self.text.push_str(&cut.text);
        }
    }

    /// The same with the blanks in front of the text.
    fn right(&mut self, cell: &Fitted, style: Style, width: usize, gap: usize) {
        self.blanks += width.saturating_sub(cell.width);
        self.cell(cell, style, cell.width, gap);
    }
}

impl<W: Write> TableRecords<W> {
    /// Writes to `out`, the names of the columns first.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(super) fn new(out: W, layout: &Layout, page: Page) -> io::Result<Self> {
        let mut records = Self { out, grid: Grid::new(layout, page.width), page };
        let mut line = Line::new(page);
        let grid = &records.grid;
        line.cell(&fit("mail", grid.mail), HEAD, grid.mail, grid.gap);
        for (set, &width) in layout.sets.iter().zip(&grid.labels) {
            let name = if layout.sets.len() == 1 { "label" } else { &set.name };
            line.cell(&fit(name, width), HEAD, width, grid.gap);
            line.right(&fit("score", SCORE), HEAD, SCORE, grid.gap);
        }
        if grid.bar {
            line.cell(&Fitted::default(), PLAIN, BAR, grid.gap);
        }
        if let Some(width) = grid.next {
            line.cell(&fit("next", width), HEAD, width, grid.gap);
            line.right(&fit("score", SCORE), HEAD, SCORE, grid.gap);
        }
        let hidden = layout.sets.len() - grid.labels.len();
        if let Some(width) = grid.subject {
            let note = match hidden {
                0 => "subject".to_string(),
                _ => format!("subject (no room for {hidden} of {} sets)", layout.sets.len()),
            };
            line.cell(&fit(&note, width), HEAD, width, 0);
        }
        writeln!(records.out, "{}", line.text)?;
        Ok(records)
    }

    fn verdict(&self, line: &mut Line, outcome: &Outcome) {
        let grid = &self.grid;
        for (ranking, &width) in outcome.rankings.iter().zip(&grid.labels) {
            let (label, style) = match ranking.label.as_deref() {
                Some(label) => (label, LABEL),
                None => (NO_LABEL, DIM),
            };
            line.cell(&fit(label, width), style, width, grid.gap);
            line.right(&fit(&decimals(ranking.score), SCORE), PLAIN, SCORE, grid.gap);
        }
        let Some(ranking) = outcome.rankings.first() else {
            return;
        };
        if grid.bar {
            line.cell(&fit(&bar(ranking.score), BAR), LABEL, BAR, grid.gap);
        }
        if let Some(width) = grid.next {
            // Where no label was given, the best one comes next.
            let next = ranking.top.get(usize::from(ranking.label.is_some()));
            let (label, score) = next.map_or(("", String::new()), |(label, score)| (label, decimals(*score)));
            line.cell(&fit(label, width), DIM, width, grid.gap);
            line.right(&fit(&score, SCORE), DIM, SCORE, grid.gap);
        }
    }
}

/// The last part of the path and the index behind it, which stays whole.
fn mail(origin: &Origin, width: usize) -> Fitted {
    let source = Path::new(&*origin.source);
    let name = source.file_name().map_or(origin.source.as_ref().into(), |name| name.to_string_lossy());
    let index = fit(&format!("[{}]", origin.index), width);
    let mut mail = fit(&name, width - index.width);
    mail.text.push_str(&index.text);
    mail.width += index.width;
    mail
}

/// A bar as long as the score, in eighths of a cell; none for a cosine below 0.
fn bar(score: f32) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (score.clamp(0.0, 1.0) * (8 * BAR) as f32).round() as usize;
    "█".repeat(eighths / 8) + PARTS[eighths % 8]
}

impl<W: Write> Records for TableRecords<W> {
    fn write(&mut self, verdict: &Verdict) -> io::Result<()> {
        let mut line = Line::new(self.page);
        let grid = &self.grid;
        line.cell(&mail(&verdict.origin, grid.mail), DIM, grid.mail, grid.gap);
        let subject = verdict.envelope.subject.as_deref().unwrap_or_default();
        match &verdict.outcome {
            Ok(outcome) => self.verdict(&mut line, outcome),
            Err(reason) => {
                // What cannot be read has no subject, and leaves its room to the reason.
                let room = grid.subject.filter(|_| subject.is_empty()).map_or(0, |width| grid.gap + width);
                let width = grid.verdict() + room;
                line.cell(&fit(&format!("error: {reason}"), width), ERROR, width, grid.gap);
            }
        }
        if let Some(width) = grid.subject {
            line.cell(&fit(subject, width), PLAIN, width, 0);
        }
        writeln!(self.out, "{}", line.text)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
