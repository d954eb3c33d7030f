//! Resumes a stopped run: skips the documents that have records, and checks that these records come from the same
//! input, labels and flags.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use crate::intake::{Raw, Source};
use crate::output::{Layout, RecordKey, ResumeReader, Shown, Sink};
use crate::record::{Origin, Reason, Skip};
use crate::report::Report;

/// A run that resumes another.
pub(super) struct Resume<'a, I> {
    /// The documents, from the first on.
    pub source: &'a mut Source<I>,
    /// The output. It captures what is written until the run goes on.
    pub sink: &'a Sink,
    /// Counts the records that were written before.
    pub report: &'a mut Report,
    /// Every n-th record is made again and compared, besides the first and the last. `None` for models that take
    /// seconds a document.
    pub sampled: Option<u64>,
    /// The layout of the records, where scores may differ in their last digits (on a GPU).
    pub inexact: Option<Layout>,
}

/// Every n-th record is compared where a document costs microseconds.
pub(super) const SAMPLED: u64 = 64;

/// Reads the record key of a line, given the header.
type KeyOf<'a> = &'a dyn Fn(&[u8], &[u8]) -> Result<RecordKey>;
/// Writes the record of one document.
type WriteOne<'a> = &'a mut dyn FnMut(Result<Raw, Skip>, &mut Report) -> Result<()>;

impl<I: Iterator<Item = PathBuf>> Resume<'_, I> {
    /// Skips the documents that have records already. The first, the last and a sample between are scored again and
    /// must give the same bytes (or scores within [`APART`], see `inexact`); of the others only the record key is
    /// compared. A last record that says that the model failed is replaced, as the device may have been lost at that
    /// moment.
    ///
    /// # Errors
    /// When a record is of another document, other labels or other flags, and when the output cannot be read.
    pub(super) fn catch_up(self, mut written: ResumeReader, key_of: KeyOf<'_>, write: WriteOne<'_>) -> Result<()> {
        let shown = written.path().display().to_string();
        let header = self.sink.captured();
        ensure!(written.skip_header(&header)?, "{}", foreign(&shown, "it does not begin like this run's output"));
        let (mut count, mut length, mut anew) = (0u64, written.length(), Vec::new());
        while let Some(line) = written.next_line().with_context(|| format!("cannot read {shown}"))? {
            count += 1;
            let number = count + u64::from(!header.is_empty());
            let Some(raw) = self.source.next() else {
                bail!("{}", foreign(&shown, &format!("line {number} is beyond the last document of the input")));
            };
            let Ok(found) = key_of(&line, &header) else {
                bail!("{}", foreign(&shown, &format!("line {number} is no record of this form")));
            };
            let origin = raw.as_ref().map_or_else(|skip| &skip.origin, |raw| &raw.origin);
            ensure!(is_at(&found, origin), "{}", elsewhere(&shown, number, &found, origin));
            let sampled = self.sampled.is_some_and(|sampled| count.is_multiple_of(sampled));
            if count > 1 && !sampled && !written.is_read() {
                self.report.written_before(found.error.is_some());
                continue;
            }
            let counted = self.report.counts();
            write(raw, self.report)?;
            let made = self.sink.captured();
            let failed = found.error.as_deref().is_some_and(Reason::may_pass);
            let alike = |layout| key_of(&made, &header).is_ok_and(|made| is_alike(&made, &found, layout));
            let same = made == line || failed || self.inexact.as_ref().is_some_and(alike);
            ensure!(same, "{}", foreign(&shown, &format!("line {number} would now come out in another way")));
            if failed && written.is_read() {
                (length, anew) = (length - line.len() as u64, made);
            } else {
                // The record that was compared is not counted twice.
                self.report.recount(counted);
                self.report.written_before(found.error.is_some());
            }
        }
        if count > 0 {
            self.report.say(format_args!("going on after record {count} of {shown}"));
        }
        let mut out = self.sink.clone();
        let gone_on = self.sink.go_on(length);
        // A header that was cut off is written again.
        let gone_on = gone_on.and_then(|()| if written.length() == 0 { out.write_all(&header) } else { Ok(()) });
        let whole = gone_on.and_then(|()| out.write_all(&anew));
        whole.with_context(|| format!("cannot write the output {shown}"))
    }
}

/// Score tolerance on a GPU, where a score depends on the batch: relative above 1, absolute below. In bf16 a logit is
/// off by up to a tenth.
const APART: f64 = 0.1;

/// True when two records of one document differ only in scores within the tolerance, and in the order and choice of
/// labels that such scores change.
fn is_alike(made: &RecordKey, found: &RecordKey, layout: &Layout) -> bool {
    let is = |key: &RecordKey| (key.source.clone(), key.index, key.id.clone(), key.error.is_some());
    is(made) == is(found)
        && made.model == found.model
        && made.sets.len() == found.sets.len()
        && made.sets.iter().zip(&found.sets).all(|(made, found)| shows_alike(made, found, layout))
}

/// The same for one label set.
fn shows_alike(made: &Shown, found: &Shown, layout: &Layout) -> bool {
    // Records do not name a single set.
    let set = layout.sets.iter().find(|set| set.name == found.set || found.set.is_empty());
    let is_label = |label: &str| {
        // CSV has an apostrophe before formula cells.
        let bare = label.strip_prefix('\'').unwrap_or(label);
        set.is_some_and(|set| set.labels.iter().any(|known| [label, bare].contains(&&**known)))
    };
    let is_near = |label: &str, score: f64| {
        let again = made.labels.iter().find(|(made, _)| made == label);
        again.is_none_or(|(_, again)| (again - score).abs() <= APART * again.abs().max(score.abs()).max(1.0))
    };
    made.set == found.set
        && made.labels.len() == found.labels.len()
        && found.labels.iter().all(|(label, score)| is_label(label) && is_near(label, *score))
}

fn is_at(key: &RecordKey, origin: &Origin) -> bool {
    // CSV has an apostrophe before formula cells.
    let source = key.source.strip_prefix('\'').unwrap_or(&key.source);
    (source == &*origin.source || key.source == *origin.source) && key.index == origin.index
}

fn elsewhere(shown: &str, number: u64, found: &RecordKey, origin: &Origin) -> String {
    let (has, is) = ((&found.source, found.index), (&origin.source, origin.index));
    foreign(shown, &format!("line {number} is about {} [{}], where the input has {} [{}]", has.0, has.1, is.0, is.1))
}

fn foreign(shown: &str, why: &str) -> String {
    format!(
        "cannot go on after what {shown} holds: {why}. The input, the labels, the flags, the model or the device have \
         changed since it was written; run without --resume to write it anew"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{CSV, JSONL, SetLayout};

    fn layout(sets: &[(&str, &[&str])]) -> Layout {
        let set = |(name, labels): &(&str, &[&str])| SetLayout {
            name: name.to_string(),
            labels: labels.iter().map(|label| (*label).into()).collect(),
        };
        Layout { sets: sets.iter().map(set).collect(), top_k: 2, model: "m".into(), columns: Vec::new() }
    }

    const NAMES: &[&str] = &["bill", "meet", "-50 %"];

    /// Compares a record of this run with that of an earlier run.
    fn check(made: &str, found: &str, expected: bool) {
        let place = |rest: &str| {
            let line = format!("{{\"source\":\"a\",\"index\":3,{rest}}}\n");
            JSONL.record_key(line.as_bytes(), b"").unwrap()
        };
        let sets = if made.contains("sets") { &[("x", NAMES), ("y", NAMES)][..] } else { &[("x", NAMES)] };
        assert_eq!(is_alike(&place(made), &place(found), &layout(sets)), expected, "{found}");
    }

    /// The rest of a record with these labels.
    fn record(model: &str, labels: &[(&str, f64)]) -> String {
        let labels: Vec<_> = labels.iter().map(|(l, s)| serde_json::json!({ "label": l, "score": s })).collect();
        format!("\"id\":\"<i>\",\"labels\":{},\"model\":\"{model}\"", serde_json::json!(labels))
    }

    #[test]
    fn the_digits_of_scores_may_differ_and_what_they_change() {
        let made = record("m", &[("bill", 0.9), ("meet", 0.1)]);
        check(&made, &made, true);
        check(&made, &record("m", &[("bill", 0.88), ("meet", 0.13)]), true);
        check(&made, &record("m", &[("bill", 0.88), ("-50 %", 0.1)]), true);
        let close = record("m", &[("bill", 0.451), ("meet", 0.449)]);
        check(&close, &record("m", &[("meet", 0.45), ("bill", 0.45)]), true);
        check(&record("m", &[("bill", 8.0)]), &record("m", &[("bill", 8.6)]), true);
    }

    #[test]
    fn nothing_else_may() {
        let made = record("m", &[("bill", 0.9), ("meet", 0.1)]);
        check(&made, &made.replace("<i>", "<j>"), false);
        check(&made, "\"id\":\"<i>\",\"labels\":[],\"model\":\"m\",\"error\":\"no text\"", false);
        check(&made, &record("other", &[("bill", 0.9), ("meet", 0.1)]), false);
        // A label was renamed, more of them were shown, or scores were raw.
        check(&made, &record("m", &[("invoice", 0.9), ("meet", 0.1)]), false);
        check(&made, &record("m", &[("bill", 0.9), ("meet", 0.1), ("-50 %", 0.0)]), false);
        check(&made, &record("m", &[("bill", 2.2), ("meet", -2.2)]), false);
        check(&made, &record("m", &[("bill", 0.7), ("meet", 0.3)]), false);
        let two = |other: &str| format!("\"sets\":{{\"x\":{{\"labels\":[]}},\"{other}\":{{\"labels\":[]}}}}");
        check(&two("y"), &two("y"), true);
        check(&two("y"), &two("z"), false);
    }

    #[test]
    fn rows_are_compared_too() {
        let header = b"source,index,id,label,score,error,label_1,score_1,label_2,score_2\n";
        let place = |rest: &str| CSV.record_key(format!("a,3,<i>,{rest}\n").as_bytes(), header).unwrap();
        let made = place("bill,0.9,,bill,0.9,'-50 %,0.1");
        let check = |found: &str, expected| {
            assert_eq!(is_alike(&made, &place(found), &layout(&[("x", NAMES)])), expected, "{found}");
        };
        check("bill,0.91,,bill,0.91,'-50 %,0.09", true);
        check(",0.91,,bill,0.91,meet,0.09", true);
        check("bill,0.91,,bill,0.91,'-40 %,0.09", false);
        check("bill,2.3,,bill,2.3,'-50 %,-1.5", false);
        check(",,no text,,,,", false);
    }
}
