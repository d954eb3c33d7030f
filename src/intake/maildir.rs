//! Lists the messages of a maildir in a stable order.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// The folders of a maildir that hold messages, in the order they are read. `tmp` holds unfinished deliveries.
const FOLDERS: [&str; 2] = ["cur", "new"];

/// True when `folder` looks like a maildir: it has `cur` or `new`, and `tmp` or both.
pub fn is_maildir(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_dir();
    let found = FOLDERS.iter().filter(|name| has(name)).count();
    found == 2 || (found == 1 && has("tmp")) || (found == 1 && !has_other_entries(folder))
}

/// True when something else than a maildir's own folders and dot files lies in `folder`.
fn has_other_entries(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let own = FOLDERS.iter().any(|f| name == *f) || name == "maildirfolder";
        !own && !is_hidden(&name)
    })
}

/// True for names that begin with a dot.
pub fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// The message files of a maildir: `cur` then `new`, each by name.
///
/// # Errors
/// When a folder cannot be listed.
pub fn messages(maildir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        let folder = maildir.join(folder);
        if !folder.is_dir() {
            continue;
        }
        let mut names: Vec<PathBuf> =
            std::fs::read_dir(&folder)?.map(|entry| entry.map(|e| e.path())).collect::<io::Result<_>>()?;
        names.retain(|path| path.file_name().is_some_and(|name| !is_hidden(name)));
        names.sort();
        files.append(&mut names);
    }
    Ok(files)
}

/// Finds a message again whose flags were changed between listing and opening, which renames the file: the part of
/// the name before `:2,` stays. A message may also have moved from `new` to `cur`.
pub fn find_renamed(path: &Path) -> Option<PathBuf> {
    let base = base_name(path.file_name()?).to_vec();
    let maildir = path.parent()?.parent()?;
    for folder in FOLDERS {
        let Ok(entries) = std::fs::read_dir(maildir.join(folder)) else {
            continue;
        };
        for entry in entries.flatten() {
            if base_name(&entry.file_name()) == base {
                return Some(entry.path());
            }
        }
    }
    None
}

fn base_name(name: &OsStr) -> &[u8] {
    let bytes = name.as_encoded_bytes();
    memchr::memmem::find(bytes, b":2,").map_or(bytes, |at| &bytes[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }

    #[test]
    fn lists_in_order_and_finds_renamed() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["new/3.a.h", "cur/2.b.h:2,S", "cur/1.c.h:2,", "tmp/9.x", "cur/.hidden"] {
            touch(&folder.path().join(name));
        }
        assert!(is_maildir(folder.path()));
        let shown: Vec<_> = messages(folder.path())
            .unwrap()
            .iter()
            .map(|p| p.strip_prefix(folder.path()).unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(shown, ["cur/1.c.h:2,", "cur/2.b.h:2,S", "new/3.a.h"]);
        let moved = find_renamed(&folder.path().join("new/2.b.h")).unwrap();
        assert!(moved.ends_with("cur/2.b.h:2,S"));
        assert_eq!(find_renamed(&folder.path().join("new/7.gone")), None);
    }

    #[test]
    fn a_project_folder_with_new_is_no_maildir() {
        let folder = tempfile::tempdir().unwrap();
        touch(&folder.path().join("new/readme.txt"));
        touch(&folder.path().join("old/readme.txt"));
        assert!(!is_maildir(folder.path()));
    }
}
