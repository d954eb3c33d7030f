//! `mailsort show`: reads documents and prints what a model would see of each, and what was cut.

use std::process::ExitCode;

use anyhow::Result;

use super::stream::{PIECE, Stream, Verb};
use crate::cli::Show;
use crate::output::Texts;
use crate::record::Intake;
use crate::report::Report;

/// Runs the command.
///
/// # Errors
/// When an input or the output cannot be used.
pub(super) fn run(arguments: &Show) -> Result<ExitCode> {
    let Show { input, cleaning, output, threads } = arguments;
    let report = Report::new(output.writing.talk.level(), output.writing.talk.progress);
    let stream = Stream::open(input, &output.writing, cleaning.reading(), *threads, &[])?;
    let target = stream.target(output.format.check_resumable(), &("show", output.format, output.removed))?;
    let mut texts = Texts::new(target.out(), output.format, output.removed);
    let write = |documents: Vec<Intake>, report: &mut Report| {
        for document in &documents {
            match document {
                Ok(_) => report.scored(),
                Err(skip) => report.failed(&skip.origin, &skip.reason),
            }
            texts.write(document)?;
        }
        texts.flush()
    };
    let place = |line: &[u8], header: &[u8]| output.format.place(line, header);
    stream.run(target, report, Verb { score: Ok, piece: PIECE, slow: false, inexact: None, write, place })
}
