//! Signatures: delimiters, device lines, sign-offs with what follows, contact details at the end
//!
//! Footers and notices are already removed, so a signature ends the text. The search goes upwards from the last line
//! and stops at the first line that a person may have written.

use super::armor;
use super::devices;
use super::lexicon::prose::POSTSCRIPTS;
use super::lines::{self, LineCut, is_blank, is_quoted, trim, words};
use super::names;
use super::signoffs::{SignOff, sign_off};
use super::tail::{self, LineClass};

/// A signature has at most this many lines that are not blank; after `-- ` people have more, with mottos and drawings
const MOST_LINES: usize = 14;
const MOST_LINES_DELIMITED: usize = 24;

/// This many lines of prose are not a motto, unless the delimiter is `-- `
const MOST_PROSE: usize = 3;

/// Above history, a sign-off without contact details has at most this many lines below
const MOST_REPLIED: usize = 3;

/// A signature has at most this many parts, which bounds the cost of a text that consists of closing words
const MOST_PARTS: usize = 40;

/// Cuts the signature at the end of a text. With `replied`, quoted history was cut below it; then less is taken for a
/// sign-off, because the end of the text is known.
pub(super) fn cut<'a>(lines: &[&'a str], replied: bool) -> LineCut<'a> {
    let mut bare = LineCut::ranges(lines, &armor::ranges(lines));
    let cut = cut_end(&bare.kept, replied);
    bare.taken.extend(cut.taken);
    LineCut { kept: cut.kept, taken: bare.taken }
}

fn cut_end<'a>(lines: &[&'a str], replied: bool) -> LineCut<'a> {
    let end = end(lines, replied);
    if end < lines.len() { LineCut::from(lines, end) } else { LineCut::nothing(lines) }
}

/// Returns the lines above the signature
pub(super) fn without<'s, 'a>(lines: &'s [&'a str]) -> &'s [&'a str] {
    &lines[..end(lines, false)]
}

/// Where the text above the signature ends
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

/// Where the signature starts; `whole`: nothing was cut below these lines yet
fn start(lines: &[&str], replied: bool, whole: bool) -> Option<usize> {
    let last = lines::last_nonblank(lines)?;
    let lines = &lines[..=last];
    delimiter(lines)
        .or_else(|| device(lines, replied || !whole))
        .or_else(|| closing(lines, replied))
        .or_else(|| contacts(lines))
        .or_else(|| name(lines, replied))
}

/// Where the last `count` lines that are not blank start
fn window(lines: &[&str], count: usize) -> usize {
    let mut seen = 0;
    let mut at = lines.len();
    while at > 0 && seen < count {
        at -= 1;
        seen += usize::from(!is_blank(lines[at]));
    }
    at
}

/// A delimiter: `-- ` and its variants
fn delimiter(lines: &[&str]) -> Option<usize> {
    let from = window(lines, MOST_LINES_DELIMITED + 1);
    let is_delimiter = |&i: &usize| {
        let line = trim(lines[i]);
        matches!(line, "--" | "- -" | "—" | "–" | "ᐧ" | "__" | "—-" | "――") || line == "-" && i + 1 == lines.len()
    };
    // The last of several, because the text between two may be the sender's.
    if let (Some(first), Some(at)) = ((from..lines.len()).find(is_delimiter), (from..lines.len()).rfind(is_delimiter)) {
        // SQL comments and diffs have such lines too, but several of them.
        let comments = lines[first..].iter().filter(|line| line.starts_with("-- ") && line.len() > 3).count();
        let quotes = lines[at..].iter().any(|line| is_quoted(line));
        let is_text = !lines[at].starts_with("-- ") && separates(lines, at);
        if comments <= 1 && !quotes && !is_text {
            return Some(at);
        }
    }
    rule(lines)
}

/// True if a delimiter without its space stands between parts of a text, or is a dash in one
fn separates(lines: &[&str], at: usize) -> bool {
    let below = &lines[at + 1..];
    let kinds: Vec<LineClass> =
        below.iter().map(|line| tail::kind(line)).filter(|kind| *kind != LineClass::Blank).collect();
    let prose = kinds.iter().filter(|kind| **kind == LineClass::Prose).count();
    match kinds.first() {
        Some(LineClass::Name | LineClass::Title) => false,
        Some(LineClass::Contact)
            if !below.iter().find(|line| !is_blank(line)).is_some_and(|line| tail::is_link(line)) =>
        {
            false
        }
        // A motto stands directly below, and above is no sentence that the delimiter breaks off.
        Some(LineClass::Prose) => {
            let signed = below.iter().any(|line| line.contains(['@', '|']))
                || kinds.iter().any(|kind| matches!(kind, LineClass::Name | LineClass::Title | LineClass::Contact));
            let apart = below.first().is_some_and(|line| is_blank(line));
            let goes_on = at > 0 && tail::kind(lines[at - 1]) == LineClass::Prose;
            prose >= MOST_PROSE || !signed && (apart || goes_on)
        }
        _ => prose > MOST_PROSE,
    }
}

/// A rule with a name, contact details or a single short line below, or a rule at the end
fn rule(lines: &[&str]) -> Option<usize> {
    if tail::kind(lines[lines.len() - 1]) == LineClass::Rule
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
    let kinds: Vec<LineClass> = below.iter().map(|line| tail::kind(line)).collect();
    let signs = kinds.iter().any(|kind| matches!(kind, LineClass::Contact | LineClass::Name));
    let prose = kinds.iter().filter(|kind| matches!(kind, LineClass::Prose)).count();
    let underscores = trim(lines[at]).starts_with('_');
    let short =
        underscores && below.len() <= 2 && below.iter().all(|line| line.chars().count() <= 60 && words(line) <= 8);
    ((signs && prose == 0) || short).then_some(at)
}

fn is_long_rule(line: &str) -> bool {
    let line = trim(line);
    line.len() >= 5 && ['-', '_', '=', '*', '~', '#'].iter().any(|&c| line.chars().all(|d| d == c))
}

/// A line that a phone or mail program adds. It ends what the sender typed, so below it is only history that lost its
/// marks. If history was already cut, only the line itself is cut.
fn device(lines: &[&str], only_line: bool) -> Option<usize> {
    let last = lines.len() - 1;
    let history = || {
        let at = (1..lines.len()).find(|&i| is_blank(lines[i - 1]) && devices::is_device_line(lines[i]))?;
        let written = lines[..at].iter().any(|line| line.chars().any(char::is_alphanumeric));
        let alone = lines.get(at + 1).is_none_or(|line| is_blank(line) || devices::is_device_line(line));
        let marked = lines.iter().any(|line| is_quoted(line));
        // A sentence or two are hardly history.
        let below: Vec<&&str> = lines[at + 1..].iter().filter(|line| !is_blank(line)).collect();
        let is_more = (1..=2).contains(&below.len()) && below.iter().all(|line| tail::kind(line) == LineClass::Prose);
        (written && alone && !marked && !is_more).then_some(at)
    };
    let at = if only_line { None } else { history() };
    at.or_else(|| devices::is_device_line(lines[last]).then_some(last))
}

/// A sign-off with a name, a position or contact details below
fn closing(lines: &[&str], replied: bool) -> Option<usize> {
    let from = window(lines, MOST_LINES);
    let at = (from..lines.len()).find(|&i| sign_off(lines[i]).is_some() && closes(lines, i, replied))?;
    Some(at)
}

fn closes(lines: &[&str], at: usize, replied: bool) -> bool {
    let below: Vec<&str> = lines[at + 1..].iter().copied().filter(|line| !is_blank(line)).collect();
    let named = sign_off(lines[at]) == Some(SignOff::Named);
    // Above history, thanks may be the whole answer.
    let is_all = || !lines[..at].iter().any(|line| line.chars().any(char::is_alphanumeric));
    if below.is_empty() {
        return named && !(replied && is_all());
    }
    let kinds: Vec<LineClass> =
        below.iter().map(|line| if sign_off(line).is_some() { LineClass::Name } else { tail::kind(line) }).collect();
    let details = kinds.iter().filter(|kind| matches!(kind, LineClass::Contact | LineClass::Title)).count();
    let first_prose = kinds.iter().position(|kind| *kind == LineClass::Prose);
    let prose = kinds.iter().filter(|kind| **kind == LineClass::Prose).count();
    // A motto may follow contact details; any other sentence was written by the sender.
    let motto = first_prose
        .is_some_and(|at| at >= 2 && kinds[..at].iter().any(|k| matches!(k, LineClass::Contact | LineClass::Title)));
    if prose > 0 && !(motto && prose <= 2 && below.len() <= 10)
        || below.iter().any(|line| is_postscript(line))
        || has_heading(&lines[at + 1..])
    {
        return false;
    }
    let first = below[0];
    let signed = named
        || kinds[0] == LineClass::Name
        || details > 0
        || (kinds[0] == LineClass::Short && words(first) <= 3 && below.len() <= 3);
    signed && (!replied || details > 0 || is_plain(lines, at, &kinds) && !is_all())
}

/// True for a few names in one paragraph: above history, more may be the answer, and a mark before a name was typed
fn is_plain(lines: &[&str], at: usize, kinds: &[LineClass]) -> bool {
    let Some(first) = lines::next_nonblank(lines, at + 1) else { return false };
    let name = kinds[0] == LineClass::Name || lines[first].chars().any(lines::is_caseless) && words(lines[first]) <= 3;
    let marked = !trim(lines[first]).starts_with(char::is_alphabetic);
    // Closing words over two lines, as in Chinese, may have a blank line below.
    let last = (first..lines.len()).rfind(|&i| sign_off(lines[i]).is_some()).map_or(first, |i| i + 1);
    let from = lines::next_nonblank(lines, last).unwrap_or(last);
    name && !marked && kinds.len() <= MOST_REPLIED && !lines[from..].iter().any(|line| is_blank(line))
}

/// True for a line that announces others, apart from the name above: "Order details:"
fn has_heading(below: &[&str]) -> bool {
    let is_heading = |i: &usize| {
        trim(below[*i]).ends_with([':', '：'])
            && is_blank(below[i - 1])
            && !below[i + 1..].iter().all(|line| is_blank(line))
            && sign_off(below[*i]).is_none()
    };
    (1..below.len()).any(|i| is_heading(&i))
}

fn is_postscript(line: &str) -> bool {
    let start: String = trim(line).to_lowercase().chars().take(4).collect();
    POSTSCRIPTS.iter().any(|mark| start.starts_with(mark))
}

/// A name after a blank line, followed by lines of which most are a position or contact details
fn contacts(lines: &[&str]) -> Option<usize> {
    let from = window(lines, MOST_LINES);
    let mut start = None;
    let mut details = 0;
    let mut below = 0;
    for i in (from..lines.len()).rev() {
        match tail::kind(lines[i]) {
            LineClass::Blank => continue,
            LineClass::Prose => break,
            kind @ (LineClass::Contact | LineClass::Title) => {
                details += if kind == LineClass::Contact && !tail::is_link(lines[i]) { 2 } else { 1 };
                below += 1;
            }
            LineClass::Name if details >= 2 && starts_block(lines, i) => {
                below += 1;
                start = Some((i, details, below));
            }
            LineClass::Name | LineClass::Short | LineClass::Rule => below += 1,
        }
        if below - details.min(below) > 4 {
            break;
        }
    }
    let (at, details, below) = start?;
    let first = lines[..at].iter().rposition(|line| !is_blank(line))?;
    // After "Please ship to:" the address is content.
    let announced = trim(lines[first]).ends_with([':', '：']);
    (!announced && details * 2 >= below).then_some(at)
}

fn starts_block(lines: &[&str], at: usize) -> bool {
    at > 0 && (is_blank(lines[at - 1]) || tail::kind(lines[at - 1]) == LineClass::Rule)
}

/// A single name on the last line, if it is marked (`-Bob`) or starts with a common given name
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

/// True if the line above has the same form, so that the name is an item of a list
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
            "--\nLife is what happens to you while you plan.",
            "--\nThis is what I think of it all.\nBob Smith\nhttp://example.com",
            "--\nbob@example.com\n*** when you outlaw the words ***\n*** only the outlaws will have words ***\n*** and so on it goes with them ***\n*** for ever and a day ***",
            "--\nBob Smith\t\tbob@example.com\n--\nLet it be, let it pass, the world goes by itself.",
            "--\nBob Smith          |\"Seems like every day we find out all sorts of stuff.\nbob@example.com    |Like how the old ones had a radio.\"",
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
            "I thought about it --\nand I do not like it.\n--\nSo please let us wait until Friday. Then we can talk.",
            "The first part has a few words.\n\n--\n\nAnd the second part has a few more words.",
            "The plan.\n\n--\n\nMonday: we paint the hall and move the chairs.\n\nTuesday: we lay the carpet.\n\nWednesday: we clean.",
        ] {
            check(text, false, text);
        }
    }

    #[test]
    fn above_history_a_plain_sign_off_goes() {
        for signature in [
            "Regards,\nFay Jones",
            "Viele Grüße\nAnna",
            "此致\n敬礼\n王芳",
            "Cordialement,\n\nJean Dupont",
            "Thanks, Bob",
            "Regards,\nBob\nSales Manager",
            "Med vänlig hälsning\nKarin Berg\nStockholm",
        ] {
            check(&format!("Yes.\n\n{signature}"), true, "Yes.");
        }
        // Typed by hand, or more than a name.
        for text in [
            "Yes.\n\nThanks",
            "Yes.\n\n-Bob",
            "Yes.\n\nBest regards,\n\n//Jef",
            "Yes.\n\nThanks\nSee you on Monday then.",
        ] {
            check(text, true, text);
        }
    }

    #[test]
    fn below_a_device_line_stands_history() {
        check("Yes.\n\nSent from my iPhone\n\nHi Ann,\n\nCan you come on Monday?\n\nBob", false, "Yes.");
        let more = "Thanks!\n\nSent from my iPhone\n\nPlease also cancel order 77.";
        check(more, false, more);
        check("Yes.\n\nSent from my iPhone\n\nAnd no.", true, "Yes.\n\nSent from my iPhone\n\nAnd no.");
    }

    #[test]
    fn what_a_heading_announces_is_no_signature() {
        let order = "Here is our order.\n\nBest regards\nAnna\n\nOrder details:\n3 x chair\n2 x table";
        check(order, false, order);
        let signed = "Here is our order.\n\nBest regards\nAnna Fox\n\nPhone: +1 713 853 5620\nMail: a@example.com";
        check(signed, false, "Here is our order.");
    }

    #[test]
    fn a_text_of_nothing_but_closings_is_no_signature() {
        let text = format!("The list of closings.\n{}", "word\nBest regards,\n".repeat(500));
        assert!(without(&lines::split(&text)).len() > 500);
    }
}
