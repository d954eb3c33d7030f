//! Signatures: delimiters, device lines, sign-offs with what follows, trailing contact details
//!
//! A signature ends the text (footers and notices are gone by then), so everything here looks
//! upwards from the last line and stops at the first line that a person may have written.

use super::armor;
use super::devices;
use super::lexicon::prose::POSTSCRIPTS;
use super::lines::{self, Cut, is_blank, is_quoted, trim, words};
use super::names;
use super::signoffs::{SignOff, sign_off};
use super::tail::{self, Line};

/// A signature is no longer than this, in lines that are not blank; behind `-- ` people keep
/// more, with mottos and drawings
const MOST_LINES: usize = 14;
const MOST_LINES_DELIMITED: usize = 24;

/// So much prose is no motto, where the delimiter is not the one of the standard.
const MOST_PROSE: usize = 3;

/// A signature has at most this many parts one above the other: a bound on the cost of a text that is nothing but
/// closing words, which is none
const MOST_PARTS: usize = 40;

/// Cut the signature at the end of a text. `replied`: quoted history was cut below it, and a bare
/// name over history stays: it is two typed words, and there the mail itself, not a signature, ends.
pub(super) fn cut<'a>(lines: &[&'a str], replied: bool) -> Cut<'a> {
    let mut bare = Cut::ranges(lines, &armor::ranges(lines));
    let cut = cut_end(&bare.kept, replied);
    bare.taken.extend(cut.taken);
    Cut { kept: cut.kept, taken: bare.taken }
}

fn cut_end<'a>(lines: &[&'a str], replied: bool) -> Cut<'a> {
    let end = end(lines, replied);
    if end < lines.len() { Cut::from(lines, end) } else { Cut::nothing(lines) }
}

/// The lines above the signature
pub(super) fn without<'s, 'a>(lines: &'s [&'a str]) -> &'s [&'a str] {
    &lines[..end(lines, false)]
}

/// Where the lines end that are no signature
fn end(lines: &[&str], replied: bool) -> usize {
    let mut end = lines.len();
    for _ in 0..MOST_PARTS {
        match start(&lines[..end], replied, end == lines.len()) {
            Some(at) if at < end => end = at,
            _ => break,
        }
    }
    end
}

/// Where the signature begins; `whole`: nothing has been cut below these lines yet
fn start(lines: &[&str], replied: bool, whole: bool) -> Option<usize> {
    let last = lines::last_nonblank(lines)?;
    let lines = &lines[..=last];
    delimiter(lines)
        .or_else(|| device(lines, replied || !whole))
        .or_else(|| closing(lines, replied))
        .or_else(|| contacts(lines))
        .or_else(|| name(lines, replied))
}

/// The tail of at most `count` lines that are not blank
fn window(lines: &[&str], count: usize) -> usize {
    let mut seen = 0;
    let mut at = lines.len();
    while at > 0 && seen < count {
        at -= 1;
        seen += usize::from(!is_blank(lines[at]));
    }
    at
}

/// `-- ` and what people make of it
fn delimiter(lines: &[&str]) -> Option<usize> {
    let from = window(lines, MOST_LINES_DELIMITED + 1);
    let is_delimiter = |&i: &usize| {
        let line = trim(lines[i]);
        matches!(line, "--" | "- -" | "—" | "–" | "ᐧ" | "__" | "—-" | "――") || line == "-" && i + 1 == lines.len()
    };
    // Of several the last first: what stands between two may have been written.
    if let (Some(first), Some(at)) = ((from..lines.len()).find(is_delimiter), (from..lines.len()).rfind(is_delimiter)) {
        // SQL comments and diffs have such lines too, each followed by more of them.
        let comments = lines[first..].iter().filter(|line| line.starts_with("-- ") && line.len() > 3).count();
        let quotes = lines[at..].iter().any(|line| is_quoted(line));
        // Without its blank the mark is also how people set parts of a text apart; then prose stands below it.
        let mut below = lines[at + 1..].iter().filter(|line| !is_blank(line)).map(|line| tail::kind(line)).peekable();
        let begins = below.peek() == Some(&Line::Prose);
        let prose = below.filter(|kind| *kind == Line::Prose).count();
        let is_text = !lines[at].starts_with("-- ") && begins && prose >= MOST_PROSE;
        if comments <= 1 && !quotes && !is_text {
            return Some(at);
        }
    }
    rule(lines)
}

/// A rule with a name, contact details or a single short line below; a rule at the end says nothing
fn rule(lines: &[&str]) -> Option<usize> {
    if tail::kind(lines[lines.len() - 1]) == Line::Rule
        && trim(lines[lines.len() - 1]).chars().count() >= 2
        && !trim(lines[lines.len() - 1]).chars().any(|c| matches!(c, ')' | '(' | '`' | '}' | ']' | ';'))
    {
        let single = trim(lines[lines.len() - 1]);
        return single
            .chars()
            .all(|c| matches!(c, '-' | '_' | '=' | '*' | '~' | '#' | '+' | ' ' | '—'))
            .then_some(lines.len() - 1);
    }
    let from = window(lines, 10);
    let at = (from..lines.len()).rfind(|&i| is_long_rule(lines[i]))?;
    let below: Vec<&str> = lines[at + 1..].iter().copied().filter(|line| !is_blank(line)).collect();
    let kinds: Vec<Line> = below.iter().map(|line| tail::kind(line)).collect();
    let signs = kinds.iter().any(|kind| matches!(kind, Line::Contact | Line::Name));
    let prose = kinds.iter().filter(|kind| matches!(kind, Line::Prose)).count();
    let underscores = trim(lines[at]).starts_with('_');
    let short =
        underscores && below.len() <= 2 && below.iter().all(|line| line.chars().count() <= 60 && words(line) <= 8);
    ((signs && prose == 0) || short).then_some(at)
}

fn is_long_rule(line: &str) -> bool {
    let line = trim(line);
    line.len() >= 5 && ['-', '_', '=', '*', '~', '#'].iter().any(|&c| line.chars().all(|d| d == c))
}

/// A line that a phone or client adds. Clients put it at the end of what was typed, so that below it
/// stands only history that lost its marks; where history was already cut, only the line goes.
fn device(lines: &[&str], only_line: bool) -> Option<usize> {
    let last = lines.len() - 1;
    let history = || {
        let at = (1..lines.len()).find(|&i| is_blank(lines[i - 1]) && devices::is_device_line(lines[i]))?;
        let written = lines[..at].iter().any(|line| line.chars().any(char::is_alphanumeric));
        let alone = lines.get(at + 1).is_none_or(|line| is_blank(line) || devices::is_device_line(line));
        let marked = lines.iter().any(|line| is_quoted(line));
        (written && alone && !marked).then_some(at)
    };
    let at = if only_line { None } else { history() };
    at.or_else(|| devices::is_device_line(lines[last]).then_some(last))
}

/// A sign-off with a name, a position, contact details below
fn closing(lines: &[&str], replied: bool) -> Option<usize> {
    let from = window(lines, MOST_LINES);
    let at = (from..lines.len()).find(|&i| sign_off(lines[i]).is_some() && closes(lines, i, replied))?;
    Some(at)
}

fn closes(lines: &[&str], at: usize, replied: bool) -> bool {
    let below: Vec<&str> = lines[at + 1..].iter().copied().filter(|line| !is_blank(line)).collect();
    let named = sign_off(lines[at]) == Some(SignOff::Named);
    if below.is_empty() {
        return named && !replied;
    }
    let kinds: Vec<Line> =
        below.iter().map(|line| if sign_off(line).is_some() { Line::Name } else { tail::kind(line) }).collect();
    let details = kinds.iter().filter(|kind| matches!(kind, Line::Contact | Line::Title)).count();
    let first_prose = kinds.iter().position(|kind| *kind == Line::Prose);
    let prose = kinds.iter().filter(|kind| **kind == Line::Prose).count();
    // A motto may follow contact details; anything else that reads like a sentence was written.
    let motto =
        first_prose.is_some_and(|at| at >= 2 && kinds[..at].iter().any(|k| matches!(k, Line::Contact | Line::Title)));
    if prose > 0 && !(motto && prose <= 2 && below.len() <= 10) || below.iter().any(|line| is_postscript(line)) {
        return false;
    }
    let first = below[0];
    let signed = named
        || kinds[0] == Line::Name
        || details > 0
        || (kinds[0] == Line::Short && words(first) <= 3 && below.len() <= 3);
    signed && (!replied || details > 0)
}

fn is_postscript(line: &str) -> bool {
    let start: String = trim(line).to_lowercase().chars().take(4).collect();
    POSTSCRIPTS.iter().any(|mark| start.starts_with(mark))
}

/// A name, then lines of which most are a position or contact details, after a blank line
fn contacts(lines: &[&str]) -> Option<usize> {
    let from = window(lines, MOST_LINES);
    let mut start = None;
    let mut details = 0;
    let mut below = 0;
    for i in (from..lines.len()).rev() {
        match tail::kind(lines[i]) {
            Line::Blank => continue,
            Line::Prose => break,
            kind @ (Line::Contact | Line::Title) => {
                details += if kind == Line::Contact && !tail::is_link(lines[i]) { 2 } else { 1 };
                below += 1;
            }
            Line::Name if details >= 2 && starts_block(lines, i) => {
                below += 1;
                start = Some((i, details, below));
            }
            Line::Name | Line::Short | Line::Rule => below += 1,
        }
        if below - details.min(below) > 4 {
            break;
        }
    }
    let (at, details, below) = start?;
    let first = lines[..at].iter().rposition(|line| !is_blank(line))?;
    // "Please ship to:" makes the address the content.
    let announced = trim(lines[first]).ends_with([':', '：']);
    (!announced && details * 2 >= below).then_some(at)
}

fn starts_block(lines: &[&str], at: usize) -> bool {
    at > 0 && (is_blank(lines[at - 1]) || tail::kind(lines[at - 1]) == Line::Rule)
}

/// A single name at the very end, when it is marked (`-Bob`) or begins with a known given name
fn name(lines: &[&str], replied: bool) -> Option<usize> {
    let at = lines.len() - 1;
    let line = trim(lines[at]);
    if replied || at == 0 || !names::is_name(line) || is_listed(lines, at) {
        return None;
    }
    let above = lines[..at].iter().rposition(|line| !is_blank(line))?;
    if trim(lines[above]).ends_with([':', '：', ',']) && sign_off(lines[above]).is_none() {
        return None;
    }
    let marked = line.starts_with(['-', '–', '—', '~', '/']) && words(line) <= 4;
    let known = names::is_known_name(line) && is_blank(lines[at - 1]);
    (marked || known).then_some(at)
}

/// One of several lines of the same make is an item of a list
fn is_listed(lines: &[&str], at: usize) -> bool {
    let first = trim(lines[at]).chars().next();
    let above = lines[..at].iter().rev().find(|line| !is_blank(line)).map(|line| trim(line));
    above.is_some_and(|line| {
        (line.chars().next() == first && !first.is_some_and(char::is_alphabetic))
            || names::is_name(line) && sign_off(line).is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, replied: bool, expected: &str) {
        assert_eq!(lines::join(&cut(&lines::split(text), replied).kept), expected, "{text}");
    }

    #[test]
    fn signatures_in_many_forms() {
        for signature in [
            "-- \nBob",
            "--\nBob Smith\nhttp://example.com\n\"A motto.\"",
            "Sent from my iPhone",
            "Best regards,\nBob Smith\nSales Manager\nTel. +1 713 853 5620",
            "Mit freundlichen Grüßen\n\nHans Müller\nLeiter Vertrieb\nBeispiel GmbH",
            "Cordialement,\n\nJean Dupont",
            "此致\n敬礼\n\n张三",
            "よろしくお願いいたします。\n\n山田太郎\n株式会社サンプル",
            "С уважением,\nИван Петров\nменеджер",
            "Un saludo,\nMaría",
            "Thanks, Bob",
            "Sara Shackleton\nExample Corp.\n1400 Smith Street\nHouston, Texas  77002\n713-853-5620 (phone)",
            "____________________\nBob Smith  bob@example.com",
            "- Bob",
            "Vince",
            "Thanks,\nBob\n--\nBob Smith",
        ] {
            check(&format!("See you on Monday.\n\n{signature}"), false, "See you on Monday.");
        }
    }

    #[test]
    fn what_may_be_content_stays() {
        for text in [
            "Please ship to:\n\nJohn Doe\n12 Main Street\nSpringfield, IL 62701",
            "Where to?\n\nLondon",
            "The winners are\n\nAlice Smith\nBob Jones",
            "- Bob\n- Alice\n- Carol",
            "All done.\n\nThanks",
            "Thanks,\nBob\n\nP.S. The key is under the mat.",
            "Best regards to your mother, she has been so kind to us.",
            "Look at this:\n\nhttp://example.com",
            "See the paper [1].\n\nThanks,\nBob\n\n[1] http://example.com/paper",
            "[stuff deleted]\n\n--\nEven better than that, how does your machine perform in the tasks of\nevery day compared to mine? \
             It took me a whole week to find out\nthat the slower one of the two boots before I have made my coffee.",
            "--\n-- Table users\n--\nCREATE TABLE users;\n-- the end",
        ] {
            check(text, false, text);
        }
    }

    #[test]
    fn a_bare_name_over_history_stays() {
        check("Yes.\n\nThanks,\nBob", true, "Yes.\n\nThanks,\nBob");
        check("Yes.\n\nRegards,\nBob\nSales Manager", true, "Yes.");
    }

    #[test]
    fn below_a_device_line_stands_history() {
        check("Yes.\n\nSent from my iPhone\n\nCan you come?", false, "Yes.");
        check("Yes.\n\nSent from my iPhone\n\nAnd no.", true, "Yes.\n\nSent from my iPhone\n\nAnd no.");
    }

    #[test]
    fn a_text_of_nothing_but_closings_is_no_signature() {
        let text = format!("The list of closings.\n{}", "word\nBest regards,\n".repeat(500));
        assert!(without(&lines::split(&text)).len() > 500);
    }
}
