//! Folders whose names are labels.
//!
//! There are two layouts. In a folder of labels every subfolder is a label, with any files, mailboxes and maildirs in
//! it. In a maildir tree every maildir is a label: `Work/Offers` for the maildir `Work/Offers` or, in Maildir++,
//! `.Work.Offers`. A folder is a maildir tree if it is a maildir or one of its subfolders is.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use encoding_rs::Encoding;

use super::row::clean;
use super::{Candidate, Labelled, LabelledOptions, Left, Samples, Unlabelled};
use crate::intake::{Files, Options, source};
use crate::maildir::{self, utf7};
use crate::record::Origin;

/// The greatest depth of folders.
const DEEPEST: usize = 32;

/// The inbox, whose name is not a label.
const INBOX: &str = "INBOX";

/// A folder and the label of everything in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LabelFolder {
    path: PathBuf,
    label: String,
}

/// Opens a folder.
pub(super) fn open(root: &Path, tree: bool, options: &Arc<LabelledOptions>) -> Result<Samples> {
    std::fs::read_dir(root).with_context(|| format!("cannot list the folder {}", root.display()))?;
    let (places, loose) = places(root, tree, options);
    if places.is_empty() && !tree && options.unlabelled != Unlabelled::LeftOut {
        return options.documents(root);
    }
    if places.is_empty() {
        bail!(
            "no folder in {} is a label: neither has it sub-folders with files, named as labels, nor is it a maildir \
             tree with folders beside the inbox{}",
            root.display(),
            if options.exclude.is_empty() { "" } else { ", that are not excluded" }
        );
    }
    let loose = loose.into_iter().map(|path| left(&path, "it lies beside the folders that are labels"));
    let encoding = options.encoding;
    let samples = places.into_iter().flat_map(move |place| samples(&place, encoding));
    Ok(Box::new(loose.chain(samples)))
}

fn left(path: &Path, why: &'static str) -> Candidate {
    let origin = Origin { source: source::shown(path), index: 0, offset: 0 };
    Candidate::Left(Left { origin, why: super::Why::NoLabel(why) })
}

/// The documents of one folder.
fn samples(place: &LabelFolder, encoding: Option<&'static Encoding>) -> Samples {
    let Ok(label) = clean(&place.label) else {
        return Box::new(std::iter::once(left(&place.path, "its folder's name holds a control character")));
    };
    let source = source::Source::new(std::iter::once(place.path.clone()), Options { encoding, ..Options::default() });
    Box::new(source.map(move |raw| Candidate::Sample(Labelled::new(raw, vec![label.clone()], 1.0))))
}

/// The label folders, and the files outside of them.
fn places(root: &Path, tree: bool, options: &LabelledOptions) -> (Vec<LabelFolder>, Vec<PathBuf>) {
    let is_tree = tree || maildir::is_maildir(root) || sub_folders(root).iter().any(|path| maildir::is_maildir(path));
    let mut walk = Walk { options, places: Vec::new(), seen: HashSet::new(), tree: is_tree };
    if is_tree && maildir::is_maildir(root) {
        walk.add(root, &[INBOX.to_string()]);
    }
    walk.folder(root, &[]);
    // Beside a maildir are the files of the programs that manage it.
    let loose = if is_tree { Vec::new() } else { loose_files(root) };
    (walk.places, loose)
}

struct Walk<'o> {
    options: &'o LabelledOptions,
    places: Vec<LabelFolder>,
    /// Folders that were walked, because links may form a loop.
    seen: HashSet<PathBuf>,
    tree: bool,
}

impl Walk<'_> {
    /// Walks the subfolders of `folder`, whose own name is `above`.
    fn folder(&mut self, folder: &Path, above: &[String]) {
        let is_new = folder.canonicalize().is_ok_and(|path| self.seen.insert(path));
        if !is_new || above.len() > DEEPEST {
            return;
        }
        for path in sub_folders(folder) {
            let Some(name) = path.file_name() else { continue };
            let is_maildir = maildir::is_maildir(&path);
            let hidden = maildir::is_hidden(name);
            if hidden && !is_maildir {
                continue;
            }
            let name = name.to_string_lossy();
            let parts: Vec<&str> = match name.strip_prefix('.') {
                Some(parts) => parts.split('.').collect(),
                None => vec![&name],
            };
            let parts = parts.into_iter().filter(|_| self.tree || !hidden).map(utf7::decode);
            let name: Vec<String> = above.iter().cloned().chain(parts).collect();
            match self.tree {
                true => self.branch(&path, &name, is_maildir),
                false if !hidden => self.add(&path, &name),
                false => {}
            }
        }
    }

    /// A subfolder of a maildir tree.
    fn branch(&mut self, path: &Path, name: &[String], is_maildir: bool) {
        let before = self.places.len();
        if is_maildir {
            self.add(path, name);
        }
        self.folder(path, name);
        // A folder of plain files beside the maildirs is a label too.
        if self.places.len() == before && !is_maildir && name.len() == 1 {
            self.add(path, name);
        }
    }

    fn add(&mut self, path: &Path, name: &[String]) {
        let is_inbox = self.tree && name.last().is_some_and(|last| last.eq_ignore_ascii_case(INBOX));
        let is_empty = Files::new(path, false).next().is_none();
        if (is_inbox && !self.options.inbox) || is_empty || self.is_excluded(name) {
            return;
        }
        self.places.push(LabelFolder { path: path.to_path_buf(), label: name.join("/") });
    }

    /// True if a pattern matches the path of a folder or one of the names in it.
    fn is_excluded(&self, name: &[String]) -> bool {
        let form = glob::MatchOptions { case_sensitive: false, ..Default::default() };
        let mut ways = (1..=name.len()).map(|end| name[..end].join("/")).chain(name.iter().cloned());
        ways.any(|way| self.options.exclude.iter().any(|pattern| pattern.matches_with(&way, form)))
    }
}

/// The subfolders of `folder`, sorted by name, without those that belong to a maildir or its server.
fn sub_folders(folder: &Path) -> Vec<PathBuf> {
    let is_maildir = maildir::is_maildir(folder);
    let own = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        is_maildir && (["cur", "new", "tmp"].iter().any(|own| name == *own) || maildir::is_not_mail(name))
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir() && !own(path)).collect();
    folders.sort();
    folders
}

/// The files directly in `folder`.
fn loose_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let entries = entries.filter(|entry| !maildir::is_hidden(&entry.file_name()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| !path.is_dir()).collect();
    files.sort();
    files
}
