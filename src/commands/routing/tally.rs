//! What came of a run, in figures.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::delivery::{Counters, Kind, Mail, Outcome, Router, State};
use crate::output::metrics;
use crate::record::{Reason, Skip};
use crate::report::Report;

/// What came of mails so far, and where it is told.
pub(in crate::commands) struct Tally<'r> {
    report: &'r Report,
    mails: u64,
    unsure: u64,
    errors: u64,
    gone: u64,
    done: BTreeMap<Kind, u64>,
    /// Acts that failed, and what could not be settled.
    failed: u64,
    /// Seconds of each mail.
    seconds: Vec<f64>,
}

impl<'r> Tally<'r> {
    /// Nothing so far.
    pub(in crate::commands) fn new(report: &'r Report) -> Self {
        Self { report, mails: 0, unsure: 0, errors: 0, gone: 0, done: BTreeMap::new(), failed: 0, seconds: Vec::new() }
    }

    /// Counts what an earlier run has left and cannot be settled.
    pub(in crate::commands) fn left(&mut self, count: u64) {
        self.failed += count;
        self.errors += count;
    }

    /// Counts something that could not even be found.
    pub(super) fn unread(&mut self, skip: &Skip) {
        self.mails += 1;
        self.errors += 1;
        self.report.warn(format_args!("{} [{}]: {}", skip.origin.source, skip.origin.index, skip.reason));
    }

    /// Counts a mail, what came of it and the time that it took.
    pub(super) fn add(&mut self, mail: &Mail, outcome: &Outcome, taken: Duration) {
        let origin = &mail.verdict.origin;
        self.mails += 1;
        self.unsure += u64::from(outcome.unsure);
        self.seconds.push(taken.as_secs_f64());
        for act in &outcome.acts {
            match act.state {
                State::Done => *self.done.entry(act.kind).or_default() += 1,
                State::Gone => self.gone += 1,
                State::Failed | State::Intended => self.failed += 1,
                _ => {}
            }
            let (kind, state) = (act.kind.name(), act.state.name());
            let label = if act.label.is_empty() { "unsure" } else { &act.label };
            let to =
                if act.folder.as_os_str().is_empty() { String::new() } else { format!(" {}", act.folder.display()) };
            self.report.note(format_args!("{} [{}]: {label}: {kind} {state}{to}", origin.source, origin.index));
        }
        if let Some(error) = &outcome.error {
            self.errors += 1;
            let message = format!("{} [{}]: {error}", origin.source, origin.index);
            // A mail without text is nothing to warn of; something that was tried in vain is.
            let is_known = matches!(&mail.verdict.outcome, Err(reason) if !matches!(reason, Reason::Unreadable(_)));
            if is_known && !outcome.acts.iter().any(|act| act.state == State::Failed) {
                self.report.note(message);
            } else {
                self.report.warn(message);
            }
        }
    }

    /// True when there was no mail.
    pub(in crate::commands) fn is_empty(&self) -> bool {
        self.mails == 0
    }

    /// True when some mail has an error.
    pub(in crate::commands) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Ends the run in the journal, and writes the figures of all runs. Returns the run's number, if it did anything.
    ///
    /// # Errors
    /// When journal or figures cannot be written.
    pub(in crate::commands) fn end(
        &self,
        router: &mut Router,
        is_whole: bool,
        file: Option<&Path>,
    ) -> Result<Option<i64>> {
        let figure = |name: &str, label: &str, value: f64| ((name.to_string(), label.to_string()), value);
        let (mails, sum) = (self.seconds.len() as f64, self.seconds.iter().sum());
        let more = [
            figure("mailsort_unsure_total", "", self.unsure as f64),
            figure("mailsort_errors_total", "", self.errors as f64),
            figure("mailsort_seconds_per_mail_sum", "", sum),
            figure("mailsort_seconds_per_mail_count", "", mails),
        ];
        let of_run = [("all", self.mails), ("unsure", self.unsure), ("error", self.errors)];
        let mut set = Counters::from(of_run.map(|(name, count)| figure("mailsort_last_run_mails", name, count as f64)));
        if !self.seconds.is_empty() {
            let quantiles = [("0.5", 0.5), ("0.95", 0.95)];
            set.extend(
                quantiles
                    .map(|(name, share)| figure("mailsort_seconds_per_mail", name, quantile(&self.seconds, share))),
            );
        }
        // A mail without text is no failure of a run.
        if is_whole && self.failed == 0 {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            set.extend([figure("mailsort_last_success_timestamp_seconds", "", now as f64)]);
        }
        let run = router.end((self.unsure, self.errors), &more.into(), &set)?;
        if let Some(file) = file {
            let figures = router.journal().counters()?;
            metrics::write(file, &figures).with_context(|| format!("cannot write the metrics {}", file.display()))?;
        }
        Ok(run)
    }

    /// What came of the run, in a line.
    pub(in crate::commands) fn said(&self, run: Option<i64>) -> String {
        let past = |kind: &Kind| match kind {
            Kind::Move => "moved",
            Kind::Copy => "copied",
            Kind::Link => "linked",
            Kind::Header => "given a header",
            Kind::Tag => "tagged",
            Kind::Exec => "given to a command",
            // Of an undo, which has figures of its own.
            Kind::Back | Kind::Remove => "undone",
        };
        let mut parts: Vec<String> = self.done.iter().map(|(kind, count)| format!("{count} {}", past(kind))).collect();
        for (count, what) in [(self.unsure, "unsure"), (self.gone, "gone meanwhile"), (self.errors, "with an error")] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        if parts.is_empty() {
            parts.push("nothing to do".into());
        }
        let mails = if self.mails == 1 { "1 mail".to_string() } else { format!("{} mails", self.mails) };
        let run = run.map_or(String::new(), |run| format!(" (run {run})"));
        format!("{mails}: {}{run}", parts.join(", "))
    }
}

/// The seconds within which this share of the mails was done.
fn quantile(seconds: &[f64], share: f64) -> f64 {
    let mut seconds = seconds.to_vec();
    seconds.sort_by(f64::total_cmp);
    let rank = (seconds.len() as f64 * share).ceil() as usize;
    seconds.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted() {
        let seconds: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!([0.5, 0.95, 1.0].map(|share| quantile(&seconds, share)), [50.0, 95.0, 100.0]);
        assert_eq!((quantile(&[7.0], 0.5), quantile(&[], 0.5)), (7.0, 0.0));
    }
}
