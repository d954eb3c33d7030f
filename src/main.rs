//! The porch: parses the command line, runs it, prints what ended it, chooses the exit status.

use std::env;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use mailsort::cli::Cli;
use mailsort::engine::threads;
use mailsort::intake::office;
use mailsort::{commands, guard, report};

fn main() -> ExitCode {
    let cli = Cli::parse();
    threads::settle(cli.threads());
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

/// The program that runs, for its children. On Linux the kernel knows it even when its file was replaced meanwhile.
fn own_program() -> PathBuf {
    let kernels = PathBuf::from("/proc/self/exe");
    if kernels.exists() { kernels } else { env::current_exe().unwrap_or(kernels) }
}

fn is_broken_pipe(cause: &(dyn Error + 'static)) -> bool {
    let io = cause.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
