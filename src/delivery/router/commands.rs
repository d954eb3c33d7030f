//! What others do with a mail: commands, and notmuch with its tag.

use std::fs::File;
use std::io::{self, Write};

use anyhow::{Context, Result};

use super::{Home, Mail, Router, Tagger, worker};
use crate::delivery::journal::{Act, State};
use crate::delivery::rules::{By, Deed};
use crate::record::Verdict;

/// So many failures in a row are enough to know that a command fails.
const DOWN: u32 = 3;

impl Router {
    /// Runs the command of a deed. What came of it is written down at once, for it cannot be seen.
    pub(super) fn exec(
        &mut self,
        mail: &Mail,
        by: Option<&By>,
        deed: Option<&Deed>,
        act: &mut Act,
        stop: &dyn Fn() -> bool,
    ) -> Result<()> {
        let opened = match &mail.home {
            Home::Message { listed, .. } => worker::open(&mut self.worker.finder, act, listed),
            Home::Mailbox { bytes, .. } => in_file(bytes).map(Some),
        };
        match (opened, deed.and_then(|deed| deed.exec.as_ref())) {
            (Ok(Some(file)), Some(exec)) => {
                let failures = self.failures.get(exec).copied().unwrap_or_default();
                // What fails for one mail after the other is down, and is not waited for with each.
                let ended = exec.run(&file, &self.variables(mail, by), failures < DOWN, stop);
                let failures = if ended.failure.is_some() { failures + 1 } else { 0 };
                self.failures.insert(exec.clone(), failures);
                act.status = ended.status;
                act.state = if ended.failure.is_none() { State::Done } else { State::Failed };
                act.detail = ended.failure.map(|failure| format!("the command {:?}: {failure}", exec.name()));
            }
            (Ok(_), _) => act.state = State::Gone,
            (Err(error), _) => (act.state, act.detail) = (State::Failed, Some(error.to_string())),
        }
        self.worker.journal.conclude(std::slice::from_ref(act))
    }

    /// What a command is told.
    fn variables(&self, mail: &Mail, by: Option<&By>) -> Vec<(&'static str, String)> {
        let Verdict { origin, envelope, .. } = &mail.verdict;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            ("MAILSORT_LABEL", by.map_or(String::new(), |by| by.label.to_string())),
            ("MAILSORT_SCORE", by.map_or(String::new(), |by| format!("{:.4}", by.score))),
            ("MAILSORT_MODEL", self.model.clone()),
            ("MAILSORT_SET", by.and_then(|by| self.sets.get(by.set)).cloned().unwrap_or_default()),
            ("MAILSORT_ID", text(&envelope.id)),
            ("MAILSORT_SUBJECT", text(&envelope.subject)),
            ("MAILSORT_FROM", text(&envelope.from)),
            ("MAILSORT_SOURCE", origin.source.to_string()),
            ("MAILSORT_INDEX", origin.index.to_string()),
        ]
    }
}

/// Puts the tag of a mail.
pub(super) fn tag(mail: &Mail, by: Option<&By>, act: &mut Act, tagger: &mut Tagger<'_>) -> Result<()> {
    let tagged = match by {
        Some(by) => tagger(&mail.verdict, by).context("cannot write the output")?,
        None => Err("it has no label".into()),
    };
    act.state = if tagged.is_ok() { State::Done } else { State::Failed };
    act.detail = tagged.err();
    Ok(())
}

/// A mail as a file that nobody else can open.
fn in_file(bytes: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    Ok(file)
}
