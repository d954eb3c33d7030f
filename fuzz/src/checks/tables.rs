//! Tables of any kind, forced upon any bytes.

use std::collections::HashSet;

use mailsort::charset;
use mailsort::intake::sniff::SourceFormat;
use mailsort::intake::{self, Options, Raw, Reading, RowFields, Source};
use mailsort::record::{Reason, Skip};

/// Any bytes: told by themselves, and read as each kind of table; and what is quoted is read back.
pub fn tables(bytes: &[u8]) {
    for format in [None, Some(SourceFormat::Delimited), Some(SourceFormat::Json), Some(SourceFormat::Workbook)] {
        for encoding in [None, charset::named("utf-8"), charset::named("gbk"), charset::named("utf-16")] {
            rows(bytes, &Options { format, encoding, ..Options::default() });
        }
    }
    is_read_back(bytes);
}

/// The rows come in order, each is a document or says why not, and none is lost by being read.
fn rows(bytes: &[u8], options: &Options) {
    let mut offset = 0;
    for (index, row) in Source::of_bytes("-".as_ref(), bytes.to_vec(), options.clone()).enumerate() {
        let (origin, envelope) = match &row {
            Ok(raw) => (&raw.origin, None),
            Err(skip) => (&skip.origin, Some(&skip.envelope)),
        };
        assert_eq!((&*origin.source, origin.index), ("-", index as u64));
        if row.is_ok() {
            assert!(origin.offset >= offset, "offset {} behind {offset}", origin.offset);
            offset = origin.offset;
        }
        if let (Err(Skip { reason, .. }), Some(envelope)) = (&row, envelope) {
            assert!(matches!(reason, Reason::BadRow(_) | Reason::Unreadable(_) | Reason::Binary), "{reason:?}");
            are_distinct(&envelope.row, options);
        }
        let Ok(raw) = row else { continue };
        let is_row = raw.format == SourceFormat::Delimited;
        match intake::read(raw, &Reading::default()) {
            Ok(document) => {
                assert!(!document.text().trim().is_empty(), "a document without text");
                are_distinct(&document.envelope.row, options);
            }
            Err(skip) => {
                assert_ne!(skip.reason, Reason::Panicked);
                assert!(!is_row || !matches!(skip.reason, Reason::BadRow(_)), "our own row is bad: {:?}", skip.reason);
            }
        }
    }
}

/// The columns of a table with a header have names of their own.
fn are_distinct(row: &[(String, serde_json::Value)], options: &Options) {
    if options.format == Some(SourceFormat::Delimited) {
        let names: HashSet<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), row.len(), "two columns of one name");
    }
}

/// Cells that are quoted as they should be come back as they were, whatever stands in them.
fn is_read_back(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).replace(char::REPLACEMENT_CHARACTER, "");
    let cells: Vec<&str> = text.split('\u{1}').take(64).collect();
    let mut table = String::from("id;text\r\n");
    for (at, cell) in cells.iter().enumerate() {
        table.push_str(&format!("{at};\"{}\"\r\n", cell.replace('"', "\"\"")));
    }
    let options = Options {
        format: Some(SourceFormat::Delimited),
        encoding: charset::named("utf-8"),
        fields: RowFields { text: vec!["id".into()], ..RowFields::default() },
        ..Options::default()
    };
    let found: Vec<Raw> = Source::of_bytes("-".as_ref(), table.into_bytes(), options)
        .map(|row| row.unwrap_or_else(|skip| panic!("no row: {skip:?}")))
        .collect();
    assert_eq!(found.len(), cells.len(), "rows were lost or made");
    for (raw, cell) in found.into_iter().zip(cells) {
        let document = intake::read(raw, &Reading::default());
        let row = match &document {
            Ok(document) => &document.envelope.row,
            Err(skip) => &skip.envelope.row,
        };
        assert_eq!(row.get(1).and_then(|(_, value)| value.as_str()), Some(cell));
    }
}
