//! `mailsort route --dry-run`: prints what would be done.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cli::PlanFormat;
use crate::commands::unix::routing::{Messages, Sorter};
use crate::delivery::{Disposition, DryRun, Journal, MaildirTree, Rules, ScoredMessage};
use crate::intake::shown;
use crate::output::{PlannedMessage, Plans};
use crate::record::Skip;
use crate::report::Report;

/// Prints what would be done with every message.
///
/// # Errors
/// When the model, a mailbox, the journal or the output cannot be used.
pub(super) fn write(
    format: PlanFormat,
    rules: Rules,
    tree: &MaildirTree,
    journal: &Path,
    sorter: &Sorter,
    messages: Messages,
    report: &Report,
) -> Result<ExitCode> {
    let journal = if Journal::is_at(journal) { Some(Journal::open_to_read(journal)?) } else { None };
    let sets = sorter.set_names();
    let mut dry_run = DryRun::new(journal, tree, rules, sets.clone())?;
    let mut plans = Plans::new(format == PlanFormat::Table);
    let mut has_errors = false;
    sorter.score(
        messages,
        || false,
        |batch, _| {
            for scored in batch {
                let written = match scored {
                    Ok(message) => {
                        let disposition = dry_run.plan(&message)?;
                        has_errors |= disposition.error.is_some();
                        write_plan(&mut plans, &message, &disposition, &sets)
                    }
                    Err(skip) => {
                        has_errors = true;
                        write_unread(&mut plans, &skip)
                    }
                };
                written.context("cannot write the output")?;
            }
            Ok(())
        },
    )?;
    plans.finish().context("cannot write the output")?;
    report.close("nothing was changed");
    Ok(ExitCode::from(u8::from(has_errors)))
}

fn write_plan(
    plans: &mut Plans,
    message: &ScoredMessage,
    disposition: &Disposition,
    sets: &[String],
) -> std::io::Result<()> {
    let verdict = &message.verdict;
    let operations: Vec<&str> = disposition.entries.iter().map(|entry| entry.operation.name()).collect();
    let action = match (&operations[..], disposition) {
        ([], Disposition { before: true, .. }) => "done".to_string(),
        ([], Disposition { error: Some(_), .. }) => "error".to_string(),
        ([], _) => "stay".to_string(),
        (operations, _) => operations.join("+"),
    };
    let destination =
        disposition.entries.iter().map(|entry| &entry.folder).find(|folder| !folder.as_os_str().is_empty());
    let destination = destination.map(|folder| shown(folder));
    let top = disposition.top.as_ref();
    plans.write(&PlannedMessage {
        source: &verdict.origin.source,
        index: verdict.origin.index,
        id: verdict.envelope.id.as_deref(),
        subject: verdict.envelope.subject.as_deref(),
        label: top.filter(|_| !disposition.unsure).map(|top| &*top.label),
        set: top.filter(|_| sets.len() > 1).and_then(|top| sets.get(top.set)).map(String::as_str),
        score: top.map(|top| top.score),
        action: &action,
        folder: disposition.folder.as_deref().filter(|_| destination.is_some()),
        destination: destination.as_deref(),
        error: disposition.error.as_deref(),
    })
}

fn write_unread(plans: &mut Plans, skip: &Skip) -> std::io::Result<()> {
    let error = skip.reason.to_string();
    let (source, index) = (&*skip.origin.source, skip.origin.index);
    plans.write(&PlannedMessage { source, index, action: "error", error: Some(&error), ..PlannedMessage::default() })
}
