//! Comma-separated values with a header row, safe to open in a spreadsheet.

use std::borrow::Cow;
use std::io::{self, Write};

use super::{Layout, Records, decimals};
use crate::record::{Ranking, Verdict};

/// Writes CSV.
pub struct CsvRecords<W: Write> {
    out: ::csv::Writer<W>,
    layout: Layout,
}

impl<W: Write> CsvRecords<W> {
    /// Writes to `out`, the header row first.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn new(out: W, layout: Layout) -> io::Result<Self> {
        let mut out = ::csv::Writer::from_writer(out);
        out.write_record(header(&layout)).map_err(io_error)?;
        Ok(Self { out, layout })
    }
}

/// The error underneath, of which the kind matters: a closed pipe is no failure.
fn io_error(error: ::csv::Error) -> io::Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// One set's columns bear no prefix; of several, each bears the set's name.
fn header(layout: &Layout) -> Vec<String> {
    let mut names: Vec<String> = ["source", "index", "id", "subject"].map(String::from).to_vec();
    let prefixes: Vec<String> = match layout.sets.as_slice() {
        [_] => vec![String::new()],
        sets => sets.iter().map(|set| format!("{set}_")).collect(),
    };
    names.extend(prefixes.iter().flat_map(|p| [format!("{p}label"), format!("{p}score")]));
    names.push("error".into());
    for prefix in &prefixes {
        names.extend((1..=layout.top_k).flat_map(|n| [format!("{prefix}label_{n}"), format!("{prefix}score_{n}")]));
    }
    names.iter().map(|name| neutral(name).into_owned()).collect()
}

/// Keeps a spreadsheet from running a cell as a formula: one that begins like a formula gets an apostrophe, which
/// spreadsheets take as "this is text". Foreign subjects are the way in (OWASP, "CSV Injection").
fn neutral(cell: &str) -> Cow<'_, str> {
    let risky = |c: char| matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠');
    // Standard input is called `-`, which no program runs.
    if cell == "-" {
        return Cow::Borrowed(cell);
    }
    // Blanks in front are dropped by some programs before they look.
    if cell.trim_start().starts_with(risky) || cell.starts_with(risky) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

impl<W: Write> Records for CsvRecords<W> {
    fn write(&mut self, verdict: &Verdict) -> io::Result<()> {
        let rankings: &[Ranking] = verdict.outcome.as_ref().map_or(&[], |outcome| &outcome.rankings);
        let sets = 0..self.layout.sets.len();
        let mut row: Vec<Cow<'_, str>> = vec![
            neutral(&verdict.origin.source),
            verdict.origin.index.to_string().into(),
            neutral(verdict.envelope.id.as_deref().unwrap_or_default()),
            neutral(verdict.envelope.subject.as_deref().unwrap_or_default()),
        ];
        for at in sets.clone() {
            let ranking = rankings.get(at);
            row.push(neutral(ranking.and_then(|r| r.label.as_deref()).unwrap_or_default()));
            row.push(ranking.map_or(Cow::Borrowed(""), |r| decimals(r.score).into()));
        }
        row.push(
            verdict
                .outcome
                .as_ref()
                .err()
                .map_or(Cow::Borrowed(""), |reason| neutral(&reason.to_string()).into_owned().into()),
        );
        for at in sets {
            let top = rankings.get(at).map_or(&[][..], |ranking| &ranking.top);
            for place in 0..self.layout.top_k {
                match top.get(place) {
                    Some((label, score)) => row.extend([neutral(label), decimals(*score).into()]),
                    None => row.extend([Cow::Borrowed(""), Cow::Borrowed("")]),
                }
            }
        }
        self.out.write_record(row.iter().map(|cell| cell.as_bytes())).map_err(io_error)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_neutralised() {
        let check = |cell: &str, expected: &str| assert_eq!(neutral(cell), expected);
        check("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0");
        check("  +1", "'  +1");
        check("＝1", "'＝1");
        check("-5 % today", "'-5 % today");
        check("Re: x=1", "Re: x=1");
        check("", "");
    }

    #[test]
    fn columns() {
        let layout = |sets: &[&str]| Layout {
            sets: sets.iter().map(ToString::to_string).collect(),
            top_k: 2,
            model: "m".into(),
        };
        assert_eq!(
            header(&layout(&["mail"])).join(","),
            "source,index,id,subject,label,score,error,label_1,score_1,label_2,score_2"
        );
        assert!(header(&layout(&["a", "b"])).join(",").contains("a_label,a_score,b_label,b_score,error,a_label_1"));
    }
}
