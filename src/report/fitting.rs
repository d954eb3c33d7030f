//! Progress of training, which fits one classifier after the other.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::{LINE_EVERY, Level, Report, Voice};

/// How long training takes before anything is said of it, and how much of it must be left.
const SILENT: Duration = Duration::from_secs(3);
const WORTH_SAYING: Duration = Duration::from_secs(10);

/// Shows how many classifiers are fitted, from any thread: in the bar, or as lines. A run that takes long says so once,
/// even where no progress is wanted.
pub struct Fitting {
    voice: Voice,
    /// True where a line is wanted every few seconds.
    lines: bool,
    started: Instant,
    /// When a line was printed last.
    printed: Mutex<Option<Instant>>,
}

impl Report {
    /// Begins the display of a training.
    pub fn fitting(&self) -> Fitting {
        let lines = self.lines.is_some();
        Fitting { voice: self.voice(), lines, started: Instant::now(), printed: Mutex::default() }
    }
}

impl Fitting {
    /// So many classifiers of at most so many are fitted.
    pub fn show(&self, done: usize, most: usize) {
        // Who holds the lock is printing the same.
        let Ok(mut printed) = self.printed.try_lock() else {
            return;
        };
        let elapsed = self.started.elapsed();
        if let Some(bar) = &self.voice.bar {
            bar.set_message(said(done, most, elapsed));
        } else if is_due(*printed, self.lines, done, most, elapsed) && self.voice.level >= Level::Normal {
            *printed = Some(Instant::now());
            self.voice.say(&said(done, most, elapsed));
        }
    }
}

/// True where a line is to be printed now.
fn is_due(printed: Option<Instant>, lines: bool, done: usize, most: usize, elapsed: Duration) -> bool {
    match printed {
        Some(last) => lines && last.elapsed() >= LINE_EVERY,
        None if lines => elapsed >= SILENT,
        None if done == 0 => elapsed >= WORTH_SAYING,
        None => elapsed >= SILENT && left(done, most, elapsed) >= WORTH_SAYING,
    }
}

/// The time that is left if all fits take as long as those that are done.
fn left(done: usize, most: usize, elapsed: Duration) -> Duration {
    elapsed.mul_f64(most.saturating_sub(done) as f64 / done.max(1) as f64)
}

fn said(done: usize, most: usize, elapsed: Duration) -> String {
    let of = format!("learning: {done} of at most {most} classifiers are fitted");
    match done {
        0 => of,
        _ => format!("{of}, up to {:.0} s left", left(done, most, elapsed).as_secs_f64().ceil()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_in_proportion_and_short_runs_say_nothing() {
        let seconds = Duration::from_secs;
        assert_eq!(said(0, 41, seconds(5)), "learning: 0 of at most 41 classifiers are fitted");
        assert_eq!(said(4, 12, seconds(20)), "learning: 4 of at most 12 classifiers are fitted, up to 40 s left");
        assert_eq!(left(12, 12, seconds(20)), seconds(0));
        let due = |lines: bool, done: usize, elapsed: u64| is_due(None, lines, done, 12, seconds(elapsed));
        assert_eq!(
            [due(false, 0, 5), due(false, 0, 10), due(false, 4, 4), due(false, 4, 5)],
            [false, true, false, true]
        );
        assert_eq!([due(false, 4, 2), due(true, 11, 2), due(true, 11, 3)], [false, false, true]);
        assert!(!is_due(Some(Instant::now()), true, 4, 12, seconds(60)));
        assert!(!is_due(Some(Instant::now()), false, 4, 12, seconds(60)));
    }
}
