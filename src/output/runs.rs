//! The runs of a journal, as a table for people or as JSON Lines.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::Sink;

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct RunLine {
    /// Its number.
    pub run: i64,
    /// When it began.
    pub started: String,
    /// When it came to its end; none where it was stopped.
    pub ended: Option<String>,
    /// The run that it undid.
    pub undoes: Option<i64>,
    /// What it did, by kind.
    pub actions: BTreeMap<String, u64>,
    /// How much of that is undone.
    pub undone: u64,
    /// Mails that no label set was sure of.
    pub unsure: u64,
    /// Mails with an error.
    pub errors: u64,
}

/// Writes runs to standard output.
///
/// # Errors
/// When the output cannot be written.
pub fn write(runs: &[RunLine], is_table: bool) -> io::Result<()> {
    let mut out = Sink::standard_output();
    if is_table {
        writeln!(out, "{:>5}  {:<20}  {:>6}  {:>6}  did", "run", "began", "unsure", "errors")?;
    }
    for run in runs {
        if is_table {
            let RunLine { run: number, started, unsure, errors, .. } = run;
            writeln!(out, "{number:>5}  {started:<20}  {unsure:>6}  {errors:>6}  {}", run.did())?;
        } else {
            serde_json::to_writer(&mut out, run)?;
            out.write_all(b"\n")?;
        }
    }
    out.finish()
}

impl RunLine {
    fn did(&self) -> String {
        let mut did: Vec<String> = self.actions.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        if self.undone > 0 {
            did.push(format!("undone {}", self.undone));
        }
        if did.is_empty() {
            did.push("nothing".into());
        }
        let undoes = self.undoes.map_or(String::new(), |run| format!(" (undid run {run})"));
        let stopped = if self.ended.is_none() { " (not ended)" } else { "" };
        did.join(", ") + &undoes + stopped
    }
}
