//! The porch: parses the command line, runs it, prints what ended it, chooses the exit status.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use mailsort::cli::Cli;
use mailsort::{commands, report};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match commands::run(&cli) {
        Ok(code) => code,
        // The reader of our output has seen enough: that is success.
        Err(error) if error.chain().any(is_broken_pipe) => ExitCode::SUCCESS,
        Err(error) => {
            report::fatal(&error);
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(cause: &(dyn Error + 'static)) -> bool {
    let io = cause.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
