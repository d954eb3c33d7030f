//! `mailsort route --undo` and `--runs`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::cli::{PlanFormat, Route, WhichRun};
use crate::commands::routing::{self, TRY_AGAIN, hashes, root};
use crate::delivery::{Journal, Router, Rules, RunRow, Tree, Undone};
use crate::output::runs::{self, RunLine};
use crate::report::Report;
use crate::stream::Stop;

/// Puts back what a run has done.
///
/// # Errors
/// When there is no such run, or the journal cannot be used.
pub(super) fn undo(arguments: &Route, which: WhichRun) -> Result<ExitCode> {
    let Route { routing, handling } = arguments;
    let report = Report::new(handling.verbosity.level(), handling.verbosity.progress);
    let stop = Stop::listen()?;
    let path = journal(arguments)?;
    let root = match (&handling.ruling.into, routing.sources.first()) {
        (None, None) => Journal::open_to_read(&path)?.root().to_path_buf(),
        _ => root(handling, &routing.sources)?,
    };
    drop(Journal::open_to_read(&path)?);
    let _lock = match routing::lock(&path, arguments.routing.wait)? {
        Ok(lock) => lock,
        Err(holder) => {
            report.say(format_args!("{holder}; try again later"));
            return Ok(ExitCode::from(TRY_AGAIN));
        }
    };
    let tree = Tree::new(&root, None)?;
    let journal = Journal::open(&path, tree.root())?;
    let mut router = Router::new(journal, tree, Rules::default(), Vec::new(), String::new())?;
    routing::settle(&mut router, &report)?;
    let run = number(which, router.journal())?;
    let undone = router.undo(run, &mut |mailbox| hashes(mailbox), &|| stop.is_asked())?;
    for gone in &undone.gone {
        report.note(format_args!("{gone}: it is no longer there"));
    }
    for kept in &undone.kept {
        report.warn(kept);
    }
    report.close(said(run, &undone));
    Ok(match (undone.stopped, undone.kept.is_empty()) {
        (true, _) => stop.exit_code(),
        (_, true) => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    })
}

fn number(which: WhichRun, journal: &Journal) -> Result<i64> {
    let shown = journal.path().display();
    match which {
        WhichRun::Last => {
            journal.last_run()?.with_context(|| format!("no run in {shown} has done anything that was not undone"))
        }
        WhichRun::Number(run) => match journal.run(run)? {
            None => bail!("there is no run {run} in {shown}; --runs lists them"),
            Some(Some(undone)) => bail!("run {run} has undone run {undone}, which route can do again"),
            Some(None) => Ok(run),
        },
    }
}

fn said(run: i64, undone: &Undone) -> String {
    let Undone { back, removed, gone, .. } = undone;
    let mut said = format!("undone of run {run}: {back} moved back");
    if *removed > 0 {
        let copies = if *removed == 1 { "copy or link" } else { "copies or links" };
        said += &format!(", {removed} {copies} removed");
    }
    if !gone.is_empty() {
        said += &format!("; {} no longer where they were put", gone.len());
    }
    if undone.tags > 0 {
        let tags = if undone.tags == 1 { "tag is" } else { "tags are" };
        said += &format!("; {} {tags} written again by the next run", undone.tags);
    }
    if undone.commands > 0 {
        let times = if undone.commands == 1 { "1 mail was".into() } else { format!("{} mails were", undone.commands) };
        said += &format!("; {times} given to a command, which cannot be undone: the next run does it again");
    }
    said
}

/// Lists runs.
///
/// # Errors
/// When the journal or the output cannot be used.
pub(super) fn list(arguments: &Route) -> Result<ExitCode> {
    let rows = Journal::open_to_read(&journal(arguments)?)?.runs()?;
    let lines: Vec<RunLine> = rows.into_iter().map(line).collect();
    runs::write(&lines, arguments.routing.format == PlanFormat::Table).context("cannot write the output")?;
    Ok(ExitCode::SUCCESS)
}

fn line(row: RunRow) -> RunLine {
    let RunRow { id, started, ended, undoes, unsure, errors, acts } = row;
    let mut line = RunLine { run: id, started, ended, undoes, actions: Default::default(), undone: 0, unsure, errors };
    for ((kind, state), count) in acts {
        if state == "undone" {
            line.undone += count;
        }
        if matches!(state, "done" | "undone") {
            *line.actions.entry(kind.to_string()).or_default() += count;
        }
    }
    line
}

fn journal(arguments: &Route) -> Result<PathBuf> {
    match &arguments.handling.ruling.journal {
        Some(path) => Ok(path.clone()),
        None => {
            let root = root(&arguments.handling, &arguments.routing.sources)?;
            ensure!(root.is_dir(), "there is no folder {}", root.display());
            Ok(Journal::path_of(&root, None))
        }
    }
}
