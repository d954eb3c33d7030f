//! Counts what a run did, for its summary and for metrics.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::delivery::{Counters, Disposition, EntryState, Operation, Router, ScoredMessage};
use crate::output::metrics;
use crate::record::{Reason, Skip};
use crate::report::Report;

/// Counts so far.
pub(in crate::commands) struct Tally<'r> {
    report: &'r Report,
    messages: u64,
    unsure: u64,
    errors: u64,
    gone: u64,
    done: BTreeMap<Operation, u64>,
    /// Operations that failed or could not be settled.
    failed: u64,
    /// Seconds per message.
    seconds: Vec<f64>,
}

impl<'r> Tally<'r> {
    pub(in crate::commands) fn new(report: &'r Report) -> Self {
        Self {
            report,
            messages: 0,
            unsure: 0,
            errors: 0,
            gone: 0,
            done: BTreeMap::new(),
            failed: 0,
            seconds: Vec::new(),
        }
    }

    /// Counts operations of a stopped run that cannot be settled.
    pub(in crate::commands) fn unsettled(&mut self, count: u64) {
        self.failed += count;
        self.errors += count;
    }

    /// Counts something that could not be read.
    pub(super) fn unread(&mut self, skip: &Skip) {
        self.messages += 1;
        self.errors += 1;
        self.report.warn(format_args!("{} [{}]: {}", skip.origin.source, skip.origin.index, skip.reason));
    }

    /// Counts a message, what was done with it and the time that took.
    pub(super) fn add(&mut self, message: &ScoredMessage, disposition: &Disposition, taken: Duration) {
        let origin = &message.verdict.origin;
        self.messages += 1;
        self.unsure += u64::from(disposition.unsure);
        self.seconds.push(taken.as_secs_f64());
        for entry in &disposition.entries {
            match entry.state {
                EntryState::Done => *self.done.entry(entry.operation).or_default() += 1,
                EntryState::Gone => self.gone += 1,
                EntryState::Failed | EntryState::Intended => self.failed += 1,
                _ => {}
            }
            let (operation, state) = (entry.operation.name(), entry.state.name());
            let label = if entry.label.is_empty() { "unsure" } else { &entry.label };
            let to = if entry.folder.as_os_str().is_empty() {
                String::new()
            } else {
                format!(" {}", entry.folder.display())
            };
            self.report.note(format_args!("{} [{}]: {label}: {operation} {state}{to}", origin.source, origin.index));
        }
        if let Some(error) = &disposition.error {
            self.errors += 1;
            let text = format!("{} [{}]: {error}", origin.source, origin.index);
            // A message without text is no reason to warn; a failed operation is.
            let is_known = matches!(&message.verdict.outcome, Err(reason) if !matches!(reason, Reason::Unreadable(_)));
            if is_known && !disposition.entries.iter().any(|entry| entry.state == EntryState::Failed) {
                self.report.note(text);
            } else {
                self.report.warn(text);
            }
        }
    }

    /// True when there was no message.
    pub(in crate::commands) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// True when a message has an error.
    pub(in crate::commands) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Ends the run in the journal, and writes the metrics of all runs to `file`. Returns the run's number if it did
    /// anything.
    ///
    /// # Errors
    /// When the journal or the metrics cannot be written.
    pub(in crate::commands) fn end(
        &self,
        router: &mut Router,
        is_whole: bool,
        file: Option<&Path>,
    ) -> Result<Option<i64>> {
        let figure = |name: &str, label: &str, value: f64| ((name.to_string(), label.to_string()), value);
        let (count, sum) = (self.seconds.len() as f64, self.seconds.iter().sum());
        let more = [
            figure("mailsort_unsure_total", "", self.unsure as f64),
            figure("mailsort_errors_total", "", self.errors as f64),
            figure("mailsort_seconds_per_mail_sum", "", sum),
            figure("mailsort_seconds_per_mail_count", "", count),
        ];
        let of_run = [("all", self.messages), ("unsure", self.unsure), ("error", self.errors)];
        let mut set = Counters::from(of_run.map(|(name, count)| figure("mailsort_last_run_mails", name, count as f64)));
        if !self.seconds.is_empty() {
            let quantiles = [("0.5", 0.5), ("0.95", 0.95)];
            set.extend(
                quantiles
                    .map(|(name, share)| figure("mailsort_seconds_per_mail", name, quantile(&self.seconds, share))),
            );
        }
        // A message without text is no failure of the run.
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

    /// The run in one line.
    pub(in crate::commands) fn summary(&self, run: Option<i64>) -> String {
        let past = |operation: &Operation| match operation {
            Operation::Move => "moved",
            Operation::Copy => "copied",
            Operation::Link => "linked",
            Operation::Header => "given a header",
            Operation::Tag => "tagged",
            Operation::Exec => "given to a command",
            // Part of an undo, which has a summary of its own.
            Operation::Back | Operation::Remove => "undone",
        };
        let mut parts: Vec<String> =
            self.done.iter().map(|(operation, count)| format!("{count} {}", past(operation))).collect();
        for (count, what) in [(self.unsure, "unsure"), (self.gone, "gone meanwhile"), (self.errors, "with an error")] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        if parts.is_empty() {
            parts.push("nothing to do".into());
        }
        let messages = if self.messages == 1 { "1 message".to_string() } else { format!("{} messages", self.messages) };
        let run = run.map_or(String::new(), |run| format!(" (run {run})"));
        format!("{messages}: {}{run}", parts.join(", "))
    }
}

/// Quantile by nearest rank.
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
