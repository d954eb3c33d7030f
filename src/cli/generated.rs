//! What is generated from the flags: manual pages in roff, and scripts that complete commands and flags in a shell.

use anyhow::{Result, bail};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, bold, roman};

use super::{Cli, Completions, Man};

impl Man {
    /// The manual page that was asked for.
    ///
    /// # Errors
    /// When there is no such command.
    pub fn page(&self) -> Result<Vec<u8>> {
        page(Cli::command(), self.command.as_deref())
    }
}

/// The page of `root`, or of one of its subcommands.
fn page(mut root: Command, verb: Option<&str>) -> Result<Vec<u8>> {
    root = root.disable_help_subcommand(true).subcommand_help_heading("COMMANDS");
    // The names of subcommands are complete only then.
    root.build();
    let verbs: Vec<&Command> = root.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
    let names: Vec<&str> = verbs.iter().map(|verb| verb.get_name()).collect();
    let command = match verb {
        None => &root,
        Some(name) => match verbs.iter().find(|verb| verb.get_name() == name) {
            Some(command) => command,
            None => bail!("no command is called {name:?}; there are: {}", names.join(", ")),
        },
    };
    let source = format!("{} {}", root.get_name(), root.get_version().unwrap_or_default());
    let title = command.get_display_name().unwrap_or_else(|| command.get_name()).to_uppercase();
    // The date stays blank, so that the same version prints the same page; an empty one would be left out by roff.
    let page = Page::new(command.clone()).title(title).date(" ").source(source).manual("User Commands");
    let mut out = Vec::new();
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut out)?;
    }
    let mut end = Roff::new();
    if let Some(text) = command.get_after_long_help().or(command.get_after_help()) {
        sections(&mut end, &text.to_string());
    }
    see_also(&mut end, &root, if verb.is_some() { vec![] } else { names });
    end.to_writer(&mut out)?;
    Ok(out)
}

/// Makes sections of the text behind the flags: `Heading:` and indented lines, which stay as they are.
fn sections(roff: &mut Roff, text: &str) {
    for block in text.split("\n\n") {
        let (heading, body) = block.split_once('\n').unwrap_or((block, ""));
        roff.control("SH", [heading.trim_end_matches(':').to_uppercase().as_str()]);
        roff.control("nf", []);
        for line in body.lines() {
            roff.text([roman(line.trim_start_matches("  "))]);
        }
        roff.control("fi", []);
    }
}

/// Names the pages of the subcommands, or on such a page the main one.
fn see_also(roff: &mut Roff, root: &Command, verbs: Vec<&str>) {
    let name = root.get_name();
    let pages = if verbs.is_empty() {
        vec![name.to_string()]
    } else {
        verbs.iter().map(|verb| format!("{name}-{verb}")).collect()
    };
    let mut line = Vec::new();
    for (at, page) in pages.into_iter().enumerate() {
        line.extend([roman(if at == 0 { "" } else { ", " }), bold(page), roman("(1)")]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text(line);
}

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
