//! DOCX to text: which parts of the archive are read, in which order, and how much of them.

use std::io::{Cursor, Read};

use memchr::memmem;
use zip::ZipArchive;

use super::Text;
use super::numbering::Numbering;
use super::word::{self, Story};
use crate::charset;
use crate::intake::mail::outlook;
use crate::record::Reason;

/// The main part, which every DOCX has.
const MAIN: &str = "word/document.xml";
/// Inflated bytes read of all parts together. XML is ten to thirty times as long as its text.
const MAX_INFLATED: u64 = 32 * 1024 * 1024;
/// The greatest number of parts; documents with thousands of pictures have the most.
const MAX_PARTS: usize = 20_000;
/// How many headers, or footers, are read; long documents have three per section.
const MAX_EACH: usize = 30;

type Archive<'b> = ZipArchive<Cursor<&'b [u8]>>;

/// True if the bytes have the name of a DOCX's main part.
pub(super) fn seems_one(bytes: &[u8]) -> bool {
    memmem::find(bytes, MAIN.as_bytes()).is_some()
}

/// The text of a DOCX: headers, body, notes, footers.
pub(super) fn extract(bytes: &[u8]) -> Result<Text, Reason> {
    if bytes.starts_with(outlook::MAGIC) {
        return Err(compound(bytes));
    }
    // An entry takes much more memory than its bytes in the file, so entries are counted before any is read.
    if memmem::find_iter(bytes, b"PK\x01\x02").nth(MAX_PARTS).is_some() {
        return Err(damaged(bytes));
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| damaged(bytes))?;
    let names = Names::of(&archive);
    let main = names.main().ok_or(Reason::Binary)?;
    let mut budget = InflateBudget { left: MAX_INFLATED, cut: false };
    let mut part = |name| {
        let part = names.beginning_with(name).next();
        part.and_then(|part| inflate(&mut archive, part, &mut budget)).unwrap_or_default()
    };
    let numbering = &mut Numbering::read(&part("word/numbering"), &part("word/styles"));
    let mut story = Story::default();
    let mut body = Story::default();
    if !read_part(&mut archive, main, &mut budget, numbering, &mut body) {
        return Err(Reason::Unreadable("the DOCX is damaged".into()));
    }
    for part in names.beginning_with("word/header") {
        read_part(&mut archive, part, &mut budget, numbering, &mut story);
    }
    story.append(&body);
    for beginning in ["word/footnotes", "word/endnotes", "word/footer"] {
        for part in names.beginning_with(beginning) {
            read_part(&mut archive, part, &mut budget, numbering, &mut story);
        }
    }
    let properties = names.beginning_with("docProps/core").next();
    let title = properties.and_then(|part| inflate(&mut archive, part, &mut budget)).and_then(|xml| word::title(&xml));
    let truncated = story.is_full() || budget.is_spent();
    let left_out = story.left_out.clone();
    Ok(Text { title, body: story.into_text(), truncated, left_out })
}

/// The error for a compound file named as a DOCX: an encrypted one, or one of older programs.
fn compound(bytes: &[u8]) -> Reason {
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    match memmem::find(bytes, &name) {
        Some(_) => Reason::Unreadable("the DOCX is encrypted".into()),
        None => Reason::Binary,
    }
}

/// The error for an archive whose directory cannot be read.
fn damaged(bytes: &[u8]) -> Reason {
    match seems_one(bytes) {
        true => Reason::Unreadable("the DOCX is damaged".into()),
        false => Reason::Binary,
    }
}

/// The parts that may be read, sorted by name.
struct Names(Vec<(String, usize)>);

impl Names {
    fn of(archive: &Archive<'_>) -> Self {
        let raw = archive.file_names_raw().enumerate();
        // Some programs write the path separator of their system.
        let mut names: Vec<_> = raw.map(|(at, name)| (String::from_utf8_lossy(name).replace('\\', "/"), at)).collect();
        names.sort_by(|a, b| (a.0.len(), &a.0).cmp(&(b.0.len(), &b.0)));
        Self(names)
    }

    /// The main part, which some programs number.
    fn main(&self) -> Option<usize> {
        self.beginning_with("word/document").next()
    }

    fn beginning_with(&self, beginning: &str) -> impl Iterator<Item = usize> {
        let is_one = move |name: &str| {
            let number = name.strip_prefix(beginning).and_then(|rest| rest.strip_suffix(".xml"));
            number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
        };
        self.0.iter().filter(move |(name, _)| is_one(name)).map(|&(_, at)| at).take(MAX_EACH)
    }
}

/// Adds the text of a part to `story`; false if nothing of it can be read.
fn read_part(
    archive: &mut Archive<'_>,
    part: usize,
    budget: &mut InflateBudget,
    numbering: &mut Numbering,
    story: &mut Story,
) -> bool {
    if story.is_full() {
        return true;
    }
    inflate(archive, part, budget).is_some_and(|xml| word::read(&xml, numbering, story))
}

/// How much may still be inflated.
struct InflateBudget {
    left: u64,
    /// True if a damaged part was read up to the damage.
    cut: bool,
}

impl InflateBudget {
    /// True if something was or may have been left out.
    fn is_spent(&self) -> bool {
        self.cut || self.left == 0
    }
}

/// The start of a part, as far as it can be read within the budget.
fn inflate(archive: &mut Archive<'_>, part: usize, budget: &mut InflateBudget) -> Option<String> {
    let mut bytes = Vec::new();
    let result = archive.by_index(part).ok()?.take(budget.left).read_to_end(&mut bytes);
    budget.left = budget.left.saturating_sub(bytes.len() as u64);
    budget.cut |= result.is_err();
    // Everything before the damage is valid.
    (result.is_ok() || !bytes.is_empty()).then(|| decoded(bytes))
}

/// XML of an office file is UTF-8 or, with a byte order mark, UTF-16.
fn decoded(bytes: Vec<u8>) -> String {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return charset::decode(&bytes);
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
