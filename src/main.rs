//! The porch: parses the command line, runs it, prints what ended it, chooses the exit status.

use std::env;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use mailsort::cli::Cli;
use mailsort::intake::office;
use mailsort::{commands, guard, output, report, terminal};

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| refused(error));
    #[cfg(unix)]
    if started_with::no_standard_output() {
        output::without_standard_output();
    }
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

/// Prints what is wrong with the command line and ends, or prints the help that was asked for. The names of files that
/// a shell has put in place of `*` are foreign: with a line break they would forge a line of ours.
fn refused(error: clap::Error) -> ! {
    let escaped = env::args_os().map(|argument| terminal::escape(&argument.to_string_lossy()));
    Cli::try_parse_from(escaped).err().unwrap_or(error).exit()
}

/// What only shows before Rust's runtime starts: it opens the null device in place of a standard output that is closed,
/// and other programs hand us that device where nobody wants the output.
#[cfg(unix)]
#[allow(unsafe_code)]
mod started_with {
    use std::sync::atomic::{AtomicBool, Ordering};

    static CLOSED: AtomicBool = AtomicBool::new(false);

    extern "C" fn look() {
        // SAFETY: this asks for flags of a number and changes nothing. Neither needs the runtime.
        if unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) } == -1 {
            CLOSED.store(true, Ordering::Relaxed);
        }
    }

    // SAFETY: the C library calls the functions of this list once, before `main`, and the type is one that it calls.
    #[used]
    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
    static BEFORE_MAIN: extern "C" fn() = look;

    pub(super) fn no_standard_output() -> bool {
        CLOSED.load(Ordering::Relaxed)
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
