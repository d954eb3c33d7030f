//! PDF and DOCX to text. Only this module knows unpdf, zip and quick-xml.
//!
//! A PDF is read in a child process, because its library may exhaust the stack or memory on hostile bytes, which
//! cannot be caught. A DOCX is read in this process, because inflating and scanning its XML needs neither recursion
//! nor unbounded memory.

mod child;
mod docx;
mod limits;
mod numbering;
mod pdf;
mod word;
mod xml;

use serde::{Deserialize, Serialize};

use super::clean::Switches;
use super::sniff::SourceFormat;
use super::{MAX_DOCUMENT, one_line};
use crate::record::Reason;

pub use child::{CHILD, serve, serve_with};

/// Only this many bytes of a longer text are kept; the record then says that it is truncated.
pub const MAX_TEXT: usize = 1024 * 1024;

/// The text of a document.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// Its title, from its properties.
    pub title: Option<String>,
    /// Its text: one paragraph or table row per line, cells separated by tabs.
    pub body: String,
    /// True if a limit left out the rest.
    pub truncated: bool,
    /// What the document has besides, and the text has not.
    #[serde(default)]
    pub left_out: LeftOfOffice,
}

/// Parts of a document that are no text of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOfOffice {
    /// Runs that are deleted or moved away by tracked changes.
    pub deletions: usize,
    /// Comments at its margin.
    pub comments: usize,
    /// Pictures, drawings and embedded objects.
    pub pictures: usize,
}

impl LeftOfOffice {
    fn add(&mut self, other: &Self) {
        self.deletions += other.deletions;
        self.comments += other.comments;
        self.pictures += other.pictures;
    }
}

/// Reads a PDF or DOCX. `cut`: the end of the file is missing.
pub(super) fn read(format: SourceFormat, bytes: Vec<u8>, cut: bool) -> Result<Text, Reason> {
    let text = match format {
        // Both formats have their directory at the end.
        SourceFormat::Pdf if cut => Err(too_large("PDF")),
        SourceFormat::Pdf => child::extract(bytes),
        _ if cut && docx::seems_one(&bytes) => Err(too_large("DOCX")),
        _ if cut => Err(Reason::Binary),
        _ => docx::extract(&bytes),
    }?;
    Ok(Text { title: text.title.as_deref().and_then(title), ..text })
}

/// The cleaning steps for documents. The steps for mail would take the clauses of a contract for a legal notice, and
/// its end for a signature.
pub(super) fn cleaning(switches: &Switches) -> Switches {
    Switches { links: switches.links, ..Switches::all(false) }
}

fn too_large(kind: &str) -> Reason {
    Reason::Unreadable(format!("the {kind} is larger than {} MiB", MAX_DOCUMENT >> 20))
}

/// A title that a person gave, rather than a program.
fn title(text: &str) -> Option<String> {
    const STOCK: &[&str] = &["untitled", "document", "word document", "powerpoint presentation", "pdf document"];
    let line = one_line(text);
    let line = line.strip_prefix("Microsoft Word - ").unwrap_or(&line);
    // The name of a file, perhaps with a number, is not a title.
    let bare = line.to_lowercase();
    let bare = bare.trim_end_matches(|c: char| c.is_ascii_digit() || c.is_whitespace());
    let is_name = [".doc", ".docx", ".pdf", ".odt", ".tex", ".dvi", ".indd", ".qxd"].iter().any(|e| bare.ends_with(e));
    (!bare.is_empty() && !is_name && !STOCK.contains(&bare)).then(|| line.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_that_say_something() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(title(text).as_deref(), expected, "{text:?}");
        check("Rental contract\n2024", Some("Rental contract 2024"));
        check("Microsoft Word - Kündigung", Some("Kündigung"));
        for stock in ["", " ", "Untitled", "Document1", "untitled 2", "Microsoft Word - scan0017.doc", "a.dvi", "2024"]
        {
            check(stock, None);
        }
    }

    #[test]
    fn what_is_too_large_says_so() {
        let said = |format, bytes: &[u8]| read(format, bytes.to_vec(), true).unwrap_err().to_string();
        assert_eq!(said(SourceFormat::Pdf, b"%PDF-1.7"), "unreadable: the PDF is larger than 32 MiB");
        assert_eq!(
            said(SourceFormat::Docx, b"PK\x03\x04..word/document.xml"),
            "unreadable: the DOCX is larger than 32 MiB"
        );
        assert_eq!(said(SourceFormat::Docx, b"PK\x03\x04..game.iso"), "not text");
    }
}
