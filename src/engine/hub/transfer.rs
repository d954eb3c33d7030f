//! One file from the hub into the cache: resumed, verified, and visible only when it is whole.
//!
//! hf-hub's own download believes that a server kept to the range it was asked for, appends what comes, and verifies
//! nothing; so the transfer is done here, with the names of files that hf-hub uses, and either can go on after the
//! other.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};

use super::DownloadProgress;
use super::cache::{Folder, Snapshot};
use super::checksum::{Expected, Sum};
use super::remote::{Described, Fault, Incoming, Remote};
use crate::engine::checkpoint::longest;
use crate::platform;

/// How often the hub is asked in vain before it is given up.
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const BLOCK: usize = 256 * 1024;

/// Asks again while a fault may pass, with longer and longer pauses. `got` says how many bytes have come so far: as
/// long as some come each time, it goes on.
pub(super) fn persist<T>(
    progress: &dyn DownloadProgress,
    mut got: impl FnMut() -> u64,
    mut ask: impl FnMut() -> Result<T, Fault>,
) -> Result<T> {
    let mut in_vain = 0;
    let mut before = got();
    loop {
        let (error, named) = match ask() {
            Ok(answer) => return Ok(answer),
            Err(Fault::Lasting(error)) => return Err(error),
            Err(Fault::Passing(error, named)) => (error, named),
        };
        let now = got();
        in_vain = if now > before { 1 } else { in_vain + 1 };
        before = now;
        if in_vain == ATTEMPTS {
            return Err(error.context(format!("given up after {ATTEMPTS} attempts")));
        }
        let wait = named.unwrap_or(FIRST_WAIT * 2_u32.pow(in_vain - 1));
        progress.note(&format!("{error}; trying again in {:.1} s", wait.as_secs_f32()));
        thread::sleep(wait);
    }
}

/// Gets files of one commit.
pub(super) struct Transfer<'a> {
    pub(super) remote: &'a Remote<'a>,
    pub(super) folder: &'a Folder,
    pub(super) snapshot: &'a Snapshot,
    pub(super) progress: &'a dyn DownloadProgress,
}

impl Transfer<'_> {
    /// Gets a file, unless it is there.
    ///
    /// # Errors
    /// When it cannot be got; the message names it.
    pub(super) fn get(&self, name: &str) -> Result<()> {
        if self.snapshot.path.join(name).exists() {
            return Ok(());
        }
        self.get_now(name).with_context(|| format!("cannot get {name}"))
    }

    fn get_now(&self, name: &str) -> Result<()> {
        let described = persist(self.progress, || 0, || self.remote.describe(&self.snapshot.commit, name))?;
        let expected = Expected::of(&described.etag);
        let blob = self.folder.blob(&expected.blob(&described.etag));
        let shown = || format!("cannot write {}", blob.display());
        fs::create_dir_all(blob.parent().context("a file has a folder")?).with_context(shown)?;
        let _lock = self.lock(&blob, name)?;
        // Another process may have got it while this one waited; and two names may have one content.
        if !is_whole(&blob, described.size) {
            if let Some((most, size)) = longest(name).zip(described.size) {
                ensure!(size <= most, "the hub says that it has {size} bytes; {} MiB are the most", most >> 20);
            }
            self.download(name, &described, &expected, &blob)?;
        }
        self.snapshot.show(&blob, name)
    }

    /// Waits until no other process gets the same file. The lock ends with the process, however it ends.
    fn lock(&self, blob: &Path, name: &str) -> Result<File> {
        let path = blob.with_extension("lock");
        let shown = || format!("cannot write {}", path.display());
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).with_context(shown)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                self.progress.note(&format!("waiting for another process that gets {name}"));
                file.lock().with_context(shown)?;
            }
            // Some network file systems know no locks. Then two processes may spoil each other's file, which its
            // checksum shows.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        Ok(file)
    }

    fn download(&self, name: &str, described: &Described, expected: &Expected, blob: &Path) -> Result<()> {
        let mut part = Part::open(blob.with_extension("part"), described.size, longest(name))?;
        loop {
            let resumed = part.length > 0;
            self.receive(name, described, &mut part)?;
            match self.differs(name, &part, expected)? {
                None => break,
                // What an earlier attempt left may have been spoilt since; that is no reason to give up.
                Some(_) if resumed => {
                    self.progress.note(&format!("what was there of {name} is damaged; getting all of it again"));
                    part.cut()?;
                }
                Some((wanted, got)) => {
                    let _ = fs::remove_file(&part.path);
                    bail!(
                        "what came is not what the hub has: its checksum should be {wanted} and is {got}; it was removed. \
                         Try again; if it stays so, something between the hub and this machine changes files"
                    );
                }
            }
        }
        part.file.sync_all().map_err(|error| part.failed(error))?;
        fs::rename(&part.path, blob).with_context(|| format!("cannot write {}", blob.display()))
    }

    fn receive(&self, name: &str, described: &Described, part: &mut Part) -> Result<()> {
        self.progress.begin(name, described.size, part.length);
        let got = Cell::new(0);
        let done = persist(
            self.progress,
            || got.get(),
            || {
                let before = part.length;
                let result = self.go_on(name, part);
                got.set(got.get() + part.length.saturating_sub(before));
                result
            },
        );
        self.progress.end();
        done
    }

    /// Takes what the hub sends behind what is there.
    fn go_on(&self, name: &str, part: &mut Part) -> Result<(), Fault> {
        if part.expected == Some(part.length) {
            return Ok(());
        }
        let Incoming { start, total, mut body } = self.remote.fetch(&self.snapshot.commit, name, part.length)?;
        if start != part.length {
            // It ignored the range, or sends another one, of which nothing can be made.
            part.cut().map_err(Fault::Lasting)?;
            self.progress.place(0);
            if start != 0 {
                return Err(Fault::Passing(
                    anyhow!("the hub sends another part of {name} than it was asked for"),
                    None,
                ));
            }
        }
        let whole = part.expected.or(total);
        if let (Some(whole), Some(total)) = (whole, total)
            && whole != total
        {
            return Err(Fault::Lasting(anyhow!("the hub says that it has {whole} bytes, and then sends {total}")));
        }
        let mut block = vec![0; BLOCK];
        loop {
            let read = body.read(&mut block).map_err(|error| self.remote.broke_off(error))?;
            if read == 0 {
                break;
            }
            if whole.is_some_and(|whole| part.length + read as u64 > whole) {
                part.cut().map_err(Fault::Lasting)?;
                return Err(Fault::Lasting(anyhow!("the hub sends more bytes than it said it would")));
            }
            if part.length + read as u64 > part.most {
                part.cut().map_err(Fault::Lasting)?;
                let most = part.most;
                return Err(Fault::Lasting(anyhow!(
                    "the hub sends more than the {most} bytes that there may be of it"
                )));
            }
            part.write(&block[..read]).map_err(Fault::Lasting)?;
            self.progress.place(part.length);
        }
        match whole {
            Some(whole) if part.length < whole => {
                let error = anyhow!("the connection ended after {} of {whole} bytes", part.length);
                Err(Fault::Passing(error, None))
            }
            _ => Ok(()),
        }
    }

    /// What the checksum should be and what it is, where it is another.
    fn differs(&self, name: &str, part: &Part, expected: &Expected) -> Result<Option<(String, String)>> {
        if *expected == Expected::Unknown {
            self.progress.note(&format!("the hub gives no checksum for {name}; only its length was checked"));
        }
        let mut sum = Sum::new(expected, part.length);
        let mut file = File::open(&part.path).map_err(|error| part.failed(error))?;
        let mut block = vec![0; BLOCK];
        loop {
            match file.read(&mut block).map_err(|error| part.failed(error))? {
                0 => return Ok(sum.differs(expected)),
                read => sum.update(&block[..read]),
            }
        }
    }
}

fn is_whole(blob: &Path, size: Option<u64>) -> bool {
    let found = fs::metadata(blob).ok().filter(fs::Metadata::is_file);
    found.is_some_and(|found| size.is_none_or(|size| found.len() == size))
}

/// A file that is not whole.
struct Part {
    file: File,
    path: PathBuf,
    /// Bytes that are there.
    length: u64,
    /// Bytes that there will be, where that is known.
    expected: Option<u64>,
    /// Bytes that there may be: of a file of this name, or that the disk has room for.
    most: u64,
}

impl Part {
    /// Opens what an earlier attempt has left, or a new file.
    fn open(path: PathBuf, expected: Option<u64>, longest: Option<u64>) -> Result<Self> {
        let shown = || format!("cannot write {}", path.display());
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).with_context(shown)?;
        let length = file.seek(SeekFrom::End(0)).with_context(shown)?;
        let mut part = Self { file, path, length, expected, most: u64::MAX };
        // More than there should be is no beginning of it; and without a known end nobody could tell when it is whole.
        if expected.is_none_or(|expected| length > expected) {
            part.cut()?;
        }
        let room = platform::free_space(part.path.parent().unwrap_or(Path::new("."))).unwrap_or(u64::MAX);
        part.most = longest.unwrap_or(u64::MAX).min(part.length.saturating_add(room));
        if let Some(more) = expected.map(|expected| expected.saturating_sub(part.length)).filter(|&more| more > room) {
            bail!(
                "it needs {more} more bytes, and {room} are free where {} lies; make room, or name another place with HF_HOME",
                part.path.display()
            );
        }
        Ok(part)
    }

    fn cut(&mut self) -> Result<()> {
        self.length = 0;
        let done = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        done.map(drop).map_err(|error| self.failed(error))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| self.failed(error))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn failed(&self, error: io::Error) -> Error {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let hint = match self.expected {
            Some(expected) if full => format!(
                "; {} more bytes are needed there. HF_HOME names another place; what has come so far is kept and gone on with",
                expected.saturating_sub(self.length)
            ),
            _ => String::new(),
        };
        let said = format!("cannot write {}{hint}", self.path.display());
        Error::new(error).context(said)
    }
}
