//! One run from inputs to records, for any verb.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rayon::ThreadPool;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::inputs::{self, BrokenList, InputSpec, OutputGuard, Paths};
use super::resume::{Resume, SAMPLED};
use super::scheduler::Scheduler;
use super::stop::Stop;
use super::{pool, weight};
use crate::classifier::Budget;
use crate::intake::{self, Options, Raw, Reading, Source, TableForm};
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

/// A hash over named fields, the same in every build: two runs with one fingerprint write the same record of the same
/// document.
#[derive(Clone, Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// That of a verb of this version.
    pub fn of_verb(verb: &str) -> Result<Self> {
        Self::default().field("version", &env!("CARGO_PKG_VERSION"))?.field("verb", &verb)
    }

    /// With a field more, as JSON. Length comes before content, so that no two lists of fields give the same bytes.
    ///
    /// # Errors
    /// When the value has no form in JSON.
    pub fn field(mut self, name: &str, value: &impl Serialize) -> Result<Self> {
        let value = serde_json::to_vec(value)?;
        for part in [name.as_bytes(), &value] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        Ok(self)
    }

    /// Its first four bytes, which name the partial output of a run.
    pub fn short(self) -> u32 {
        let digest = self.0.finalize();
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
    }
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
pub struct Verb<R, T, S, W, P> {
    /// Readies what was read of a document for scoring, ahead of it.
    pub prepare: R,
    /// What a prepared document counts in the budget.
    pub tokens: T,
    /// Makes records of a batch, on the threads of the run.
    pub score: S,
    /// How much is scored at once. A stop waits for one batch.
    pub budget: Budget,
    /// The layout of the records, where scores may differ in their last digits (on a GPU).
    pub inexact: Option<Layout>,
    /// Writes and counts records, and flushes; `None` ends a run that was not stopped.
    pub write: W,
    /// Reads the record key of a line of output, given the header.
    pub record_key: P,
}

/// The output of a run, opened.
pub struct OpenedOutput<'a> {
    sink: Sink,
    written: Option<ResumeReader>,
    output: &'a OutputSpec,
    resumable: bool,
}

impl OpenedOutput<'_> {
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

    /// What is known of the first input, if it is a table. Reads its beginning.
    pub fn first_table(&mut self) -> Option<TableForm> {
        self.source.first_table()
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

    /// Opens the output. `resumable` is an error where the format cannot be resumed; `fingerprint` has the fields of
    /// the verb on which records depend.
    ///
    /// # Errors
    /// When it cannot be written or resumed.
    pub fn sink(&self, resumable: Result<()>, fingerprint: Fingerprint) -> Result<OpenedOutput<'a>> {
        let is_resumable = resumable.is_ok();
        self.check(resumable)?;
        let fingerprint = fingerprint.field("options", &self.options)?.field("reading", &self.reading)?;
        let (sink, written) = Sink::open(self.output.path.as_deref(), self.output.resume, fingerprint.short())?;
        Ok(OpenedOutput { sink, written, output: self.output, resumable: is_resumable })
    }

    /// Reads all documents, scores them in batches and writes the records, in input order. `listen` gives the stop of
    /// the run, such as [`Stop::listen`]; it is called when the run has caught up with what it resumes: until then
    /// ending at once loses nothing.
    ///
    /// # Errors
    /// When the output cannot be written or resumed, or the list of inputs ends in an error.
    pub fn run<D: Send, V: Send>(
        mut self,
        mut opened: OpenedOutput<'_>,
        mut report: Report,
        listen: impl FnOnce() -> Result<Stop>,
        mut verb: Verb<
            impl Fn(Intake) -> D + Sync,
            impl Fn(&D) -> usize,
            impl Fn(Vec<D>) -> Result<Vec<V>> + Sync,
            impl FnMut(Option<Vec<V>>, &mut Report) -> std::io::Result<()>,
            impl Fn(&[u8], &[u8]) -> Result<RecordKey>,
        >,
    ) -> Result<ExitCode> {
        let written = opened.written.take();
        let (slow, inexact, sink) = (verb.budget.is_slow(), verb.inexact.take(), &opened.sink);
        self.begin(sink, &mut report);
        let (reading, prepare) = (&self.reading, &verb.prepare);
        let read = |raw: Result<Raw, Skip>| prepare(raw.and_then(|raw| intake::read(raw, reading)));
        let mut write = |batch: Vec<D>, report: &mut Report| {
            let scored = self.pool.install(|| (verb.score)(batch))?;
            (verb.write)(Some(scored), report).with_context(|| opened.cannot_write())
        };
        if let Some(written) = written {
            let mut one = |raw, report: &mut Report| write(vec![read(raw)], report);
            let sampled = (!slow).then_some(SAMPLED);
            let resume = Resume { source: &mut self.source, sink, report: &mut report, sampled, inexact };
            resume.catch_up(written, &verb.record_key, &mut one)?;
        }
        let stop = listen()?;
        let (voice, message) = (report.voice(), finishing(verb.budget.documents, opened.resumable));
        let announced = slow.then(|| stop.announce(Duration::ZERO, move || voice.say(&message)));
        let mut scheduler = Scheduler::of_files(&self.pool, verb.budget);
        // The resumed run reads again what was not scored.
        scheduler.finish_prepared = !slow;
        scheduler.run(
            self.source,
            weight,
            read,
            verb.tokens,
            || stop.is_asked(),
            |batch| {
                write(batch, &mut report)?;
                if opened.resumable {
                    sink.keep_records();
                }
                report.tick();
                Ok(())
            },
        )?;
        drop(announced);
        if !stop.is_asked() {
            (verb.write)(None, &mut report).with_context(|| opened.cannot_write())?;
        }
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
fn end(opened: &OpenedOutput, report: &Report, stop: &Stop, broken_list: &BrokenList) -> Result<ExitCode> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_into_each_other() {
        let short = |fields: &[(&str, &str)]| {
            let fields = fields.iter();
            fields.fold(Fingerprint::default(), |all, (name, value)| all.field(name, value).unwrap()).short()
        };
        assert_eq!(short(&[("a", "1"), ("b", "2")]), short(&[("a", "1"), ("b", "2")]));
        let different = [&[("a", "1b2")][..], &[("a", "1"), ("b", "2")], &[("b", "2"), ("a", "1")], &[("a", "2")], &[]];
        for (at, one) in different.iter().enumerate() {
            assert!(different[..at].iter().all(|other| short(other) != short(one)), "{one:?}");
        }
    }

    #[test]
    fn the_hash_is_that_of_every_build() {
        assert_eq!(Fingerprint::default().field("labels", &["a", "b"]).unwrap().short(), 0x9a27_b34e);
    }
}
