//! One run from inputs to records, whatever a verb makes of a document.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rayon::ThreadPool;

use super::inputs::{self, BrokenList, Paths};
use super::pipeline;
use super::resume::{Resume, SAMPLED};
use super::stop::Stop;
use crate::cli::{Input, Writing};
use crate::intake::{self, Options, Raw, Reading, Source};
use crate::output::{Layout, Place, Target, Written};
use crate::record::{Intake, Skip};
use crate::report::Report;

/// How many documents a fast verb takes together.
pub(super) const PIECE: usize = 64;

/// A run whose inputs are known to be there.
pub(super) struct Stream<'a> {
    input: &'a Input,
    writing: &'a Writing,
    reading: Reading,
    options: Options,
    source: Source<Paths>,
    broken_list: BrokenList,
    pool: ThreadPool,
}

/// What a verb makes of documents.
pub(super) struct Verb<S, W, P> {
    /// Makes records of a piece, on the threads of the run.
    pub score: S,
    /// How many documents are scored together at most. A stop waits for one piece, so slow models take few.
    pub piece: usize,
    /// True where a document takes milliseconds or more.
    pub slow: bool,
    /// What the records have in common, where one that is made again need not have the same bytes.
    pub inexact: Option<Layout>,
    /// Writes and counts records, and flushes.
    pub write: W,
    /// Tells which document a line of output is about, given the header.
    pub place: P,
}

/// The output of a run, opened.
pub(super) struct Opened<'a> {
    target: Target,
    written: Option<Written>,
    writing: &'a Writing,
    resumable: bool,
}

impl Opened<'_> {
    /// A place to write to.
    pub(super) fn out(&self) -> Target {
        self.target.clone()
    }

    /// What to say when writing fails.
    pub(super) fn cannot_write(&self) -> String {
        match &self.writing.output {
            Some(path) => format!("cannot write the output {}", path.display()),
            None => "cannot write the output".to_string(),
        }
    }
}

impl<'a> Stream<'a> {
    /// Checks the inputs and that the output replaces none of them, nor any of `also_read`.
    ///
    /// # Errors
    /// When it does, or an input is not there or not readable.
    pub(super) fn open(
        input: &'a Input,
        writing: &'a Writing,
        reading: Reading,
        threads: Option<usize>,
        also_read: &[PathBuf],
    ) -> Result<Self> {
        let options = Options {
            format: input.input_format.map(Into::into),
            recursive: input.recursive,
            listed: input.files_from.is_some(),
        };
        let output = inputs::Output::new(writing.output.as_deref());
        output.spare(also_read)?;
        let (paths, broken_list) = inputs::paths(input, &options, &output)?;
        let source = Source::new(paths, options.clone());
        Ok(Self { input, writing, reading, options, source, broken_list, pool: pool(threads)? })
    }

    /// Checks all that can be known of the output before it is opened. `resumable` says whether its format can be gone on with.
    ///
    /// # Errors
    /// When it cannot be written, or not be gone on with.
    pub(super) fn check(&self, resumable: Result<()>) -> Result<()> {
        let (path, resume) = (self.writing.output.as_deref(), self.writing.resume);
        if resume {
            resumable?;
        }
        if resume && path.is_some_and(|path| path.as_os_str() == "-") {
            bail!("--resume needs an --output file; standard output cannot be read again");
        }
        Target::check(path, resume)
    }

    /// Runs `work` on the threads of the run.
    pub(super) fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }

    /// Opens the output. `resumable` says whether its format can be gone on with, and `flags` is all of the command line
    /// that has a say in the records.
    ///
    /// # Errors
    /// When it cannot be written, or not be gone on with.
    pub(super) fn target(&self, resumable: Result<()>, flags: &impl fmt::Debug) -> Result<Opened<'a>> {
        let path = self.writing.output.as_deref();
        let is_resumable = resumable.is_ok();
        self.check(resumable)?;
        let all = format!("{} {:?} {:?} {flags:?}", env!("CARGO_PKG_VERSION"), self.options, self.reading);
        let mut hasher = DefaultHasher::new();
        all.hash(&mut hasher);
        let (target, written) = Target::open(path, self.writing.resume, hasher.finish() as u32)?;
        Ok(Opened { target, written, writing: self.writing, resumable: is_resumable })
    }

    /// Reads all documents, scores them in pieces and writes what comes of it, in input order.
    ///
    /// # Errors
    /// When the output cannot be written or gone on with, or the list of inputs ends in an error.
    pub(super) fn run<V: Send>(
        mut self,
        mut opened: Opened<'_>,
        mut report: Report,
        mut verb: Verb<
            impl Fn(Vec<Intake>) -> Result<Vec<V>> + Sync,
            impl FnMut(Vec<V>, &mut Report) -> io::Result<()>,
            impl Fn(&[u8], &[u8]) -> Result<Place>,
        >,
    ) -> Result<ExitCode> {
        let written = opened.written.take();
        let (slow, inexact, target) = (verb.slow, verb.inexact.take(), &opened.target);
        self.begin(target, &mut report);
        let reading = &self.reading;
        let read = |piece: Vec<Result<Raw, Skip>>| -> Vec<Intake> {
            piece.into_iter().map(|raw| raw.and_then(|raw| intake::read(raw, reading))).collect()
        };
        let mut write = |piece: Vec<Intake>, report: &mut Report| {
            let scored = self.pool.install(|| (verb.score)(piece))?;
            (verb.write)(scored, report).with_context(|| opened.cannot_write())
        };
        if let Some(written) = written {
            let mut one = |raw, report: &mut Report| write(read(vec![raw]), report);
            let sampled = (!slow).then_some(SAMPLED);
            let resume = Resume { source: &mut self.source, target, report: &mut report, sampled, inexact };
            resume.catch_up(written, &verb.place, &mut one)?;
        }
        // Not before: while it catches up nothing is lost by ending at once.
        let stop = Stop::listen()?;
        let (voice, message) = (report.voice(), finishing(verb.piece, opened.resumable));
        let announced = slow.then(|| stop.announce(Duration::ZERO, move || voice.say(&message)));
        let size = |raw: &Result<Raw, Skip>| raw.as_ref().map_or(0, Raw::weight);
        pipeline::run(
            &self.pool,
            verb.piece,
            self.source,
            size,
            read,
            || stop.is_asked(),
            |piece| {
                // What was read but not scored is read again by the run that goes on.
                if stop.is_asked() && slow {
                    return Ok(());
                }
                write(piece, &mut report)?;
                if opened.resumable {
                    target.holds_records();
                }
                report.tick();
                Ok(())
            },
        )?;
        drop(announced);
        end(&opened, &report, &stop, &self.broken_list)
    }

    /// Tells how long the input is, and what is lost of a run before.
    fn begin(&self, target: &Target, report: &mut Report) {
        let total = report.shows_progress().then(|| inputs::total_bytes(self.input, &self.options)).flatten();
        report.follow(self.source.bytes_read(), total);
        if target.begins_anew() {
            report
                .warn("a stopped run has left records, which are written anew; --resume would have gone on after them");
        }
    }
}

/// The threads of a run.
///
/// # Errors
/// When the system has no more.
pub(super) fn pool(threads: Option<usize>) -> Result<ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.or(available_parallelism().ok().map(Into::into)).unwrap_or(1))
        .build()
        .context("cannot start the threads; try a smaller --threads")
}

/// Says what came of a run, and completes the output of one that was not stopped.
fn end(opened: &Opened, report: &Report, stop: &Stop, broken_list: &BrokenList) -> Result<ExitCode> {
    if stop.is_asked() {
        report.stopped(how_to_go_on(opened.writing, opened.resumable));
        return Ok(stop.exit_code());
    }
    if let Some(error) = broken_list.get() {
        bail!("cannot use the list of inputs to its end: {error}");
    }
    opened.target.clone().finish().with_context(|| opened.cannot_write())?;
    Ok(report.finish())
}

/// What a slow run tells its user while it stops.
fn finishing(most: usize, resumable: bool) -> String {
    let lost = if resumable { ", and --resume goes on all the same" } else { "" };
    format!("stopping when the mails in hand are scored, {most} at most; Ctrl-C again stops at once{lost}")
}

/// What a stopped run tells its user.
fn how_to_go_on(writing: &Writing, resumable: bool) -> &'static str {
    match &writing.output {
        _ if !resumable => "--resume goes on after the formats jsonl, csv and tsv only",
        Some(path) if path.as_os_str() != "-" && !is_device(path) => "the same command with --resume goes on",
        _ => "a run with --output FILE can be gone on with by --resume",
    }
}

fn is_device(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file())
}
