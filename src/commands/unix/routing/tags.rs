//! Tags: lines for `notmuch tag --batch`, as `classify` writes them.

use std::io::{self, Write};

use anyhow::Result;

use crate::delivery::TopLabel;
use crate::labels::LabelSet;
use crate::output::{Color, Form, Layout, NOTMUCH, NotmuchRecords, Records, SetLayout, Sink};
use crate::record::Verdict;

/// Refuses labels that notmuch would read as something other than a tag.
///
/// # Errors
/// When there is one.
pub(super) fn check<'t>(tags: impl Iterator<Item = &'t str>, sets: &[LabelSet], model: &str) -> Result<()> {
    let tags: Vec<&str> = tags.collect();
    let of_set = |set: &LabelSet| SetLayout {
        name: set.name.clone(),
        labels: set.labels.iter().map(|label| label.name.clone()).filter(|name| tags.contains(&&**name)).collect(),
    };
    let layout =
        Layout { sets: sets.iter().map(of_set).collect(), top_k: 1, model: model.to_string(), columns: Vec::new() };
    Form::new(&NOTMUCH, Color::Never).check(&layout)
}

/// Prints the tag of a message and flushes it before the journal says that it is done. The inner `Err` says why notmuch
/// could not find the message.
///
/// # Errors
/// When the output cannot be written.
pub(super) fn write(out: &mut Sink, verdict: &Verdict, top: &TopLabel) -> io::Result<Result<(), String>> {
    let mut tagged = verdict.clone();
    if let Ok(outcome) = &mut tagged.outcome {
        let mut ranking = outcome.rankings.swap_remove(top.set);
        ranking.label = Some(top.label.clone());
        outcome.rankings = vec![ranking];
    }
    let mut line = Vec::new();
    NotmuchRecords::new(&mut line, "").write(&tagged)?;
    if line.starts_with(b"#") {
        let why = String::from_utf8_lossy(&line);
        return Ok(Err(why.rsplit("]: ").next().unwrap_or_default().trim().to_string()));
    }
    out.write_all(&line)?;
    out.flush().map(Ok)
}
