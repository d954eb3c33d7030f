//! What Unix and other systems do differently with files and their names. Each function stands here twice; `cfg(unix)`
//! stands elsewhere only where a whole room or a child process needs Unix.

pub use system::*;

#[cfg(unix)]
mod system {
    use std::ffi::OsString;
    use std::fs::{Metadata, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
    use std::path::{Path, PathBuf};

    /// The path of these bytes.
    pub fn path_of_bytes(bytes: Vec<u8>) -> PathBuf {
        OsString::from_vec(bytes).into()
    }

    /// Whether both are one file. `None` where the system does not tell.
    pub fn is_same_file(one: &Metadata, other: &Metadata) -> Option<bool> {
        Some((one.dev(), one.ino()) == (other.dev(), other.ino()))
    }

    /// True for a file that has several names, or whose inode has changed after its contents, as by a rename.
    pub fn was_linked(found: &Metadata) -> bool {
        found.nlink() > 1 || (found.mtime(), found.mtime_nsec()) != (found.ctime(), found.ctime_nsec())
    }

    /// True for a terminal and for devices such as `/dev/zero`.
    pub fn is_character_device(found: &Metadata) -> bool {
        found.file_type().is_char_device()
    }

    /// Files that are created so are for their owner only.
    pub fn create_for_owner_only(options: &mut OpenOptions) {
        options.mode(0o600);
    }

    /// The permissions of a file that every user may read.
    pub fn readable_by_all() -> Option<Permissions> {
        Some(Permissions::from_mode(0o644))
    }

    /// Makes `path` a symbolic link that says `link`, which leads to `file`.
    pub fn link_file(link: &Path, _file: &Path, path: &Path) -> io::Result<()> {
        symlink(link, path)
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::{self, Metadata, OpenOptions, Permissions};
    use std::io;
    use std::path::{Path, PathBuf};

    /// The path of these bytes, as far as they are UTF-8.
    pub fn path_of_bytes(bytes: Vec<u8>) -> PathBuf {
        String::from_utf8_lossy(&bytes).into_owned().into()
    }

    /// Not told.
    pub fn is_same_file(_: &Metadata, _: &Metadata) -> Option<bool> {
        None
    }

    /// Every file counts as complete.
    pub fn was_linked(_: &Metadata) -> bool {
        true
    }

    /// There are none.
    pub fn is_character_device(_: &Metadata) -> bool {
        false
    }

    /// Does nothing.
    pub fn create_for_owner_only(_: &mut OpenOptions) {}

    /// Those of every file.
    pub fn readable_by_all() -> Option<Permissions> {
        None
    }

    /// Makes `path` a second name of `file`, or a copy on a file system without them: symbolic links need a privilege.
    pub fn link_file(_link: &Path, file: &Path, path: &Path) -> io::Result<()> {
        fs::hard_link(file, path).or_else(|_| fs::copy(file, path).map(drop))
    }
}
