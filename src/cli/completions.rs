//! Scripts that complete commands and flags in a shell.

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Completions};

impl Completions {
    /// The script for the shell that was named.
    pub fn script(&self) -> Vec<u8> {
        script(Cli::command(), self.shell)
    }
}

/// The script for `shell`. It is made in memory, because clap_complete panics when it cannot write.
fn script(command: Command, shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut visible(&command), "mailsort", &mut script);
    script
}

/// The command without its hidden subcommands, which clap_complete offers like any other.
fn visible(command: &Command) -> Command {
    let shown = Command::new("mailsort").args(command.get_arguments().cloned());
    shown
        .version(env!("CARGO_PKG_VERSION"))
        .about(command.get_about().cloned().unwrap_or_default())
        .subcommands(command.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned())
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn hidden_commands_are_not_offered() {
        let command = Command::new("mailsort")
            .version("1")
            .subcommand(Command::new("classify"))
            .subcommand(Command::new("secret").hide(true));
        for &shell in Shell::value_variants() {
            let script = String::from_utf8(script(command.clone(), shell)).unwrap();
            assert!(script.contains("classify") && script.contains("version"), "{shell}");
            assert!(!script.contains("secret"), "{shell}");
        }
    }
}
