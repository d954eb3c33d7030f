//! JSON values one after another: those of an array, or objects that follow each other.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::io::{self, Read};

use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{MAX_COLUMNS, TableRow};
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
    /// Rows that were looked at before they are read.
    waiting: VecDeque<io::Result<TableRow>>,
}

/// How many objects, and how many bytes of them, are looked at for the names of columns: a field may be missing in the
/// first ones.
const LOOKED_AT: usize = 100;
const LOOKED_AT_BYTES: u64 = 4 << 20;

/// More digits than a number holds exactly.
const MANY_DIGITS: usize = 16;

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
                while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
                    cells.push((name, exact(raw).map_err(A::Error::custom)?));
                }
                Ok(ObjectCells(cells))
            }
        }
        deserializer.deserialize_map(Cells)
    }
}

/// The value, which is text where it is a number with more digits than a number keeps, such as long ids are.
pub(in crate::intake) fn exact(raw: &RawValue) -> serde_json::Result<Value> {
    let value: Value = serde_json::from_str(raw.get())?;
    let text = raw.get();
    let is_whole = || text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let is_rounded = matches!(&value, Value::Number(number) if text.len() >= MANY_DIGITS && is_whole() && number.to_string() != text);
    Ok(if is_rounded { Value::String(text.into()) } else { value })
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
        Self { stream: Lines::new(stream), in_array: false, began: false, ended: false, waiting: VecDeque::new() }
    }

    /// The next value as a row; `None` at the end.
    pub(super) fn next_row(&mut self) -> io::Result<Option<TableRow>> {
        match self.waiting.pop_front() {
            Some(row) => row.map(Some),
            None => self.read_row(),
        }
    }

    fn read_row(&mut self) -> io::Result<Option<TableRow>> {
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
                return self.read_row();
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

    /// The names in the first rows, in the order in which they come up. These rows are the next ones to be read.
    pub(super) fn first_names(&mut self) -> Vec<String> {
        let (mut names, mut seen) = (Vec::new(), HashSet::new());
        while self.waiting.len() < LOOKED_AT && self.stream.offset() < LOOKED_AT_BYTES && names.len() < MAX_COLUMNS {
            let Some(row) = self.read_row().transpose() else { break };
            let cells = row.iter().flat_map(|row| &row.cells);
            names.extend(cells.map(|(name, _)| name).filter(|name| seen.insert(String::clone(name))).cloned());
            let is_last = row.is_err();
            self.waiting.push_back(row);
            if is_last {
                break;
            }
        }
        names
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
                    Err(error) => {
                        TableRow { offset, cells: Vec::new(), bad: Some(rows::no_json(&bytes[..length], &error)) }
                    }
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
        let mut wide = JsonValues::new(&b"[{\"text\":\"\xb8\xba\xc3\xe6\"}]"[..]);
        assert!(wide.next_row().unwrap().unwrap().bad.unwrap().contains("--encoding"));
        check("}}", &[Err("no JSON at column 0"), Err("no JSON at column 0")]);
    }

    #[test]
    fn digits_are_kept() {
        check(
            "{\"id\":12345678901234567890123,\"n\":[1],\"p\":1.50}",
            &[Ok("id=\"12345678901234567890123\" n=[1] p=1.5")],
        );
        check("{\"id\":18446744073709551615,\"x\":-1e3}", &[Ok("id=18446744073709551615 x=-1000.0")]);
    }

    #[test]
    fn columns_are_those_of_many_rows() {
        let mut values = JsonValues::new(&b"[{\"a\":1},{\"b\":2,\"a\":3},[],{\"c\":4}]"[..]);
        assert_eq!(values.first_names(), ["a", "b", "c"]);
        let rows: Vec<usize> = std::iter::from_fn(|| values.next_row().unwrap()).map(|row| row.cells.len()).collect();
        assert_eq!(rows, [1, 2, 0, 1]);
    }

    #[test]
    fn arrays_by_their_beginning() {
        assert!(starts_array(b" [ {\n\"a\": 1"));
        assert!(!starts_array(b"[x]") && !starts_array(b"[{a}]") && !starts_array(b"["));
    }
}
