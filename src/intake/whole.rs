//! A file as one text without cleaning, as contracts are compared by. What the text has not is said.

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::clean::Switches;
use super::sniff::SourceFormat;
use super::{Raw, Reading, html, office};
use crate::guard;
use crate::record::{Reason, Skip};

/// A file as one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WholeText {
    /// The text.
    pub text: String,
    /// What the file has besides, each as a few words: `3 comments`.
    pub left_out: Vec<String>,
}

/// The only document of a source as one text.
///
/// # Errors
/// When there is none or more than one, it is a row of a table, or it cannot be read to its end.
pub fn whole(mut source: impl Iterator<Item = Result<Raw, Skip>>) -> Result<WholeText> {
    let first = source.next().context("there is no text in it")?;
    let raw = first.map_err(refused)?;
    if let SourceFormat::Jsonl | SourceFormat::Delimited | SourceFormat::Json | SourceFormat::Workbook = raw.format {
        bail!("it is a table, whose rows are documents of their own; give a file that is one text");
    }
    ensure!(source.next().is_none(), "it holds several documents; give a file that is one text");
    match raw.format {
        SourceFormat::Pdf | SourceFormat::Docx => of_office(raw),
        _ => of_text(raw),
    }
}

fn refused(skip: Skip) -> anyhow::Error {
    match skip.reason {
        Reason::Binary => {
            anyhow!("it is neither text nor a document of a kind that is read: DOCX, PDF, HTML, Markdown, text")
        }
        reason => anyhow!("{reason}"),
    }
}

fn of_office(Raw { format, bytes, truncated, .. }: Raw) -> Result<WholeText> {
    let read = guard::catch(|| office::read(format, bytes, truncated)).map_err(|_| anyhow!("its reader has a bug"))?;
    let office::Text { body, truncated, left_out, .. } = read.map_err(|reason| anyhow!("{reason}"))?;
    ensure!(!truncated, "it is too long to be read to its end");
    ensure!(!body.trim().is_empty(), "there is no text in it; a scanned document needs OCR first");
    let counts = [
        (left_out.deletions, "pieces deleted by tracked changes"),
        (left_out.comments, "comments"),
        (left_out.pictures, "pictures and drawings"),
    ];
    let left_out = counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    Ok(WholeText { text: body, left_out: left_out.collect() })
}

fn of_text(raw: Raw) -> Result<WholeText> {
    let name = raw.origin.source.to_ascii_lowercase();
    let is_markdown = [".md", ".markdown"].iter().any(|ending| name.trim_end_matches(".gz").ends_with(ending));
    let switches = Switches { html: true, ..Switches::all(false) };
    let read = super::read(raw, &Reading { switches, ..Reading::default() });
    let document = read.map_err(refused)?;
    ensure!(!document.truncated, "it is too long to be read to its end");
    if let Some(charsets) = document.doubt {
        bail!("its charset is in doubt ({charsets}); name it with --encoding");
    }
    let hidden = document.removed.len();
    let left_out = (hidden > 0).then(|| format!("{hidden} hidden parts"));
    let text = if is_markdown { without_tags(&document.body) } else { document.body };
    Ok(WholeText { text, left_out: left_out.into_iter().collect() })
}

/// Markdown without the tags and comments of HTML that may stand in it: they are not shown.
fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Bytes behind the last end of a comment, where none can open.
    let without_end = text.rfind("-->").map_or(text.len(), |at| text.len() - at);
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = match rest.strip_prefix("<!--") {
            Some(comment) if rest.len() > without_end => comment.find("-->").map(|end| end + 7),
            Some(_) => None,
            None => tag_length(rest),
        };
        let length = length.unwrap_or_else(|| {
            out.push('<');
            1
        });
        rest = &rest[length..];
    }
    out + rest
}

/// Elements whose names are words of contracts too.
const WORDS: [&str; 7] = ["address", "article", "figure", "form", "label", "section", "title"];
/// Longest tag.
const LONGEST_TAG: usize = 500;

/// The length of the tag that a text begins with, if it does. Only elements of HTML are tags: `<Seller Name>` and
/// `<amount>` are places to fill in, and `<https://a.example>` is an address.
fn tag_length(text: &str) -> Option<usize> {
    let name = text.strip_prefix("</").or_else(|| text.strip_prefix('<'))?;
    let (name, inner) = name.split_at(name.bytes().take_while(u8::is_ascii_alphanumeric).count());
    let is_one_case = name == name.to_ascii_lowercase() || name == name.to_ascii_uppercase();
    if !is_one_case || !html::is_element(name) || WORDS.contains(&name) {
        return None;
    }
    let inner = &inner[..inner.bytes().take(LONGEST_TAG).position(|byte| byte == b'>')?];
    let attributes = inner.trim_matches(['/', ' ', '\n']);
    let is_tag = attributes.is_empty() || attributes.contains('=') && !attributes.contains('<');
    is_tag.then(|| text.len() - text[1..].trim_start_matches('/').len() + name.len() + inner.len() + 1)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::intake::{Options, Source};

    fn read(name: &str, bytes: &str) -> Result<WholeText> {
        whole(Source::of_bytes(Path::new(name), bytes.into(), Options::default()))
    }

    #[test]
    fn a_file_is_one_text() {
        let check = |name: &str, bytes: &str, expected: &str| assert_eq!(read(name, bytes).unwrap().text, expected);
        check("a.md", "# Terms\n\n1. Fees\n\n-- \nsigned", "# Terms\n\n1. Fees\n\n-- \nsigned");
        check("a.html", "<h1>Terms</h1><p>1. Fees</p>", "Terms\n\n1. Fees");
        let marked =
            "# <span class=\"x\">Fees</span>\n\n<!-- note -->1. a < b, <https://a.example> <me@a.example> 《<中国>法》";
        check("a.md", marked, "# Fees\n\n1. a < b, <https://a.example> <me@a.example> 《<中国>法》");
        let blanks = "<Seller Name> <address> <amount> <!-- <EUR 5 or >EUR 9";
        check("a.md", blanks, blanks);
        let page = read("a.html", "<p>shown</p><p style='display:none'>not shown</p>").unwrap();
        assert_eq!(page, WholeText { text: "shown".into(), left_out: vec!["1 hidden parts".into()] });
    }

    #[test]
    fn what_is_no_one_text_is_refused() {
        let check = |name: &str, bytes: &str, why: &str| {
            let said = format!("{:#}", read(name, bytes).unwrap_err());
            assert!(said.contains(why), "{name}: {said}");
        };
        check("a.csv", "text,label\na,b\n", "is a table");
        check(
            "a.mbox",
            "From a@b Mon Jan  1 00:00:00 2024\nSubject: x\n\nx\n\nFrom a@b Mon Jan  1 00:00:00 2024\nSubject: y\n\ny\n",
            "several documents",
        );
        check("a.txt", "", "no text");
    }
}
