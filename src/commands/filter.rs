//! `mailsort filter`: reads one message and writes it with a header that names its label.
//!
//! It runs between a mail server and a mailbox. Whatever goes wrong here, the message comes out as it came in, or the
//! mail system is told to try again.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::answer::{self, Answer, BestLabel, Reply};
use super::unix;
use crate::classifier::Classifier;
use crate::cli::{ClassifierFlags, Filter, FilterFlags, OrElse};
use crate::guard;
use crate::header::{self, Field, Stored};
use crate::output::Sink;
use crate::record::is_same_label;
use crate::report::{Level, Progress, Report};

/// EX_TEMPFAIL of sysexits.h: mail systems keep the message and try again.
const TRY_AGAIN: u8 = 75;

/// Why a message has no labels.
#[derive(Debug)]
enum Unscored {
    /// The flags, the label file, the model or the server: it is so for every message, so it is always said.
    SetUp(anyhow::Error),
    /// The message.
    Message(anyhow::Error),
}

/// Runs the command. Once the message is read, an error never stops it from coming out.
///
/// # Errors
/// When flags contradict each other, or --is names no label.
pub(super) fn run(arguments: &Filter) -> Result<ExitCode> {
    let flags = &arguments.flags;
    check(arguments)?;
    let report = Report::new(Level::Normal, Progress::Never);
    let (mut input, mut out) = (io::stdin().lock(), Sink::standard_output());
    let mut mail = Vec::new();
    // One byte more shows that a message is too long.
    if let Err(error) = input.by_ref().take(flags.max_size as u64 + 1).read_to_end(&mut mail) {
        if flags.verbose {
            report.warn(format_args!("cannot read the message: {error}"));
        }
        return Ok(ExitCode::from(TRY_AGAIN));
    }
    let is_written = flags.is.is_none() && !flags.print_label;
    let stored = match mail.len() > flags.max_size {
        true => Err(anyhow!("the message is longer than --max-size {}", flags.max_size)),
        false => Stored::new(&mail, flags.max_size as u64).context("the message"),
    };
    let answer = match &stored {
        Ok(stored) => answer_in_time(arguments, stored.mail()),
        Err(why) => Err(Unscored::Message(anyhow!("{why:#}"))),
    };
    if let Err(unscored) = &answer {
        let (why, is_said) = match unscored {
            Unscored::SetUp(why) => (why, true),
            Unscored::Message(why) => (why, flags.verbose),
        };
        if is_said {
            report.warn(format_args!("not scored: {why:#}"));
        }
        if flags.fail_closed {
            return Ok(ExitCode::from(TRY_AGAIN));
        }
    }
    let answer = answer.ok();
    if !is_written {
        // The writer may block, or report a failure, until all of the message is read.
        drop(io::copy(&mut input, &mut io::sink()));
    }
    if let Some(label) = &flags.is {
        let is_known =
            answer.as_ref().is_none_or(|answer| answer.labels.iter().any(|known| is_same_label(known, label)));
        ensure!(is_known, "--is {label:?}: there is no such label");
        let is = answer.is_some_and(|answer| {
            answer.best.iter().any(|best| best.label().is_some_and(|best| is_same_label(best, label)))
        });
        return Ok(ExitCode::from(u8::from(!is)));
    }
    let written = if flags.print_label {
        print_labels(&mut out, answer.as_ref(), arguments.classifier.labels.files.len().max(1))
    } else {
        match &stored {
            Ok(stored) => pass_on(&mut out, stored, answer.as_ref()),
            Err(_) => pass_on_unread(&mut out, &mail, &mut input),
        }
    };
    match written.and_then(|()| out.finish()) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // A partly written message must not pass for the whole.
        Err(error) => {
            if flags.verbose {
                report.warn(format_args!("cannot write the message: {error}"));
            }
            Ok(ExitCode::from(TRY_AGAIN))
        }
    }
}

/// Refuses labels and models that a server would ignore.
fn check(arguments: &Filter) -> Result<()> {
    let Filter { flags, classifier: ClassifierFlags { labels, model, .. } } = arguments;
    let is_asked = flags.socket.is_some() && flags.or_else == OrElse::Fail;
    let own_flags = [
        ("--labels", !labels.files.is_empty()),
        ("--label", !labels.label.is_empty()),
        ("--classifier", labels.classifier.is_some()),
        ("--threshold", labels.threshold.is_some()),
        ("--model", model.source.model.is_some()),
    ];
    match own_flags.iter().find(|(_, is_given)| is_asked && *is_given) {
        Some((flag, _)) => {
            bail!("{flag}: the server of --socket has its own; it only counts with --or-else score")
        }
        None => Ok(()),
    }
}

/// Scores the message within --timeout, and survives a panic.
fn answer_in_time(arguments: &Filter, mail: &[u8]) -> Result<Answer, Unscored> {
    let FilterFlags { timeout, .. } = arguments.flags;
    let (sender, receiver) = mpsc::channel();
    let (own, mail) = (arguments.clone(), mail.to_vec());
    // Not joined: after the timeout the process ends without it.
    let started = thread::Builder::new().spawn(move || {
        let answer = guard::catch(|| answer(&own, mail));
        let bug = |said: String| Err(Unscored::SetUp(anyhow!("mailsort has a bug: {said}")));
        drop(sender.send(answer.unwrap_or_else(bug)));
    });
    started.context("cannot start a thread").map_err(Unscored::SetUp)?;
    receiver.recv_timeout(timeout).unwrap_or_else(|error| {
        Err(Unscored::Message(match error {
            mpsc::RecvTimeoutError::Timeout => anyhow!("it took longer than --timeout {}", timeout.as_secs_f64()),
            mpsc::RecvTimeoutError::Disconnected => anyhow!("scoring ended without an answer"),
        }))
    })
}

/// Scores the message, by a server or in this process.
fn answer(arguments: &Filter, message: Vec<u8>) -> Result<Answer, Unscored> {
    let Filter { flags, classifier } = arguments;
    if let Some(socket) = &flags.socket {
        let is_last = flags.or_else == OrElse::Fail;
        // Leave half of the time for scoring it here.
        let timeout = if is_last { flags.timeout } else { flags.timeout / 2 };
        match unix::ask(socket, &message, flags.is.is_some(), timeout) {
            Ok(Reply::Answer(answer)) => return Ok(answer),
            Ok(Reply::Unscored(why)) => return Err(Unscored::Message(anyhow!(why))),
            Ok(Reply::Refused(why)) if is_last => return Err(Unscored::Message(anyhow!(why))),
            Ok(Reply::SetUp(why)) if is_last => return Err(Unscored::SetUp(anyhow!("the server of --socket: {why}"))),
            Err(error) if is_last => return Err(Unscored::SetUp(error)),
            Ok(Reply::Refused(_) | Reply::SetUp(_)) | Err(_) => {}
        }
    }
    // One message is not worth starting threads for.
    let classifier = Classifier::open(&classifier.spec()).map_err(Unscored::SetUp)?;
    let document = classifier.prepare(classifier.read(Ok(answer::raw(message))));
    let verdict = classifier.verdicts(vec![document]).map_err(Unscored::SetUp)?.pop();
    let answer = verdict.context("there is no verdict").and_then(|verdict| Answer::new(&classifier, verdict));
    answer.map_err(Unscored::Message)
}

/// Prints one line per label set; `sets` is their number.
fn print_labels(out: &mut Sink, answer: Option<&Answer>, sets: usize) -> io::Result<()> {
    let Some(Answer { best, .. }) = answer else {
        return (0..sets).try_for_each(|_| writeln!(out));
    };
    best.iter().try_for_each(|best| writeln!(out, "{}", best.label().map_or("", String::as_str)))
}

/// Writes the message with its headers, compressed if it came so.
fn pass_on(out: &mut Sink, stored: &Stored<'_>, answer: Option<&Answer>) -> io::Result<()> {
    let fields: Vec<Field> = answer.map(Answer::fields).unwrap_or_default();
    let pieces = stored.with(header::marked(stored.mail(), &fields))?;
    pieces.iter().try_for_each(|piece| out.write_all(piece))
}

/// Writes a message that is too long or compressed, and the rest of it that was not read yet.
fn pass_on_unread(out: &mut Sink, begin: &[u8], rest: &mut impl Read) -> io::Result<()> {
    match header::compression(begin) {
        Some(_) => io::copy(&mut begin.chain(rest), out).map(drop),
        None => header::copy_without_ours(&mut begin.chain(rest), out),
    }
}

impl Answer {
    fn fields(&self) -> Vec<Field> {
        let several = self.best.len() > 1;
        let field = |found: &BestLabel| {
            let (label, score) = found.best.as_ref()?;
            let set = several.then_some(found.set.as_str());
            Some(Field::verdict(label, found.is_sure, *score, &self.model, set))
        };
        self.best.iter().filter_map(field).collect()
    }
}
