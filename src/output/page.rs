//! The page that a table is set on: its width, and whether it has colours.

use terminal_size::{Width, terminal_size};

use super::Color;

/// The width of a page that nobody measured.
const WIDTH: usize = 100;

/// What a table must know of the place that it is shown in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// In columns of a terminal.
    pub(super) width: usize,
    /// True when colours are wanted.
    pub(super) color: bool,
}

impl Page {
    /// Measures the terminal. Where the output goes elsewhere, COLUMNS says what the reader can show.
    pub(super) fn new(is_terminal: bool, color: Color) -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let measured = terminal_size().filter(|_| is_terminal).map(|(Width(width), _)| width.into());
        let told = || set("COLUMNS").and_then(|columns| columns.parse().ok());
        // https://no-color.org: whatever NO_COLOR says, if it says something.
        let plain = || set("NO_COLOR").is_some() || set("TERM").as_deref() == Some("dumb");
        Self {
            width: measured.or_else(told).filter(|&width| width > 0).unwrap_or(WIDTH),
            color: match color {
                Color::Auto => is_terminal && !plain(),
                Color::Always => true,
                Color::Never => false,
            },
        }
    }
}
