//! A message to deliver, and what becomes of it.

use std::path::PathBuf;
use std::time::Duration;

use super::files::Sha;
use super::journal::JournalEntry;
use super::rules::TopLabel;
use crate::record::Verdict;

/// Where a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file of a maildir.
    Maildir {
        /// The maildir, without links in its path.
        maildir: PathBuf,
        /// The file, where it was seen last.
        listed: PathBuf,
    },
    /// A message of an mbox file, which is never changed.
    Mailbox {
        /// The mbox file, without links in its path.
        mailbox: PathBuf,
        /// The message.
        bytes: Vec<u8>,
        /// Its identity, see [`super::mailbox::identity`].
        sha: Sha,
        /// Number of equal messages before it in the file.
        equal: u64,
        /// True when only the beginning is held.
        truncated: bool,
    },
}

/// A message with its verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredMessage {
    /// Where it is.
    pub location: Location,
    /// Its labels and scores, or why there are none.
    pub verdict: Verdict,
}

/// What is done, or would be done, with a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disposition {
    /// The label that decided.
    pub top: Option<TopLabel>,
    /// True when no label set is sure.
    pub unsure: bool,
    /// The operations, with their results once they were carried out.
    pub entries: Vec<JournalEntry>,
    /// The destination folder, as the rule names it.
    pub folder: Option<String>,
    /// True when an earlier run has done everything.
    pub before: bool,
    /// Why an operation failed, or why there is no verdict.
    pub error: Option<String>,
    /// Time that it took.
    pub taken: Duration,
}
