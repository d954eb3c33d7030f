//! Ctrl-C and SIGTERM: the first asks the run to finish its batch, the second ends the process at once.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// How often the announcing thread looks for a signal.
const LOOK_UP: Duration = Duration::from_millis(50);

/// While it lives, a stop is announced.
pub struct Announced(Arc<AtomicBool>);

impl Drop for Announced {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether a signal has asked the run to stop.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// Listens from now on and as long as the process lives: for programs, not for libraries.
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

    /// Runs `say` on its own thread, `after` a stop was asked for, as the run may be busy with slow documents. It is
    /// not run once the returned value is dropped.
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

    /// Waits; true, and at once, when the run shall stop.
    pub fn wait(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while !self.is_asked() && Instant::now() < end {
            thread::sleep(LOOK_UP.min(time));
        }
        self.is_asked()
    }

    /// The exit status of a process that a signal stopped, as shells report it.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(128 + self.0.load(Ordering::Relaxed) as u8)
    }
}
