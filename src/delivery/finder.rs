//! Finds messages by their unique names, which survive renames by mail programs.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::files::{self, FileId};
use crate::maildir::{Listing, Renamed};

/// Cached listings of maildirs. A maildir is listed again when a message is not where it was.
#[derive(Default)]
pub(super) struct Finder {
    renamed: HashMap<PathBuf, Renamed>,
    listings: HashMap<PathBuf, Listing>,
}

impl Finder {
    /// Path of the message `unique` in `maildir`.
    pub(super) fn find(&mut self, maildir: &Path, unique: &[u8]) -> io::Result<Option<PathBuf>> {
        self.again(maildir, unique, Path::new(""))
    }

    /// The same for a message that is not at `missing`.
    pub(super) fn again(&mut self, maildir: &Path, unique: &[u8], missing: &Path) -> io::Result<Option<PathBuf>> {
        let renamed = self.renamed.entry(maildir.to_path_buf()).or_default();
        renamed.find(&maildir.join("cur").join(OsStr::from_bytes(unique)), missing)
    }

    /// The same, verified: the file existed a moment ago.
    pub(super) fn find_now(&mut self, maildir: &Path, unique: &[u8]) -> io::Result<Option<PathBuf>> {
        match self.find(maildir, unique)? {
            Some(path) if path.symlink_metadata().is_err() => self.again(maildir, unique, &path),
            found => Ok(found),
        }
    }

    /// Path of a message, by its inode if that is known: another message may have its name. A maildir is listed once
    /// for all calls.
    pub(super) fn file(&mut self, maildir: &Path, unique: &[u8], file: Option<FileId>) -> io::Result<Option<PathBuf>> {
        let listing = self.listings.entry(maildir.to_path_buf()).or_insert_with(|| Listing::new(maildir));
        if let Some((_, error)) = listing.failed.first() {
            return Err(io::Error::new(error.kind(), error.to_string()));
        }
        let is_it = |path: &&Path| file.is_none_or(|file| files::id(path).is_ok_and(|found| found == file));
        Ok(listing.named(unique).find(is_it).map(Path::to_path_buf))
    }

    /// Drops the cached listings.
    pub(super) fn forget(&mut self) {
        (self.renamed, self.listings) = Default::default();
    }
}

/// Unique names that are taken in maildirs: by messages that are there, and by planned ones.
#[derive(Default)]
pub(super) struct Reservations {
    maildirs: HashMap<PathBuf, (Listing, HashSet<Vec<u8>>)>,
}

impl Reservations {
    /// Reserves a unique name in a maildir; false when another message has it.
    pub(super) fn reserve(&mut self, maildir: &Path, unique: &[u8]) -> bool {
        let (listing, planned) =
            self.maildirs.entry(maildir.to_path_buf()).or_insert_with(|| (Listing::new(maildir), HashSet::new()));
        !listing.holds(unique) && planned.insert(unique.to_vec())
    }
}
