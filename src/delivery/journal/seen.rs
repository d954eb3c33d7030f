//! Which messages of a maildir were looked at, for who watches it: nothing is looked at twice, across restarts too.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::{Transaction, params};

use super::Journal;
use super::act::Act;
use super::place::stored;
use crate::maildir::unique_name;

/// Stands for a maildir that was watched before; no message has such a name.
const WATCHED: &[u8] = b"";

/// A message that was put back, or written anew, is one that was looked at, where its maildir is watched.
///
/// # Errors
/// When it cannot be written.
pub(super) fn see_own(transaction: &Transaction<'_>, root: &Path, act: &Act) -> rusqlite::Result<()> {
    let see = "INSERT INTO seen SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM seen WHERE maildir = ?1 AND name = ?3)
               ON CONFLICT DO NOTHING";
    let unique = unique_name(OsStr::from_bytes(&act.base));
    transaction.prepare_cached(see)?.execute(params![stored(root, &act.folder), unique, WATCHED]).map(drop)
}

impl Journal {
    /// True when the maildir was watched before.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn was_watched(&self, maildir: &Path) -> Result<bool> {
        self.is_seen(maildir, WATCHED)
    }

    /// True for a message, by the unique part of its name, that was looked at.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn is_seen(&self, maildir: &Path, unique: &[u8]) -> Result<bool> {
        let mut query = self.database.prepare_cached("SELECT 1 FROM seen WHERE maildir = ?1 AND name = ?2")?;
        query.exists(params![stored(&self.root, maildir), unique]).with_context(|| self.cannot_read())
    }

    /// Remembers messages as looked at, and where `is_watched` that their maildir is watched.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn see<'m>(
        &mut self,
        maildir: &Path,
        messages: impl Iterator<Item = &'m [u8]>,
        is_watched: bool,
    ) -> Result<()> {
        let (cannot, maildir) = (self.cannot_write(), stored(&self.root, maildir));
        let written = self.write(|transaction| {
            let mut add = transaction.prepare_cached("INSERT INTO seen VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
            for message in messages.chain(is_watched.then_some(WATCHED)) {
                add.execute(params![maildir, message])?;
            }
            Ok(())
        });
        written.context(cannot)
    }

    /// Forgets messages that the maildir does not hold any more.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn forget_all_but(&mut self, maildir: &Path, held: &HashSet<&[u8]>) -> Result<()> {
        let (cannot, maildir) = (self.cannot_write(), stored(&self.root, maildir));
        let written = self.write(|transaction| {
            let mut query = transaction.prepare_cached("SELECT name FROM seen WHERE maildir = ?1")?;
            let names = query.query_map([&maildir], |row| row.get::<_, Vec<u8>>(0))?;
            let names: Vec<Vec<u8>> = names.collect::<rusqlite::Result<_>>()?;
            let mut forget = transaction.prepare_cached("DELETE FROM seen WHERE maildir = ?1 AND name = ?2")?;
            for name in names.iter().filter(|name| **name != WATCHED && !held.contains(&name[..])) {
                forget.execute(params![maildir, name])?;
            }
            Ok(())
        });
        written.context(cannot)
    }
}
