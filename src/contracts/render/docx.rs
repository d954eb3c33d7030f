//! A DOCX with tracked changes: accepting all of them gives the new text, rejecting all of them the old one.
//!
//! It is a document of its own and no edit of either input, so nothing of theirs can be damaged.

use std::io::{Cursor, Write};

use anyhow::Result;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// What becomes of a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stands in both.
    Kept,
    /// Only in the old text.
    Deleted,
    /// Only in the new text.
    Inserted,
    /// It stood here, and stands elsewhere in the new text, under the same number.
    MovedFrom(usize),
    /// It stands here now.
    MovedTo(usize),
}

/// A piece of text, which may hold line breaks: they end paragraphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TrackedPiece<'t> {
    pub(super) fate: Fate,
    pub(super) text: &'t str,
}

const CONTENT_TYPES: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\
<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
<Override PartName=\"/word/document.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml\"/>\
</Types>";
const RELATIONSHIPS: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\
<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
<Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" \
Target=\"word/document.xml\"/></Relationships>";
const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\
<w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body>";

/// Of all changes. A date would make two runs differ.
const AUTHOR: &str = " w:author=\"mailsort\"";

/// The bytes of a DOCX.
///
/// # Errors
/// When the archive cannot be written.
pub(super) fn tracked(pieces: &[TrackedPiece<'_>]) -> Result<Vec<u8>> {
    let mut body = Body { xml: HEAD.to_string(), paragraph: String::new(), next_id: 1 };
    for piece in pieces {
        body.add(piece);
    }
    body.end_paragraph(Fate::Kept);
    body.xml.push_str("</w:body></w:document>");
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let parts =
        [("[Content_Types].xml", CONTENT_TYPES), ("_rels/.rels", RELATIONSHIPS), ("word/document.xml", &body.xml)];
    for (name, text) in parts {
        archive.start_file(name, SimpleFileOptions::default())?;
        archive.write_all(text.as_bytes())?;
    }
    Ok(archive.finish()?.into_inner())
}

/// The XML so far.
struct Body {
    xml: String,
    /// The runs of the paragraph that is open.
    paragraph: String,
    /// Each change has a number of its own.
    next_id: usize,
}

impl Body {
    fn add(&mut self, piece: &TrackedPiece<'_>) {
        let range = match piece.fate {
            Fate::MovedFrom(number) => Some(("moveFromRange", number)),
            Fate::MovedTo(number) => Some(("moveToRange", number)),
            _ => None,
        };
        let id = self.next_id;
        if let Some((name, number)) = range {
            self.next_id += 1;
            self.paragraph.push_str(&format!("<w:{name}Start w:id=\"{id}\" w:name=\"move{number}\"{AUTHOR}/>"));
        }
        for (at, line) in piece.text.split('\n').enumerate() {
            if at > 0 {
                self.end_paragraph(piece.fate);
            }
            self.run(line.trim_end_matches('\r'), piece.fate);
        }
        if let Some((name, _)) = range {
            self.paragraph.push_str(&format!("<w:{name}End w:id=\"{id}\"/>"));
        }
    }

    /// The beginning of a change: its element, number and author.
    fn change(&mut self, element: &str) -> String {
        let id = self.next_id;
        self.next_id += 1;
        format!("<w:{element} w:id=\"{id}\"{AUTHOR}")
    }

    fn run(&mut self, text: &str, fate: Fate) {
        if text.is_empty() {
            return;
        }
        let element = element(fate);
        let name = if fate == Fate::Deleted { "delText" } else { "t" };
        let pieces: Vec<String> = text.split('\t').map(|part| text_element(name, part)).collect();
        let run = format!("<w:r>{}</w:r>", pieces.join("<w:tab/>"));
        match element {
            None => self.paragraph.push_str(&run),
            Some(element) => {
                let change = self.change(element);
                self.paragraph.push_str(&format!("{change}>{run}</w:{element}>"));
            }
        }
    }

    /// Ends the paragraph. A changed mark joins it with the next one when the change is undone.
    fn end_paragraph(&mut self, fate: Fate) {
        let mark = match element(fate) {
            None => String::new(),
            Some(element) => format!("<w:pPr><w:rPr>{}/></w:rPr></w:pPr>", self.change(element)),
        };
        let runs = std::mem::take(&mut self.paragraph);
        self.xml.push_str(&format!("<w:p>{mark}{runs}</w:p>"));
    }
}

/// The element of a change.
fn element(fate: Fate) -> Option<&'static str> {
    match fate {
        Fate::Kept => None,
        Fate::Deleted => Some("del"),
        Fate::Inserted => Some("ins"),
        Fate::MovedFrom(_) => Some("moveFrom"),
        Fate::MovedTo(_) => Some("moveTo"),
    }
}

fn text_element(name: &str, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("<w:{name} xml:space=\"preserve\">{}</w:{name}>", escaped(text))
}

/// Text for XML, without the characters that XML 1.0 cannot hold.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\u{fffe}' | '\u{ffff}' => {}
            letter if letter < ' ' => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}
