//! The columns that CSV and TSV share: their names, their cells, and what keeps a spreadsheet from running them.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::Value;

use super::{Layout, decimals};
use crate::record::{Ranking, Verdict};

/// One cell of a row.
pub(super) enum Cell<'a> {
    /// Foreign or chosen text, which may look like anything.
    Text(Cow<'a, str>),
    /// A number. A minus in front of it is no formula.
    Number(String),
    /// A number in a cell of text: as harmless, and kept as it stands.
    Figure(&'a str),
}

impl<'a> Cell<'a> {
    const EMPTY: Self = Self::Text(Cow::Borrowed(""));

    fn text(text: Option<&'a str>) -> Self {
        Self::Text(Cow::Borrowed(text.unwrap_or_default()))
    }

    /// What stands in a table that was read.
    fn own(value: Option<&'a Value>) -> Self {
        match value {
            None | Some(Value::Null) => Self::EMPTY,
            Some(Value::String(text)) if is_figure(text) => Self::Figure(text),
            Some(Value::String(text)) => Self::text(Some(text)),
            Some(Value::Number(number)) => Self::Number(number.to_string()),
            Some(other) => Self::Text(other.to_string().into()),
        }
    }
}

/// A number with its sign, such as `-12.50`, `+3` or `-1.234,5 %`.
fn is_figure(text: &str) -> bool {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    rest.starts_with(|c: char| c.is_ascii_digit())
        && rest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b' ' | b'%'))
}

/// The names of the columns. One set's bear no prefix; of several, each bears the set's name. Columns of a table that
/// was read come first, and of ours those that have the name of one of these are called `mailsort_…`.
pub(super) fn names(layout: &Layout) -> Vec<String> {
    let taken: HashSet<&str> = layout.columns.iter().map(String::as_str).collect();
    let free = |mut name: String| {
        while taken.contains(&*name) {
            name.insert_str(0, "mailsort_");
        }
        name
    };
    layout.columns.iter().cloned().chain(our_names(layout).into_iter().map(free)).collect()
}

fn our_names(layout: &Layout) -> Vec<String> {
    let mut names: Vec<String> = ["source", "index"].map(String::from).to_vec();
    // A table that was read has its own.
    if layout.columns.is_empty() {
        names.extend(["id", "subject"].map(String::from));
    }
    let prefixes: Vec<String> = match layout.sets.as_slice() {
        [_] => vec![String::new()],
        sets => sets.iter().map(|set| format!("{}_", set.name)).collect(),
    };
    names.extend(prefixes.iter().flat_map(|p| [format!("{p}label"), format!("{p}score")]));
    names.push("error".into());
    for prefix in &prefixes {
        names.extend((1..=layout.top_k).flat_map(|n| [format!("{prefix}label_{n}"), format!("{prefix}score_{n}")]));
    }
    names
}

/// The cells of one row, one for each name.
pub(super) fn cells<'a>(verdict: &'a Verdict, layout: &Layout) -> Vec<Cell<'a>> {
    let rankings: &[Ranking] = verdict.outcome.as_ref().map_or(&[], |outcome| &outcome.rankings);
    let sets = 0..layout.sets.len();
    let mut row = own_cells(&verdict.envelope.row, &layout.columns);
    row.push(Cell::text(Some(&verdict.origin.source)));
    row.push(Cell::Number(verdict.origin.index.to_string()));
    if layout.columns.is_empty() {
        row.push(Cell::text(verdict.envelope.id.as_deref()));
        row.push(Cell::text(verdict.envelope.subject.as_deref()));
    }
    for at in sets.clone() {
        let ranking = rankings.get(at);
        row.push(Cell::text(ranking.and_then(|ranking| ranking.label.as_deref())));
        row.push(ranking.map_or(Cell::EMPTY, |ranking| Cell::Number(decimals(ranking.score))));
    }
    let error = verdict.outcome.as_ref().err();
    row.push(error.map_or(Cell::EMPTY, |reason| Cell::Text(reason.to_string().into())));
    for at in sets {
        let top = rankings.get(at).map_or(&[][..], |ranking| &ranking.top);
        for place in 0..layout.top_k {
            match top.get(place) {
                Some((label, score)) => row.extend([Cell::text(Some(label)), Cell::Number(decimals(*score))]),
                None => row.extend([Cell::EMPTY, Cell::EMPTY]),
            }
        }
    }
    row
}

/// The cells of a row that was read, under the columns of the first table.
fn own_cells<'a>(row: &'a [(String, Value)], columns: &[String]) -> Vec<Cell<'a>> {
    let cell = |(at, column): (usize, &String)| {
        let here = row.get(at).filter(|(name, _)| name == column);
        Cell::own(here.or_else(|| row.iter().find(|(name, _)| name == column)).map(|(_, value)| value))
    };
    columns.iter().enumerate().map(cell).collect()
}

/// Keeps a spreadsheet from running a cell as a formula: one that begins like a formula gets an apostrophe, which
/// spreadsheets take as "this is text". Foreign subjects are the way in (OWASP, "CSV Injection").
pub(crate) fn neutral(cell: Cow<'_, str>) -> Cow<'_, str> {
    let risky = |c: char| matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠');
    // Standard input is called `-`, which no program runs.
    if cell == "-" {
        return cell;
    }
    // Blanks in front are dropped by some programs before they look.
    if cell.trim_start().starts_with(risky) || cell.starts_with(risky) { format!("'{cell}").into() } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::SetLayout;

    #[test]
    fn formulas_are_neutralised() {
        let check = |cell: &str, expected: &str| assert_eq!(neutral(cell.into()), expected);
        check("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0");
        check("  +1", "'  +1");
        check("＝1", "'＝1");
        check("-5 % today", "'-5 % today");
        check("Re: x=1", "Re: x=1");
        check("", "");
    }

    #[test]
    fn figures_of_a_table_stay_as_they_are() {
        let check = |text: &str, expected| assert_eq!(is_figure(text), expected, "{text}");
        for figure in ["-12.50", "+3", "007", "-1.234,5 %"] {
            check(figure, true);
        }
        for formula in ["-1+2", "=1", "-cmd", "+", "", "-1\t2"] {
            check(formula, false);
        }
    }

    #[test]
    fn columns() {
        let layout = |sets: &[&str]| Layout {
            sets: sets.iter().map(|name| SetLayout { name: name.to_string(), labels: Vec::new() }).collect(),
            top_k: 2,
            model: "m".into(),
            columns: Vec::new(),
        };
        assert_eq!(
            names(&layout(&["mail"])).join(","),
            "source,index,id,subject,label,score,error,label_1,score_1,label_2,score_2"
        );
        let table = Layout { columns: ["id", "label", "mailsort_label"].map(String::from).into(), ..layout(&["mail"]) };
        assert_eq!(
            names(&table).join(","),
            "id,label,mailsort_label,source,index,mailsort_mailsort_label,score,error,label_1,score_1,label_2,score_2"
        );
        assert!(names(&layout(&["a", "b"])).join(",").contains("a_label,a_score,b_label,b_score,error,a_label_1"));
    }
}
