//! Going on after the records that a stopped run has written: finds the place in the input, and makes sure that the
//! records are those of this input, these labels and these flags.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use crate::intake::{Raw, Source};
use crate::output::{Place, Target, Written};
use crate::record::{Origin, Reason, Skip};
use crate::report::Report;

/// A run that goes on after another.
pub(super) struct Resume<'a, I> {
    /// The documents, from the first on.
    pub source: &'a mut Source<I>,
    /// The output, which captures what is written to it.
    pub target: &'a Target,
    /// Counts what was written before.
    pub report: &'a mut Report,
    /// One record of so many is made again, besides the first and the last; `None` for those alone, where each takes
    /// seconds.
    pub sampled: Option<u64>,
    /// False where a record that is made again need not have the same scores, but only be of the same document and form.
    pub exact: bool,
}

/// How many records are made again where that costs next to nothing.
pub(super) const SAMPLED: u64 = 64;

/// Tells which document a line is about, given the header.
type PlaceOf<'a> = &'a dyn Fn(&[u8], &[u8]) -> Result<Place>;
/// Writes the record of one document.
type WriteOne<'a> = &'a mut dyn FnMut(Result<Raw, Skip>, &mut Report) -> Result<()>;

impl<I: Iterator<Item = PathBuf>> Resume<'_, I> {
    /// Passes over the documents that have records already. The first, the last and some between are made again and must
    /// come out the same, byte for byte unless it says otherwise; of the others only the place is compared. Where the last
    /// says that the model failed, perhaps because its device was being lost, the new one takes its place.
    ///
    /// # Errors
    /// When a record is of another document, other labels or other flags, and when the output cannot be read.
    pub(super) fn catch_up(self, mut written: Written, place: PlaceOf<'_>, write: WriteOne<'_>) -> Result<()> {
        let shown = written.path().display().to_string();
        let header = self.target.captured();
        ensure!(written.skip_header(&header)?, "{}", foreign(&shown, "it does not begin like this run's output"));
        let (mut count, mut length, mut anew) = (0u64, written.length(), Vec::new());
        while let Some(line) = written.next_line().with_context(|| format!("cannot read {shown}"))? {
            count += 1;
            let number = count + u64::from(!header.is_empty());
            let Some(raw) = self.source.next() else {
                bail!("{}", foreign(&shown, &format!("line {number} is beyond the last document of the input")));
            };
            let Ok(found) = place(&line, &header) else {
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
            let made = self.target.captured();
            let failed = found.error.as_deref().is_some_and(Reason::may_pass);
            let same = made == line
                || failed
                || !self.exact && place(&made, &header).is_ok_and(|made| is_alike(&made, &found));
            ensure!(same, "{}", foreign(&shown, &format!("line {number} would now come out in another way")));
            if failed && written.is_read() {
                (length, anew) = (length - line.len() as u64, made);
            } else {
                // The line that stands there stays, whatever was made of its document now.
                self.report.recount(counted);
                self.report.written_before(found.error.is_some());
            }
        }
        if count > 0 {
            self.report.say(format_args!("going on after record {count} of {shown}"));
        }
        let mut out = self.target.clone();
        let gone_on = self.target.go_on(length);
        // A header that was torn off itself is written again.
        let gone_on = gone_on.and_then(|()| if written.length() == 0 { out.write_all(&header) } else { Ok(()) });
        let whole = gone_on.and_then(|()| out.write_all(&anew));
        whole.with_context(|| format!("cannot write the output {shown}"))
    }
}

/// True for records of one document, both with a verdict or both without.
fn is_alike(one: &Place, other: &Place) -> bool {
    let is = |place: &Place| (place.source.clone(), place.index, place.id.clone(), place.error.is_some());
    is(one) == is(other)
}

fn is_at(place: &Place, origin: &Origin) -> bool {
    // A spreadsheet's form may bear an apostrophe in front.
    let source = place.source.strip_prefix('\'').unwrap_or(&place.source);
    (source == &*origin.source || place.source == *origin.source) && place.index == origin.index
}

fn elsewhere(shown: &str, number: u64, found: &Place, origin: &Origin) -> String {
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

    #[test]
    fn scores_may_differ_where_nothing_else_does() {
        let place = |id: &str, error: Option<&str>| Place {
            source: "a".into(),
            index: 3,
            id: Some(id.into()),
            error: error.map(Into::into),
        };
        assert!(is_alike(&place("<x>", None), &place("<x>", None)));
        assert!(!is_alike(&place("<x>", None), &place("<y>", None)));
        assert!(!is_alike(&place("<x>", None), &place("<x>", Some("no text"))));
        assert!(!is_alike(&place("<x>", None), &Place { index: 4, ..place("<x>", None) }));
    }
}
