//! Where things are, as the journal keeps it: below the tree's root as seen from there, so that a tree can be moved, and
//! elsewhere in whole paths. What stands in a journal that came with a maildir of somebody else must lead nowhere.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The root itself.
const ROOT: &[u8] = b".";

/// A path as it is stored; nothing for no path.
pub(super) fn stored(root: &Path, path: &Path) -> Vec<u8> {
    match path.strip_prefix(root) {
        Ok(below) if below.as_os_str().is_empty() => ROOT.to_vec(),
        Ok(below) => below.as_os_str().as_bytes().to_vec(),
        Err(_) => path.as_os_str().as_bytes().to_vec(),
    }
}

/// The path that was stored; `None` for what [`stored`] has never made of a tidy path.
pub(super) fn read(root: &Path, stored: &[u8]) -> Option<PathBuf> {
    let path = Path::new(OsStr::from_bytes(stored));
    let is_tidy = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_) | Component::RootDir));
    match stored {
        b"" => Some(PathBuf::new()),
        ROOT => Some(root.to_path_buf()),
        _ if stored.contains(&0) || !is_tidy(path) => None,
        _ => Some(root.join(path)),
    }
}

/// True for what can be the name of a file, or the beginning of one; and for nothing.
pub(super) fn is_name(name: &[u8]) -> bool {
    !name.iter().any(|byte| matches!(byte, b'/' | 0)) && !matches!(name, b"." | b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_tree() {
        let root = Path::new("/home/me/Mail");
        for (path, kept) in [
            ("/home/me/Mail", "."),
            ("/home/me/Mail/.Work", ".Work"),
            ("/home/me/Mailbox", "/home/me/Mailbox"),
            ("/other", "/other"),
            ("", ""),
        ] {
            assert_eq!(stored(root, Path::new(path)), kept.as_bytes());
            assert_eq!(read(root, kept.as_bytes()).unwrap(), Path::new(path));
        }
        assert_eq!(read(Path::new("/new"), b".Work").unwrap(), Path::new("/new/.Work"));
        for odd in ["../x", "x/../../y", "/home/../etc", "x\0y", ".."] {
            assert_eq!(read(root, odd.as_bytes()), None, "{odd:?}");
        }
        assert!([&b"1.a"[..], b"", b"..a"].iter().all(|name| is_name(name)));
        assert!([&b"/etc/passwd"[..], b"../x", b"..", b".", b"a\0"].iter().all(|name| !is_name(name)));
    }
}
