//! The form in which the journal stores paths: relative to the tree's root inside the tree, so that a tree can be
//! moved, and absolute elsewhere. A journal that came with somebody else's maildir must not lead out of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The root itself.
const ROOT: &[u8] = b".";

/// The stored form of a path; an empty path is stored as nothing.
pub(super) fn stored(root: &Path, path: &Path) -> Vec<u8> {
    match path.strip_prefix(root) {
        Ok(below) if below.as_os_str().is_empty() => ROOT.to_vec(),
        Ok(below) => below.as_os_str().as_bytes().to_vec(),
        Err(_) => path.as_os_str().as_bytes().to_vec(),
    }
}

/// The path of a stored form; `None` for what [`stored`] never makes of a normalised path.
pub(super) fn from_stored(root: &Path, stored: &[u8]) -> Option<PathBuf> {
    let path = Path::new(OsStr::from_bytes(stored));
    let is_normal =
        |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_) | Component::RootDir));
    match stored {
        b"" => Some(PathBuf::new()),
        ROOT => Some(root.to_path_buf()),
        _ if stored.contains(&0) || !is_normal(path) => None,
        _ => Some(root.join(path)),
    }
}

/// True for a file name or the beginning of one; also when empty.
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
            assert_eq!(from_stored(root, kept.as_bytes()).unwrap(), Path::new(path));
        }
        assert_eq!(from_stored(Path::new("/new"), b".Work").unwrap(), Path::new("/new/.Work"));
        for odd in ["../x", "x/../../y", "/home/../etc", "x\0y", ".."] {
            assert_eq!(from_stored(root, odd.as_bytes()), None, "{odd:?}");
        }
        assert!([&b"1.a"[..], b"", b"..a"].iter().all(|name| is_name(name)));
        assert!([&b"/etc/passwd"[..], b"../x", b"..", b".", b"a\0"].iter().all(|name| !is_name(name)));
    }
}
