//! Where records go: standard output, or a file that appears only when it is complete.
//!
//! A file is written beside its final name, as `.NAME.mailsort-part`. When a run is killed that part stays, and a run
//! that resumes goes on after it; the same with a file that a redirected standard output left incomplete.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, IsTerminal, Seek, SeekFrom, Stdout, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, bail};

use super::written::Written;

/// An output being written; its clones write to the same place.
#[derive(Clone)]
pub struct Target(Rc<RefCell<Inner>>);

struct Inner {
    sink: Sink,
    /// What is written goes here instead, to be compared with what stands in the output already.
    captured: Option<Vec<u8>>,
}

enum Sink {
    /// Standard output.
    Stdout(BufWriter<Stdout>),
    /// A device or pipe, which cannot be replaced, or an incomplete file that is gone on with.
    Direct(BufWriter<File>),
    /// A new file beside its final name.
    Part(Part),
}

/// A file that is not complete.
struct Part {
    out: BufWriter<File>,
    part: PathBuf,
    path: PathBuf,
    /// True when it holds records, so that a run can go on after them.
    holds_records: bool,
}

impl Drop for Part {
    fn drop(&mut self) {
        // A failure leaves an empty file; nobody is left to tell.
        if !self.holds_records {
            let _ = fs::remove_file(&self.part);
        }
    }
}

impl Target {
    /// Standard output.
    pub fn standard_output() -> Self {
        Self::new(Sink::Stdout(BufWriter::new(io::stdout())), false)
    }

    /// Opens standard output, or the file at `path`. With `resume`, also what was written there by a run that was
    /// stopped, if there is anything; then all that is written is captured until [`Target::go_on`].
    ///
    /// # Errors
    /// When the file or its folder cannot be written, or another run writes to it.
    pub fn open(path: Option<&Path>, resume: bool) -> Result<(Self, Option<Written>)> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok((Self::standard_output(), None));
        };
        Self::open_file(path, resume).with_context(|| format!("cannot write the output {}", path.display()))
    }

    fn open_file(path: &Path, resume: bool) -> Result<(Self, Option<Written>)> {
        let existing = fs::metadata(path).ok();
        match &existing {
            Some(existing) if existing.is_dir() => bail!("it is a folder; name a file in it"),
            Some(existing) if !existing.is_file() && resume => bail!("--resume needs a file that can be read again"),
            Some(existing) if !existing.is_file() => {
                return Ok((Self::new(Sink::Direct(BufWriter::new(File::create(path)?)), false), None));
            }
            Some(existing) if existing.permissions().readonly() => bail!("it is read-only"),
            _ => {}
        }
        // A link is followed, so that the file it points to is replaced and not the link.
        let path = if existing.is_some() { path.canonicalize()? } else { path.to_path_buf() };
        let name = path.file_name().context("it names no file")?;
        let part = path.with_file_name([".".as_ref(), name, ".mailsort-part".as_ref()].join("".as_ref()));
        let has_part = fs::symlink_metadata(&part).is_ok();
        if resume && !has_part && existing.is_some() {
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            lock(&file)?;
            let written = Written::new(File::open(&path)?, &path)?;
            return Ok((Self::new(Sink::Direct(BufWriter::new(file)), true), Some(written)));
        }
        let file = open_part(&part, existing.as_ref())?;
        let written = if resume && has_part { Some(Written::new(File::open(&part)?, &path)?) } else { None };
        if written.is_none() {
            file.set_len(0)?;
        }
        let sink = Sink::Part(Part { out: BufWriter::new(file), part, path, holds_records: written.is_some() });
        Ok((Self::new(sink, written.is_some()), written))
    }

    fn new(sink: Sink, captures: bool) -> Self {
        Self(Rc::new(RefCell::new(Inner { sink, captured: captures.then(Vec::new) })))
    }

    /// What was written since the target was opened or this was called last, none of which went anywhere.
    pub fn captured(&self) -> Vec<u8> {
        self.0.borrow_mut().captured.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Ends the capture: the file keeps its first `length` bytes, and what is written from now on follows them.
    ///
    /// # Errors
    /// When the file cannot be cut there.
    pub fn go_on(&self, length: u64) -> io::Result<()> {
        let inner = &mut *self.0.borrow_mut();
        inner.captured = None;
        match &mut inner.sink {
            Sink::Stdout(_) => Ok(()),
            Sink::Direct(out) | Sink::Part(Part { out, .. }) => {
                out.get_ref().set_len(length)?;
                out.get_mut().seek(SeekFrom::Start(length)).map(drop)
            }
        }
    }

    /// Says that there are records in the output now, so that what was written is worth going on after.
    pub fn holds_records(&self) {
        if let Sink::Part(part) = &mut self.0.borrow_mut().sink {
            part.holds_records = true;
        }
    }

    /// True when a person looks on.
    pub(super) fn is_terminal(&self) -> bool {
        match &self.0.borrow().sink {
            Sink::Stdout(out) => out.get_ref().is_terminal(),
            Sink::Direct(out) => out.get_ref().is_terminal(),
            Sink::Part(_) => false,
        }
    }

    /// Completes the output: flushes, and gives a file its name.
    ///
    /// # Errors
    /// When the last bytes cannot be written or the file cannot be renamed.
    pub fn finish(self) -> io::Result<()> {
        let inner = &mut *self.0.borrow_mut();
        match &mut inner.sink {
            Sink::Stdout(out) => out.flush(),
            Sink::Direct(out) => out.flush(),
            Sink::Part(part) => {
                part.out.flush()?;
                part.out.get_ref().sync_all()?;
                fs::rename(&part.part, &part.path)?;
                part.holds_records = true;
                Ok(())
            }
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let inner = &mut *self.0.borrow_mut();
        match (&mut inner.captured, &mut inner.sink) {
            (Some(captured), _) => captured.write(bytes),
            (None, Sink::Stdout(out)) => out.write(bytes),
            (None, Sink::Direct(out) | Sink::Part(Part { out, .. })) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0.borrow_mut().sink {
            Sink::Stdout(out) => out.flush(),
            Sink::Direct(out) | Sink::Part(Part { out, .. }) => out.flush(),
        }
    }
}

/// Opens the part, new or left by a run that was stopped, and locks it.
fn open_part(part: &Path, existing: Option<&fs::Metadata>) -> Result<File> {
    loop {
        let found = fs::symlink_metadata(part).ok();
        // A link laid there by somebody else must not be followed.
        if found.as_ref().is_some_and(|found| !found.is_file()) {
            bail!("{} is in the way", part.display());
        }
        let race = if found.is_some() { io::ErrorKind::NotFound } else { io::ErrorKind::AlreadyExists };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(found.is_none());
        let file = match options.open(part) {
            // Made or completed by another run between our two looks at it.
            Err(error) if error.kind() == race => continue,
            opened => opened?,
        };
        lock(&file)?;
        // The run that held the lock until now may have completed its output, and so renamed the part.
        if is_at(&file, part) {
            if let Some(existing) = existing {
                file.set_permissions(existing.permissions())?;
            }
            return Ok(file);
        }
    }
}

fn lock(file: &File) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => bail!("another run is writing it"),
        // Some network file systems know no locks; then it goes without.
        Err(TryLockError::Error(_)) => Ok(()),
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    file.metadata().ok().map(place) == fs::metadata(path).ok().map(place)
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}
