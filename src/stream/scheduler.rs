//! The one scheduler: everything that scores many documents is its client.
//!
//! A thread reads, every thread of the pool prepares (decodes, cleans, tokenises), and the calling thread takes what is
//! prepared in order, in batches under a budget, scores them and hands the results on. Preparing goes on while a batch
//! is scored. All queues are bounded, in documents and in bytes.

use std::collections::VecDeque;
use std::panic;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use rayon::ThreadPool;

use crate::classifier::Budget;
use crate::guard;

/// How many pieces of work may be prepared or wait to be scored, per thread.
const IN_FLIGHT: usize = 4;
/// How many bytes the items between reader and consumer may hold together; a single larger item passes alone.
const BYTES_IN_FLIGHT: usize = 128 * 1024 * 1024;
/// How many items are prepared by one task.
const PIECE: usize = 64;
/// A piece ends with the item that reaches this many bytes.
const PIECE_BYTES: usize = 1024 * 1024;
/// How often a run that waits for input looks whether it shall stop.
const POLL: Duration = Duration::from_millis(100);
/// How long a piece that has begun waits for more items: reading is fast, but scoring small batches is not.
const FILL: Duration = Duration::from_millis(10);

/// How long a batch of requests waits for the clients that were answered with the one before it, as a share of the time
/// that it took, and at most: they come again at once, and the first of them would be scored alone.
const RETURN: (u32, Duration) = (32, Duration::from_millis(2));

/// How a client's documents are scheduled.
pub struct Scheduler<'p> {
    /// The threads that prepare, and on which the client may score.
    pub pool: &'p ThreadPool,
    /// How much is scored at once.
    pub budget: Budget,
    /// How long a piece waits for more items after its first. `None` where somebody waits for the answer: then a moment,
    /// where several came before.
    pub gather: Option<Duration>,
    /// After a stop, true scores what is prepared, false drops it.
    pub finish_prepared: bool,
}

impl<'p> Scheduler<'p> {
    /// For documents of files: they come fast, and a stop loses none that was read.
    pub fn of_files(pool: &'p ThreadPool, budget: Budget) -> Self {
        Self { pool, budget, gather: Some(FILL), finish_prepared: true }
    }

    /// For documents whose senders wait: none is kept waiting for others, but for a moment where several came before.
    pub fn of_requests(pool: &'p ThreadPool, budget: Budget) -> Self {
        Self { pool, budget, gather: None, finish_prepared: true }
    }

    /// Takes items from `produce` on a thread of its own, runs `prepare` on each in the pool, and hands them to
    /// `consume` on the calling thread, in batches and in the order in which they were produced. `bytes` is the memory
    /// that an item holds, `tokens` what a prepared one counts in the budget. A batch is what is prepared when the one
    /// before it is done. Once `stop` is true nothing more is begun.
    ///
    /// # Errors
    /// The first error of `consume`, or that of a producer that panicked. The producer may then still wait for input,
    /// so its thread is left behind, as after a stop.
    pub fn run<T: Send + 'static, P: Send>(
        &self,
        produce: impl Iterator<Item = T> + Send + 'static,
        bytes: impl Fn(&T) -> usize + Send + 'static,
        prepare: impl Fn(T) -> P + Sync,
        tokens: impl Fn(&P) -> usize,
        stop: impl Fn() -> bool,
        mut consume: impl FnMut(Vec<P>) -> Result<()>,
    ) -> Result<()> {
        let room = Arc::new(Room::default());
        let _closed = Closing(&room);
        let most = self.budget.documents.clamp(1, PIECE);
        let (items, arrived) = sync_channel(most * IN_FLIGHT);
        let reader = thread::spawn({
            let room = room.clone();
            move || guard::catch_bug(|| read(produce, &bytes, &room, &items))
        });
        let mut arrivals =
            Arrivals { arrived, closed: false, most, enough: most, gather: self.gather.unwrap_or_default() };
        let prepare = &prepare;
        self.pool.in_place_scope(|scope| -> Result<()> {
            let mut under_way = VecDeque::new();
            let mut ready = Ready { items: VecDeque::new(), budget: self.budget };
            loop {
                let is_idle = |under_way: &VecDeque<_>| under_way.is_empty() && ready.items.is_empty();
                while under_way.len() < IN_FLIGHT * self.pool.current_num_threads() {
                    let Some(piece) = arrivals.piece(is_idle(&under_way), &stop) else { break };
                    let (done, prepared) = sync_channel(1);
                    under_way.push_back(prepared);
                    scope.spawn(move |_| {
                        let piece: Vec<(usize, P)> =
                            piece.into_iter().map(|(bytes, item)| (bytes, prepare(item))).collect();
                        // The consumer may have stopped.
                        let _ = done.send(piece);
                    });
                }
                if stop() && !self.finish_prepared {
                    return Ok(());
                }
                if !ready.fill(&mut under_way, &tokens) {
                    // A task panicked; rayon hands the panic on when the scope ends.
                    return Ok(());
                }
                let (held, batch) = ready.batch();
                if batch.is_empty() {
                    return Ok(());
                }
                let (begun, count) = (Instant::now(), batch.len());
                consume(batch)?;
                room.give_back(held);
                if self.gather.is_none() {
                    arrivals.enough = count;
                    arrivals.gather = (begun.elapsed() / RETURN.0).min(RETURN.1);
                }
            }
        })?;
        if arrivals.closed {
            let read = reader.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked));
            read.map_err(|said| anyhow!("reading the input failed, which is a bug: {said}"))?;
        }
        Ok(())
    }
}

/// The reader's thread.
fn read<T>(
    produce: impl Iterator<Item = T>,
    bytes: &impl Fn(&T) -> usize,
    room: &Room,
    items: &SyncSender<(usize, T)>,
) {
    for item in produce {
        let bytes = bytes(&item);
        if !room.take(bytes) || items.send((bytes, item)).is_err() {
            return;
        }
    }
}

/// Items that the reader has sent.
struct Arrivals<T> {
    arrived: Receiver<(usize, T)>,
    closed: bool,
    most: usize,
    /// A piece of so many waits for no more.
    enough: usize,
    gather: Duration,
}

impl<T> Arrivals<T> {
    /// The items that are there, with their bytes; `None` when there are none. With `wait`, waits for the first, or for
    /// `stop`.
    fn piece(&mut self, wait: bool, stop: &impl Fn() -> bool) -> Option<Vec<(usize, T)>> {
        let mut piece = Vec::new();
        let mut total = 0;
        let mut full_by = None;
        while !self.closed && !stop() && piece.len() < self.most && total < PIECE_BYTES {
            let patience = match full_by {
                Some(_) if piece.len() >= self.enough => Duration::ZERO,
                Some(by) => Instant::saturating_duration_since(&by, Instant::now()),
                None if wait => POLL,
                None => Duration::ZERO,
            };
            match self.arrived.recv_timeout(patience) {
                Ok((bytes, item)) => {
                    total += bytes;
                    piece.push((bytes, item));
                    full_by.get_or_insert_with(|| Instant::now() + self.gather);
                }
                Err(RecvTimeoutError::Timeout) if full_by.is_some() || !wait => break,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.closed = true,
            }
        }
        // What was taken before the stop is begun all the same, or it would be lost between two records.
        (!piece.is_empty()).then_some(piece)
    }
}

/// A piece that is being prepared: the bytes that each item holds, and the item.
type Preparing<P> = Receiver<Vec<(usize, P)>>;

/// Prepared items that wait to be scored.
struct Ready<P> {
    /// Bytes, tokens, item.
    items: VecDeque<(usize, usize, P)>,
    budget: Budget,
}

impl<P> Ready<P> {
    /// Takes the pieces that are prepared, in order, until there is enough for a batch. Waits where there is nothing at
    /// all. False when a piece was lost to a panic.
    fn fill(&mut self, under_way: &mut VecDeque<Preparing<P>>, tokens: &impl Fn(&P) -> usize) -> bool {
        while self.items.len() < self.budget.documents {
            let Some(next) = under_way.front() else { return true };
            let piece = match next.try_recv() {
                Err(TryRecvError::Empty) if self.items.is_empty() => next.recv().ok(),
                Err(TryRecvError::Empty) => return true,
                received => received.ok(),
            };
            let Some(piece) = piece else { return false };
            under_way.pop_front();
            self.items.extend(piece.into_iter().map(|(bytes, item)| (bytes, tokens(&item), item)));
        }
        true
    }

    /// The next batch, and the bytes that its items hold.
    fn batch(&mut self) -> (usize, Vec<P>) {
        let (mut held, mut spent, mut batch) = (0, 0usize, Vec::new());
        while batch.len() < self.budget.documents {
            let fits = |tokens: usize| batch.is_empty() || spent.saturating_add(tokens) <= self.budget.tokens;
            let Some((bytes, tokens, item)) = self.items.pop_front_if(|(_, tokens, _)| fits(*tokens)) else { break };
            held += bytes;
            spent = spent.saturating_add(tokens);
            batch.push(item);
        }
        (held, batch)
    }
}

/// Bytes in flight; `None` when nobody consumes any more.
struct Room {
    used: Mutex<Option<usize>>,
    freed: Condvar,
}

impl Default for Room {
    fn default() -> Self {
        Self { used: Mutex::new(Some(0)), freed: Condvar::new() }
    }
}

impl Room {
    /// Waits until `bytes` fit, or nothing else is in flight. False when nobody consumes any more.
    fn take(&self, bytes: usize) -> bool {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |used: &mut Option<usize>| used.is_some_and(|used| used > 0 && used + bytes > BYTES_IN_FLIGHT);
        let mut used = self.freed.wait_while(used, is_full).unwrap_or_else(PoisonError::into_inner);
        *used = used.map(|used| used + bytes);
        used.is_some()
    }

    fn give_back(&self, bytes: usize) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.map(|used| used - bytes);
        self.freed.notify_one();
    }
}

/// Lets the reader go, however the run ends.
struct Closing<'r>(&'r Room);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        *self.0.used.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn pool(threads: usize) -> ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    #[test]
    fn order_is_kept_and_no_batch_is_over_the_budget() {
        for (threads, bytes, budget) in [
            (1, 1, Budget::FAST),
            (3, 1, Budget { documents: 7, tokens: usize::MAX }),
            (3, BYTES_IN_FLIGHT, Budget { documents: 64, tokens: 1000 }),
        ] {
            let mut seen = Vec::new();
            let slow_first = |item: u64| {
                thread::sleep(Duration::from_micros(500 - item));
                item
            };
            let pool = pool(threads);
            let consume = |mut batch: Vec<u64>| {
                assert!(batch.len() <= budget.documents);
                assert!(batch.len() == 1 || batch.iter().sum::<u64>() <= budget.tokens as u64);
                seen.append(&mut batch);
                Ok(())
            };
            let tokens = |item: &u64| *item as usize;
            let scheduler = Scheduler::of_files(&pool, budget);
            scheduler.run(0..500, move |_| bytes, slow_first, tokens, || false, consume).unwrap();
            assert_eq!(seen, (0..500).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_piece_waits_for_as_many_as_there_were_before() {
        let (send, arrived) = sync_channel(8);
        let mut arrivals = Arrivals { arrived, closed: false, most: 8, enough: 3, gather: Duration::from_secs(60) };
        let sender = thread::spawn(move || {
            (0..3).for_each(|item| {
                thread::sleep(Duration::from_millis(5));
                send.send((0, item)).unwrap();
            });
            send
        });
        let begun = Instant::now();
        let length = |piece: Option<Vec<(usize, i32)>>| piece.map_or(0, |piece| piece.len());
        assert_eq!(length(arrivals.piece(true, &|| false)), 3);
        let send = sender.join().unwrap();
        // One that came alone before waits for nobody.
        arrivals.enough = 1;
        send.send((0, 4)).unwrap();
        assert_eq!(length(arrivals.piece(true, &|| false)), 1);
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_large_document_passes_alone() {
        let (pool, mut batches) = (pool(1), Vec::new());
        let scheduler = Scheduler::of_files(&pool, Budget { documents: 9, tokens: 10 });
        let consume = |batch: Vec<usize>| {
            batches.push(batch);
            Ok(())
        };
        let all = vec![4usize, 6, 1, 50, 3];
        scheduler.run(all.into_iter(), |_| 1, |item| item, |&item| item, || false, consume).unwrap();
        assert_eq!(batches, [vec![4, 6], vec![1], vec![50], vec![3]]);
    }

    #[test]
    fn an_error_stops_although_the_reader_waits() {
        let (_held, never) = sync_channel::<u32>(1);
        let (started, pool) = (Instant::now(), pool(2));
        let produce = (0..5).chain(std::iter::from_fn(move || never.recv().ok()));
        let scheduler = Scheduler::of_files(&pool, Budget::FAST);
        let result = scheduler.run(produce, |_| 0, |item| item, |_| 1, || false, |_| anyhow::bail!("enough"));
        assert_eq!(result.unwrap_err().to_string(), "enough");
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    /// What is consumed of five items when the first batch, of `documents`, asks for a stop while the reader waits.
    fn stopped(documents: usize, finish_prepared: bool) -> Vec<u32> {
        let (send, receive) = sync_channel::<u32>(8);
        (0..5).for_each(|item| send.send(item).unwrap());
        let (asked, pool, mut seen) = (AtomicBool::new(false), pool(2), Vec::new());
        let produce = std::iter::from_fn(move || receive.recv().ok());
        let mut scheduler = Scheduler::of_files(&pool, Budget { documents, tokens: usize::MAX });
        scheduler.finish_prepared = finish_prepared;
        let consume = |batch: Vec<u32>| {
            seen.extend(batch);
            asked.store(seen.len() >= documents, Ordering::Relaxed);
            Ok(())
        };
        let stop = || asked.load(Ordering::Relaxed);
        scheduler.run(produce, |_| 0, |item| item, |_| 1, stop, consume).unwrap();
        drop(send);
        seen
    }

    #[test]
    fn a_stop_ends_a_run_although_the_reader_waits() {
        assert_eq!(stopped(5, true), [0, 1, 2, 3, 4]);
        assert_eq!(stopped(2, false), [0, 1]);
    }

    #[test]
    fn slow_items_are_not_kept_waiting() {
        for gather in [Some(FILL), None] {
            let (send, receive) = sync_channel::<u32>(1);
            send.send(7).unwrap();
            let produce = std::iter::from_fn(move || receive.recv().ok());
            // The second item is sent only when the first has been consumed.
            let (mut send, mut seen, pool) = (Some(send), Vec::new(), pool(1));
            let consume = |batch: Vec<u32>| {
                seen.extend(batch);
                if let Some(send) = send.take() {
                    send.send(8).unwrap();
                }
                Ok(())
            };
            let scheduler = Scheduler { gather, ..Scheduler::of_requests(&pool, Budget::SLOW) };
            scheduler.run(produce, |_| 1, |item| item, |_| 1, || false, consume).unwrap();
            assert_eq!(seen, [7, 8]);
        }
    }

    #[test]
    fn a_reader_that_waits_for_room_is_let_go() {
        /// Tells when the reader has dropped its input.
        struct Input(SyncSender<()>);
        impl Drop for Input {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let (dropped, input_is_dropped) = sync_channel(1);
        let (input, pool) = (Input(dropped), pool(1));
        let produce = (0..100).inspect(move |_| {
            let _ = &input;
        });
        let run = |_: Vec<i32>| anyhow::bail!("enough");
        let scheduler = Scheduler::of_files(&pool, Budget { documents: 1, tokens: 1 });
        scheduler.run(produce, |_| BYTES_IN_FLIGHT, |item| item, |_| 1, || false, run).unwrap_err();
        input_is_dropped.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    #[test]
    fn a_panic_while_preparing_is_handed_on() {
        let pool = pool(2);
        let prepare = |item: u32| if item == 3 { panic!("as the item says") } else { item };
        let run = || Scheduler::of_files(&pool, Budget::FAST).run(0..9, |_| 1, prepare, |_| 1, || false, |_| Ok(()));
        assert!(guard::catch(run).is_err());
    }
}
