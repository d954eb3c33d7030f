//! Crash recovery: decides for each unfinished operation, by the files at its source and destination, whether it was
//! done.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Executor, mail_sha, tmp};
use crate::delivery::files;
use crate::delivery::journal::{EntryState, JournalEntry, Operation};
use crate::maildir::unique_name;

/// Result of a recovery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Operations that had been carried out.
    pub done: u64,
    /// Operations that had not, and are decided anew.
    pub forgotten: u64,
    /// Operations that cannot be settled, and why. Their messages are left alone until they can.
    pub unsettled: Vec<String>,
}

impl Executor {
    /// Settles unfinished operations. Call it first, while holding the journal's lock.
    ///
    /// # Errors
    /// When a maildir or the journal cannot be read or written.
    pub fn recover(&mut self) -> Result<Recovery> {
        let mut entries = self.journal.unfinished()?;
        let mut recovery = Recovery::default();
        for entry in &mut entries {
            match self.check(&entry.folder).and_then(|()| self.state_of(entry)) {
                Ok(EntryState::Done) => (entry.state, recovery.done) = (EntryState::Done, recovery.done + 1),
                Ok(state) => (entry.state, recovery.forgotten) = (state, recovery.forgotten + 1),
                Err(error) => {
                    let name = String::from_utf8_lossy(&entry.name).into_owned();
                    recovery.unsettled.push(format!(
                        "{name} in {}: cannot recover the operation of a stopped run: {error}",
                        entry.source.display()
                    ));
                }
            }
        }
        entries.retain(|entry| entry.state != EntryState::Intended);
        self.conclude(&entries)?;
        self.finder.forget();
        Ok(recovery)
    }

    fn state_of(&mut self, entry: &mut JournalEntry) -> io::Result<EntryState> {
        match entry.operation {
            Operation::Move | Operation::Back => self.state_of_move(entry),
            Operation::Header => self.state_of_rewrite(entry),
            Operation::Copy | Operation::Link => match self.written(entry)? {
                Some(copy) => {
                    if entry.operation == Operation::Copy {
                        entry.sha = Some(files::sha(&copy)?);
                    }
                    Ok(EntryState::Done)
                }
                None => clear_tmp(entry),
            },
            Operation::Remove => Ok(match self.source(entry)? {
                Some(_) => EntryState::Forgotten,
                None => EntryState::Done,
            }),
            // These leave no trace. Printing a tag twice does no harm; a command that was running runs again.
            Operation::Tag | Operation::Exec => Ok(EntryState::Forgotten),
        }
    }

    /// The message at its source.
    fn source(&mut self, entry: &JournalEntry) -> io::Result<Option<PathBuf>> {
        self.finder.file(&entry.source, unique_name(OsStr::from_bytes(&entry.name)), entry.file)
    }

    /// The message at its destination, whatever its inode.
    fn written(&mut self, entry: &JournalEntry) -> io::Result<Option<PathBuf>> {
        self.finder.file(&entry.folder, unique_name(OsStr::from_bytes(&entry.base)), None)
    }

    fn state_of_move(&mut self, entry: &JournalEntry) -> io::Result<EntryState> {
        match (self.source(entry)?, self.written(entry)?) {
            (None, Some(_)) => Ok(EntryState::Done),
            (None, None) => clear_tmp(entry).map(|_| EntryState::Gone),
            (Some(_), None) => clear_tmp(entry),
            // A move across file systems that was stopped before it removed the original.
            (Some(source), Some(moved)) if files::are_same(&source, &moved)? => {
                remove_original(&moved, &source)?;
                Ok(EntryState::Done)
            }
            // The destination is another message of that name.
            (Some(_), Some(_)) => Ok(EntryState::Forgotten),
        }
    }

    /// A rewritten message gets its name once it is complete.
    fn state_of_rewrite(&mut self, entry: &mut JournalEntry) -> io::Result<EntryState> {
        let source = self.source(entry)?;
        let Some(written) = self.written(entry)? else {
            return clear_tmp(entry).map(|state| if source.is_none() { EntryState::Gone } else { state });
        };
        let sha = mail_sha(&File::open(&written)?).or_else(|_| files::sha(&written))?;
        // An undo restores the message's old name, which another message may have by now.
        if entry.sha.is_some_and(|expected| expected != sha) {
            return clear_tmp(entry);
        }
        entry.sha = Some(sha);
        if let Some(source) = source {
            remove_original(&written, &source)?;
        }
        Ok(EntryState::Done)
    }
}

/// Removes `source`, whose bytes are in `written`, once that is on the disk.
fn remove_original(written: &Path, source: &Path) -> io::Result<()> {
    if let Some(folder) = written.parent() {
        files::sync(folder)?;
    }
    fs::remove_file(source)
}

/// Removes a copy in progress.
fn clear_tmp(entry: &JournalEntry) -> io::Result<EntryState> {
    match fs::remove_file(tmp(entry)) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Err(error),
        _ => Ok(EntryState::Forgotten),
    }
}
