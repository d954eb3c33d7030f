//! The one place where constant patterns are compiled.

use regex::bytes;

/// Compiles a pattern over bytes that stands in the source, and so is known to be valid.
#[allow(clippy::expect_used, reason = "the pattern is part of the program")]
pub(super) fn bytes(source: &'static str) -> bytes::Regex {
    bytes::Regex::new(source).expect("a valid pattern")
}

/// The same over text.
#[allow(clippy::expect_used, reason = "the pattern is part of the program")]
pub(super) fn text(source: &str) -> regex::Regex {
    regex::Regex::new(source).expect("a valid pattern")
}
