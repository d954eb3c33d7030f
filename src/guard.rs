//! Turns a panic of a parser or a model into an error, and keeps it from being printed as a crash. Guards may be
//! nested: an inner one lets the caller fall back to a simpler parser.

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::env;
use std::panic::{self, AssertUnwindSafe, Location, PanicHookInfo};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use crate::terminal::escape;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    /// True inside [`catch`], whose caller has a fallback.
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Number of guards in all threads.
static GUARDS: AtomicUsize = AtomicUsize::new(0);

/// Messages and locations of the last panics. Only the hook knows the location, and it may run on another thread than
/// the guard.
static LAST: Mutex<VecDeque<(String, String)>> = Mutex::new(VecDeque::new());
/// Number of panics to remember: that many threads may panic before a guard reads their locations.
const FEW: usize = 64;

/// Runs `work`, which may be expected to panic, such as a parser of hostile input.
///
/// # Errors
/// When it panics: the first line of its message, escaped for a terminal, since it may quote a message.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let outer = EXPECTED.replace(true);
    let result = caught(work);
    EXPECTED.set(outer);
    result
}

/// Runs `work`, in which a panic is a bug. With `RUST_BACKTRACE` the backtrace is printed.
///
/// # Errors
/// When it panics: its message as from [`catch`], and its location.
pub fn catch_bug<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let outer = EXPECTED.replace(false);
    let result = caught(work);
    EXPECTED.set(outer);
    result.map_err(|said| {
        let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        match last.iter().find(|(of, _)| *of == said) {
            Some((_, place)) => format!("{said} ({place})"),
            None => said,
        }
    })
}

/// Keeps panics that come to a guard from being printed, and notes where they are. A setting of the whole process, so
/// the program makes it and the library never does: without it guards catch all the same, but panics are printed by
/// whatever hook there is, and nobody knows where a bug is.
pub fn install_hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| hook(info, &before)));
    });
}

fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let outer = GUARDED.replace(true);
    GUARDS.fetch_add(1, Ordering::Relaxed);
    // The closure owns its state or drops it, so nobody sees it half changed.
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    GUARDS.fetch_sub(1, Ordering::Relaxed);
    GUARDED.set(outer);
    result.map_err(|payload| said(&*payload))
}

/// Remembers the location of a panic inside a guard. Other panics go to the hook that was set before.
fn hook(info: &PanicHookInfo<'_>, before: &dyn Fn(&PanicHookInfo<'_>)) {
    if is_caught() {
        let place = info.location().map_or_else(|| "nobody knows where".into(), shown);
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        last.truncate(FEW - 1);
        last.push_front((said(info.payload()), place));
    }
    let is_traced = !EXPECTED.get() && env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    if !is_caught() || is_traced {
        before(info);
    }
}

/// A location in the source, without the path of the build machine.
fn shown(place: &Location<'_>) -> String {
    let file = place.file();
    let parts: Vec<&str> = file.split(['/', '\\']).collect();
    let source = parts.iter().rposition(|part| *part == "src").unwrap_or(0);
    format!("{}:{}", parts[source.saturating_sub(1)..].join("/"), place.line())
}

/// True inside a guard: on its own thread, and on a rayon worker, which passes the panic to the thread that waits for
/// it.
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
    fn a_bug_says_where_it_is() {
        install_hook();
        let line = line!() + 1;
        let found = catch_bug(|| -> u8 { panic!("no such tensor") });
        assert_eq!(found, Err(format!("no such tensor (src/guard.rs:{line})")));
        // Of a parser within nobody wants to know it, and it is not taken for the place of another.
        assert_eq!(catch_bug(|| catch(|| -> u8 { panic!("bad mail") })), Ok(Err("bad mail".into())));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let line = line!() + 1;
        let work = |at: usize| if at == 57 { panic!("on a worker of a bug") } else { at };
        let found = catch_bug(|| pool.install(|| (0..100).into_par_iter().map(work).sum::<usize>()));
        assert_eq!(found, Err(format!("on a worker of a bug (src/guard.rs:{line})")));
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
