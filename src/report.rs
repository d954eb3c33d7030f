//! All output to stderr: progress, warnings and the summary; and the exit status.

mod downloads;
mod fitting;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::record::{Origin, Reason};
use crate::terminal::{escape, escape_lines};

pub use downloads::Downloads;
pub use fitting::Fitting;

/// When to show progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// When stderr is a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Verbosity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Fatal errors only.
    Quiet,
    /// Warnings, and the number of documents without a verdict.
    #[default]
    Normal,
    /// Also each document without a verdict, and the speed.
    Verbose,
}

/// Interval of progress lines where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Display {
    Nothing,
    /// One line that is redrawn.
    Bar,
    /// A line every few seconds, where none can be redrawn.
    Lines,
}

/// Counts documents and writes to stderr.
pub struct Report {
    level: Level,
    display: Display,
    bar: Option<ProgressBar>,
    /// When the last progress line was printed; `None` if none are wanted.
    lines: Option<Instant>,
    /// When reading began.
    started: Option<Instant>,
    counts: DocumentCounts,
    /// Number of missed bars of `eval`.
    missed: u64,
    bytes_read: Arc<AtomicU64>,
    total: Option<u64>,
}

/// Number of documents, and of those without a verdict by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentCounts {
    documents: u64,
    errors: BTreeMap<&'static str, u64>,
}

impl Report {
    /// Shows and times nothing until [`Report::begin`].
    pub fn new(level: Level, progress: Progress) -> Self {
        let terminal = io::stderr().is_terminal();
        let shown = match progress {
            Progress::Always => true,
            Progress::Never => false,
            Progress::Auto => level > Level::Quiet && terminal,
        };
        let display = match (shown, terminal) {
            (false, _) => Display::Nothing,
            (true, true) => Display::Bar,
            (true, false) => Display::Lines,
        };
        Self {
            level,
            display,
            bar: None,
            lines: None,
            started: None,
            counts: DocumentCounts::default(),
            missed: 0,
            bytes_read: Arc::default(),
            total: None,
        }
    }

    /// True when progress is shown, so that the size of the input is worth finding out.
    pub fn shows_progress(&self) -> bool {
        self.display != Display::Nothing
    }

    /// Starts the clock and the progress display. Called when reading begins, so that downloading and loading a model
    /// do not count.
    pub fn begin(&mut self) {
        if self.started.is_none() {
            let now = Instant::now();
            self.started = Some(now);
            self.bar = (self.display == Display::Bar).then(progress_bar);
            self.lines = (self.display == Display::Lines).then_some(now);
        }
    }

    /// Begins, with a counter of the bytes read and the size of the input if it is known.
    pub fn follow(&mut self, bytes_read: Arc<AtomicU64>, total: Option<u64>) {
        self.begin();
        self.bytes_read = bytes_read;
        self.total = total;
        if let (Some(bar), Some(total)) = (&self.bar, total) {
            bar.set_length(total);
            set_template(bar, "{msg}  {bytes} of {total_bytes} ({percent} %)  {eta} left");
        }
    }

    /// Prints a warning.
    pub fn warn(&self, message: impl fmt::Display) {
        if self.level >= Level::Normal {
            self.line(&format!("mailsort: warning: {}", escape(&message.to_string())));
        }
    }

    /// Prints a message at the level `Verbose`.
    pub fn note(&self, message: impl fmt::Display) {
        if self.level >= Level::Verbose {
            self.line(&format!("mailsort: {}", escape(&message.to_string())));
        }
    }

    /// True at the level `Verbose`.
    pub fn is_verbose(&self) -> bool {
        self.level >= Level::Verbose
    }

    /// The counts so far.
    pub fn counts(&self) -> DocumentCounts {
        self.counts.clone()
    }

    /// Goes back to earlier counts: the documents since then will not be written.
    pub fn recount(&mut self, counts: DocumentCounts) {
        self.counts = counts;
    }

    /// Counts a document with a verdict.
    pub fn scored(&mut self) {
        self.counts.documents += 1;
    }

    /// Counts a document without a verdict.
    pub fn failed(&mut self, origin: &Origin, reason: &Reason) {
        self.counts.documents += 1;
        *self.counts.errors.entry(reason.kind()).or_default() += 1;
        self.note(format_args!("{} [{}]: {reason}", origin.source, origin.index));
    }

    /// Counts and prints a missed bar of `eval`.
    pub fn missed(&mut self, bar: impl fmt::Display) {
        self.missed += 1;
        if self.level >= Level::Normal {
            self.line(&format!("mailsort: missed: {}", escape(&bar.to_string())));
        }
    }

    /// Counts a document whose record was written by an earlier run.
    pub fn written_before(&mut self, failed: bool) {
        self.counts.documents += 1;
        if failed {
            *self.counts.errors.entry("written before").or_default() += 1;
        }
    }

    /// Prints a message, such as where a resumed run continues.
    pub fn say(&self, message: impl fmt::Display) {
        if self.level >= Level::Normal {
            self.line(&format!("mailsort: {}", escape(&message.to_string())));
        }
    }

    /// A handle that prints messages from other threads.
    pub fn voice(&self) -> Voice {
        Voice { level: self.level, bar: self.bar.clone() }
    }

    /// Prints that the run was stopped and how to continue.
    pub fn stopped(&self, how_to_go_on: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let how_to_go_on = escape(how_to_go_on);
        say(&format!("mailsort: stopped after {}; {how_to_go_on}", documents(self.counts.documents)));
    }

    /// Updates the progress display.
    pub fn tick(&mut self) {
        let read = self.bytes_read.load(Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.set_position(read);
            bar.set_message(self.pace());
        }
        if self.lines.is_some_and(|last| last.elapsed() >= LINE_EVERY) {
            self.lines = Some(Instant::now());
            self.print_progress(read);
        }
    }

    fn seconds(&self) -> f64 {
        self.started.map_or(0.0, |started| started.elapsed().as_secs_f64())
    }

    fn pace(&self) -> String {
        let seconds = self.seconds().max(1e-3);
        format!("{} documents, {:.0} documents/s", self.counts.documents, self.counts.documents as f64 / seconds)
    }

    fn print_progress(&self, read: u64) {
        let share = self.total.filter(|&total| total > 0).map(|total| 100.0 * read.min(total) as f64 / total as f64);
        let share = share.map_or(String::new(), |share| format!(", {share:.0} % of the input"));
        say(&format!("mailsort: {}{share}", self.pace()));
    }

    /// Ends the progress display and prints the summary of a run that writes no records.
    pub fn close(&self, summary: impl fmt::Display) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.say(summary);
    }

    /// Ends the progress display, prints the summary and returns the exit status.
    pub fn finish(&self) -> ExitCode {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if self.lines.is_some() {
            self.print_progress(self.bytes_read.load(Ordering::Relaxed));
        }
        let failed: u64 = self.counts.errors.values().sum();
        if self.level >= Level::Verbose {
            let seconds = self.seconds();
            let speed = self.counts.documents as f64 / seconds.max(1e-9);
            self.line(&format!(
                "mailsort: {} in {seconds:.2} s, {speed:.0} documents/s",
                documents(self.counts.documents)
            ));
        }
        if failed + self.missed == 0 {
            return ExitCode::SUCCESS;
        }
        if failed > 0 && self.level >= Level::Normal {
            let kinds: Vec<String> = self.counts.errors.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            self.line(&format!(
                "mailsort: {failed} of {} got no verdict ({}); see `error` in the output, or run with -v",
                documents(self.counts.documents),
                kinds.join(", ")
            ));
        }
        ExitCode::from(1)
    }

    fn line(&self, text: &str) {
        say_above(self.bar.as_ref(), text);
    }
}

/// Prints messages above the progress display of a report, from any thread.
pub struct Voice {
    level: Level,
    bar: Option<ProgressBar>,
}

impl Voice {
    /// Prints a message.
    pub fn say(&self, message: &str) {
        if self.level >= Level::Normal {
            say_above(self.bar.as_ref(), &format!("mailsort: {}", escape(message)));
        }
    }
}

fn documents(count: u64) -> String {
    if count == 1 { "1 document".into() } else { format!("{count} documents") }
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
    bar.enable_steady_tick(Duration::from_millis(250));
    // The length of a pipe is unknown, and so are percentage and time left.
    set_template(&bar, "{msg}  {bytes}");
    bar
}

fn set_template(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

/// Writes a line to stderr above a progress bar.
fn say_above(bar: Option<&ProgressBar>, text: &str) {
    match bar {
        Some(bar) => bar.suspend(|| say(text)),
        None => say(text),
    }
}

/// Writes a line to stderr. An error has nowhere to go.
fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Removes ` (os error 2)` from a message.
fn without_number(message: &str) -> String {
    let Some((before, rest)) = message.split_once(" (os error ") else {
        return message.to_string();
    };
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    [before, after.strip_prefix(')').unwrap_or(after)].concat()
}

/// Prints a fatal error and its causes.
pub fn fatal(error: &anyhow::Error) {
    say(&format!("mailsort: {}", explained(error)));
}

/// An error and its causes as one line. Only the reader of TOML has lines of its own, which show where in the file the
/// fault is. Paths, labels and names of models come from elsewhere: with a line break they would forge a line of ours.
fn explained(error: &anyhow::Error) -> String {
    let causes = error.chain().map(|cause| {
        // The number of a system error says no more than its text.
        let text = without_number(&cause.to_string());
        if cause.is::<toml::de::Error>() { escape_lines(&text) } else { escape(&text) }
    });
    causes.collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_or_timed_before_documents_are_read() {
        let mut report = Report::new(Level::Quiet, Progress::Always);
        std::thread::sleep(Duration::from_millis(5));
        assert!(report.shows_progress() && report.bar.is_none() && report.lines.is_none());
        assert_eq!(report.seconds(), 0.0);
        report.follow(Arc::default(), Some(1));
        assert_eq!((report.bar.is_some(), report.lines.is_some()), (is_bar(&report), !is_bar(&report)));
        let began = report.started;
        report.begin();
        assert!(began.is_some() && report.started == began, "it begins once");
    }

    #[test]
    fn what_is_foreign_forges_no_line() {
        let error = anyhow::anyhow!("no such file\r\n\u{1b}[2K").context("cannot read nl/x\nmailsort: fine\u{202e}");
        let expected = "cannot read nl/x\\nmailsort: fine\\u{202e}: no such file\\r\\n\\u{1b}[2K";
        assert_eq!(explained(&error), expected);
        let of_toml = toml::from_str::<toml::Table>("a = 1\nb = \u{7}x\n").unwrap_err();
        let shown = explained(&anyhow::Error::new(of_toml).context("rules\n.toml"));
        assert!(shown.starts_with("rules\\n.toml: TOML parse error at line 2") && shown.lines().count() > 3, "{shown}");
        assert!(!shown.contains('\u{7}') && shown.contains("\\u{7}"), "{shown}");
    }

    fn is_bar(report: &Report) -> bool {
        report.display == Display::Bar
    }
}
