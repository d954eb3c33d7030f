//! A page: nothing is invented, plain text passes, and cutting quotes never leaves nothing.

use std::collections::HashMap;

use mailsort::intake::{self, html as page};

/// Bytes of text a byte of HTML may become: list numbers are the worst.
const MOST_GROWTH: usize = 16;

/// A page, rendered with and without its quotes.
pub fn html(bytes: &[u8]) {
    let source = intake::decode_html(bytes);
    let whole = page::to_text(&source, false);
    let cut = page::to_text(&source, true);
    assert!(whole.quoted.is_empty(), "quotes cut that were to stay");
    assert!(cut.quoted.iter().all(|quoted| super::says_something(quoted)), "a quote that says nothing");
    // Not the other way round: a quote that is never closed may be what a style sheet hides the rest with.
    assert!(super::says_something(&cut.text) || !super::says_something(&whole.text), "only quotes: {:?}", whole.text);
    for text in [&whole.text, &cut.text] {
        is_tidy(text);
        assert!(text.len() <= 4096 + MOST_GROWTH * source.len(), "{} bytes became {}", source.len(), text.len());
        // A reference such as `&eacute;` makes letters out of others.
        if !source.contains('&') {
            invents_nothing(&source, text);
        }
    }
    if !source.contains(['<', '&']) {
        let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
        assert_eq!(letters(&whole.text), letters(&source), "plain text changes");
    }
}

/// No blanks at line ends, no blank lines at either end, never two of them.
fn is_tidy(text: &str) {
    assert_eq!(text, text.trim_start_matches('\n').trim_end(), "blank lines at an end");
    assert!(!text.contains("\n\n\n"), "a pile of blank lines");
    for line in text.split('\n') {
        assert_eq!(line, line.trim_end(), "blanks at the end of a line");
    }
}

/// Every letter of the text stands in the source, at least as often.
fn invents_nothing(source: &str, text: &str) {
    let mut left: HashMap<char, usize> = HashMap::new();
    for c in source.chars().filter(|c| c.is_alphabetic()) {
        *left.entry(c).or_default() += 1;
    }
    for c in text.chars().filter(|c| c.is_alphabetic()) {
        match left.get_mut(&c).filter(|count| **count > 0) {
            Some(count) => *count -= 1,
            None => panic!("{c:?} of {text:?} does not stand in the page"),
        }
    }
}
