//! What must hold whatever the input. The fuzz targets and the replay of `tests/corpus/` share this file, so that they
//! cannot drift apart. A check panics when something does not hold.

mod clean;
mod documents;
mod html;
mod labels;
mod mbox;
mod tables;

pub use clean::clean;
pub use documents::{mail, text};
pub use html::html;
pub use labels::labels;
pub use mbox::mbox;
pub use tables::tables;

/// A check: takes any bytes, panics when what must hold does not.
pub type Check = fn(&[u8]);

/// Every target and its check; the name is that of the fuzz target and of the folder in `tests/corpus/`.
pub const TARGETS: [(&str, Check); 7] = [
    ("mail", mail),
    ("mbox", mbox),
    ("html", html),
    ("clean", clean),
    ("labels", labels),
    ("text", text),
    ("tables", tables),
];

/// True when a reader would find anything to read.
fn says_something(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}
