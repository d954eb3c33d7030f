//! The porch: parses the command line, runs it, prints what ended it, chooses the exit status.

use std::env;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use mailsort::cli::Cli;
use mailsort::intake::office;
use mailsort::{commands, guard, report};

fn main() -> ExitCode {
    let cli = Cli::parse();
    settle_candle(cli.threads());
    guard::install_hook();
    office::serve_with(own_program());
    let ran = guard::catch_bug(|| commands::run(&cli));
    match ran.unwrap_or_else(|said| Err(anyhow::anyhow!("mailsort has a bug: {said}"))) {
        Ok(code) => code,
        // The reader of our output has seen enough: that is success.
        Err(error) if error.chain().any(is_broken_pipe) => ExitCode::SUCCESS,
        Err(error) => {
            report::fatal(&error);
            ExitCode::from(2)
        }
    }
}

/// Tells candle's own pool, which multiplies K-quants beside the pool of the run, how many threads it may use, and to
/// sleep rather than to spin. What the user has set wins.
#[allow(unsafe_code)]
fn settle_candle(threads: Option<usize>) {
    /// How often a thread looks for work before it sleeps. candle's own 25,000 times keep a core from whoever else
    /// needs it, and on a busy machine the pool waits for itself: there products became a hundred times slower.
    const LOOKS: &str = "200";
    let set = |name: &str, value: &str| {
        if env::var_os(name).is_none() {
            // SAFETY: main calls this before there is a second thread that could read the environment meanwhile.
            unsafe { env::set_var(name, value) };
        }
    };
    set("CANDLE_BARRIER_POOL_SPIN_LIMIT", LOOKS);
    if let Some(threads) = threads {
        set("CANDLE_NUM_THREADS", &threads.to_string());
    }
}

/// The program that runs, for its children. On Linux the kernel knows it even when its file was replaced meanwhile.
fn own_program() -> PathBuf {
    let kernels = PathBuf::from("/proc/self/exe");
    if kernels.exists() { kernels } else { env::current_exe().unwrap_or(kernels) }
}

fn is_broken_pipe(cause: &(dyn Error + 'static)) -> bool {
    let io = cause.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
