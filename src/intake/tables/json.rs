//! JSON values one after another: those of an array, or objects that follow each other.

use std::fmt;
use std::io::{self, Read};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::TableRow;
use crate::charset::BYTE_ORDER_MARK;
use crate::intake::lines::Lines;
use crate::intake::rows;
use crate::intake::source::MAX_DOCUMENT;

/// The values of a stream of JSON.
pub(in crate::intake) struct JsonValues<R> {
    stream: Lines<R>,
    /// The bracket of the array was read.
    in_array: bool,
    began: bool,
    ended: bool,
    /// The first row, where it was looked at before it is read.
    first: Option<TableRow>,
}

/// The cells of an object, in their order.
pub(in crate::intake) struct ObjectCells(pub(in crate::intake) Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for ObjectCells {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Cells;
        impl<'de> Visitor<'de> for Cells {
            type Value = ObjectCells;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ObjectCells, A::Error> {
                let mut cells: Vec<(String, Value)> = Vec::new();
                while let Some(cell) = map.next_entry()? {
                    cells.push(cell);
                }
                Ok(ObjectCells(cells))
            }
        }
        deserializer.deserialize_map(Cells)
    }
}

/// The scan of one value: how deep in brackets it is, and whether inside a string.
#[derive(Default)]
struct ValueScan {
    at: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
    bare: bool,
}

impl ValueScan {
    /// Reads on in `bytes`; the length of the value once it has ended.
    fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(&byte) = bytes.get(self.at) {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' if self.depth > 0 => self.depth -= 1,
                    b',' | b']' | b'}' if self.depth == 0 => return Some(self.at),
                    _ if byte.is_ascii_whitespace() && self.depth == 0 => return Some(self.at),
                    _ => self.bare |= self.depth == 0,
                }
            }
            self.at += 1;
            if self.depth == 0 && !self.in_string && !self.bare {
                return Some(self.at);
            }
        }
        None
    }
}

impl<R: Read> JsonValues<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream: Lines::new(stream), in_array: false, began: false, ended: false, first: None }
    }

    /// The next value as a row; `None` at the end.
    pub(super) fn next_row(&mut self) -> io::Result<Option<TableRow>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        if self.ended {
            return Ok(None);
        }
        if !self.began && self.stream.ahead(BYTE_ORDER_MARK.len())?.0.starts_with(BYTE_ORDER_MARK) {
            self.stream.consume(BYTE_ORDER_MARK.len());
        }
        let Some(first) = self.skip_blanks()? else {
            self.ended = true;
            let torn = self.in_array.then(|| self.bad("the array has no end: is the file cut off?"));
            return Ok(torn);
        };
        if !self.began {
            self.began = true;
            if first == b'[' {
                self.in_array = true;
                self.stream.consume(1);
                return self.next_row();
            }
        }
        if first == b']' && self.in_array {
            self.stream.consume(1);
            self.ended = true;
            let behind = self.skip_blanks()?.map(|_| self.bad("there is more behind the end of the array"));
            return Ok(behind);
        }
        self.value().map(Some)
    }

    /// The names in the first row, which is the next one to be read.
    pub(super) fn first_names(&mut self) -> io::Result<Vec<String>> {
        self.first = self.next_row()?;
        let cells = self.first.iter().flat_map(|row| &row.cells);
        Ok(cells.map(|(name, _)| name.clone()).collect())
    }

    /// Passes blanks and the commas of the array; the byte behind them.
    fn skip_blanks(&mut self) -> io::Result<Option<u8>> {
        loop {
            let (bytes, _) = self.stream.ahead(1)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == b',';
            let blank = bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(bytes.len());
            let found = bytes.get(blank).copied();
            self.stream.consume(blank);
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    fn value(&mut self) -> io::Result<TableRow> {
        let offset = self.stream.offset();
        let (mut scan, mut wanted) = (ValueScan::default(), 1);
        loop {
            let (bytes, ended) = self.stream.ahead(wanted)?;
            let length = scan.advance(bytes).or(ended.then_some(bytes.len()));
            if let Some(length) = length {
                let read = serde_json::from_slice::<ObjectCells>(&bytes[..length]);
                let row = match read {
                    Ok(ObjectCells(cells)) => TableRow { offset, cells, bad: None },
                    Err(error) => TableRow { offset, cells: Vec::new(), bad: Some(rows::message(&error)) },
                };
                // A bracket that closes nothing is passed by, so that the next value begins behind it.
                self.stream.consume(length.max(1));
                return Ok(row);
            }
            if bytes.len() > MAX_DOCUMENT {
                let longest = MAX_DOCUMENT >> 20;
                return Err(io::Error::other(format!("a row is longer than {longest} MiB; is a bracket left open?")));
            }
            wanted = bytes.len() + 1;
        }
    }

    fn bad(&self, why: &str) -> TableRow {
        TableRow { offset: self.stream.offset(), cells: Vec::new(), bad: Some(why.into()) }
    }
}

/// True for the beginning of an array of objects.
pub(in crate::intake) fn starts_array(start: &[u8]) -> bool {
    let mut signs = start.iter().filter(|byte| !byte.is_ascii_whitespace());
    [b'[', b'{', b'"'].iter().all(|sign| signs.next() == Some(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: &[Result<&str, &str>]) {
        let mut values = JsonValues::new(json.as_bytes());
        let mut found = Vec::new();
        while let Some(row) = values.next_row().unwrap() {
            let cells: Vec<String> = row.cells.iter().map(|(name, value)| format!("{name}={value}")).collect();
            found.push(row.bad.map_or_else(|| Ok(cells.join(" ")), Err));
        }
        let expected: Vec<_> = expected.iter().map(|row| row.map(String::from).map_err(String::from)).collect();
        assert_eq!(found, expected, "{json}");
    }

    #[test]
    fn values_of_arrays_and_streams() {
        check("[]", &[]);
        check(" [\n {\"b\":1,\"a\":\"]}\\\"{\"} , {\"c\":[{}]}\n]\n", &[Ok("b=1 a=\"]}\\\"{\""), Ok("c=[{}]")]);
        check("{\"a\":1}{\"a\":2}\n{\"a\":3}", &[Ok("a=1"), Ok("a=2"), Ok("a=3")]);
        check("", &[]);
        check("\u{feff}[{\"a\":1}]", &[Ok("a=1")]);
    }

    #[test]
    fn what_is_no_row_is_named_and_the_next_is_read() {
        let no_object = Err("invalid type: integer `1`, expected an object");
        check("[1, {\"a\":1}]", &[no_object, Ok("a=1")]);
        check("[{\"a\" 1}, {\"a\":1}]", &[Err("no JSON at column 6"), Ok("a=1")]);
        check(
            "[{\"a\":1}, {\"a\":",
            &[Ok("a=1"), Err("no JSON at column 5"), Err("the array has no end: is the file cut off?")],
        );
        check("[{\"a\":1}] {}", &[Ok("a=1"), Err("there is more behind the end of the array")]);
        check("}}", &[Err("no JSON at column 0"), Err("no JSON at column 0")]);
    }

    #[test]
    fn arrays_by_their_beginning() {
        assert!(starts_array(b" [ {\n\"a\": 1"));
        assert!(!starts_array(b"[x]") && !starts_array(b"[{a}]") && !starts_array(b"["));
    }
}
