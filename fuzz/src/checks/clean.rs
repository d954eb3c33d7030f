//! Cleaning: every line is kept or taken, never both, and what says something never becomes nothing.

use std::collections::HashMap;

use mailsort::intake::clean::{Cleaned, Removal, Step, Switches, ThreadPlace, clean as cleaned};

/// The text of a mail, cleaned with all steps, with some of them and with none.
pub fn clean(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let chosen = bytes.iter().fold(0u8, |sum, &b| sum.wrapping_add(b));
    for (bits, place) in
        [(63, ThreadPlace::Reply), (63, ThreadPlace::First), (chosen % 64, ThreadPlace::Reply), (0, ThreadPlace::Reply)]
    {
        let all = switches(bits);
        let lines = Switches { links: false, ..all };
        let kept = cleaned(&text, &lines, place);
        is_part(&text, &kept);
        is_split(&text, &kept);
        if all.links {
            shortens(&kept, &cleaned(&text, &all, place));
        }
        for removed in &kept.removed {
            assert!(runs(&all, removed), "{} is switched off", removed.step.name());
        }
    }
}

fn switches(bits: u8) -> Switches {
    let on = |at: u8| bits & (1 << at) != 0;
    Switches {
        quotes: on(0),
        forwards: on(1),
        signatures: on(2),
        disclaimers: on(3),
        footers: on(4),
        links: on(5),
        html: true,
    }
}

fn runs(switches: &Switches, removed: &Removal) -> bool {
    match removed.step {
        Step::Forwards => switches.forwards,
        Step::Quotes => switches.quotes,
        Step::Footers => switches.footers,
        Step::Disclaimers => switches.disclaimers,
        Step::Signatures => switches.signatures,
        Step::Links => switches.links,
    }
}

/// What is kept are lines of the text, in their order; of a forward marked with `>` without one mark.
fn is_part(text: &str, kept: &Cleaned) {
    let mut lines = lines(text);
    for line in self::lines(&kept.text) {
        let stands = lines.any(|known| known == line || unmarked(known) == line);
        assert!(stands, "{line:?} does not stand in the text, or elsewhere");
    }
    assert_eq!(super::says_something(&kept.text), super::says_something(text), "nothing is left");
    if kept.removed.is_empty() {
        assert_eq!(all_words(&kept.text), all_words(text), "lines are missing, and nothing was taken");
    }
}

/// Every line that holds anything is kept or taken, as often as it stands in the text.
fn is_split(text: &str, kept: &Cleaned) {
    let mut count: HashMap<&str, i64> = HashMap::new();
    let pieces = kept.removed.iter().map(|removed| removed.text.as_str()).chain([kept.text.as_str()]);
    for line in pieces.flat_map(lines) {
        *count.entry(words(line)).or_default() -= 1;
    }
    for line in lines(text) {
        *count.entry(words(line)).or_default() += 1;
    }
    count.remove("");
    let wrong: Vec<_> = count.iter().filter(|(_, count)| **count != 0).take(3).collect();
    assert!(wrong.is_empty(), "more than once (< 0) or not at all (> 0): {wrong:?}");
}

/// Links get shorter, and nothing else happens to the text.
fn shortens(before: &Cleaned, after: &Cleaned) {
    let (links, others): (Vec<_>, Vec<_>) = after.removed.iter().partition(|removed| removed.step == Step::Links);
    assert!(others.into_iter().eq(&before.removed), "shortening links changes what else is taken");
    assert!(after.text.len() <= before.text.len(), "shorter links make a longer text");
    assert_eq!(super::says_something(&after.text), super::says_something(&before.text), "nothing is left but links");
    assert_eq!(links.is_empty(), after.text == before.text, "links: {links:?}");
    for link in links {
        assert!(before.text.contains(&link.text), "{:?} does not stand in the text", link.text);
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').map(|line| line.trim_end_matches('\r'))
}

/// What the lines say, those that say nothing left out.
fn all_words(text: &str) -> Vec<&str> {
    lines(text).map(words).filter(|words| !words.is_empty()).collect()
}

/// The line without one `>`.
fn unmarked(line: &str) -> &str {
    let rest = line.trim_start().strip_prefix('>');
    rest.map_or(line, |rest| rest.strip_prefix(' ').unwrap_or(rest))
}

/// What a line says, whatever its marks; nothing when it only holds blanks, zero-width ones included.
fn words(line: &str) -> &str {
    let is_blank = |c: char| {
        c.is_whitespace()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{61c}' | '\u{feff}' | '\u{ad}')
    };
    line.trim_start_matches(|c| c == '>' || is_blank(c)).trim_end_matches(is_blank)
}
