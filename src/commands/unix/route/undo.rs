//! `mailsort route --undo` and `--runs`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::cli::{PlanFormat, Route, WhichRun};
use crate::commands::unix::routing::{self, TRY_AGAIN, identities, root};
use crate::delivery::{Executor, Journal, MaildirTree, RunRecord, UndoReport};
use crate::output::runs::{self, RunLine};
use crate::report::Report;
use crate::stream::Stop;

/// Puts back what a run has done.
///
/// # Errors
/// When there is no such run, or the journal cannot be used.
pub(super) fn undo(arguments: &Route, which: WhichRun) -> Result<ExitCode> {
    let Route { flags, delivery } = arguments;
    let report = Report::new(delivery.verbosity.level(), delivery.verbosity.progress);
    let stop = Stop::listen()?;
    let path = journal(arguments)?;
    let root = match (&delivery.filing.into, flags.sources.first()) {
        (None, None) => Journal::open_to_read(&path)?.root().to_path_buf(),
        _ => root(delivery, &flags.sources)?,
    };
    drop(Journal::open_to_read(&path)?);
    let _lock = match routing::lock(&path, arguments.flags.wait)? {
        Ok(lock) => lock,
        Err(holder) => {
            report.say(format_args!("{holder}; try again later"));
            return Ok(ExitCode::from(TRY_AGAIN));
        }
    };
    let tree = MaildirTree::new(&root, None)?;
    let journal = Journal::open(&path, tree.root())?;
    let mut executor = Executor::new(journal, tree);
    routing::report_recovery(&executor.recover()?, &report);
    let run = number(which, executor.journal())?;
    let undone = executor.undo(run, &mut |mailbox| identities(mailbox), &|| stop.is_asked())?;
    for gone in &undone.gone {
        report.note(format_args!("{gone}: it is no longer there"));
    }
    for kept in &undone.kept {
        report.warn(kept);
    }
    report.close(summary(run, &undone));
    Ok(match (undone.stopped, undone.kept.is_empty()) {
        (true, _) => stop.exit_code(),
        (_, true) => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    })
}

fn number(which: WhichRun, journal: &Journal) -> Result<i64> {
    let shown = journal.path().display();
    match which {
        WhichRun::Last => journal.last_run()?.with_context(|| format!("no run in {shown} can be undone")),
        WhichRun::Number(run) => match journal.run(run)? {
            None => bail!("there is no run {run} in {shown}; --runs lists them"),
            Some(Some(undone)) => bail!("run {run} is the undo of run {undone}; `mailsort route` does that again"),
            Some(None) => Ok(run),
        },
    }
}

fn summary(run: i64, undone: &UndoReport) -> String {
    let UndoReport { back, removed, gone, .. } = undone;
    let mut text = format!("undid run {run}: {back} moved back");
    if *removed > 0 {
        let copies = if *removed == 1 { "copy or link" } else { "copies or links" };
        text += &format!(", {removed} {copies} removed");
    }
    if !gone.is_empty() {
        text += &format!("; {} no longer where they were put", gone.len());
    }
    if undone.tags > 0 {
        let tags = if undone.tags == 1 { "tag is" } else { "tags are" };
        text += &format!("; {} {tags} written again by the next run", undone.tags);
    }
    if undone.commands > 0 {
        let times =
            if undone.commands == 1 { "1 message was".into() } else { format!("{} messages were", undone.commands) };
        text += &format!("; {times} given to a command, which cannot be undone: the next run does it again");
    }
    text
}

/// Lists the runs of the journal.
///
/// # Errors
/// When the journal or the output cannot be used.
pub(super) fn list(arguments: &Route) -> Result<ExitCode> {
    let rows = Journal::open_to_read(&journal(arguments)?)?.runs()?;
    let lines: Vec<RunLine> = rows.into_iter().map(line).collect();
    runs::write(&lines, arguments.flags.format == PlanFormat::Table).context("cannot write the output")?;
    Ok(ExitCode::SUCCESS)
}

fn line(row: RunRecord) -> RunLine {
    let RunRecord { id, started, ended, undoes, unsure, errors, entries } = row;
    let mut line = RunLine { run: id, started, ended, undoes, actions: Default::default(), undone: 0, unsure, errors };
    for ((operation, state), count) in entries {
        if state == "undone" {
            line.undone += count;
        }
        if matches!(state, "done" | "undone") {
            *line.actions.entry(operation.to_string()).or_default() += count;
        }
    }
    line
}

fn journal(arguments: &Route) -> Result<PathBuf> {
    match &arguments.delivery.filing.journal {
        Some(path) => Ok(path.clone()),
        None => {
            let root = root(&arguments.delivery, &arguments.flags.sources)?;
            ensure!(root.is_dir(), "there is no folder {}", root.display());
            Ok(Journal::path_of(&root, None))
        }
    }
}
