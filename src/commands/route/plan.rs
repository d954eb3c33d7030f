//! `mailsort route --dry-run`: what would be done, and nothing is.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cli::PlanFormat;
use crate::commands::routing::{Mails, Sorter, names};
use crate::delivery::{DryRun, Journal, Mail, Outcome, Rules, Tree};
use crate::intake::shown;
use crate::output::{Plan, Plans};
use crate::record::Skip;
use crate::report::Report;

/// Writes what would be done with every mail.
///
/// # Errors
/// When the model, a mailbox, the journal or the output cannot be used.
pub(super) fn write(
    format: PlanFormat,
    rules: Rules,
    tree: &Tree,
    journal: &Path,
    sorter: &Sorter,
    mails: Mails,
    report: &Report,
) -> Result<ExitCode> {
    let journal = if Journal::is_at(journal) { Some(Journal::open_to_read(journal)?) } else { None };
    let sets = names(sorter);
    let mut dry_run = DryRun::new(journal, tree, rules, sets.clone())?;
    let mut plans = Plans::new(format == PlanFormat::Table);
    let mut has_errors = false;
    sorter.sort(
        mails,
        || false,
        |batch, _| {
            for found in batch {
                let written = match found {
                    Ok(mail) => {
                        let outcome = dry_run.plan(&mail)?;
                        has_errors |= outcome.error.is_some();
                        one(&mut plans, &mail, &outcome, &sets)
                    }
                    Err(skip) => {
                        has_errors = true;
                        unread(&mut plans, &skip)
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

fn one(plans: &mut Plans, mail: &Mail, outcome: &Outcome, sets: &[String]) -> std::io::Result<()> {
    let verdict = &mail.verdict;
    let kinds: Vec<&str> = outcome.acts.iter().map(|act| act.kind.name()).collect();
    let action = match (&kinds[..], outcome) {
        ([], Outcome { before: true, .. }) => "done".to_string(),
        ([], Outcome { error: Some(_), .. }) => "error".to_string(),
        ([], _) => "stay".to_string(),
        (kinds, _) => kinds.join("+"),
    };
    let destination = outcome.acts.iter().map(|act| &act.folder).find(|folder| !folder.as_os_str().is_empty());
    let destination = destination.map(|folder| shown(folder));
    let by = outcome.by.as_ref();
    plans.write(&Plan {
        source: &verdict.origin.source,
        index: verdict.origin.index,
        id: verdict.envelope.id.as_deref(),
        subject: verdict.envelope.subject.as_deref(),
        label: by.filter(|_| !outcome.unsure).map(|by| &*by.label),
        set: by.filter(|_| sets.len() > 1).and_then(|by| sets.get(by.set)).map(String::as_str),
        score: by.map(|by| by.score),
        action: &action,
        folder: outcome.folder.as_deref().filter(|_| destination.is_some()),
        destination: destination.as_deref(),
        error: outcome.error.as_deref(),
    })
}

fn unread(plans: &mut Plans, skip: &Skip) -> std::io::Result<()> {
    let error = skip.reason.to_string();
    let (source, index) = (&*skip.origin.source, skip.origin.index);
    plans.write(&Plan { source, index, action: "error", error: Some(&error), ..Plan::default() })
}
