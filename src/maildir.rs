//! Lists the messages of a maildir in a stable order, and finds those again that were renamed since.
//!
//! The name of a message is `unique[,FIELD=value...][:2,FLAGS]`. Mail programs rename the file whenever a flag is set, when
//! they move it from `new` to `cur`, and when they add a field (Dovecot's `,S=1234,W=1250`, mbsync's `,U=12`). What
//! stays is the unique part. A message that is delivered after its maildir was listed belongs to the next run.

mod name;

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub use name::{Name, unique_name};

/// The folders of a maildir that hold messages. `tmp` holds unfinished deliveries. Messages move from the first to the
/// second, so that none is missed by who lists them in this order.
pub const FOLDERS: [&str; 2] = ["new", "cur"];

/// What mail servers keep beside the messages of a maildir, by the beginnings of the names.
const NOT_MAIL: [&str; 9] = [
    "dovecot",
    "courier",
    "maildirfolder",
    "maildirsize",
    "maildirfilter",
    "mailsort-",
    "subscriptions",
    "shared-",
    "sqwebmail",
];

/// A listing is repeated until it brings nothing new, but not more often than this.
const LISTINGS: usize = 9;

/// True when `folder` looks like a maildir: it has `cur` or `new`, and `tmp` or both.
pub fn is_maildir(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_dir();
    let found = FOLDERS.iter().filter(|name| has(name)).count();
    found == 2 || (found == 1 && (has("tmp") || (!has_other_entries(folder) && has_deliveries(folder))))
}

/// True when something else than a maildir's own folders and files lies in `folder`.
fn has_other_entries(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let own = FOLDERS.iter().any(|f| name == *f) || is_not_mail(&name);
        !own && !is_hidden(&name)
    })
}

/// True when what lies in `cur` or `new` is named as deliveries are, by the time, or nothing lies there.
fn has_deliveries(folder: &Path) -> bool {
    let names = FOLDERS.iter().filter_map(|name| std::fs::read_dir(folder.join(name)).ok()).flatten().flatten();
    let mut names = names.map(|entry| entry.file_name()).filter(|name| !is_hidden(name));
    names.next().is_none_or(|name| {
        let digits = name.as_encoded_bytes().iter().take_while(|byte| byte.is_ascii_digit()).count();
        digits > 0 && name.as_encoded_bytes().get(digits) == Some(&b'.')
    })
}

/// True for names that begin with a dot.
pub fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// True for the index and configuration files that mail servers keep in a maildir.
pub fn is_not_mail(name: &OsStr) -> bool {
    NOT_MAIL.iter().any(|begin| name.as_encoded_bytes().starts_with(begin.as_bytes()))
}

/// The messages that a maildir held at one moment.
#[derive(Debug, Default)]
pub struct Listing {
    by_name: HashMap<Box<[u8]>, PathBuf>,
    /// Further messages of the same unique name, which should not be there and are mail all the same.
    others: HashSet<PathBuf>,
    /// Folders that could not be listed, and why.
    pub failed: Vec<(PathBuf, io::Error)>,
}

impl Listing {
    /// Lists `maildir`, as often as it takes: a file that is renamed while its folder is being listed may be seen twice
    /// or not at all.
    pub fn new(maildir: &Path) -> Self {
        let mut listing = Self::default();
        for _ in 0..LISTINGS {
            let before = listing.by_name.len();
            listing.failed.clear();
            for folder in FOLDERS {
                listing.add_folder(maildir.join(folder));
            }
            if listing.by_name.len() == before {
                break;
            }
        }
        listing
    }

    fn add_folder(&mut self, folder: PathBuf) {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            // Maildirs without `new` exist, and a maildir may be deleted at any time.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.failed.push((folder, error)),
        };
        for entry in entries {
            match entry {
                Ok(entry) if is_hidden(&entry.file_name()) => {}
                Ok(entry) => self.add(entry.path()),
                Err(error) => return self.failed.push((folder, error)),
            }
        }
    }

    fn add(&mut self, path: PathBuf) {
        let Some(name) = path.file_name().map(unique_name) else {
            return;
        };
        let Some(known) = self.by_name.get_mut(name) else {
            self.by_name.insert(name.into(), path);
            return;
        };
        if *known == path || self.others.contains(&path) {
            return;
        }
        match are_two_files(known, &path) {
            true => drop(self.others.insert(path)),
            false => *known = path,
        }
    }

    /// True when there is a message of this unique name.
    pub fn holds(&self, unique: &[u8]) -> bool {
        self.by_name.contains_key(unique)
    }

    /// All messages of this unique name: one, unless something went wrong.
    pub fn named<'l>(&'l self, unique: &'l [u8]) -> impl Iterator<Item = &'l Path> {
        let others =
            self.others.iter().filter(move |path| path.file_name().is_some_and(|name| unique_name(name) == unique));
        self.by_name.get(unique).into_iter().chain(others).map(PathBuf::as_path)
    }

    /// All messages: those of `cur`, then those of `new`, each by name. Names begin with the time of delivery.
    pub fn paths(&self) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = self.by_name.values().chain(&self.others).cloned().collect();
        paths.sort();
        paths
    }
}

/// A message that was written in its place, and so lately, may be written to again.
const FRESH: Duration = Duration::from_secs(2);

/// How long it takes until a message counts as whole that may be written to at this moment; nothing for one that came to
/// its name by a rename or a link, which changes the file after it was written.
pub fn unfinished(path: &Path) -> Option<Duration> {
    let found = path.symlink_metadata().ok().filter(|found| !was_linked(found))?;
    let age = SystemTime::now().duration_since(found.modified().ok()?).unwrap_or_default();
    FRESH.checked_sub(age).filter(|left| !left.is_zero())
}

#[cfg(unix)]
fn was_linked(found: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    found.nlink() > 1 || (found.mtime(), found.mtime_nsec()) != (found.ctime(), found.ctime_nsec())
}

#[cfg(not(unix))]
fn was_linked(_: &std::fs::Metadata) -> bool {
    true
}

/// Finds messages of one maildir again whose files were renamed since they were listed.
#[derive(Default)]
pub struct Renamed {
    maildir: PathBuf,
    listing: Option<Listing>,
}

impl Renamed {
    /// Where the message is now that was listed as `listed`; `None` when it is no longer in its maildir. `missing` is
    /// where it was last looked for in vain. The maildir is listed anew only when what is known of it is out of date,
    /// so that a whole maildir renamed at once costs a few listings.
    ///
    /// # Errors
    /// When a folder of the maildir cannot be listed.
    pub fn find(&mut self, listed: &Path, missing: &Path) -> io::Result<Option<PathBuf>> {
        let (Some(name), Some(maildir)) = (listed.file_name(), listed.parent().and_then(Path::parent)) else {
            return Ok(None);
        };
        let name = unique_name(name);
        let is_known = self.listing.is_some() && self.maildir == maildir;
        if is_known {
            match self.listing.as_ref().and_then(|listing| listing.by_name.get(name)) {
                // What was deleted before the last listing does not come back.
                None => return Ok(None),
                Some(path) if path != missing => return Ok(Some(path.clone())),
                Some(_) => {}
            }
        }
        let mut listing = Listing::new(maildir);
        let found = listing.by_name.get(name).cloned();
        self.maildir = maildir.to_path_buf();
        match listing.failed.pop() {
            Some((_, error)) if found.is_none() => Err(error),
            _ => {
                self.listing = Some(listing);
                Ok(found)
            }
        }
    }
}

/// True when both are there, and not one file that was renamed while we looked.
fn are_two_files(one: &Path, other: &Path) -> bool {
    match (one.symlink_metadata(), other.symlink_metadata()) {
        (Ok(one), Ok(other)) => !is_same(&one, &other),
        _ => false,
    }
}

#[cfg(unix)]
fn is_same(one: &std::fs::Metadata, other: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(_: &std::fs::Metadata, _: &std::fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }

    fn listed(folder: &Path) -> Vec<String> {
        let paths = Listing::new(folder).paths();
        paths.iter().map(|p| p.strip_prefix(folder).unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn lists_in_order_and_finds_renamed() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["new/3.a.h", "cur/2.b.h:2,S", "cur/1.c.h:2,", "tmp/9.x", "cur/.hidden"] {
            touch(&folder.path().join(name));
        }
        assert!(is_maildir(folder.path()));
        assert_eq!(listed(folder.path()), ["cur/1.c.h:2,", "cur/2.b.h:2,S", "new/3.a.h"]);
        let find = |name: &str| {
            let path = folder.path().join(name);
            Renamed::default().find(&path, &path).unwrap()
        };
        assert!(find("new/2.b.h").unwrap().ends_with("cur/2.b.h:2,S"));
        assert_eq!(find("new/7.gone"), None);
        assert_eq!(find("cur/3.a.h:2,"), Some(folder.path().join("new/3.a.h")));
    }

    #[test]
    fn two_files_of_one_name_are_two_mails() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["cur/1.a:2,", "cur/1.a:2,S", "new/1.a", "cur/1.a,U=2:2,"] {
            touch(&folder.path().join(name));
        }
        assert_eq!(listed(folder.path()), ["cur/1.a,U=2:2,", "cur/1.a:2,", "cur/1.a:2,S", "new/1.a"]);
    }

    #[test]
    fn a_maildir_renamed_at_once_is_listed_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |n: usize, flags: &str| folder.path().join(format!("cur/{n}.a:2,{flags}"));
        (0..100).for_each(|n| touch(&path(n, "S")));
        let mut renamed = Renamed::default();
        let mut seen = Vec::new();
        for n in 0..100 {
            seen.push(renamed.find(&path(n, ""), &path(n, "")).unwrap());
            // Were it listed again, it would be found to be gone.
            std::fs::remove_file(path((n + 50) % 100, "S")).ok();
        }
        assert!(seen.iter().enumerate().all(|(n, found)| found.as_ref() == Some(&path(n, "S"))));
        assert_eq!(renamed.find(&path(3, ""), &path(3, "S")).unwrap(), None, "out of date");
    }

    #[test]
    fn a_project_folder_with_new_is_no_maildir() {
        let folder = tempfile::tempdir().unwrap();
        touch(&folder.path().join("new/readme.txt"));
        touch(&folder.path().join("old/readme.txt"));
        assert!(!is_maildir(folder.path()));
    }
}
