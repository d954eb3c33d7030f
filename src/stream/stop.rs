//! Ctrl-C and its kin: the first asks the run to finish what it has in hand, the second ends it at once.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// How long it may take until an answer to the first is printed.
const LOOK_UP: Duration = Duration::from_millis(50);

/// Keeps a stop announced until it is dropped.
pub struct Announced(Arc<AtomicBool>);

impl Drop for Announced {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether somebody has asked the run to stop.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> Result<Self> {
        let stop = Self::default();
        let asked_before = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            let context = "cannot listen for Ctrl-C";
            // In this order: the first signal finds the flag unset and sets it, the second ends the process.
            flag::register_conditional_shutdown(signal, 128 + signal, asked_before.clone()).context(context)?;
            flag::register(signal, asked_before.clone()).context(context)?;
            flag::register_usize(signal, stop.0.clone(), signal as usize).context(context)?;
        }
        Ok(stop)
    }

    /// Runs `say` so long after somebody asks, on a thread of its own: the run may be in the midst of slow documents. Not
    /// once what is returned is dropped, however the run has ended.
    pub fn announce(&self, after: Duration, say: impl Fn() + Send + 'static) -> Announced {
        let (stop, announced) = (self.clone(), Announced(Arc::default()));
        let ended = announced.0.clone();
        thread::spawn(move || {
            while !stop.is_asked() && !ended.load(Ordering::Relaxed) {
                thread::sleep(LOOK_UP);
            }
            thread::sleep(after);
            if !ended.load(Ordering::Relaxed) {
                say();
            }
        });
        announced
    }

    /// True when the run shall stop.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// The exit status of a process that a signal stopped, as shells report it.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(128 + self.0.load(Ordering::Relaxed) as u8)
    }
}
