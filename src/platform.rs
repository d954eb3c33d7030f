//! What Unix and other systems do differently with files and their names. Each function stands here twice; `cfg(unix)`
//! stands elsewhere only where a whole room or a child process needs Unix.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

pub use system::*;

/// Why a pipe, a socket or a device is not opened.
const NO_FILE: &str = "it is no file but a pipe, a socket or a device";

/// Opens a file that lies on a disk. Opening a pipe or a device might wait for ever, or read without an end.
///
/// # Errors
/// When it cannot be opened, or is neither a file nor a link to one.
pub fn open_file(path: &Path) -> io::Result<File> {
    let file = open_without_waiting(path)?;
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, NO_FILE));
    }
    Ok(file)
}

/// Reads a whole file of at most `most` bytes that lies on a disk, such as one of a model.
///
/// # Errors
/// As [`open_file`], and when it is longer; the message says what the limit is.
pub fn read_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    up_to(open_file(path)?, most)
}

/// Reads a whole file of at most `most` bytes that the user names, such as one of labels. It may be a pipe, which a
/// shell makes of `<(command)`, but not a device. A pipe that no program opens for writing is given up after a few
/// seconds.
///
/// # Errors
/// When it cannot be read, or is longer; the message says what the limit is.
pub fn read_file_or_pipe(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = open_without_waiting(path)?;
    let found = file.metadata()?;
    if found.is_file() {
        return up_to(file, most);
    }
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !is_pipe(&found) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file and no pipe but a device"));
    }
    let first = first_byte(&mut file)?;
    up_to(first.as_slice().chain(file), most)
}

fn up_to(reader: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let limit = if most >= 1 << 20 { format!("{} MiB", most >> 20) } else { format!("{most} bytes") };
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {limit}")));
    }
    Ok(bytes)
}

/// An absolute path without `.` and `..`, so that a file has one name from wherever it is named.
///
/// # Errors
/// When the path is empty or the current folder is gone.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    let mut plain = PathBuf::new();
    for part in std::path::absolute(path)?.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                // A link may lead elsewhere, and its parent is not what stands before it.
                plain = plain.canonicalize().unwrap_or(plain);
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    Ok(plain)
}

/// What tells the file at a path from another one that takes its place; `None` where there is none.
pub fn file_number_at(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|found| file_number(&found))
}

#[cfg(unix)]
mod system {
    use std::ffi::OsString;
    use std::fs::{File, Metadata, OpenOptions, Permissions};
    use std::io::{self, Read};
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
    use std::os::unix::net::UnixDatagram;
    use std::path::{Path, PathBuf};
    use std::thread;
    use std::time::Duration;

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl, statvfs};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// How long a pipe without a writer is waited for: a program that fills it may start a moment later.
    const PATIENCE: Duration = Duration::from_secs(5);
    const LOOK_EVERY: Duration = Duration::from_millis(20);

    /// Opens a file to read. A pipe that nobody writes to would otherwise be waited for.
    pub(super) fn open_without_waiting(path: &Path) -> io::Result<File> {
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
    }

    pub(super) fn is_pipe(found: &Metadata) -> bool {
        found.file_type().is_fifo()
    }

    /// The first byte of a pipe that [`open_without_waiting`] has opened, from which on it is read as others are.
    pub(super) fn first_byte(pipe: &mut File) -> io::Result<Vec<u8>> {
        let mut byte = [0];
        for _ in 0..PATIENCE.as_millis() / LOOK_EVERY.as_millis() {
            match pipe.read(&mut byte) {
                Ok(0) => thread::sleep(LOOK_EVERY),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // There is a writer, which may take its time.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    fcntl_setfl(&*pipe, fcntl_getfl(&*pipe)? - OFlags::NONBLOCK)?;
                    return Ok(Vec::new());
                }
                Err(error) => return Err(error),
                Ok(read) => {
                    fcntl_setfl(&*pipe, fcntl_getfl(&*pipe)? - OFlags::NONBLOCK)?;
                    return Ok(byte[..read].to_vec());
                }
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "no program writes to this pipe"))
    }

    /// The path of these bytes.
    pub fn path_of_bytes(bytes: Vec<u8>) -> PathBuf {
        OsString::from_vec(bytes).into()
    }

    /// Whether both are one file. `None` where the system does not tell.
    pub fn is_same_file(one: &Metadata, other: &Metadata) -> Option<bool> {
        Some((one.dev(), one.ino()) == (other.dev(), other.ino()))
    }

    /// The number of a file on its device, and of the device.
    pub fn file_number(found: &Metadata) -> (u64, u64) {
        (found.ino(), found.dev())
    }

    /// Bytes that are free for us on the disk of a folder, where the system tells.
    pub fn free_space(folder: &Path) -> Option<u64> {
        let found = statvfs(folder).ok()?;
        found.f_bavail.checked_mul(found.f_frsize)
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

    /// Tells systemd that the service has started (sd_notify), if systemd started it.
    pub fn notify_ready() {
        if let Some(path) = std::env::var_os("NOTIFY_SOCKET")
            && let Ok(socket) = UnixDatagram::unbound()
        {
            drop(socket.send_to(b"READY=1", path));
        }
    }

    /// Raises the number of files that the process may have open to `wanted`, as far as the system allows, and returns it.
    pub fn raise_open_files(wanted: u64) -> u64 {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let (now, most) = (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX));
        let raised = wanted.min(most);
        let raise = || setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum });
        if now >= raised || raise().is_err() { now } else { raised }
    }

    /// Makes `path` a symbolic link that says `link`, which leads to `file`.
    pub fn link_file(link: &Path, _file: &Path, path: &Path) -> io::Result<()> {
        symlink(link, path)
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::{self, File, Metadata, OpenOptions, Permissions};
    use std::io;
    use std::path::{Path, PathBuf};

    pub(super) fn open_without_waiting(path: &Path) -> io::Result<File> {
        File::open(path)
    }

    /// There are none that have a path.
    pub(super) fn is_pipe(_: &Metadata) -> bool {
        false
    }

    pub(super) fn first_byte(_: &mut File) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    /// The path of these bytes, as far as they are UTF-8.
    pub fn path_of_bytes(bytes: Vec<u8>) -> PathBuf {
        String::from_utf8_lossy(&bytes).into_owned().into()
    }

    /// Files have no numbers here.
    pub fn file_number(_: &Metadata) -> (u64, u64) {
        (0, 0)
    }

    /// Not told.
    pub fn is_same_file(_: &Metadata, _: &Metadata) -> Option<bool> {
        None
    }

    /// Not told.
    pub fn free_space(_: &Path) -> Option<u64> {
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

    /// Does nothing.
    pub fn notify_ready() {}

    /// As many as are wanted: this system has no such bound.
    pub fn raise_open_files(wanted: u64) -> u64 {
        wanted
    }

    /// Makes `path` a second name of `file`, or a copy on a file system without them: symbolic links need a privilege.
    pub fn link_file(_link: &Path, file: &Path, path: &Path) -> io::Result<()> {
        fs::hard_link(file, path).or_else(|_| fs::copy(file, path).map(drop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn files_and_pipes_are_read_up_to_their_limit_and_devices_never() {
        use std::process::Command;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let said = |read: io::Result<Vec<u8>>| read.map_err(|error| error.to_string());
        std::fs::write(at("file"), vec![b'x'; 2048]).unwrap();
        assert_eq!(read_file(&at("file"), 2048).unwrap().len(), 2048);
        assert_eq!(said(read_file(&at("file"), 2047)), Err("it is longer than 2047 bytes".into()));
        let pipe = |name: &str| assert!(Command::new("mkfifo").arg(at(name)).status().unwrap().success());
        pipe("alone");
        let no_file = Err("it is no file but a pipe, a socket or a device".to_string());
        for path in [at("alone"), "/dev/zero".into(), "/dev/null".into()] {
            assert_eq!(said(read_file(&path, 9)), no_file, "{path:?}");
        }
        assert_eq!(said(read_file_or_pipe(&at("alone"), 9)), Err("no program writes to this pipe".into()));
        for device in ["/dev/zero", "/dev/null", "/dev/urandom"] {
            assert_eq!(
                said(read_file_or_pipe(device.as_ref(), 9)),
                Err("it is no file and no pipe but a device".into())
            );
        }
        pipe("filled");
        let fill = |text: String| {
            let path = at("filled");
            // A reader that has seen enough is no fault of the writer.
            std::thread::spawn(move || drop(std::fs::write(path, text)))
        };
        let long = "a\n".repeat(100_000);
        for (most, expected) in
            [(200_000, Ok(long.clone().into_bytes())), (99, Err("it is longer than 99 bytes".into()))]
        {
            let writer = fill(long.clone());
            assert_eq!(said(read_file_or_pipe(&at("filled"), most)), expected);
            writer.join().unwrap();
        }
    }
}
