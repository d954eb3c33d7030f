//! The work of all clients in one queue: counted in pairs, bounded, and scored in batches across connections.
//!
//! A pair is what a model reads once: a document with the labels of a server, a text to embed, a query with one
//! document. A request whose client has gone is skipped, wherever its work is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::failure::Failure;
use super::work::Job;

/// How many pairs of one request wait to be scored at once: others come between them, and a large request is no large
/// piece of memory.
const WINDOW: usize = 256;
/// Longest time that a client is told to wait.
const LONGEST_WAIT: u64 = 60;

/// The queue, as those who ask see it.
#[derive(Clone)]
pub(super) struct Queue {
    jobs: mpsc::Sender<Job>,
    load: Arc<Load>,
}

/// What is in the queue, and how fast it goes.
pub(super) struct Load {
    /// The most pairs, beyond which requests are refused.
    most: AtomicUsize,
    pairs: AtomicUsize,
    /// Pairs a second, as of late.
    pace: Mutex<Pace>,
}

struct Pace {
    since: Instant,
    done: u64,
    rate: f64,
}

/// Pairs of one accepted request that are not scored yet.
pub(super) struct Ticket {
    load: Arc<Load>,
    left: AtomicU64,
    /// Pairs of one piece of its work.
    each: usize,
}

impl Queue {
    /// A queue for at most so many pairs, and the end from which jobs are taken.
    pub(super) fn new(most: usize) -> (Self, mpsc::Receiver<Job>) {
        let (jobs, taken) = mpsc::channel();
        let pace = Mutex::new(Pace { since: Instant::now(), done: 0, rate: 0.0 });
        (Self { jobs, load: Arc::new(Load { most: AtomicUsize::new(most), pairs: AtomicUsize::new(0), pace }) }, taken)
    }

    /// How much is in the queue.
    pub(super) fn load(&self) -> &Arc<Load> {
        &self.load
    }

    /// Accepts a request of so many pieces of work, each of so many pairs. One that is larger than the queue is
    /// accepted when there is any room, because only a part of it waits at once.
    pub(super) fn admit(&self, pieces: usize, each: usize) -> Result<Ticket, Failure> {
        let pairs = pieces.saturating_mul(each);
        let most = self.load.most.load(Ordering::Acquire);
        let accept = |waiting| (waiting < most).then_some(waiting + pairs);
        match self.load.pairs.fetch_update(Ordering::AcqRel, Ordering::Acquire, accept) {
            Ok(_) => Ok(Ticket { load: self.load.clone(), left: AtomicU64::new(pairs as u64), each }),
            Err(waiting) => Err(Failure::busy(self.load.wait(waiting))),
        }
    }

    /// Hands the work of an accepted request to the scheduler, a window at a time, and returns the results in order.
    ///
    /// # Errors
    /// When the server stops, or its model is lost.
    pub(super) async fn work<W, T>(
        &self,
        ticket: &Ticket,
        items: impl IntoIterator<Item = W>,
        job: impl Fn(W, oneshot::Sender<T>) -> Job,
    ) -> Result<Vec<T>, Failure> {
        let mut waiting = VecDeque::new();
        let mut done = Vec::new();
        for item in items {
            if waiting.len() >= WINDOW
                && let Some(first) = waiting.pop_front()
            {
                done.push(received(first).await?);
                ticket.release(ticket.each);
            }
            let (answer, answered) = oneshot::channel();
            self.jobs.send(job(item, answer)).map_err(|_| Failure::stopping())?;
            waiting.push_back(answered);
        }
        for next in waiting {
            done.push(received(next).await?);
            ticket.release(ticket.each);
        }
        Ok(done)
    }
}

/// A job whose sender is dropped was not done: the model failed.
async fn received<T>(answered: oneshot::Receiver<T>) -> Result<T, Failure> {
    answered.await.map_err(|_| Failure::unanswered())
}

impl Load {
    /// Changes how many pairs may wait.
    pub(super) fn bound(&self, most: usize) {
        self.most.store(most, Ordering::Release);
    }

    /// Pairs that wait or are being scored.
    pub(super) fn pairs(&self) -> usize {
        self.pairs.load(Ordering::Acquire)
    }

    /// Seconds until so many pairs are done, as a client is told.
    fn wait(&self, waiting: usize) -> u64 {
        let rate = self.pace.lock().unwrap_or_else(PoisonError::into_inner).rate;
        if rate <= 0.0 { 1 } else { ((waiting as f64 / rate).ceil() as u64).clamp(1, LONGEST_WAIT) }
    }

    /// Counts what was done, for the pace.
    fn done(&self, pairs: usize) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.done += pairs as u64;
        let past = pace.since.elapsed();
        if past >= Duration::from_millis(500) {
            let now = pace.done as f64 / past.as_secs_f64();
            // What was long ago counts for half as much each time.
            pace.rate = if pace.rate > 0.0 { (pace.rate + now) / 2.0 } else { now };
            (pace.since, pace.done) = (Instant::now(), 0);
        }
    }
}

impl Ticket {
    /// Gives back pairs that are done.
    fn release(&self, pairs: usize) {
        let take = |left: u64| Some(left.saturating_sub(pairs as u64));
        let before = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).unwrap_or(0);
        let released = (pairs as u64).min(before) as usize;
        self.load.pairs.fetch_sub(released, Ordering::AcqRel);
        self.load.done(released);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.load.pairs.fetch_sub(self.left.load(Ordering::Acquire) as usize, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_request_is_accepted_and_the_next_refused() {
        let (queue, _jobs) = Queue::new(10);
        let large = queue.admit(1000, 1).unwrap();
        assert_eq!(queue.admit(1, 1).err().map(|failure| failure.status.as_u16()), Some(429));
        large.release(995);
        let small = queue.admit(1, 1).unwrap();
        assert_eq!(queue.load().pairs(), 6);
        drop((large, small));
        assert_eq!(queue.load().pairs(), 0);
    }

    #[test]
    fn a_client_is_told_how_long_to_wait() {
        let (queue, _jobs) = Queue::new(10);
        assert_eq!(queue.load().wait(1000), 1);
        queue.load().pace.lock().unwrap().rate = 50.0;
        assert_eq!((queue.load().wait(120), queue.load().wait(100_000)), (3, LONGEST_WAIT));
    }
}
