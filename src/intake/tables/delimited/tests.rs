//! Tables of text: delimiters, quotation marks, and rows that are damaged.

use std::io::BufReader;
use std::sync::Arc;

use super::*;
use crate::intake::tables::RowFields;

fn opened(text: &str, fields: RowFields) -> io::Result<Delimited> {
    let stream: InputStream = BufReader::new(Box::new(io::Cursor::new(text.as_bytes().to_vec())));
    let check: CheckNames = Arc::new(move |names: &[&str]| fields.choose(names).map(drop));
    Delimited::open(stream, &check)
}

/// The rows of a table: cells with `|` between them, or why there are none.
fn rows(text: &str) -> Vec<Result<String, String>> {
    let mut table = opened(text, RowFields::default()).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = table.next_row().unwrap() {
        let cells: Vec<&str> = row.cells.iter().map(|(_, value)| value.as_str().unwrap_or("null")).collect();
        rows.push(row.bad.map_or_else(|| Ok(cells.join("|")), Err));
    }
    rows
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let found: Vec<String> =
        rows(text).into_iter().map(|row| row.unwrap_or_else(|why| format!("error: {why}"))).collect();
    assert_eq!(found, expected, "{text:?}");
}

#[test]
fn delimiters_and_line_ends() {
    for delimiter in [',', ';', '\t', '|'] {
        for end in ["\n", "\r\n", "\r"] {
            let text = format!("id{delimiter}text{end}1{delimiter}\"a{delimiter}b\"{end}{end}2{delimiter}c");
            assert_eq!(rows(&text), [Ok(format!("1|a{delimiter}b")), Ok("2|c".to_string())], "{text:?}");
        }
    }
    check("sep=;\r\nid;text\r\n1;a,b\r\n", &["1|a,b"]);
    check("text\nonly a column, with commas\n", &["only a column, with commas"]);
    check("a;b,text\n1;2,3\n", &["1;2|3"]);
}

#[test]
fn quoted_cells() {
    check("id,text\n1,\"Please pay\nthe \"\"invoice\"\"\"\n2,x\n", &["1|Please pay\nthe \"invoice\"", "2|x"]);
    check("id,text\n1,a 5\" pipe\n2,\"b\" c\n", &["1|a 5\" pipe", "2|b c"]);
    check("id,text\n1,\"\"\n", &["1|"]);
}

#[test]
fn ragged_rows_are_kept_or_named() {
    check("id,text,x\n1,a\n2,b,,,\n", &["1|a|null", "2|b|"]);
    check("id,text\n1,a,b\n2,c\n", &["error: line 2 has 3 cells, and the first row names 2 columns", "2|c"]);
}

#[test]
fn a_mark_that_is_left_open_damages_one_line() {
    let open = |line: u32| format!("error: a quotation mark of line {line} is not closed, or not as a cell ends");
    check("id,text\n1,\"a\n2,b\n3,c\n", &[&open(2), "2|b", "3|c"]);
    check("id,text\n1,\"5 pipe\n2,b\n3,\"c d\"\n4,e\n", &[&open(2), "2|b", "3|c d", "4|e"]);
    // The next mark ends the cell by accident, and rows would be lost inside.
    check(
        "id,text\n1,\"a\n2,b\n3,c\",\n4,d\n",
        &[&open(2), "2|b", "error: line 4 has 3 cells, and the first row names 2 columns", "4|d"]
            .map(|row| if row.starts_with("error: line 4") { "3|c\"|" } else { row })
            .map(|row| row.trim_end_matches('|')),
    );
}

#[test]
fn open_marks_take_linear_time() {
    for line in ["\"x\n", "\"\"\"\n", "a,\"\n", "\",\"\n", "a,\"\"x\n", "\"\n\n"] {
        let start = std::time::Instant::now();
        let text = format!("id,text\n\"{}", line.repeat(100_000));
        assert!(!rows(&text).is_empty());
        assert!(start.elapsed().as_secs() < 10, "{line:?} took {:?}", start.elapsed());
    }
}

#[test]
fn a_table_without_texts_is_refused_with_its_columns() {
    let refused = |text: &str| opened(text, RowFields::default()).err().unwrap().to_string();
    let error = refused("1,Please pay\n2,meet\n");
    assert!(error.contains("--text-field") && error.contains("\"1\", \"Please pay\""), "{error}");
    assert!(opened("", RowFields::default()).unwrap().next_row().unwrap().is_none());
    check("id,text\n", &[]);
    let named = RowFields { text: vec!["frage".into()], ..RowFields::default() };
    assert_eq!(opened("", RowFields::default()).unwrap().delimiter(), b',');
    assert_eq!(opened("nr;Frage\n1;wann?\n", named).unwrap().delimiter(), b';');
}

#[test]
fn tables_by_their_first_rows() {
    let is = |text: &str, expected| assert_eq!(likeness(text.as_bytes(), true), expected, "{text:?}");
    is("Message, urgent\nHello, Bob\nplease pay the bill\n", Likeness::No);
    is("| Content | Owner |\n|---|---|\n| x | y |\n", Likeness::No);
    is("id,text\n1,a\n", Likeness::Yes);
    is("Subject\tBody\r\na\t\"b\nc\"\r\n", Likeness::Yes);
    is("text,label\n", Likeness::No);
    is("id,text\n1,a,b\n", Likeness::No);
    is("Dear Ann, text me.\nYours, Bob\n", Likeness::No);
    is("id,name\n1,a\n", Likeness::No);
    is("text\na\n", Likeness::No);
    assert_eq!(likeness(b"id,text\n1,\"a\n", false), Likeness::Unsure);
    assert_eq!(likeness(b"id,te", false), Likeness::Unsure);
}
