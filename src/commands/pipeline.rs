//! Work on every core between one reader and one writer, in order and in bounded memory.

use std::collections::VecDeque;
use std::panic;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use rayon::ThreadPool;

use crate::guard;

/// How many pieces of work may be under way or wait to be consumed, per thread.
const IN_FLIGHT: usize = 4;
/// How many bytes the items between reader and consumer may hold together; a single larger item passes alone.
const BYTES_IN_FLIGHT: usize = 128 * 1024 * 1024;
/// A piece of work ends with the item that reaches this many bytes.
const PIECE_BYTES: usize = 1024 * 1024;
/// How often a run that waits for input looks whether it shall stop.
const LOOK_UP: Duration = Duration::from_millis(100);
/// How long a piece that has begun waits for more: reading is fast, but scoring small pieces is not.
const FILL: Duration = Duration::from_millis(10);

/// Takes items from `produce` on a thread of its own, runs `work` on pieces of them in the pool, and hands the results
/// to `consume` on the calling thread, in the order in which they were produced. `size` tells how many bytes an item
/// holds. A piece is whatever arrives within a moment, at most `most` items: those that come slowly are not kept waiting for
/// others. Once `stop` is true nothing more is begun, and what was begun is finished.
///
/// # Errors
/// The first error of `consume`, or that of a producer that panicked. The producer may then still wait for input, so its thread is left behind, as after a
/// stop.
pub(super) fn run<T, U>(
    pool: &ThreadPool,
    most: usize,
    produce: impl Iterator<Item = T> + Send + 'static,
    size: impl Fn(&T) -> usize + Send + 'static,
    work: impl Fn(Vec<T>) -> U + Sync,
    stop: impl Fn() -> bool,
    mut consume: impl FnMut(U) -> Result<()>,
) -> Result<()>
where
    T: Send + 'static,
    U: Send,
{
    let budget = Arc::new(Budget::default());
    let (items, arrived) = sync_channel(most * IN_FLIGHT);
    let reader = thread::spawn({
        let budget = budget.clone();
        move || guard::catch_bug(|| read(produce, &size, &budget, &items))
    });
    let mut arrivals = Arrivals { arrived, closed: false, most };
    let work = &work;
    pool.in_place_scope(|scope| -> Result<()> {
        let mut under_way: VecDeque<(usize, Receiver<U>)> = VecDeque::new();
        loop {
            while under_way.len() < IN_FLIGHT * pool.current_num_threads() {
                let Some((bytes, piece)) = arrivals.piece(under_way.is_empty(), &stop) else {
                    break;
                };
                let (result, place) = sync_channel(1);
                under_way.push_back((bytes, place));
                scope.spawn(move |_| {
                    // The consumer may have stopped.
                    let _ = result.send(work(piece));
                });
            }
            let Some((bytes, place)) = under_way.pop_front() else {
                return Ok(());
            };
            match place.recv() {
                Ok(done) => consume(done)?,
                // The work panicked; rayon hands the panic on when the scope ends.
                Err(_) => return Ok(()),
            }
            budget.give_back(bytes);
        }
    })?;
    if arrivals.closed {
        let read = reader.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked));
        read.map_err(|said| anyhow!("reading the input failed, which is a bug: {said}"))?;
    }
    Ok(())
}

/// The reader's thread.
fn read<T>(
    produce: impl Iterator<Item = T>,
    size: &impl Fn(&T) -> usize,
    budget: &Budget,
    items: &SyncSender<(usize, T)>,
) {
    for item in produce {
        let bytes = size(&item);
        budget.take(bytes);
        if items.send((bytes, item)).is_err() {
            return;
        }
    }
}

/// What the reader has sent.
struct Arrivals<T> {
    arrived: Receiver<(usize, T)>,
    closed: bool,
    most: usize,
}

impl<T> Arrivals<T> {
    /// The items that are there, and their bytes; `None` when there are none. With `wait`, waits for the first, or for
    /// `stop`.
    fn piece(&mut self, wait: bool, stop: &impl Fn() -> bool) -> Option<(usize, Vec<T>)> {
        let mut piece = Vec::new();
        let mut bytes = 0;
        let mut full_by = None;
        while !self.closed && !stop() && piece.len() < self.most && bytes < PIECE_BYTES {
            let patience = match full_by {
                Some(by) => Instant::saturating_duration_since(&by, Instant::now()),
                None if wait => LOOK_UP,
                None => Duration::ZERO,
            };
            match self.arrived.recv_timeout(patience) {
                Ok((size, item)) => {
                    bytes += size;
                    piece.push(item);
                    full_by.get_or_insert_with(|| Instant::now() + FILL);
                }
                Err(RecvTimeoutError::Timeout) if full_by.is_some() || !wait => break,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.closed = true,
            }
        }
        // What was taken before the stop is begun all the same, or it would be lost between two records.
        (!piece.is_empty()).then_some((bytes, piece))
    }
}

/// Bytes in flight.
#[derive(Default)]
struct Budget {
    used: Mutex<usize>,
    freed: Condvar,
}

impl Budget {
    /// Waits until `bytes` fit, or nothing else is in flight.
    fn take(&self, bytes: usize) {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |used: &mut usize| *used > 0 && *used + bytes > BYTES_IN_FLIGHT;
        *self.freed.wait_while(used, full).unwrap_or_else(PoisonError::into_inner) += bytes;
    }

    fn give_back(&self, bytes: usize) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) -= bytes;
        self.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(threads: usize) -> ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    #[test]
    fn order_is_kept() {
        for (threads, bytes) in [(1, 1), (3, 1), (3, BYTES_IN_FLIGHT)] {
            let mut seen = Vec::new();
            let slow_first = |piece: Vec<u64>| {
                thread::sleep(Duration::from_micros(500 - piece[0]));
                piece
            };
            run(
                &pool(threads),
                64,
                0..500,
                move |_| bytes,
                slow_first,
                || false,
                |mut piece| {
                    seen.append(&mut piece);
                    Ok(())
                },
            )
            .unwrap();
            assert_eq!(seen, (0..500).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_stops_although_the_reader_waits() {
        let (_held, never) = sync_channel::<u32>(1);
        let started = Instant::now();
        let produce = (0..5).chain(std::iter::from_fn(move || never.recv().ok()));
        let result = run(&pool(2), 64, produce, |_| 0, |piece| piece, || false, |_| anyhow::bail!("enough"));
        assert_eq!(result.unwrap_err().to_string(), "enough");
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_stop_finishes_what_was_begun_although_the_reader_waits() {
        let (send, receive) = sync_channel::<u32>(8);
        (0..5).for_each(|item| send.send(item).unwrap());
        let asked = std::sync::atomic::AtomicBool::new(false);
        let mut seen = Vec::new();
        let produce = std::iter::from_fn(move || receive.recv().ok());
        let stop = || asked.load(std::sync::atomic::Ordering::Relaxed);
        run(
            &pool(2),
            64,
            produce,
            |_| 0,
            |piece| piece,
            stop,
            |piece| {
                seen.extend(piece);
                asked.store(seen.len() == 5, std::sync::atomic::Ordering::Relaxed);
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        drop(send);
    }

    #[test]
    fn slow_items_are_not_kept_waiting() {
        let (send, receive) = sync_channel::<u32>(1);
        send.send(7).unwrap();
        let produce = std::iter::from_fn(move || receive.recv().ok());
        // The second item is sent only when the first has been consumed.
        let mut send = Some(send);
        let mut seen = Vec::new();
        run(
            &pool(1),
            64,
            produce,
            |_| 1,
            |piece| piece,
            || false,
            |piece| {
                seen.extend(piece);
                if let Some(send) = send.take() {
                    send.send(8).unwrap();
                }
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(seen, [7, 8]);
    }
}
