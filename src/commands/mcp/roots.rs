//! The folders that a client may read.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::{intake, platform};

/// Folders.
pub(super) struct Roots {
    /// In their real places.
    real: Vec<PathBuf>,
    /// As they were given, in full. An index has the paths that it was given.
    given: Vec<PathBuf>,
}

impl Roots {
    /// The folders of --root, or the current folder. The whole file system is nobody's folder: a program that starts
    /// servers there means nothing by it.
    ///
    /// # Errors
    /// When one of them is no folder.
    pub(super) fn open(given: &[PathBuf]) -> Result<Self> {
        if given.is_empty() {
            let here = std::env::current_dir().ok();
            let real = here.as_ref().and_then(|here| here.canonicalize().ok()).filter(|here| here.parent().is_some());
            let given = here.into_iter().filter(|_| real.is_some()).collect();
            return Ok(Self { real: real.into_iter().collect(), given });
        }
        let real = |folder: &PathBuf| {
            let real = folder.canonicalize().with_context(|| format!("--root {}", folder.display()))?;
            ensure!(real.is_dir(), "--root {} is not a folder", folder.display());
            Ok(real)
        };
        let whole = given.iter().map(|folder| platform::absolute(folder)).collect::<std::io::Result<_>>();
        let whole = whole.context("the current folder cannot be told")?;
        Ok(Self { real: given.iter().map(real).collect::<Result<_>>()?, given: whole })
    }

    /// The real place of what a client names, with all links resolved. A relative path is one of the first folder that
    /// has it.
    ///
    /// # Errors
    /// When it is not there, lies outside, or is neither a file nor a folder. Whether something is there outside is not
    /// said.
    pub(super) fn resolve(&self, field: &str, path: &str) -> Result<PathBuf> {
        ensure!(!path.trim().is_empty(), "`{field}` is empty; name a file or folder");
        let candidates = self.real.iter().map(|folder| folder.join(path));
        let found = candidates.filter_map(|candidate| candidate.canonicalize().ok()).find(|real| self.has(real));
        let Some(real) = found else { bail!("`{field}`: {}", self.refusal(path)) };
        // A pipe or a device could make the call wait for ever.
        ensure!(real.is_file() || real.is_dir(), "`{field}`: {path} is neither a file nor a folder");
        Ok(real)
    }

    fn refusal(&self, path: &str) -> String {
        if self.real.is_empty() {
            return format!("{path} may not be read, as no folder may; start the server with `--root FOLDER`");
        }
        let folders: Vec<String> = self.real.iter().map(|folder| folder.display().to_string()).collect();
        format!(
            "{path} is not there, or lies outside of {}, where files may be read; check the path, or start the server with \
             `--root FOLDER` for another folder",
            folders.join(", ")
        )
    }

    /// True for a real path in one of the folders.
    fn has(&self, real: &Path) -> bool {
        self.real.iter().any(|folder| real.starts_with(folder))
    }

    /// True for a file that was found in a folder and does not lead outside by a link.
    pub(super) fn has_found(&self, path: &Path) -> bool {
        match path.canonicalize() {
            Ok(real) => self.has(&real),
            // A message of a maildir that was renamed meanwhile.
            Err(_) => path.parent().and_then(|folder| folder.canonicalize().ok()).is_some_and(|real| self.has(&real)),
        }
    }

    /// A path as an index has it: of the first folder that has it, as that was given. It is compared with text there.
    ///
    /// # Errors
    /// When the system cannot tell where it is.
    pub(super) fn in_full(&self, path: &str) -> Result<String> {
        let joined: Vec<PathBuf> = self.given.iter().chain(&self.real).map(|folder| folder.join(path)).collect();
        let is_inside = |joined: &&PathBuf| joined.canonicalize().is_ok_and(|real| self.has(&real));
        let joined = joined.iter().find(is_inside).or(joined.first()).cloned().unwrap_or_else(|| PathBuf::from(path));
        let whole = platform::absolute(&joined).with_context(|| format!("`path`: {path}"))?;
        Ok(intake::shown(&whole).to_string())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_what_really_lies_inside_is_read() {
        let top = tempfile::tempdir().unwrap();
        let inside = top.path().join("inside");
        fs::create_dir_all(inside.join("deep")).unwrap();
        fs::write(inside.join("deep/a.eml"), "a").unwrap();
        fs::write(top.path().join("secret"), "s").unwrap();
        fs::create_dir(top.path().join("inside2")).unwrap();
        fs::write(top.path().join("inside2/b"), "b").unwrap();
        symlink(top.path().join("secret"), inside.join("link")).unwrap();
        symlink(top.path(), inside.join("up")).unwrap();
        symlink(inside.join("deep/a.eml"), inside.join("near")).unwrap();
        let roots = Roots::open(std::slice::from_ref(&inside)).unwrap();
        let real = inside.canonicalize().unwrap();
        let whole = inside.join("deep/a.eml").display().to_string();
        for path in ["deep/a.eml", "deep/../deep/a.eml", "near", &whole] {
            assert_eq!(roots.resolve("path", path).unwrap(), real.join("deep/a.eml"), "{path}");
        }
        let outside = top.path().join("secret").display().to_string();
        let beside = top.path().join("inside2/b").display().to_string();
        for path in
            ["link", "up/secret", "../secret", "up", "..", "nothing", "-", "a\0b", &outside, &beside, "/dev/zero"]
        {
            let said = roots.resolve("path", path).unwrap_err().to_string();
            assert!(said.contains("`path`") && said.contains("--root"), "{path}: {said}");
        }
        assert!(roots.resolve("path", " ").is_err());
        assert!(roots.has_found(&inside.join("near")) && !roots.has_found(&inside.join("link")));
        assert!(!roots.has_found(&inside.join("up/gone")) && roots.has_found(&inside.join("deep/gone")));
    }
}
