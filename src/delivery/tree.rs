//! A maildir tree: paths of its folders, which are created on first use, and a check that no link leads out of it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::files;
use super::folder::FolderName;
use super::spelling::TreeLayout;
use crate::maildir::{self, SUBFOLDERS};

/// File that marks a folder of Maildir++.
const MARK: &str = "maildirfolder";

/// A root folder and its layout.
#[derive(Clone, Debug)]
pub struct MaildirTree {
    root: PathBuf,
    layout: TreeLayout,
}

impl MaildirTree {
    /// The tree at `root`, which need not exist yet. Without a layout, it is detected.
    ///
    /// # Errors
    /// When the root is not a folder or cannot be read.
    pub fn new(root: &Path, layout: Option<TreeLayout>) -> Result<Self> {
        let root = resolved(root).with_context(|| format!("cannot use the folder {}", root.display()))?;
        ensure!(!root.exists() || root.is_dir(), "{} is not a folder", root.display());
        let layout = layout.unwrap_or_else(|| TreeLayout::of(&root, maildir::is_maildir));
        Ok(Self { root, layout })
    }

    /// The root, without links in its path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Path of a folder, which need not exist yet, without links.
    ///
    /// # Errors
    /// When the layout cannot hold the name, two folders have it, or a link leads out of the tree.
    pub fn path(&self, folder: &FolderName) -> Result<PathBuf> {
        let path = self.root.join(folder.path(&self.root, self.layout)?);
        self.check_maildir(&path)?;
        // Resolved, so that two paths of one folder are equal.
        resolved(&path)
    }

    /// Refuses a maildir if it or one of its subfolders is a link that leads out of the tree.
    pub(super) fn check_maildir(&self, path: &Path) -> Result<()> {
        self.check(path)?;
        SUBFOLDERS.iter().try_for_each(|own| self.check(&path.join(own)))
    }

    fn check(&self, path: &Path) -> Result<()> {
        let real = resolved(path).with_context(|| format!("cannot use the folder {}", path.display()))?;
        ensure!(real.starts_with(&self.root), "the folder {} is a link that leads out of the tree", path.display());
        Ok(())
    }

    /// Creates the maildir at `path`, as returned by [`MaildirTree::path`], or what is missing of it.
    ///
    /// # Errors
    /// When a folder cannot be created.
    pub fn create(&self, path: &Path) -> Result<()> {
        self.create_maildir(path).with_context(|| format!("cannot create the folder {}", path.display()))
    }

    fn create_maildir(&self, path: &Path) -> io::Result<()> {
        self.create_root()?;
        let mode = fs::metadata(&self.root)?.mode() & 0o777;
        let mut made = create_folders(path, mode)?;
        for own in SUBFOLDERS {
            made |= create_folders(&path.join(own), mode)?;
        }
        if self.layout == TreeLayout::MaildirPlus && path != self.root {
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

    /// Creates the root and the folders above it.
    ///
    /// # Errors
    /// When a folder cannot be created.
    pub fn create_root(&self) -> io::Result<()> {
        create_folders(&self.root, 0o700).map(drop)
    }
}

/// True when a folder was created.
fn create_folders(path: &Path, mode: u32) -> io::Result<bool> {
    if path.is_dir() {
        return Ok(false);
    }
    let missing: Vec<&Path> = path.ancestors().take_while(|above| !above.exists()).collect();
    DirBuilder::new().recursive(true).mode(mode).create(path)?;
    // Run by root, a new folder belongs to the owner of the folder above.
    if let Some(there) = missing.last().and_then(|highest| highest.parent()) {
        let like = there.metadata()?;
        missing.iter().try_for_each(|folder| files::give(&File::open(folder)?, &like))?;
    }
    Ok(true)
}

/// An absolute path without links. The end of it need not exist.
///
/// # Errors
/// When a link is broken or a folder on the way cannot be read.
pub fn resolved(path: &Path) -> Result<PathBuf> {
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
    // Joining an empty path would append a slash.
    Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(root: &Path, layout: TreeLayout) -> MaildirTree {
        MaildirTree::new(root, Some(layout)).unwrap()
    }

    #[test]
    fn folders_are_made_on_demand() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("new/root");
        let plus = tree(&root, TreeLayout::MaildirPlus);
        let path = plus.path(&FolderName::parse("Work/für").unwrap()).unwrap();
        assert!(path.ends_with(".Work.f&APw-r") && !root.exists());
        plus.create(&path).unwrap();
        plus.create(&path).unwrap();
        assert!(maildir::is_maildir(&path) && fs::metadata(path.join(MARK)).unwrap().len() == 0);
        let root = folder.path().join("plain");
        let plain = tree(&root, TreeLayout::Plain);
        let path = plain.path(&FolderName::parse("Work/für").unwrap()).unwrap();
        plain.create(&path).unwrap();
        assert!(maildir::is_maildir(&root.join("Work/für")) && !maildir::is_maildir(&root.join("Work")));
    }

    #[test]
    fn layouts_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let layout = || TreeLayout::of(root, maildir::is_maildir);
        assert_eq!(layout(), TreeLayout::Plain);
        tree(root, TreeLayout::Plain).create(&root.join("work")).unwrap();
        assert_eq!(layout(), TreeLayout::Plain);
        tree(root, TreeLayout::Plain).create(root).unwrap();
        assert_eq!(layout(), TreeLayout::Plain, "a maildir with plain folders");
        tree(root, TreeLayout::MaildirPlus).create(&root.join(".work")).unwrap();
        assert_eq!(layout(), TreeLayout::MaildirPlus);
    }

    #[test]
    fn no_link_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        let (root, out) = (folder.path().join("root"), folder.path().join("out"));
        fs::create_dir_all(&root).unwrap();
        fs::create_dir_all(out.join("sub")).unwrap();
        let tree = tree(&root, TreeLayout::Plain);
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
            assert_eq!(tree.path(&FolderName::parse(name).unwrap()).is_ok(), allowed, "{name}");
        }
    }
}
