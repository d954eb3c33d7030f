//! Messages that `watch` has looked at. None is looked at twice, not even across restarts.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::{Transaction, params};

use super::{Journal, paths};
use crate::maildir::unique_name;

/// Marks a maildir that was watched before; no message has an empty name.
const WATCHED: &[u8] = b"";

/// Adds a message that mailsort itself has put into a watched maildir: it was put back, or rewritten with headers.
pub(super) fn add_own(transaction: &Transaction<'_>, maildir: &[u8], base: &[u8]) -> rusqlite::Result<()> {
    let add = "INSERT INTO seen SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM seen WHERE maildir = ?1 AND name = ?3)
               ON CONFLICT DO NOTHING";
    let unique = unique_name(OsStr::from_bytes(base));
    transaction.prepare_cached(add)?.execute(params![maildir, unique, WATCHED]).map(drop)
}

impl Journal {
    /// True when the maildir was watched before.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn was_watched(&self, maildir: &Path) -> Result<bool> {
        self.is_seen(maildir, WATCHED)
    }

    /// True when the message with this unique name was looked at.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn is_seen(&self, maildir: &Path, unique: &[u8]) -> Result<bool> {
        let mut query = self.database.prepare_cached("SELECT 1 FROM seen WHERE maildir = ?1 AND name = ?2")?;
        query.exists(params![paths::stored(&self.root, maildir), unique]).with_context(|| self.cannot_read())
    }

    /// Marks messages as looked at and, with `is_watched`, their maildir as watched.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn see<'m>(
        &mut self,
        maildir: &Path,
        messages: impl Iterator<Item = &'m [u8]>,
        is_watched: bool,
    ) -> Result<()> {
        let (cannot, maildir) = (self.cannot_write(), paths::stored(&self.root, maildir));
        let written = self.write(|transaction| {
            let mut add = transaction.prepare_cached("INSERT INTO seen VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
            for message in messages.chain(is_watched.then_some(WATCHED)) {
                add.execute(params![maildir, message])?;
            }
            Ok(())
        });
        written.context(cannot)
    }

    /// Deletes messages that the maildir no longer holds.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub fn forget_all_but(&mut self, maildir: &Path, held: &HashSet<&[u8]>) -> Result<()> {
        let (cannot, maildir) = (self.cannot_write(), paths::stored(&self.root, maildir));
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
