//! File operations that never replace a file. A new file is on the disk before it gets its name.

use std::borrow::Cow;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::fchown;
use rustix::process::{Gid, Uid, geteuid};
use sha2::{Digest, Sha256};

/// A SHA-256.
pub(super) type Sha = [u8; 32];

/// A file's device and inode.
pub type FileId = (u64, u64);

/// Renames a file; fails with `AlreadyExists` instead of replacing one.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Older kernels and some file systems lack the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_and_remove(from, to),
        done => Ok(done?),
    }
}

/// The same on systems without such a call.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    link_and_remove(from, to)
}

/// A crash between the two steps leaves one file with two names, which recovery settles. If the second step fails,
/// because the file was renamed or deleted meanwhile or cannot be removed, the first is undone.
fn link_and_remove(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from).inspect_err(|_| drop(fs::remove_file(to)))
}

/// Device and inode of a path; links are not followed.
pub(super) fn id(path: &Path) -> io::Result<FileId> {
    path.symlink_metadata().map(|found| (found.dev(), found.ino()))
}

/// Removes a file unless it has changed since `before`. Fails with `NotFound` if another file has its name now.
pub(super) fn remove(path: &Path, before: &Metadata) -> io::Result<()> {
    let now = path.symlink_metadata()?;
    if (now.dev(), now.ino()) != (before.dev(), before.ino()) {
        return Err(io::ErrorKind::NotFound.into());
    }
    if (now.len(), now.mtime(), now.mtime_nsec()) != (before.len(), before.mtime(), before.mtime_nsec()) {
        return Err(io::Error::other("it was written to meanwhile"));
    }
    fs::remove_file(path)
}

/// Source of a new file's bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'c> {
    /// A message of another maildir.
    File(&'c Path),
    /// A message of an mbox file.
    Bytes(&'c [u8]),
    /// A rewritten message, with the permissions and times of the original.
    Pieces(&'c [Cow<'c, [u8]>], &'c File),
}

/// Writes `tmp`, syncs it and renames it to `to`. Returns the hash of the bytes. Removes `tmp` on failure.
pub(super) fn copy(content: Content<'_>, tmp: &Path, to: &Path) -> io::Result<Sha> {
    let source = match content {
        Content::File(path) => Some(File::open(path)?),
        Content::Bytes(_) | Content::Pieces(..) => None,
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(tmp)?;
    let written = fill(&file, tmp.parent().unwrap_or(tmp), source.as_ref(), content)
        .and_then(|sha| rename(tmp, to).map(|()| sha));
    if written.is_err() {
        // Its bytes are elsewhere. If it cannot be removed, recovery will do it.
        let _ = fs::remove_file(tmp);
    }
    written
}

fn fill(mut file: &File, folder: &Path, source: Option<&File>, content: Content<'_>) -> io::Result<Sha> {
    let mut sha = Sha256::new();
    match (content, source) {
        (Content::Bytes(bytes), _) => {
            file.write_all(bytes)?;
            sha.update(bytes);
            give(file, &folder.metadata()?)?;
        }
        (Content::Pieces(pieces, like), _) => {
            for piece in pieces {
                file.write_all(piece)?;
                sha.update(piece);
            }
            make_alike(file, like)?;
        }
        (Content::File(_), Some(mut source)) => {
            for_each_chunk(&mut source, |chunk| {
                sha.update(chunk);
                file.write_all(chunk)
            })?;
            make_alike(file, source)?;
        }
        (Content::File(_), None) => {}
    }
    file.sync_all()?;
    Ok(sha.finalize().into())
}

fn make_alike(file: &File, other: &File) -> io::Result<()> {
    let metadata = other.metadata()?;
    file.set_permissions(Permissions::from_mode(metadata.mode() & 0o777))?;
    give(file, &metadata)?;
    // Mail servers take the file's time as the time of arrival.
    file.set_modified(metadata.modified().unwrap_or_else(|_| SystemTime::now()))
}

/// When run by root, gives a new file to the owner of `like`.
pub(super) fn give(file: &File, like: &Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    if !geteuid().is_root() || (own.uid(), own.gid()) == (like.uid(), like.gid()) {
        return Ok(());
    }
    Ok(fchown(file, Some(Uid::from_raw(like.uid())), Some(Gid::from_raw(like.gid())))?)
}

fn for_each_chunk(source: &mut impl Read, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match source.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&chunk[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Opens a file for reading and writing; creates a missing one, for its owner only. Refuses links.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW.bits();
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(flags as i32);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                give(&file, &folder.metadata()?)?;
            }
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

/// Syncs a folder, so that its names are on the disk.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Hash of a file.
pub(super) fn sha(path: &Path) -> io::Result<Sha> {
    sha_of(&File::open(path)?)
}

/// Hash of an open file, from its current position.
pub(super) fn sha_of(file: &File) -> io::Result<Sha> {
    let mut sha = Sha256::new();
    for_each_chunk(&mut { file }, |chunk| {
        sha.update(chunk);
        Ok(())
    })?;
    Ok(sha.finalize().into())
}

/// True when two files hold the same bytes.
pub(super) fn are_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (first, second) = (fs::metadata(one)?, fs::metadata(other)?);
    if (first.dev(), first.ino()) == (second.dev(), second.ino()) {
        return Ok(true);
    }
    Ok(first.len() == second.len() && sha(one)? == sha(other)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, text) in [("a", "1"), ("b", "2")] {
            fs::write(path(name), text).unwrap();
        }
        for rename in [rename, link_and_remove] {
            assert_eq!(rename(&path("a"), &path("b")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(rename(&path("c"), &path("d")).unwrap_err().kind(), io::ErrorKind::NotFound);
            rename(&path("a"), &path("c")).unwrap();
            rename(&path("c"), &path("a")).unwrap();
        }
        let refused = copy(Content::File(&path("a")), &path("t"), &path("b")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert!(!path("t").exists() && fs::read(path("b")).unwrap() == b"2");
    }

    #[test]
    fn what_is_renamed_or_deleted_meanwhile_has_no_second_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a"), "1").unwrap();
        fs::hard_link(path("a"), path("b")).unwrap();
        // As after the first step, when somebody has renamed it.
        fs::rename(path("a"), path("a:2,S")).unwrap();
        fs::remove_file(path("b")).unwrap();
        assert_eq!(link_and_remove(&path("a"), &path("b")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!path("b").exists() && path("a:2,S").exists());
        let file = fs::metadata(path("a:2,S")).unwrap();
        fs::write(path("c"), "2").unwrap();
        assert_eq!(remove(&path("c"), &file).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(path("c").exists() && remove(&path("a:2,S"), &file).is_ok() && !path("a:2,S").exists());
    }

    #[test]
    fn copies_are_alike() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a"), "mail").unwrap();
        fs::set_permissions(path("a"), Permissions::from_mode(0o640)).unwrap();
        let then = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        File::options().write(true).open(path("a")).unwrap().set_modified(then).unwrap();
        let written = copy(Content::File(&path("a")), &path("t"), &path("b")).unwrap();
        assert_eq!(written, copy(Content::Bytes(b"mail"), &path("t"), &path("c")).unwrap());
        let copied = fs::metadata(path("b")).unwrap();
        assert_eq!((copied.mode() & 0o777, copied.modified().unwrap()), (0o640, then));
        assert_eq!(fs::metadata(path("c")).unwrap().mode() & 0o777, 0o600);
        assert!(are_same(&path("a"), &path("b")).unwrap());
        fs::write(path("c"), "liam").unwrap();
        assert!(!are_same(&path("a"), &path("c")).unwrap());
    }
}
