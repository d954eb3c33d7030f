//! Files that get their names so that nothing is ever replaced, and that are on the disk when they have them.

use std::borrow::Cow;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::fchown;
use rustix::process::{Gid, Uid, geteuid};
use sha2::{Digest, Sha256};

use super::journal::FileId;

/// A SHA-256.
pub(super) type Sha = [u8; 32];

/// Gives a file another name on the same file system; fails where something has it already.
///
/// # Errors
/// As `rename`, and `AlreadyExists`.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every kernel and file system knows the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_and_remove(from, to),
        done => Ok(done?),
    }
}

/// As above, where there is no such call.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    link_and_remove(from, to)
}

/// Stopped between the two steps it leaves one file with two names, which the journal settles. Where the second fails, the
/// first is taken back: somebody has renamed or deleted the file meanwhile, or it may not be removed.
fn link_and_remove(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from).inspect_err(|_| drop(fs::remove_file(to)))
}

/// Which file a path leads to, if it is no link.
///
/// # Errors
/// When it cannot be looked at.
pub(super) fn id(path: &Path) -> io::Result<FileId> {
    path.symlink_metadata().map(|found| (found.dev(), found.ino()))
}

/// Removes a file, if it is what it was; `NotFound` if another has its name.
///
/// # Errors
/// When it cannot be removed, or was written to since.
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

/// Where the bytes of a new file come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'c> {
    /// A message that lies in another maildir.
    File(&'c Path),
    /// A message of a mailbox.
    Bytes(&'c [u8]),
    /// A message that is written anew, with permissions and times of the file.
    Pieces(&'c [Cow<'c, [u8]>], &'c File),
}

/// Writes `tmp`, makes sure that it is on the disk, and gives it the name `to`. Returns the hash of what was written.
///
/// # Errors
/// When something cannot be read, written or named so; then `tmp` is gone.
pub(super) fn copy(content: Content<'_>, tmp: &Path, to: &Path) -> io::Result<Sha> {
    let source = match content {
        Content::File(path) => Some(File::open(path)?),
        Content::Bytes(_) | Content::Pieces(..) => None,
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(tmp)?;
    let written = fill(&file, tmp.parent().unwrap_or(tmp), source.as_ref(), content)
        .and_then(|sha| rename(tmp, to).map(|()| sha));
    if written.is_err() {
        // It holds nothing that is not elsewhere; where it stays, the journal knows of it.
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
            for_each_piece(&mut source, |piece| {
                sha.update(piece);
                file.write_all(piece)
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
    // Servers show the file's time as the time at which the mail came in.
    file.set_modified(metadata.modified().unwrap_or_else(|_| SystemTime::now()))
}

/// Gives what we have made to the owner of something beside it, which only root can: what is another user's stays theirs.
///
/// # Errors
/// When the system does not let us.
pub(super) fn give(file: &File, like: &Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    if !geteuid().is_root() || (own.uid(), own.gid()) == (like.uid(), like.gid()) {
        return Ok(());
    }
    Ok(fchown(file, Some(Uid::from_raw(like.uid())), Some(Gid::from_raw(like.gid())))?)
}

fn for_each_piece(source: &mut impl Read, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut piece = vec![0; 64 * 1024];
    loop {
        match source.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&piece[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Makes sure that the names in a folder are on the disk.
///
/// # Errors
/// When the system cannot.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The hash of a file.
///
/// # Errors
/// When it cannot be read.
pub(super) fn sha(path: &Path) -> io::Result<Sha> {
    sha_of(&File::open(path)?)
}

/// The hash of an open file, from where it is read next.
///
/// # Errors
/// When it cannot be read.
pub(super) fn sha_of(file: &File) -> io::Result<Sha> {
    let mut sha = Sha256::new();
    for_each_piece(&mut { file }, |piece| {
        sha.update(piece);
        Ok(())
    })?;
    Ok(sha.finalize().into())
}

/// True where two paths lead to the same bytes.
///
/// # Errors
/// When one cannot be read.
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
