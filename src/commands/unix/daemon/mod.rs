//! `mailsort daemon`: keeps a model loaded for filters that ask about one message each.
//!
//! One thread accepts clients, one thread per client reads its message, and one thread scores what has come in, several
//! messages at a time. Clients, waiting messages, their length, and the time that a client may take are all bounded.

mod listener;

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rayon::ThreadPool;

use super::{notify_ready, wire};
use crate::classifier::{Classifier, PreparedDocument};
use crate::cli::{Daemon, DaemonFlags};
use crate::commands::answer::{self, Answer, Response};
use crate::commands::opening;
use crate::report::Report;
use crate::stream::{self, Scheduler};
use listener::Listener;

/// Most clients whose messages are being read or scored, besides those in the queue.
const IN_HAND: usize = 16;

/// A message that waits to be scored.
struct Request {
    message: Vec<u8>,
    response: Sender<Response>,
}

/// Runs the command.
///
/// # Errors
/// When labels, model or socket cannot be used, or the model fails for good.
pub(in crate::commands) fn run(arguments: &Daemon) -> Result<ExitCode> {
    let Daemon { flags, classifier, run, verbosity } = arguments;
    let report = Report::new(verbosity.level(), verbosity.progress);
    // First: clients may wait while the model loads, and no model is loaded for a socket that is taken.
    let listener = Listener::open(flags.socket.as_deref())?;
    let pool = stream::pool(run.threads)?;
    let classifier = opening::open(&classifier.spec(), &pool, &report, verbosity)?;
    report.note(format_args!("listening on {}, with the model {}", listener.shown(), classifier.model()));
    notify_ready();
    let (sender, requests) = mpsc::sync_channel(flags.queue);
    thread::scope(|scope| -> Result<()> {
        let accepting = scope.spawn(|| accept(&listener, sender, flags));
        // If the model fails, or panics, the queue ends with it, and waiting and new clients are refused.
        let stopping = AtEnd(|| listener.stop());
        score(&classifier, requests, &pool, &report)?;
        drop(stopping);
        accepting.join().map_err(|_| anyhow::anyhow!("the accepting thread has died"))?
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Does something when it is dropped, be it by a panic.
struct AtEnd<F: Fn()>(F);

impl<F: Fn()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        self.0();
    }
}

/// Accepts clients until a signal comes.
fn accept(listener: &Listener, queue: SyncSender<Request>, flags: &DaemonFlags) -> Result<()> {
    let clients = Arc::new(AtomicUsize::new(0));
    // Each client holds a thread and a message.
    let most = flags.queue + IN_HAND;
    while let Some(stream) = listener.next()? {
        if clients.fetch_add(1, Ordering::AcqRel) >= most {
            clients.fetch_sub(1, Ordering::AcqRel);
            wire::write_response(&stream, &Response::Refused("the daemon is busy".into()));
            continue;
        }
        let (own, queue, most, patience) = (clients.clone(), queue.clone(), flags.max_size, flags.patience);
        let leaving = AtEnd(move || {
            own.fetch_sub(1, Ordering::AcqRel);
        });
        let serve = move || {
            // It leaves when it is served, and where no thread could be started.
            let _leaving = leaving;
            drop(stream.set_write_timeout(Some(patience)));
            wire::write_response(&stream, &serve(&stream, most, patience, &queue));
            drop(queue);
        };
        drop(thread::Builder::new().spawn(serve));
    }
    Ok(())
}

/// Reads one message and waits until it is scored.
fn serve(stream: &UnixStream, most: usize, patience: Duration, queue: &SyncSender<Request>) -> Response {
    let message = match wire::read_request(Deadline { stream, end: Instant::now() + patience }, most) {
        Ok(message) => message,
        Err(error) => return Response::Unscored(format!("{error:#}")),
    };
    let (response, responded) = mpsc::channel();
    match queue.try_send(Request { message, response }) {
        Ok(()) => responded.recv().unwrap_or_else(|_| Response::Refused("the daemon ends".into())),
        Err(TrySendError::Full(_)) => Response::Refused("the daemon is busy".into()),
        Err(TrySendError::Disconnected(_)) => Response::Refused("the daemon ends".into()),
    }
}

/// A client's stream with a deadline for all that it sends. A timeout per read would let a client that sends a byte now
/// and then stay for ever.
struct Deadline<'s> {
    stream: &'s UnixStream,
    end: Instant,
}

impl Read for Deadline<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let too_long = || io::Error::new(io::ErrorKind::TimedOut, "the client took too long");
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(too_long());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => too_long(),
            _ => error,
        })
    }
}

/// A message that was read, and who waits for its answer.
struct PreparedRequest {
    document: PreparedDocument,
    response: Sender<Response>,
}

/// Scores requests until no client can come any more.
fn score(classifier: &Classifier, requests: Receiver<Request>, pool: &ThreadPool, report: &Report) -> Result<()> {
    let bytes = |request: &Request| request.message.len();
    let prepare = |Request { message, response }| {
        let document = classifier.prepare(classifier.read(Ok(answer::raw(message))));
        PreparedRequest { document, response }
    };
    let tokens = |request: &PreparedRequest| classifier.tokens(&request.document);
    let scheduler = Scheduler::of_requests(pool, classifier.budget());
    scheduler.run(
        requests.into_iter(),
        bytes,
        prepare,
        tokens,
        || false,
        |batch| {
            let (documents, responses): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|PreparedRequest { document, response }| (document, response)).unzip();
            let verdicts = pool.install(|| classifier.verdicts(documents)).context("the model failed")?;
            for (verdict, sender) in verdicts.into_iter().zip(responses) {
                let answer = Answer::new(classifier, verdict);
                let response = answer.map_or_else(|why| Response::Unscored(format!("{why:#}")), Response::Answer);
                if let Response::Unscored(why) = &response {
                    report.note(format_args!("a message is not scored: {why}"));
                }
                drop(sender.send(response));
            }
            Ok(())
        },
    )
}
