//! A tree of maildirs below one root: where folders lie, which are made when mail first goes there, and that no link leads
//! out of it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::files;
use super::folder::{Folder, Layout, OWN};
use crate::maildir;

/// A file that says that a folder is one of Maildir++.
const MARK: &str = "maildirfolder";

/// Where folders are.
#[derive(Clone, Debug)]
pub struct Tree {
    root: PathBuf,
    layout: Layout,
}

impl Tree {
    /// The tree at `root`, which need not be there yet; the layout is told from what is there unless one is given.
    ///
    /// # Errors
    /// When the root is no folder, or cannot be looked at.
    pub fn new(root: &Path, layout: Option<Layout>) -> Result<Self> {
        let root = whole(root).with_context(|| format!("cannot use the folder {}", root.display()))?;
        ensure!(!root.exists() || root.is_dir(), "{} is no folder", root.display());
        let layout = layout.unwrap_or_else(|| Layout::of(&root, maildir::is_maildir));
        Ok(Self { root, layout })
    }

    /// The root, without links in it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a folder lies or will lie, without links in its path.
    ///
    /// # Errors
    /// When the layout cannot hold its name, or a link on the way leads out of the tree.
    pub fn path(&self, folder: &Folder) -> Result<PathBuf> {
        let path = self.root.join(folder.path(self.layout)?);
        self.check_maildir(&path)?;
        // Two names of one folder are one folder.
        whole(&path)
    }

    /// Refuses a maildir of which a link leads out of the tree.
    ///
    /// # Errors
    /// When there is one.
    pub(super) fn check_maildir(&self, path: &Path) -> Result<()> {
        self.check(path)?;
        OWN.iter().try_for_each(|own| self.check(&path.join(own)))
    }

    fn check(&self, path: &Path) -> Result<()> {
        let real = whole(path).with_context(|| format!("cannot use the folder {}", path.display()))?;
        ensure!(real.starts_with(&self.root), "the folder {} is a link that leads out of the tree", path.display());
        Ok(())
    }

    /// Makes the maildir at `path`, which [`Tree::path`] has said, and what is missing of it.
    ///
    /// # Errors
    /// When something cannot be made.
    pub fn make(&self, path: &Path) -> Result<()> {
        self.make_maildir(path).with_context(|| format!("cannot make the folder {}", path.display()))
    }

    fn make_maildir(&self, path: &Path) -> io::Result<()> {
        self.make_root()?;
        let mode = fs::metadata(&self.root)?.mode() & 0o777;
        let mut made = make_folders(path, mode)?;
        for own in OWN {
            made |= make_folders(&path.join(own), mode)?;
        }
        if self.layout == Layout::MaildirPlus && path != self.root {
            let mark = OpenOptions::new().write(true).create_new(true).mode(mode & 0o666).open(path.join(MARK));
            match mark {
                Ok(mark) => files::give(&mark, &path.metadata()?)?,
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                Err(_) => {}
            }
        }
        if made {
            files::sync(path)?;
            files::sync(path.parent().unwrap_or(path))?;
        }
        Ok(())
    }

    /// Makes the root, with everything above it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make_root(&self) -> io::Result<()> {
        make_folders(&self.root, 0o700).map(drop)
    }
}

/// True where something was made.
fn make_folders(path: &Path, mode: u32) -> io::Result<bool> {
    if path.is_dir() {
        return Ok(false);
    }
    let missing: Vec<&Path> = path.ancestors().take_while(|above| !above.exists()).collect();
    DirBuilder::new().recursive(true).mode(mode).create(path)?;
    // What is made for somebody else belongs to them.
    if let Some(there) = missing.last().and_then(|highest| highest.parent()) {
        let like = there.metadata()?;
        missing.iter().try_for_each(|folder| files::give(&File::open(folder)?, &like))?;
    }
    Ok(true)
}

/// A path without links, as far as it is there.
///
/// # Errors
/// When a link leads nowhere, or something on the way cannot be read.
pub fn whole(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let mut there = path.as_path();
    while let Err(error) = there.symlink_metadata() {
        match (error.kind(), there.parent()) {
            (io::ErrorKind::NotFound, Some(parent)) => there = parent,
            _ => bail!(error),
        }
    }
    let rest = path.strip_prefix(there)?;
    let real = there.canonicalize().with_context(|| format!("{} leads nowhere", there.display()))?;
    // A path that ends with a slash is another path to some.
    Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) })
}

/// Opens a folder's file for its owner alone, and makes it where it is not there.
///
/// # Errors
/// When it cannot be opened, or is a link.
pub(super) fn open_own(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW.bits();
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(flags as i32);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                files::give(&file, &folder.metadata()?)?;
            }
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(root: &Path, layout: Layout) -> Tree {
        Tree::new(root, Some(layout)).unwrap()
    }

    #[test]
    fn folders_are_made_on_demand() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("new/root");
        let plus = tree(&root, Layout::MaildirPlus);
        let path = plus.path(&Folder::parse("Work/für").unwrap()).unwrap();
        assert!(path.ends_with(".Work.f&APw-r") && !root.exists());
        plus.make(&path).unwrap();
        plus.make(&path).unwrap();
        assert!(maildir::is_maildir(&path) && fs::metadata(path.join(MARK)).unwrap().len() == 0);
        let plain = tree(&root, Layout::Plain);
        let path = plain.path(&Folder::parse("Work/für").unwrap()).unwrap();
        plain.make(&path).unwrap();
        assert!(maildir::is_maildir(&root.join("Work/für")) && !maildir::is_maildir(&root.join("Work")));
    }

    #[test]
    fn layouts_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let layout = || Layout::of(root, maildir::is_maildir);
        assert_eq!(layout(), Layout::Plain);
        tree(root, Layout::Plain).make(&root.join("work")).unwrap();
        assert_eq!(layout(), Layout::Plain);
        tree(root, Layout::Plain).make(root).unwrap();
        assert_eq!(layout(), Layout::Plain, "a maildir with plain folders");
        tree(root, Layout::MaildirPlus).make(&root.join(".work")).unwrap();
        assert_eq!(layout(), Layout::MaildirPlus);
    }

    #[test]
    fn no_link_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        let (root, out) = (folder.path().join("root"), folder.path().join("out"));
        fs::create_dir_all(&root).unwrap();
        fs::create_dir_all(out.join("sub")).unwrap();
        let tree = tree(&root, Layout::Plain);
        symlink(&out, root.join("link")).unwrap();
        symlink("nowhere", root.join("dangling")).unwrap();
        fs::create_dir_all(root.join("half")).unwrap();
        symlink(&out, root.join("half/cur")).unwrap();
        fs::create_dir_all(root.join("real")).unwrap();
        symlink("real", root.join("inside")).unwrap();
        for (name, allowed) in [
            ("link", false),
            ("link/sub", false),
            ("dangling", false),
            ("half", false),
            ("inside/x", true),
            ("x/y", true),
        ] {
            assert_eq!(tree.path(&Folder::parse(name).unwrap()).is_ok(), allowed, "{name}");
        }
    }
}
