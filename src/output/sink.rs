//! Where records go: standard output, or a file that appears only when it is complete.
//!
//! A file is written beside its final name, as `.NAME.RUN.mailsort-part`, where `RUN` tells what kind of run writes it.
//! When a run is killed that part stays, and a run of the same kind that resumes goes on after it; the same with a file
//! that a redirected standard output left incomplete.

use std::cell::RefCell;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Read, Seek, SeekFrom, Stdout, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};

use super::resume_reader::ResumeReader;
use super::{folder_of, partial_file};
use crate::charset::BYTE_ORDER_MARK;

/// True when the program was started without standard output.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Makes every write to standard output fail, because the program was started with `>&-`. Rust's runtime has opened the
/// null device there, in which a whole output would vanish.
pub fn without_standard_output() {
    CLOSED.store(true, Ordering::Relaxed);
}

fn closed() -> io::Result<()> {
    const WHY: &str = "it is closed, as by `>&-`; redirect it to a file, or to /dev/null if it is not wanted";
    if CLOSED.load(Ordering::Relaxed) { Err(io::Error::other(WHY)) } else { Ok(()) }
}

/// An output being written; its clones write to the same place.
#[derive(Clone)]
pub struct Sink {
    inner: Rc<RefCell<Inner>>,
    begins_anew: bool,
}

struct Inner {
    sink: Destination,
    /// What is written goes here instead, to be compared with what stands in the output already.
    captured: Option<Vec<u8>>,
    /// A complete file whose text is not ASCII gets a byte order mark in front.
    mark_at_end: bool,
}

enum Destination {
    /// Standard output.
    Stdout(BufWriter<Stdout>),
    /// A device or pipe, which cannot be replaced.
    Direct(BufWriter<File>),
    /// An incomplete file that is gone on with, and its path.
    Existing(BufWriter<File>, PathBuf),
    /// A new file beside its final name.
    Partial(PartialFile),
}

/// A file that is not complete.
struct PartialFile {
    out: BufWriter<File>,
    part: PathBuf,
    path: PathBuf,
    /// True when it holds records, so that a run can go on after them.
    holds_records: bool,
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // A failure leaves an empty file; nobody is left to tell.
        if !self.holds_records {
            let _ = fs::remove_file(&self.part);
        }
    }
}

impl Sink {
    /// Standard output.
    pub fn standard_output() -> Self {
        Self::new(Destination::Stdout(BufWriter::new(io::stdout())), false)
    }

    /// Opens standard output, or the file at `path`. With `resume`, also what was written there by a run that was
    /// stopped, if there is anything; then all that is written is captured until [`Sink::go_on`]. Runs with the same
    /// `run` write the same record of the same document.
    ///
    /// # Errors
    /// When the file or its folder cannot be written, another run writes to it, or it cannot be gone on with.
    pub fn open(path: Option<&Path>, resume: bool, run: u32) -> Result<(Self, Option<ResumeReader>)> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok((Self::standard_output(), None));
        };
        Self::open_file(path, resume, run).with_context(|| format!("cannot write the output {}", path.display()))
    }

    /// Writes all of an output: to standard output, or to a file that appears when it is complete.
    ///
    /// # Errors
    /// As [`Sink::open`], and when it cannot be written to its end.
    pub fn put(path: Option<&Path>, write: impl FnOnce(Self) -> io::Result<()>) -> Result<()> {
        let (target, _) = Self::open(path, false, 0)?;
        write(target.clone()).and_then(|()| target.finish()).with_context(|| match path {
            Some(path) => format!("cannot write the output {}", path.display()),
            None => "cannot write the output".to_string(),
        })
    }

    /// Checks all that can be known before it is opened: what stands there, and that its folder can be written.
    ///
    /// # Errors
    /// As [`Sink::open`].
    pub fn check(path: Option<&Path>, resume: bool) -> Result<()> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return closed().context("cannot write to standard output");
        };
        let checked = existing(path, resume).and_then(|existing| {
            // What is gone on with needs no new file beside it, nor does a device.
            if existing.is_some_and(|existing| resume || !existing.is_file()) {
                return Ok(());
            }
            let path = if path.exists() { path.canonicalize()? } else { path.to_path_buf() };
            let folder = folder_of(&path);
            ensure!(folder.is_dir(), "there is no folder {}; create it first", folder.display());
            Ok(tempfile::tempfile_in(folder).map(drop)?)
        });
        checked.with_context(|| format!("cannot write the output {}", path.display()))
    }

    fn open_file(path: &Path, resume: bool, run: u32) -> Result<(Self, Option<ResumeReader>)> {
        let existing = existing(path, resume)?;
        if existing.as_ref().is_some_and(|existing| !existing.is_file()) {
            return Ok((Self::new(Destination::Direct(BufWriter::new(File::create(path)?)), false), None));
        }
        // A link is followed, so that the file it points to is replaced and not the link.
        let path = if existing.is_some() { path.canonicalize()? } else { path.to_path_buf() };
        let part = partial_file::path(&path, run).context("it names no file")?;
        let has_part = fs::symlink_metadata(&part).is_ok();
        partial_file::clear_others(&path, &part, resume && !has_part)?;
        if resume && !has_part && existing.is_some() {
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            partial_file::lock(&file)?;
            let written = ResumeReader::new(file.try_clone()?, &path)?;
            return Ok((Self::new(Destination::Existing(BufWriter::new(file), path), true), Some(written)));
        }
        let file = partial_file::open(&part, existing.as_ref())?;
        let written = if resume && has_part { Some(ResumeReader::new(file.try_clone()?, &path)?) } else { None };
        let lost = written.is_none() && file.metadata()?.len() > 0;
        if written.is_none() {
            file.set_len(0)?;
        }
        let sink = Destination::Partial(PartialFile {
            out: BufWriter::new(file),
            part,
            path,
            holds_records: written.is_some(),
        });
        let mut target = Self::new(sink, written.is_some());
        target.begins_anew = lost;
        Ok((target, written))
    }

    /// True when a stopped run has left records that this one did not go on after.
    pub fn begins_anew(&self) -> bool {
        self.begins_anew
    }

    fn new(sink: Destination, captures: bool) -> Self {
        let inner = Rc::new(RefCell::new(Inner { sink, captured: captures.then(Vec::new), mark_at_end: false }));
        Self { inner, begins_anew: false }
    }

    /// What was written since the target was opened or this was called last, none of which went anywhere.
    pub fn captured(&self) -> Vec<u8> {
        self.inner.borrow_mut().captured.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Ends the capture: the file keeps its first `length` bytes, and what is written from now on follows them.
    ///
    /// # Errors
    /// When the file cannot be cut there.
    pub fn go_on(&self, length: u64) -> io::Result<()> {
        let inner = &mut *self.inner.borrow_mut();
        inner.captured = None;
        match &mut inner.sink {
            Destination::Stdout(_) => Ok(()),
            Destination::Direct(out)
            | Destination::Existing(out, _)
            | Destination::Partial(PartialFile { out, .. }) => {
                out.get_ref().set_len(length)?;
                out.get_mut().seek(SeekFrom::Start(length)).map(drop)
            }
        }
    }

    /// Has a complete file begin with a byte order mark if its text is not ASCII. Whether it is shows only at its end,
    /// and until then a run that is stopped can be gone on with.
    pub(super) fn mark_at_end(&self) {
        self.inner.borrow_mut().mark_at_end = true;
    }

    /// Says that there are records in the output now, so that what was written is worth going on after.
    pub fn keep_records(&self) {
        if let Destination::Partial(part) = &mut self.inner.borrow_mut().sink {
            part.holds_records = true;
        }
    }

    /// True when a person looks on.
    pub(super) fn is_terminal(&self) -> bool {
        match &self.inner.borrow().sink {
            Destination::Stdout(out) => out.get_ref().is_terminal(),
            Destination::Direct(out) => out.get_ref().is_terminal(),
            Destination::Existing(..) | Destination::Partial(_) => false,
        }
    }

    /// Completes the output: flushes, and gives a file its name.
    ///
    /// # Errors
    /// When the last bytes cannot be written or the file cannot be renamed.
    pub fn finish(self) -> io::Result<()> {
        let inner = &mut *self.inner.borrow_mut();
        match &mut inner.sink {
            Destination::Stdout(out) => out.flush(),
            Destination::Direct(out) => {
                out.flush()?;
                // Devices and pipes cannot be synchronised.
                let is_file = out.get_ref().metadata().is_ok_and(|metadata| metadata.is_file());
                if is_file { out.get_ref().sync_all() } else { Ok(()) }
            }
            Destination::Existing(out, path) => {
                out.flush()?;
                if inner.mark_at_end && put_marked(path, path)? { Ok(()) } else { out.get_ref().sync_all() }
            }
            Destination::Partial(part) => {
                part.out.flush()?;
                if inner.mark_at_end && put_marked(&part.part, &part.path)? {
                    fs::remove_file(&part.part)?;
                } else {
                    part.out.get_ref().sync_all()?;
                    fs::rename(&part.part, &part.path)?;
                }
                part.holds_records = true;
                Ok(())
            }
        }
    }
}

/// Puts a copy of `from` that begins with a byte order mark at `to`, if the text is not ASCII and has none. What is
/// written stays whole until then, as a run that is stopped here is resumed from it. True if there was a need.
fn put_marked(from: &Path, to: &Path) -> io::Result<bool> {
    let mut file = File::open(from)?;
    let mut part = vec![0; 64 * 1024];
    let mut seen = file.read(&mut part)?;
    if part[..seen].starts_with(BYTE_ORDER_MARK) {
        return Ok(false);
    }
    while part[..seen].is_ascii() {
        seen = file.read(&mut part)?;
        if seen == 0 {
            return Ok(false);
        }
    }
    file.rewind()?;
    let folder = folder_of(to);
    let mut marked = tempfile::Builder::new().prefix(".mailsort-").tempfile_in(folder)?;
    marked.write_all(BYTE_ORDER_MARK)?;
    io::copy(&mut file, &mut marked)?;
    marked.as_file().set_permissions(file.metadata()?.permissions())?;
    marked.as_file().sync_all()?;
    marked.persist(to).map_err(|failed| failed.error)?;
    Ok(true)
}

/// What stands at the path, if anything does.
///
/// # Errors
/// When it cannot be written over, or not be gone on with.
fn existing(path: &Path, resume: bool) -> Result<Option<Metadata>> {
    let existing = fs::metadata(path).ok();
    match &existing {
        None if path.is_symlink() => bail!("it is a link that leads nowhere"),
        Some(existing) if existing.is_dir() => bail!("it is a folder; name a file in it"),
        Some(existing) if !existing.is_file() && resume => bail!("--resume needs a file that can be read again"),
        Some(existing) if existing.is_file() && existing.permissions().readonly() => bail!("it is read-only"),
        _ => Ok(existing),
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let inner = &mut *self.inner.borrow_mut();
        match (&mut inner.captured, &mut inner.sink) {
            (Some(captured), _) => captured.write(bytes),
            (None, Destination::Stdout(out)) => closed().and_then(|()| out.write(bytes)),
            (
                None,
                Destination::Direct(out)
                | Destination::Existing(out, _)
                | Destination::Partial(PartialFile { out, .. }),
            ) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.inner.borrow_mut().sink {
            Destination::Stdout(out) => out.flush(),
            Destination::Direct(out)
            | Destination::Existing(out, _)
            | Destination::Partial(PartialFile { out, .. }) => out.flush(),
        }
    }
}
