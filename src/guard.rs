//! Keeps a panic of a parser or a model from ending the run, and from being printed as if the program had crashed. Guards
//! may be nested: an inner one gives a simpler parser a chance.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::terminal::escape;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// How many guards there are in all threads.
static GUARDS: AtomicUsize = AtomicUsize::new(0);

/// Runs `work`. When it panicked, what it said: one line that does nothing to a terminal, as it may quote a mail.
///
/// # Errors
/// When it panicked.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !is_caught() {
                before(info);
            }
        }));
    });
    let outer = GUARDED.replace(true);
    GUARDS.fetch_add(1, Ordering::Relaxed);
    // The closure owns what it works on, or keeps nothing of it, so no half-changed state can be seen afterwards.
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    GUARDS.fetch_sub(1, Ordering::Relaxed);
    GUARDED.set(outer);
    result.map_err(|payload| said(&*payload))
}

/// True where a panic comes to a guard: on its own thread, and on a worker of rayon, which hands it to whoever waits.
fn is_caught() -> bool {
    GUARDED.get() || (GUARDS.load(Ordering::Relaxed) > 0 && rayon::current_thread_index().is_some())
}

fn said(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("it did not say why");
    escape(text.lines().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn a_panic_is_caught_and_what_it_said_is_harmless() {
        assert_eq!(catch(|| 1), Ok(1));
        assert_eq!(catch(|| -> u8 { panic!("bad mail") }), Err("bad mail".into()));
        let mail = "\u{1b}[2J\u{202e}now\nand then";
        assert_eq!(catch(|| -> u8 { panic!("no such {mail}") }), Err("no such \\u{1b}[2J\\u{202e}now".into()));
        assert_eq!(catch(|| -> u8 { panic::panic_any(7) }), Err("it did not say why".into()));
        assert_eq!(catch(|| 2), Ok(2));
        assert!(!GUARDED.get());
    }

    #[test]
    fn workers_of_a_guarded_thread_are_guarded_too() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let heard = catch(|| pool.install(|| (0..100).into_par_iter().all(|_| is_caught())));
        assert_eq!(heard, Ok(true));
        let work = |at: usize| if at == 57 { panic!("on a worker") } else { at };
        let result = catch(|| pool.install(|| (0..100).into_par_iter().map(work).sum::<usize>()));
        assert_eq!(result, Err("on a worker".into()));
        assert!(!catch(|| std::thread::spawn(is_caught).join().unwrap()).unwrap(), "nobody would hear of it");
    }
}
