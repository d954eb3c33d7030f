//! Finds messages by the part of their names that never changes, in as many maildirs as it takes.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::files;
use super::journal::FileId;
use crate::maildir::{Listing, Renamed};

/// What is known of maildirs. It may be out of date, and is looked up anew when something is not where it was.
#[derive(Default)]
pub(super) struct Finder {
    renamed: HashMap<PathBuf, Renamed>,
    listings: HashMap<PathBuf, Listing>,
}

impl Finder {
    /// Where the message `unique` is in `maildir`, if it is there.
    ///
    /// # Errors
    /// When the maildir cannot be listed.
    pub(super) fn find(&mut self, maildir: &Path, unique: &[u8]) -> io::Result<Option<PathBuf>> {
        self.again(maildir, unique, Path::new(""))
    }

    /// The same of a message that is not at `missing`, or no longer.
    ///
    /// # Errors
    /// When the maildir cannot be listed.
    pub(super) fn again(&mut self, maildir: &Path, unique: &[u8], missing: &Path) -> io::Result<Option<PathBuf>> {
        let renamed = self.renamed.entry(maildir.to_path_buf()).or_default();
        renamed.find(&maildir.join("cur").join(OsStr::from_bytes(unique)), missing)
    }

    /// Where the message is at this moment.
    ///
    /// # Errors
    /// When the maildir cannot be listed.
    pub(super) fn find_now(&mut self, maildir: &Path, unique: &[u8]) -> io::Result<Option<PathBuf>> {
        match self.find(maildir, unique)? {
            Some(path) if path.symlink_metadata().is_err() => self.again(maildir, unique, &path),
            found => Ok(found),
        }
    }

    /// Where a message is, by its file where that is known: another may have its name. Maildirs are listed once for all
    /// questions.
    ///
    /// # Errors
    /// When the maildir cannot be listed.
    pub(super) fn file(&mut self, maildir: &Path, unique: &[u8], file: Option<FileId>) -> io::Result<Option<PathBuf>> {
        let listing = self.listings.entry(maildir.to_path_buf()).or_insert_with(|| Listing::new(maildir));
        if let Some((_, error)) = listing.failed.first() {
            return Err(io::Error::new(error.kind(), error.to_string()));
        }
        let is_it = |path: &&Path| file.is_none_or(|file| files::id(path).is_ok_and(|found| found == file));
        Ok(listing.named(unique).find(is_it).map(Path::to_path_buf))
    }

    /// Forgets all, because time has passed.
    pub(super) fn forget(&mut self) {
        (self.renamed, self.listings) = Default::default();
    }
}

/// The unique names that maildirs hold, and those that are about to come.
#[derive(Default)]
pub(super) struct Taken {
    maildirs: HashMap<PathBuf, (Listing, HashSet<Vec<u8>>)>,
}

impl Taken {
    /// Takes a unique name in a maildir; false where another message has it.
    pub(super) fn take(&mut self, maildir: &Path, unique: &[u8]) -> bool {
        let (listing, coming) =
            self.maildirs.entry(maildir.to_path_buf()).or_insert_with(|| (Listing::new(maildir), HashSet::new()));
        !listing.holds(unique) && coming.insert(unique.to_vec())
    }
}
