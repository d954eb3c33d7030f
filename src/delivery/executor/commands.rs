//! Operations that others carry out: commands, and notmuch with its tags.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use anyhow::{Context, Result};

use super::{Executor, LONGEST_REWRITTEN, open};
use crate::delivery::exec::Exec;
use crate::delivery::journal::{EntryState, JournalEntry};
use crate::delivery::message::Location;
use crate::delivery::rules::TopLabel;
use crate::header::{self, Stored};
use crate::record::Verdict;

/// Bytes that tell how a message is compressed.
const HEAD: u64 = 16;
/// After so many failures in a row a command is no longer retried.
const FAILURES_IN_A_ROW: u32 = 3;

/// Prints the tag of a verdict, by the label of one set. The inner `Err` says why there can be no tag.
///
/// # Errors
/// When the output cannot be written.
pub type Tagger<'t> = dyn FnMut(&Verdict, &TopLabel) -> io::Result<Result<(), String>> + 't;

impl Executor {
    /// Gives the message to a command. The result is written at once: no later run could find it out.
    pub(in crate::delivery) fn run_command(
        &mut self,
        exec: Option<&Exec>,
        location: &Location,
        environment: &[(&str, String)],
        entry: &mut JournalEntry,
        stop: &dyn Fn() -> bool,
    ) -> Result<()> {
        let opened = match location {
            Location::Maildir { listed, .. } => {
                open(&mut self.finder, entry, listed).and_then(|file| file.map(plain).transpose())
            }
            Location::Mailbox { bytes, .. } => in_file(bytes).map(Some),
        };
        match (opened, exec) {
            (Ok(Some(file)), Some(exec)) => {
                let failures = self.failures.get(exec).copied().unwrap_or_default();
                let result = exec.run(&file, environment, failures < FAILURES_IN_A_ROW, stop);
                let failures = if result.failure.is_some() { failures + 1 } else { 0 };
                self.failures.insert(exec.clone(), failures);
                entry.status = result.status;
                entry.state = if result.failure.is_none() { EntryState::Done } else { EntryState::Failed };
                entry.detail = result.failure.map(|failure| format!("the command {:?}: {failure}", exec.name()));
            }
            (Ok(_), _) => entry.state = EntryState::Gone,
            (Err(error), _) => (entry.state, entry.detail) = (EntryState::Failed, Some(error.to_string())),
        }
        self.journal.conclude(std::slice::from_ref(entry))
    }
}

/// Prints the tag of a message.
pub(in crate::delivery) fn tag(
    verdict: &Verdict,
    top: Option<&TopLabel>,
    entry: &mut JournalEntry,
    tagger: &mut Tagger<'_>,
) -> Result<()> {
    let tagged = match top {
        Some(top) => tagger(verdict, top).context("cannot write the output")?,
        None => Err("it has no label".into()),
    };
    entry.state = if tagged.is_ok() { EntryState::Done } else { EntryState::Failed };
    entry.detail = tagged.err();
    Ok(())
}

/// A message as it was before a mail server compressed it with gzip.
///
/// # Errors
/// When it is compressed otherwise, damaged, or longer than any message.
fn plain(mut file: File) -> io::Result<File> {
    let mut head = Vec::new();
    (&file).take(HEAD).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    if header::compression(&head).is_none() {
        return Ok(file);
    }
    let mut bytes = Vec::new();
    file.take(LONGEST_REWRITTEN + 1).read_to_end(&mut bytes)?;
    in_file(Stored::new(bytes, LONGEST_REWRITTEN)?.mail())
}

/// An unnamed file that holds a message.
fn in_file(bytes: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    Ok(file)
}
