//! Maildirs: lists messages in a stable order, finds renamed messages, and encodes folder names (`utf7`).
//!
//! The name of a message is `unique[,FIELD=value...][:2,FLAGS]`. Mail programs rename the file whenever a flag is set,
//! when they move it from `new` to `cur`, and when they add a field (Dovecot's `,S=1234,W=1250`, mbsync's `,U=12`).
//! Only the unique part stays. A message that is delivered after its maildir was listed belongs to the next run.

mod name;
pub mod utf7;

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::platform;

pub use name::{Name, unique_name};

/// Subfolders of a maildir.
pub const SUBFOLDERS: [&str; 3] = ["tmp", "new", "cur"];

/// The subfolders that hold messages; `tmp` holds unfinished deliveries. Messages move from `new` to `cur`, so listing
/// in this order misses none.
pub const FOLDERS: [&str; 2] = ["new", "cur"];

/// Prefixes of the files that mail servers and mailsort keep in a maildir.
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

/// Most repetitions of a listing, which is repeated until it finds nothing new.
const MOST_LISTINGS: usize = 9;

/// True when `folder` looks like a maildir: it has `cur` or `new`, and `tmp` or both.
pub fn is_maildir(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_dir();
    let found = FOLDERS.iter().filter(|name| has(name)).count();
    found == 2 || (found == 1 && (has("tmp") || (!has_other_entries(folder) && has_deliveries(folder))))
}

/// True when `folder` holds anything but the folders and files of a maildir.
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

/// True when `cur` and `new` are empty or hold a file named like a delivery, by a time stamp.
fn has_deliveries(folder: &Path) -> bool {
    let names = FOLDERS.iter().filter_map(|name| std::fs::read_dir(folder.join(name)).ok()).flatten().flatten();
    let mut names = names.map(|entry| entry.file_name()).filter(|name| !is_hidden(name));
    names.next().is_none_or(|name| {
        let digits = name.as_encoded_bytes().iter().take_while(|byte| byte.is_ascii_digit()).count();
        digits > 0 && name.as_encoded_bytes().get(digits) == Some(&b'.')
    })
}

/// True for a name that begins with a dot.
pub fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// True for the index and configuration files of mail servers.
pub fn is_not_mail(name: &OsStr) -> bool {
    NOT_MAIL.iter().any(|begin| name.as_encoded_bytes().starts_with(begin.as_bytes()))
}

/// The messages that a maildir held at one moment.
#[derive(Debug, Default)]
pub struct Listing {
    by_name: HashMap<Box<[u8]>, PathBuf>,
    /// More messages with the same unique name. There should be none, but they are mail too.
    others: HashSet<PathBuf>,
    /// Folders that could not be listed, and why.
    pub failed: Vec<(PathBuf, io::Error)>,
}

impl Listing {
    /// Lists `maildir`, repeatedly: a file that is renamed meanwhile may be seen twice or not at all.
    pub fn new(maildir: &Path) -> Self {
        let mut listing = Self::default();
        for _ in 0..MOST_LISTINGS {
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
            // Some maildirs lack `new`, and any may be deleted meanwhile.
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

    /// True when there is a message with this unique name.
    pub fn holds(&self, unique: &[u8]) -> bool {
        self.by_name.contains_key(unique)
    }

    /// All messages with this unique name: one, unless something went wrong.
    pub fn named<'l>(&'l self, unique: &'l [u8]) -> impl Iterator<Item = &'l Path> {
        let others =
            self.others.iter().filter(move |path| path.file_name().is_some_and(|name| unique_name(name) == unique));
        self.by_name.get(unique).into_iter().chain(others).map(PathBuf::as_path)
    }

    /// All messages: those of `cur`, then those of `new`, sorted by name, which begins with the time of delivery.
    pub fn paths(&self) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = self.by_name.values().chain(&self.others).cloned().collect();
        paths.sort();
        paths
    }
}

/// A message that was written in place may still be written to for this long.
const FRESH: Duration = Duration::from_secs(2);

/// Time until a message written in place counts as complete. `None` for a complete one, and for one that came by a
/// rename or a link, which shows in its change time.
pub fn unfinished(path: &Path) -> Option<Duration> {
    let found = path.symlink_metadata().ok().filter(|found| !platform::was_linked(found))?;
    let age = SystemTime::now().duration_since(found.modified().ok()?).unwrap_or_default();
    FRESH.checked_sub(age).filter(|left| !left.is_zero())
}

/// Finds messages of one maildir that were renamed since it was listed.
#[derive(Default)]
pub struct Renamed {
    maildir: PathBuf,
    listing: Option<Listing>,
}

impl Renamed {
    /// Current path of the message that was listed as `listed`; `None` when it has left its maildir. `missing` is the
    /// path where it was not found. Lists the maildir again only when the last listing is out of date: renaming all
    /// messages at once costs a few listings.
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
                // A message that was deleted before the last listing does not come back.
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

/// True when both exist and are not one file that was renamed meanwhile.
fn are_two_files(one: &Path, other: &Path) -> bool {
    match (one.symlink_metadata(), other.symlink_metadata()) {
        (Ok(one), Ok(other)) => platform::is_same_file(&one, &other) != Some(true),
        _ => false,
    }
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
