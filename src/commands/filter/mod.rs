//! `mailsort filter`: one mail in, the same mail out with a header that says what it is.
//!
//! It stands between a mail server and a mailbox, so whatever goes wrong in here, the mail must not: it comes out as it
//! came in, or the mail system is told to try again.

mod answer;

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::cli::{Filter, OrElse, Passing};
use crate::delivery::header::{self, Field};
use crate::guard;
use crate::output::Sink;
use crate::report::{Level, Progress, Report};
pub(super) use answer::{Answer, Found, raw};

/// EX_TEMPFAIL of sysexits.h: mail systems keep the mail and try again.
const TRY_AGAIN: u8 = 75;

/// What comes in under our name is taken out of mails of any size, so that much of them is looked at.
const HEADER_ROOM: usize = 1 << 20;

/// Runs the command. Once the mail is read it fails for no reason of ours.
///
/// # Errors
/// When flags contradict each other, or --is names no label.
pub(super) fn run(arguments: &Filter) -> Result<ExitCode> {
    let passing = &arguments.passing;
    check(arguments)?;
    let report = Report::new(if passing.verbose { Level::Normal } else { Level::Quiet }, Progress::Never);
    let (mut input, mut out) = (io::stdin().lock(), Sink::standard_output());
    let mut mail = Vec::new();
    // One byte more tells a longer one.
    let most = passing.max_size.max(HEADER_ROOM) as u64 + 1;
    if let Err(error) = input.by_ref().take(most).read_to_end(&mut mail) {
        report.warn(format_args!("cannot read the mail: {error}"));
        return Ok(ExitCode::from(TRY_AGAIN));
    }
    let answer = if mail.len() > passing.max_size {
        Err(anyhow!("the mail is longer than --max-size {}", passing.max_size))
    } else {
        answer(arguments, &mail)
    };
    if let Err(why) = &answer {
        report.warn(format_args!("not scored: {why:#}"));
        if passing.fail_closed {
            return Ok(ExitCode::from(TRY_AGAIN));
        }
    }
    let answer = answer.ok();
    if passing.is.is_some() || passing.print_label {
        // Who hands a mail over may wait for all of it to be read, or take it for a failure if it is not.
        drop(io::copy(&mut input, &mut io::sink()));
    }
    if let Some(label) = &passing.is {
        let is_known = answer.as_ref().is_none_or(|answer| answer.labels.contains(label));
        ensure!(is_known, "--is {label:?}: there is no such label");
        let is = answer.is_some_and(|answer| answer.found.iter().any(|found| found.label() == Some(label)));
        return Ok(ExitCode::from(u8::from(!is)));
    }
    let written = if passing.print_label {
        labels(&mut out, answer.as_ref(), arguments.labels.files.len().max(1))
    } else {
        pass(&mut out, &mail, &mut input, answer.as_ref())
    };
    match written.and_then(|()| out.finish()) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // A mail that was written in part must not be taken for the mail.
        Err(error) => {
            report.warn(format_args!("cannot write the mail: {error}"));
            Ok(ExitCode::from(TRY_AGAIN))
        }
    }
}

/// # Errors
/// When there are labels or a model of which a daemon would know nothing.
fn check(arguments: &Filter) -> Result<()> {
    let Filter { labels, passing, model, .. } = arguments;
    let is_asked = passing.socket.is_some() && passing.or_else == OrElse::Fail;
    let own = [
        ("--labels", !labels.files.is_empty()),
        ("--label", !labels.label.is_empty()),
        ("--classifier", labels.classifier.is_some()),
        ("--threshold", labels.threshold.is_some()),
        ("--model", model.source.model.is_some()),
    ];
    match own.iter().find(|(_, is_given)| is_asked && *is_given) {
        Some((flag, _)) => {
            bail!("{flag}: the daemon of --socket has its own; with --or-else score it would count without it")
        }
        None => Ok(()),
    }
}

/// Scores the mail in time, whatever happens meanwhile.
fn answer(arguments: &Filter, mail: &[u8]) -> Result<Answer> {
    let Passing { timeout, .. } = arguments.passing;
    let (sender, receiver) = mpsc::channel();
    let (own, mail) = (arguments.clone(), mail.to_vec());
    // Not joined: when it takes too long, the process ends without it.
    thread::Builder::new()
        .spawn(move || {
            let answer = guard::catch(|| answer::answer(&own, mail));
            drop(sender.send(answer.unwrap_or_else(|said| Err(anyhow!("mailsort has a bug: {said}")))));
        })
        .context("cannot start a thread")?;
    match receiver.recv_timeout(timeout) {
        Ok(answer) => answer,
        Err(mpsc::RecvTimeoutError::Timeout) => bail!("it took longer than --timeout {}", timeout.as_secs_f64()),
        Err(mpsc::RecvTimeoutError::Disconnected) => bail!("scoring ended without an answer"),
    }
}

/// One line a label set, of which there are so many.
fn labels(out: &mut Sink, answer: Option<&Answer>, sets: usize) -> io::Result<()> {
    let Some(Answer { found, .. }) = answer else {
        return (0..sets).try_for_each(|_| writeln!(out));
    };
    found.iter().try_for_each(|found| writeln!(out, "{}", found.label().map_or("", String::as_str)))
}

/// Writes the mail with its headers, and what of it was not read yet.
fn pass(out: &mut Sink, mail: &[u8], rest: &mut impl Read, answer: Option<&Answer>) -> io::Result<()> {
    let fields: Vec<Field> = answer.map(Answer::fields).unwrap_or_default();
    for piece in header::marked(mail, &fields) {
        out.write_all(&piece)?;
    }
    io::copy(rest, out).map(drop)
}

impl Answer {
    fn fields(&self) -> Vec<Field> {
        let several = self.found.len() > 1;
        let field = |found: &Found| {
            let (label, score) = found.best.as_ref()?;
            let set = several.then_some(found.set.as_str());
            Some(Field::verdict(label, found.is_sure, *score, &self.model, set))
        };
        self.found.iter().filter_map(field).collect()
    }
}
