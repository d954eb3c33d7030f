//! What would be done with mails, as a table for people or as JSON Lines.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::value::RawValue;

use super::table::Page;
use super::table::fit::fit;
use super::{Color, Sink, decimals, number};

/// The columns of the table before the last two, with their widths.
const COLUMNS: [(&str, usize); 4] = [("mail", 24), ("label", 16), ("score", 6), ("action", 9)];

/// Two blanks between columns.
const GAP: usize = 2;

/// The narrowest column of those that share what is left.
const NARROWEST: usize = 12;

/// What would be done with one mail.
#[derive(Clone, Debug, Default)]
pub struct PlannedMessage<'p> {
    /// Where it is.
    pub source: &'p str,
    /// Which of its source.
    pub index: u64,
    /// Its Message-ID.
    pub id: Option<&'p str>,
    /// Its subject.
    pub subject: Option<&'p str>,
    /// The label by which it was decided.
    pub label: Option<&'p str>,
    /// The set of that label, where there are several.
    pub set: Option<&'p str>,
    /// The label's score.
    pub score: Option<f32>,
    /// What would be done.
    pub action: &'p str,
    /// The folder that it would go to, as people call it.
    pub folder: Option<&'p str>,
    /// The maildir that this is.
    pub destination: Option<&'p str>,
    /// Why it has no verdict.
    pub error: Option<&'p str>,
}

#[derive(Serialize)]
struct Line<'p> {
    source: &'p str,
    index: u64,
    id: Option<&'p str>,
    subject: Option<&'p str>,
    label: Option<&'p str>,
    score: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<&'p str>,
    action: &'p str,
    folder: Option<&'p str>,
    destination: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'p str>,
}

/// Writes plans.
pub struct Plans {
    out: Sink,
    /// The width of the page; none for JSON Lines.
    width: Option<usize>,
    has_begun: bool,
}

impl Plans {
    /// Writes to standard output.
    pub fn new(is_table: bool) -> Self {
        let out = Sink::standard_output();
        let width = is_table.then(|| Page::new(out.is_terminal(), Color::Never).width);
        Self { out, width, has_begun: false }
    }

    /// Writes one.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn write(&mut self, plan: &PlannedMessage<'_>) -> io::Result<()> {
        let Some(width) = self.width else {
            let PlannedMessage { source, index, id, subject, label, set, action, folder, destination, error, .. } =
                *plan;
            let score = plan.score.map(number).transpose()?;
            let line = Line { source, index, id, subject, label, score, set, action, folder, destination, error };
            serde_json::to_writer(&mut self.out, &line)?;
            return self.out.write_all(b"\n");
        };
        if !std::mem::replace(&mut self.has_begun, true) {
            let head = COLUMNS.map(|(name, _)| name);
            self.row(width, &head.map(String::from), "folder", "subject")?;
        }
        let name = plan.source.rsplit('/').next().unwrap_or_default();
        let index = format!("[{}]", plan.index);
        let room = COLUMNS[0].1.saturating_sub(index.len());
        let score = plan.score.map(decimals).unwrap_or_default();
        let cells = [fit(name, room).text + &index, plan.label.unwrap_or("–").into(), score, plan.action.into()];
        let error = plan.error.map(|error| format!("error: {error}"));
        let last = error.as_deref().or(plan.subject).unwrap_or_default();
        self.row(width, &cells, plan.folder.unwrap_or_default(), last)
    }

    fn row(&mut self, width: usize, cells: &[String], folder: &str, subject: &str) -> io::Result<()> {
        let mut line = String::new();
        let mut cell = |text: &str, width: usize| {
            let fitted = fit(text, width);
            line.push_str(&fitted.text);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(fitted.width) + GAP));
        };
        for (text, (_, width)) in cells.iter().zip(COLUMNS) {
            cell(text, width);
        }
        let taken: usize = COLUMNS.iter().map(|(_, width)| width + GAP).sum();
        let left = width.saturating_sub(taken + GAP);
        let half = (left / 2).max(NARROWEST);
        // The end of a name says more than its beginning.
        let fitted = if fit(folder, usize::MAX).width > half { tail(folder, half) } else { folder.into() };
        cell(&fitted, half);
        cell(subject, left.saturating_sub(half));
        writeln!(self.out, "{}", line.trim_end())
    }

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn finish(self) -> io::Result<()> {
        self.out.finish()
    }
}

/// The end of a path in at most `width` columns.
fn tail(path: &str, width: usize) -> String {
    let starts = path.char_indices().map(|(at, _)| at).skip(1);
    let mut tails = starts.map(|at| format!("…{}", &path[at..]));
    tails.find(|tail| fit(tail, usize::MAX).width <= width).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_keep_their_end() {
        assert_eq!(tail("/home/me/Maildir/.Money", 8), "…/.Money");
        assert_eq!(tail("/日本語", 5), "…本語");
        assert_eq!(tail("abc", 0), "");
    }
}
