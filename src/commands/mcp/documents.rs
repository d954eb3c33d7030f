//! The documents of a call: a text, a file, or a page of what a mailbox or a folder holds.

use std::path::Path;

use anyhow::{Result, bail, ensure};

use super::MOST_INPUT;
use super::roots::Roots;
use crate::intake::sniff::{self, SourceFormat};
use crate::intake::{Options, Raw, Source, unshown};
use crate::record::Skip;
use crate::serve::mcp::IsCancelled;

/// Documents of a call.
const MOST_DOCUMENTS: usize = 100;
/// Documents behind them that are counted.
const MOST_COUNTED: usize = 100_000;

/// What a call asks for.
pub(super) struct Wanted {
    pub(super) text: Option<String>,
    pub(super) path: Option<String>,
    pub(super) offset: usize,
}

/// A page of documents.
pub(super) struct DocumentPage {
    pub(super) documents: Vec<Result<Raw, Skip>>,
    pub(super) rest: Rest,
}

/// What a page does not have.
pub(super) struct Rest {
    /// Documents before the page.
    pub(super) before: usize,
    /// Documents behind it, as far as they were counted.
    pub(super) behind: usize,
    /// True where counting stopped before the end.
    pub(super) is_more: bool,
    /// Documents that a link leads to, outside of the folders that may be read.
    pub(super) outside: usize,
}

impl DocumentPage {
    /// Reads the page of a call. What lies outside of the folders is left out and counted.
    ///
    /// # Errors
    /// When the call names no document, or one that may not be read.
    pub(super) fn read(wanted: Wanted, roots: &Roots, is_cancelled: &IsCancelled<'_>) -> Result<Self> {
        let Wanted { text, path, offset } = wanted;
        let (source, is_found): (Box<dyn Iterator<Item = Result<Raw, Skip>>>, bool) = match (text, path) {
            (Some(text), None) => (of_text(text)?, false),
            (None, Some(path)) => {
                let real = roots.resolve("path", &path)?;
                // A link may lead to another disk, or to all of this one.
                let options = Options { listed: true, without_links: true, ..Options::default() };
                let is_found = real.is_dir();
                (Box::new(Source::new(std::iter::once(real), options)), is_found)
            }
            _ => bail!("give either `text` or `path`"),
        };
        let mut page = Self { documents: Vec::new(), rest: Rest { before: 0, behind: 0, is_more: false, outside: 0 } };
        let mut bytes = 0;
        for document in source {
            ensure!(!is_cancelled(), "the call was cancelled");
            let origin = document.as_ref().map_or_else(|skip| &skip.origin, |raw| &raw.origin);
            if is_found && !roots.has_found(&unshown(&origin.source)) {
                page.rest.outside += 1;
            } else if page.rest.before < offset {
                page.rest.before += 1;
            } else if page.documents.len() < MOST_DOCUMENTS && bytes < MOST_INPUT && page.rest.behind == 0 {
                bytes += document.as_ref().map_or(0, |raw| raw.bytes.len());
                page.documents.push(document);
            } else if page.rest.behind < MOST_COUNTED {
                page.rest.behind += 1;
            } else {
                page.rest.is_more = true;
                break;
            }
        }
        Ok(page)
    }
}

/// A text of a call: mail and pages are told from their first bytes, and all else is one text. The rows of a list or a
/// table that a client has copied are not meant as documents.
fn of_text(text: String) -> Result<Box<dyn Iterator<Item = Result<Raw, Skip>>>> {
    check_size("text", text.len() as u64)?;
    ensure!(!text.trim().is_empty(), "`text` is empty; give the text of a document, or a `path`");
    let head = text.as_bytes().get(..sniff::HEAD).unwrap_or(text.as_bytes());
    let format = match sniff::sniff(head) {
        Some(SourceFormat::Mbox | SourceFormat::Mail | SourceFormat::Html) => None,
        _ => Some(SourceFormat::Text),
    };
    let options = Options { format, ..Options::default() };
    Ok(Box::new(Source::of_bytes(Path::new("-"), text.into_bytes(), options)))
}

/// # Errors
/// When a text or file is longer than one of a call may be.
pub(super) fn check_size(field: &str, bytes: u64) -> Result<()> {
    let most = MOST_INPUT >> 20;
    ensure!(bytes <= MOST_INPUT as u64, "`{field}` has more than {most} MiB; run the command of mailsort on the file");
    Ok(())
}

impl Rest {
    /// What a client should know about what the page lacks; `shown` documents of it are in the answer.
    pub(super) fn note(&self, shown: usize) -> Option<String> {
        let mut said = Vec::new();
        if self.behind > 0 {
            let least = if self.is_more { "at least " } else { "" };
            let next = self.before + shown;
            said.push(format!(
                "{least}{} further documents are left out; `offset` {next} goes on with them",
                self.behind
            ));
        } else if shown == 0 && self.before > 0 {
            said.push(format!("there are {} documents, so `offset` is past the end", self.before));
        } else if shown == 0 {
            said.push("there is no document".to_string());
        }
        if self.outside > 0 {
            said.push(format!(
                "{} documents are left out: they lie outside of the folders that may be read, and links lead there",
                self.outside
            ));
        }
        (!said.is_empty()).then(|| said.join("; "))
    }

    /// The offset of the next page, if there is one.
    pub(super) fn next(&self, shown: usize) -> Option<usize> {
        (self.behind > 0).then_some(self.before + shown)
    }

    /// The same page without its last documents.
    pub(super) fn shortened(&self, by: usize) -> Self {
        Self { before: self.before, behind: self.behind + by, is_more: self.is_more, outside: self.outside }
    }
}
