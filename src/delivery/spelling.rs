//! Finds a folder of a maildir tree in whichever spelling it has on the disk.
//!
//! Mail servers write names in modified UTF-7 or in UTF-8, and systems compose letters and their marks or do not. All
//! spellings of a name mean one folder: a second one beside it would split the mail.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use unicode_normalization::UnicodeNormalization;

use crate::maildir::{self, SUBFOLDERS, utf7};

/// How a tree lays out its folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeLayout {
    /// Maildir++: `Work/Offers` is `.Work.Offers` in the root maildir, in modified UTF-7.
    MaildirPlus,
    /// `Work/Offers` is `Work/Offers`.
    Plain,
}

impl TreeLayout {
    /// Detects the layout of the tree at `root`: Maildir++ if the root is a maildir, unless it holds maildirs whose
    /// names all lack the leading dot.
    pub fn of(root: &Path, is_maildir: impl Fn(&Path) -> bool) -> Self {
        if !is_maildir(root) {
            return Self::Plain;
        }
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
        let own = |name: &str| SUBFOLDERS.contains(&name);
        let folders = entries.filter(|entry| !entry.file_name().to_str().is_some_and(own) && is_maildir(&entry.path()));
        let (dotted, plain): (Vec<_>, Vec<_>) =
            folders.map(|entry| entry.file_name()).partition(|name| name.as_encoded_bytes().starts_with(b"."));
        if dotted.is_empty() && !plain.is_empty() { Self::Plain } else { Self::MaildirPlus }
    }
}

/// How the names of new folders are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Modified UTF-7.
    Utf7,
    /// UTF-8.
    Plain,
}

impl Spelling {
    /// The spelling of the folders that are in `root`. Without one, that of the layout.
    pub(super) fn of(root: &Path, layout: TreeLayout) -> Self {
        let names = names(root);
        let is_encoded = |name: &String| name.is_ascii() && !utf7::decode(name).is_ascii();
        match (names.iter().any(is_encoded), names.iter().any(|name| !name.is_ascii()), layout) {
            (true, false, _) => Self::Utf7,
            (false, true, _) => Self::Plain,
            (_, _, TreeLayout::MaildirPlus) => Self::Utf7,
            (_, _, TreeLayout::Plain) => Self::Plain,
        }
    }

    /// Name of a new folder.
    pub(super) fn write(self, name: &str) -> String {
        match self {
            Self::Utf7 => utf7::encode(name),
            Self::Plain => name.to_string(),
        }
    }
}

/// The folder with these levels in `root`, as far as it exists: its path relative to `root`, and the number of levels.
///
/// # Errors
/// When there are two maildirs of that name.
pub(super) fn find(root: &Path, layout: TreeLayout, levels: &[String]) -> Result<(PathBuf, usize)> {
    match layout {
        TreeLayout::Plain => {
            let mut found = vec![PathBuf::new()];
            for (depth, level) in levels.iter().enumerate() {
                let is_level = |name: &String| is_same(name, level);
                let below = |above: &PathBuf| {
                    let names = names(&root.join(above)).into_iter().filter(is_level);
                    names.map(|name| above.join(name)).collect::<Vec<_>>()
                };
                let next: Vec<PathBuf> = found.iter().flat_map(below).collect();
                if next.is_empty() {
                    return Ok((the_one(root, found)?, depth));
                }
                found = next;
            }
            Ok((the_one(root, found)?, levels.len()))
        }
        TreeLayout::MaildirPlus => {
            let names = names(root);
            for depth in (1..=levels.len()).rev() {
                let is_folder = |name: &&String| {
                    let own: Vec<&str> = name.split('.').skip(1).collect();
                    name.starts_with('.')
                        && own.len() == depth
                        && own.iter().zip(levels).all(|(name, level)| is_same(name, level))
                };
                let found: Vec<PathBuf> = names.iter().filter(is_folder).map(PathBuf::from).collect();
                if !found.is_empty() {
                    return Ok((the_one(root, found)?, depth));
                }
            }
            Ok((PathBuf::new(), 0))
        }
    }
}

/// True when a name on the disk means the folder.
fn is_same(name: &str, level: &str) -> bool {
    let is_level = |name: &str| name.nfc().eq(level.nfc());
    name == level || is_level(name) || is_level(&utf7::decode(name))
}

/// Of several spellings, the only maildir.
fn the_one(root: &Path, mut found: Vec<PathBuf>) -> Result<PathBuf> {
    if found.len() > 1 && found.iter().any(|path| maildir::is_maildir(&root.join(path))) {
        found.retain(|path| maildir::is_maildir(&root.join(path)));
    }
    if let [one, other, ..] = &found[..] {
        let (one, other) = (root.join(one), root.join(other));
        bail!(
            "{} and {} are one folder in two spellings; move the messages of one into the other and remove it",
            one.display(),
            other.display()
        );
    }
    Ok(found.pop().unwrap_or_default())
}

/// Names of the folders in a folder, sorted, as far as they are text.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(folders: &[&str]) -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        folders.iter().for_each(|folder| std::fs::create_dir_all(tree.path().join(folder)).unwrap());
        tree
    }

    fn found(folders: &[&str], layout: TreeLayout, name: &str) -> Result<(String, usize)> {
        let levels: Vec<String> = name.split('/').map(String::from).collect();
        let (path, depth) = find(tree(folders).path(), layout, &levels)?;
        Ok((path.to_string_lossy().into_owned(), depth))
    }

    #[test]
    fn a_folder_is_found_in_every_spelling() {
        let decomposed = "Entwu\u{308}rfe";
        for (there, layout, name, expected, depth) in [
            ("&U9F5aA-/cur", TreeLayout::Plain, "发票", "&U9F5aA-", 1),
            ("发票/cur", TreeLayout::Plain, "发票", "发票", 1),
            ("Entw&APw-rfe/cur", TreeLayout::Plain, decomposed, "Entw&APw-rfe", 1),
            (decomposed, TreeLayout::Plain, "Entwürfe", decomposed, 1),
            ("&U9F5aA-/Entwürfe/cur", TreeLayout::Plain, "发票/Entwürfe", "&U9F5aA-/Entwürfe", 2),
            ("&U9F5aA-/Entwürfe/cur", TreeLayout::Plain, "发票/x", "&U9F5aA-", 1),
            ("Q&-A", TreeLayout::Plain, "Q&A", "Q&-A", 1),
            ("R&D", TreeLayout::Plain, "R&D", "R&D", 1),
            (".发票", TreeLayout::MaildirPlus, "发票", ".发票", 1),
            (".&U9F5aA-", TreeLayout::MaildirPlus, "发票", ".&U9F5aA-", 1),
            (".发票.Entw&APw-rfe", TreeLayout::MaildirPlus, "发票/Entwürfe", ".发票.Entw&APw-rfe", 2),
            (".发票.x", TreeLayout::MaildirPlus, "发票", "", 0),
            (".发票", TreeLayout::MaildirPlus, "发票/x/y", ".发票", 1),
            ("发票", TreeLayout::MaildirPlus, "发票", "", 0),
        ] {
            assert_eq!(found(&[there], layout, name).unwrap(), (expected.into(), depth), "{there} {name}");
        }
    }

    #[test]
    fn two_maildirs_of_one_name_are_named() {
        let said = found(&["&U9F5aA-/cur", "&U9F5aA-/new", "发票/cur", "发票/new"], TreeLayout::Plain, "发票/x");
        let said = said.unwrap_err().to_string();
        assert!(said.contains("/&U9F5aA-") && said.contains("/发票 "), "{said}");
        let plus = [".&U9F5aA-/cur", ".&U9F5aA-/new", ".发票/cur", ".发票/new"];
        assert!(found(&plus, TreeLayout::MaildirPlus, "发票").is_err());
        // A folder that only leads to others is none of them.
        let one = ["&U9F5aA-/x", "发票/cur", "发票/new"];
        assert_eq!(found(&one, TreeLayout::Plain, "发票").unwrap().0, "发票");
        assert_eq!(found(&one, TreeLayout::Plain, "发票/x").unwrap().0, "&U9F5aA-/x");
    }

    #[test]
    fn new_folders_are_spelled_like_those_that_are_there() {
        let check = |folders: &[&str], layout, expected| {
            assert_eq!(Spelling::of(tree(folders).path(), layout), expected, "{folders:?}");
        };
        check(&[], TreeLayout::MaildirPlus, Spelling::Utf7);
        check(&["Work", "R&D"], TreeLayout::Plain, Spelling::Plain);
        check(&["Entw&APw-rfe"], TreeLayout::Plain, Spelling::Utf7);
        check(&[".Entwürfe"], TreeLayout::MaildirPlus, Spelling::Plain);
        check(&[".Entwürfe", ".&U9F5aA-"], TreeLayout::MaildirPlus, Spelling::Utf7);
    }
}
