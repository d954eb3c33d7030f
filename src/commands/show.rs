//! `mailsort show`: reads documents and prints what a model would see of each, and what was cut.

use std::process::ExitCode;

use anyhow::Result;

use crate::classifier::Budget;
use crate::cli::Show;
use crate::output::Texts;
use crate::record::Intake;
use crate::report::Report;
use crate::stream::{Fingerprint, Stop, Stream, Verb};

/// Runs the command.
///
/// # Errors
/// When an input or the output cannot be used.
pub(super) fn run(arguments: &Show) -> Result<ExitCode> {
    let Show { input, cleaning, output, threads } = arguments;
    let report = Report::new(output.writing.verbosity.level(), output.writing.verbosity.progress);
    let (input, writing, format) = (input.spec(), output.writing.spec(), output.format()?);
    let stream = Stream::open(&input, &writing, cleaning.reading(), *threads, &[])?;
    let fingerprint = Fingerprint::of_verb("show")?.field("format", &format)?.field("removed", &output.removed)?;
    let opened = stream.sink(format.check_resumable(), fingerprint)?;
    let mut texts = Texts::new(opened.sink(), format, output.removed);
    let mut is_warned = false;
    let write = |documents: Option<Vec<Intake>>, report: &mut Report| {
        for document in documents.iter().flatten() {
            match document {
                Ok(document) => {
                    if let Some(doubt) = document.doubted().filter(|_| !std::mem::replace(&mut is_warned, true)) {
                        report.warn(doubt);
                    }
                    report.scored();
                }
                Err(skip) => report.failed(&skip.origin, &skip.reason),
            }
            texts.write(document)?;
        }
        texts.flush()
    };
    let record_key = |line: &[u8], header: &[u8]| format.record_key(line, header);
    let (prepare, tokens) = (|read: Intake| read, |_: &Intake| 1);
    let verb = Verb { prepare, tokens, score: Ok, budget: Budget::FAST, inexact: None, write, record_key };
    stream.run(opened, report, Stop::listen, verb)
}
