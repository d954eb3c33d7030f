//! `mailsort daemon`: a model that stays loaded, for filters that ask it about one mail each.
//!
//! One thread takes clients, one reads each of them, and one scores what has come in, several mails together. Nothing is
//! without a bound: clients, waiting mails, their length, and the time that a client may take.

mod listening;
mod wire;

use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rayon::ThreadPool;

use super::filter::{Answer, raw};
use super::opening;
use crate::classifier::Classifier;
use crate::cli::{Daemon, Serving};
use crate::record::Intake;
use crate::report::Report;
use crate::stream::{self, Scheduler};
use listening::Listening;

pub(super) use listening::ready;
pub(super) use wire::{Reply, ask};

/// How many clients may have their mails read or scored beside those that wait in the queue.
const IN_HAND: usize = 16;

/// A mail that waits for its answer.
struct Waiting {
    mail: Vec<u8>,
    answer: Sender<Reply>,
}

/// Runs the command.
///
/// # Errors
/// When labels, model or socket cannot be used, or the model fails for good.
pub(super) fn run(arguments: &Daemon) -> Result<ExitCode> {
    let Daemon { serving, labels, model, cleaning, run, verbosity } = arguments;
    let report = Report::new(verbosity.level(), verbosity.progress);
    // First, so that clients may wait while the model is loaded, and nothing is loaded for a socket that is taken.
    let listening = Listening::open(serving.socket.as_deref())?;
    let pool = stream::pool(run.threads)?;
    let classifier = opening::open(&labels.best_label_spec(model, cleaning), &pool, &report, verbosity)?;
    report.note(format_args!("listening on {}, with the model {}", listening.shown(), classifier.model()));
    ready();
    let (sender, waiting) = mpsc::sync_channel(serving.queue);
    thread::scope(|scope| -> Result<()> {
        let taking = scope.spawn(|| take(&listening, sender, serving));
        // Where the model failed, whoever waits or comes is told so, as the queue is gone.
        let scored = score(&classifier, waiting, &pool, &report);
        if scored.is_err() {
            listening.stop();
        }
        scored?;
        taking.join().map_err(|_| anyhow::anyhow!("the thread that takes clients has died"))?
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Takes clients until a signal comes, and waits for those that are in hand.
fn take(listening: &Listening, queue: SyncSender<Waiting>, serving: &Serving) -> Result<()> {
    let clients = Arc::new(AtomicUsize::new(0));
    // Each holds a thread and a mail.
    let most = serving.queue + IN_HAND;
    while let Some(stream) = listening.next()? {
        if clients.fetch_add(1, Ordering::AcqRel) >= most {
            clients.fetch_sub(1, Ordering::AcqRel);
            wire::reply(&stream, &Reply::Refused("the daemon is busy".into()));
            continue;
        }
        let (own, queue, most, patience) = (clients.clone(), queue.clone(), serving.max_size, serving.patience);
        let serve = move || {
            drop(stream.set_write_timeout(Some(patience)));
            wire::reply(&stream, &serve(&stream, most, patience, &queue));
            drop(queue);
            own.fetch_sub(1, Ordering::AcqRel);
        };
        if thread::Builder::new().spawn(serve).is_err() {
            clients.fetch_sub(1, Ordering::AcqRel);
        }
    }
    Ok(())
}

/// Reads one mail and waits for its answer.
fn serve(stream: &UnixStream, most: usize, patience: Duration, queue: &SyncSender<Waiting>) -> Reply {
    let mail = match wire::read(stream, most, patience) {
        Ok(mail) => mail,
        Err(error) => return Reply::Unscored(format!("{error:#}")),
    };
    let (answer, answered) = mpsc::channel();
    match queue.try_send(Waiting { mail, answer }) {
        Ok(()) => answered.recv().unwrap_or_else(|_| Reply::Refused("the daemon ends".into())),
        Err(TrySendError::Full(_)) => Reply::Refused("the daemon is busy".into()),
        Err(TrySendError::Disconnected(_)) => Reply::Refused("the daemon ends".into()),
    }
}

/// A mail that was read, and who waits for its verdict.
struct Pending {
    read: Intake,
    answer: Sender<Reply>,
}

/// Scores what waits, until nobody can come any more.
fn score(classifier: &Classifier, waiting: Receiver<Waiting>, pool: &ThreadPool, report: &Report) -> Result<()> {
    let prepare = |Waiting { mail, answer }| Pending { read: classifier.read(Ok(raw(mail))), answer };
    let bytes = |waiting: &Waiting| waiting.mail.len();
    let tokens = |pending: &Pending| stream::tokens(&pending.read);
    let never = || false;
    let scheduler = Scheduler::of_requests(pool, classifier.budget());
    scheduler.run(waiting.into_iter(), bytes, prepare, tokens, never, |batch| {
        let (read, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|Pending { read, answer }| (read, answer)).unzip();
        let verdicts = pool.install(|| classifier.verdicts(read)).context("the model failed")?;
        for (verdict, answer) in verdicts.into_iter().zip(answers) {
            let reply =
                Answer::new(classifier, verdict).map_or_else(|why| Reply::Unscored(format!("{why:#}")), Reply::Answer);
            if let Reply::Unscored(why) = &reply {
                report.note(format_args!("a mail is not scored: {why}"));
            }
            drop(answer.send(reply));
        }
        Ok(())
    })
}
