//! Progress of downloads.

use std::cell::RefCell;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, ProgressBar, ProgressDrawTarget};

use super::{LINE_EVERY, Level, Progress, say, say_above, set_template};
use crate::terminal::escape;

/// Shows downloads: a bar for each file, or plain lines where stderr is not a terminal.
pub struct Downloads {
    level: Level,
    shown: bool,
    terminal: bool,
    current: RefCell<Option<Download>>,
}

/// A file that is being downloaded.
struct Download {
    name: String,
    total: Option<u64>,
    place: u64,
    /// Bytes from an earlier, interrupted download.
    first: u64,
    bar: Option<ProgressBar>,
    started: Instant,
    printed: Instant,
}

impl Downloads {
    /// Shows nothing until [`Downloads::begin`].
    pub fn new(level: Level, progress: Progress) -> Self {
        let shown = match progress {
            Progress::Always => true,
            Progress::Never => false,
            Progress::Auto => level > Level::Quiet,
        };
        Self { level, shown, terminal: io::stderr().is_terminal(), current: RefCell::new(None) }
    }

    /// Begins a file of `total` bytes, of which `there` are present.
    pub fn begin(&self, name: &str, total: Option<u64>, there: u64) {
        let (name, now) = (escape(name), Instant::now());
        let bar = (self.shown && self.terminal).then(|| download_bar(&name, total, there));
        if self.shown && !self.terminal {
            let of = total.map_or(String::new(), |total| format!(", {}", DecimalBytes(total)));
            let on = if there > 0 { format!(", of which {} are there", DecimalBytes(there)) } else { String::new() };
            say(&format!("mailsort: getting {name}{of}{on}"));
        }
        let download = Download { name, total, place: there, first: there, bar, started: now, printed: now };
        self.current.replace(Some(download));
    }

    /// Sets the number of bytes that are present.
    pub fn place(&self, bytes: u64) {
        let mut current = self.current.borrow_mut();
        let Some(download) = current.as_mut() else {
            return;
        };
        download.place = bytes;
        download.first = download.first.min(bytes);
        if let Some(bar) = &download.bar {
            bar.set_position(bytes);
        }
        if self.shown && !self.terminal && download.printed.elapsed() >= LINE_EVERY {
            download.printed = Instant::now();
            let total = download.total.map_or(String::new(), |total| format!(" of {}", DecimalBytes(total)));
            say(&format!("mailsort: {}: {}{total}", download.name, DecimalBytes(bytes)));
        }
    }

    /// Ends the file.
    pub fn end(&self) {
        let Some(download) = self.current.take() else {
            return;
        };
        if let Some(bar) = &download.bar {
            bar.finish_and_clear();
        }
        if self.shown && download.total.is_none_or(|total| total == download.place) {
            let seconds = download.started.elapsed().as_secs_f64();
            let speed = DecimalBytes(((download.place - download.first) as f64 / seconds.max(1e-3)) as u64);
            say(&format!("mailsort: got {}, {} ({speed}/s)", download.name, DecimalBytes(download.place)));
        }
    }

    /// Prints a message.
    pub fn note(&self, message: &str) {
        if self.level >= Level::Normal {
            let current = self.current.borrow();
            let bar = current.as_ref().and_then(|download| download.bar.as_ref());
            say_above(bar, &format!("mailsort: {}", escape(message)));
        }
    }
}

fn download_bar(name: &str, total: Option<u64>, there: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(8));
    bar.set_message(name.to_string());
    bar.set_position(there);
    // Bytes of an earlier download do not count for the speed.
    bar.reset_eta();
    bar.enable_steady_tick(Duration::from_millis(250));
    let known = "{msg}  {wide_bar}  {decimal_bytes} of {decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left";
    set_template(&bar, if total.is_some() { known } else { "{msg}  {decimal_bytes}  {decimal_bytes_per_sec}" });
    bar
}
