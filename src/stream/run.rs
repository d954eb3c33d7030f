//! One run from inputs to records, for any verb.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rayon::ThreadPool;

use super::fingerprint::Fingerprint;
use super::inputs::{self, BrokenList, InputSpec, OutputGuard, Paths};
use super::resume::{Resume, SAMPLED};
use super::scheduler::Scheduler;
use super::stop::Stop;
use super::{pool, tokens, weight};
use crate::classifier::Budget;
use crate::intake::{self, Options, Raw, Reading, Source};
use crate::output::{Layout, RecordKey, ResumeReader, Sink};
use crate::record::{Intake, Skip};
use crate::report::Report;

/// Where records go.
#[derive(Clone, Debug, Default)]
pub struct OutputSpec {
    /// The file; `None` or `-` for standard output.
    pub path: Option<PathBuf>,
    /// Resume a stopped run.
    pub resume: bool,
}

/// A run whose inputs were checked.
pub struct Stream<'a> {
    input: &'a InputSpec,
    output: &'a OutputSpec,
    reading: Reading,
    options: Options,
    source: Source<Paths>,
    broken_list: BrokenList,
    pool: ThreadPool,
}

/// What a verb does with documents.
pub struct Verb<S, W, P> {
    /// Makes records of a batch, on the threads of the run.
    pub score: S,
    /// How much is scored at once. A stop waits for one batch.
    pub budget: Budget,
    /// True where a document takes milliseconds or more.
    pub slow: bool,
    /// The layout of the records, where scores may differ in their last digits (on a GPU).
    pub inexact: Option<Layout>,
    /// Writes and counts records, and flushes.
    pub write: W,
    /// Reads the record key of a line of output, given the header.
    pub record_key: P,
}

/// The output of a run, opened.
pub struct Opened<'a> {
    sink: Sink,
    written: Option<ResumeReader>,
    output: &'a OutputSpec,
    resumable: bool,
}

impl Opened<'_> {
    /// Where to write to.
    pub fn sink(&self) -> Sink {
        self.sink.clone()
    }

    /// The message for a failed write.
    pub fn cannot_write(&self) -> String {
        match &self.output.path {
            Some(path) => format!("cannot write the output {}", path.display()),
            None => "cannot write the output".to_string(),
        }
    }
}

impl<'a> Stream<'a> {
    /// Checks the inputs and that the output replaces none of them, nor any of `also_read`.
    ///
    /// # Errors
    /// When it does, or an input is missing or unreadable.
    pub fn open(
        input: &'a InputSpec,
        output: &'a OutputSpec,
        reading: Reading,
        threads: Option<usize>,
        also_read: &[PathBuf],
    ) -> Result<Self> {
        let options = input.options();
        let guard = OutputGuard::new(output.path.as_deref());
        guard.spare(also_read)?;
        let (paths, broken_list) = inputs::paths(input, &options, &guard)?;
        let source = Source::new(paths, options.clone());
        Ok(Self { input, output, reading, options, source, broken_list, pool: pool(threads)? })
    }

    /// Checks the output before it is opened. `resumable` is an error where the format cannot be resumed.
    ///
    /// # Errors
    /// When it cannot be written or resumed.
    pub fn check(&self, resumable: Result<()>) -> Result<()> {
        let OutputSpec { path, resume } = self.output;
        if *resume {
            resumable?;
        }
        if *resume && path.as_ref().is_some_and(|path| path.as_os_str() == "-") {
            bail!("--resume needs an --output file; standard output cannot be read again");
        }
        Sink::check(path.as_deref(), *resume)
    }

    /// Runs `work` on the threads of the run.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }

    /// Opens the output. `resumable` is an error where the format cannot be resumed; `fingerprint` has the fields of the verb on
    /// which records depend.
    ///
    /// # Errors
    /// When it cannot be written or resumed.
    pub fn sink(&self, resumable: Result<()>, fingerprint: Fingerprint) -> Result<Opened<'a>> {
        let is_resumable = resumable.is_ok();
        self.check(resumable)?;
        let fingerprint = fingerprint.field("options", &self.options)?.field("reading", &self.reading)?;
        let (sink, written) = Sink::open(self.output.path.as_deref(), self.output.resume, fingerprint.short())?;
        Ok(Opened { sink, written, output: self.output, resumable: is_resumable })
    }

    /// Reads all documents, scores them in batches and writes the records, in input order.
    ///
    /// # Errors
    /// When the output cannot be written or resumed, or the list of inputs ends in an error.
    pub fn run<V: Send>(
        mut self,
        mut opened: Opened<'_>,
        mut report: Report,
        mut verb: Verb<
            impl Fn(Vec<Intake>) -> Result<Vec<V>> + Sync,
            impl FnMut(Vec<V>, &mut Report) -> std::io::Result<()>,
            impl Fn(&[u8], &[u8]) -> Result<RecordKey>,
        >,
    ) -> Result<ExitCode> {
        let written = opened.written.take();
        let (slow, inexact, sink) = (verb.slow, verb.inexact.take(), &opened.sink);
        self.begin(sink, &mut report);
        let reading = &self.reading;
        let read = |raw: Result<Raw, Skip>| raw.and_then(|raw| intake::read(raw, reading));
        let mut write = |batch: Vec<Intake>, report: &mut Report| {
            let scored = self.pool.install(|| (verb.score)(batch))?;
            (verb.write)(scored, report).with_context(|| opened.cannot_write())
        };
        if let Some(written) = written {
            let mut one = |raw, report: &mut Report| write(vec![read(raw)], report);
            let sampled = (!slow).then_some(SAMPLED);
            let resume = Resume { source: &mut self.source, sink, report: &mut report, sampled, inexact };
            resume.catch_up(written, &verb.record_key, &mut one)?;
        }
        // Not before: until the run has caught up, ending at once loses nothing.
        let stop = Stop::listen()?;
        let (voice, message) = (report.voice(), finishing(verb.budget.documents, opened.resumable));
        let announced = slow.then(|| stop.announce(Duration::ZERO, move || voice.say(&message)));
        let mut scheduler = Scheduler::of_files(&self.pool, verb.budget);
        // The resumed run reads again what was not scored.
        scheduler.finish_prepared = !slow;
        scheduler.run(
            self.source,
            weight,
            read,
            tokens,
            || stop.is_asked(),
            |batch| {
                write(batch, &mut report)?;
                if opened.resumable {
                    sink.holds_records();
                }
                report.tick();
                Ok(())
            },
        )?;
        drop(announced);
        end(&opened, &report, &stop, &self.broken_list)
    }

    /// Tells the report the length of the input, and warns of records that are overwritten.
    fn begin(&self, sink: &Sink, report: &mut Report) {
        let total = report.shows_progress().then(|| inputs::total_bytes(self.input, &self.options)).flatten();
        report.follow(self.source.bytes_read(), total);
        if sink.begins_anew() {
            report
                .warn("a stopped run has left records, which are written anew; --resume would have gone on after them");
        }
    }
}

/// Prints the summary, and completes the output of a run that was not stopped.
fn end(opened: &Opened, report: &Report, stop: &Stop, broken_list: &BrokenList) -> Result<ExitCode> {
    if stop.is_asked() {
        report.stopped(how_to_go_on(opened.output, opened.resumable));
        return Ok(stop.exit_code());
    }
    if let Some(error) = broken_list.get() {
        bail!("cannot use the list of inputs to its end: {error}");
    }
    opened.sink.clone().finish().with_context(|| opened.cannot_write())?;
    Ok(report.finish())
}

/// The message while a slow run stops.
fn finishing(most: usize, resumable: bool) -> String {
    let lost = if resumable { ", and --resume goes on all the same" } else { "" };
    format!("stopping when the current batch is scored ({most} messages at most); Ctrl-C again stops at once{lost}")
}

/// The message of a stopped run.
fn how_to_go_on(output: &OutputSpec, resumable: bool) -> &'static str {
    match &output.path {
        _ if !resumable => "--resume cannot go on after this format",
        Some(path) if path.as_os_str() != "-" && !is_device(path) => "the same command with --resume goes on",
        _ => "a run with --output FILE can be gone on with by --resume",
    }
}

fn is_device(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file())
}
