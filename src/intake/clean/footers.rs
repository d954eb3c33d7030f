//! Footers that mailing lists, web services and newsletters append

use std::ops::Range;
use std::sync::LazyLock;

use super::lexicon::footers::{COPYRIGHT, PHRASES, TOPS, WEB_VERSION};
use super::lexicon::lower;
use super::lexicon::prose::PERSONAL;
use super::lines::{self, LineCut, is_blank, is_quoted, trim};
use super::phrases::{Phrases, has_word};
use super::tail;

/// Phrases that only a list server or a mailing tool writes
static FOOTERS: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(PHRASES.iter().chain(WEB_VERSION).copied()));

/// Phrases above the content of a newsletter
static HEADINGS: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(TOPS.iter().chain(WEB_VERSION).copied()));

/// A footer has at most this many lines, and a paragraph of one at most this many bytes
const MOST_LINES: usize = 16;
const MOST_BYTES: usize = 1500;

/// Paragraphs examined from the end
const MOST_PARAGRAPHS: usize = 24;

/// Cuts footers at the end and "view in browser" lines at the top
pub(super) fn cut<'a>(lines: &[&'a str]) -> LineCut<'a> {
    LineCut::ranges(lines, &ranges(lines))
}

/// The lines that `cut` removes
pub(super) fn ranges(lines: &[&str]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = top(lines);
    let start = bottom(lines);
    if start < lines.len() && ranges.last().is_none_or(|top| top.end <= start) {
        ranges.push(start..lines.len());
    }
    ranges
}

fn top(lines: &[&str]) -> Vec<Range<usize>> {
    let first: Vec<usize> = (0..lines.len()).filter(|&i| !is_blank(lines[i])).take(4).collect();
    let is_top = |&i: &usize| {
        let line = trim(lines[i]);
        line.len() <= 200 && !is_quoted(line) && HEADINGS.are_in(&lower(line)) && !is_personal(&lower(line))
    };
    first.into_iter().filter(is_top).map(|i| i..i + 1).collect()
}

/// Where the footers at the end start
fn bottom(lines: &[&str]) -> usize {
    let mut start = lines.len();
    // Only the last lines are examined, so that the cost does not grow with the text.
    let from = lines.len().saturating_sub(400);
    let paragraphs = lines::paragraphs(&lines[from..]);
    let mut skipped: Option<usize> = None;
    for paragraph in paragraphs.iter().rev().take(MOST_PARAGRAPHS) {
        let range = paragraph.start + from..paragraph.end + from;
        match footer_in(lines, &range) {
            Some(at) => {
                start = at;
                skipped = None;
                if at > range.start {
                    break;
                }
            }
            // Rules, links and copyright lines between the parts of a footer belong to it.
            None if lines[range.clone()].iter().all(|line| is_filling(line)) && skipped.unwrap_or(0) < 4 => {
                skipped = Some(skipped.unwrap_or(0) + 1);
            }
            // The sender's postal address, which the law of some countries requires.
            None if start == lines.len() && skipped.is_none() && is_address(&lines[range.clone()]) => skipped = Some(1),
            None => break,
        }
    }
    rules_above(lines, start)
}

/// Where a footer starts that ends with this paragraph: at a rule, or at its first telling line
fn footer_in(lines: &[&str], range: &Range<usize>) -> Option<usize> {
    let ruled = range.clone().rev().take(MOST_LINES).find(|&i| is_rule(lines[i]) && i + 1 < range.end);
    let start = ruled.unwrap_or(range.start);
    let part = &lines[start..range.end];
    let fits = part.len() <= MOST_LINES && part.iter().map(|line| line.len()).sum::<usize>() <= MOST_BYTES;
    if fits
        && !part.iter().any(|line| is_quoted(line) || tail::is_reference(line))
        && is_footer(part, &lower(&part.join("\n")))
    {
        // Without a rule, the lines above the first telling line may be the sender's.
        let tells = |lines: &[&str]| FOOTERS.are_in(&lower(&lines.join(" ")));
        // A phrase may be wrapped over two lines. If the second line has it alone, the first is not part of the footer.
        let telling = |&i: &usize| match part.get(i + 1) {
            Some(next) => tells(&part[i..=i]) || (tells(&part[i..i + 2]) && !tells(&[next])),
            None => tells(&part[i..]),
        };
        let first = if ruled.is_some() { None } else { (0..part.len()).find(telling) };
        return Some(start + first.unwrap_or(0));
    }
    // A footer that follows the text without a blank line.
    let last = range.end - 1;
    let mut at = None;
    for i in range.clone().rev().take(4) {
        if lines[i].len() > 300 || tail::is_reference(lines[i]) {
            break;
        }
        let line = lower(lines[i]);
        if !FOOTERS.are_in(&line) || is_personal(&line) {
            break;
        }
        at = Some(i);
    }
    at.filter(|_| !is_quoted(lines[last]))
}

fn is_footer(lines: &[&str], text: &str) -> bool {
    if !FOOTERS.are_in(text) {
        return false;
    }
    let ruled = lines.first().is_some_and(|line| is_rule(line));
    ruled || !is_personal(text)
}

fn is_personal(text: &str) -> bool {
    has_word(text, PERSONAL)
}

fn is_rule(line: &str) -> bool {
    let line = trim(line);
    let long = line.len() >= 10 && !line.chars().any(|c| c.is_alphanumeric() || c.is_whitespace());
    long || matches!(line, "__" | "___" | "--" | "---")
        || line.len() >= 20
            && line.starts_with("-----")
            && line.ends_with(['-', '_', '=', '>', '~'])
            && !line.contains("PGP")
}

fn is_filling(line: &str) -> bool {
    let line = trim(line);
    is_rule(line)
        || !line.chars().any(char::is_alphanumeric)
        || line.starts_with('©')
        || line.len() <= 120
            && (line.starts_with("http") || COPYRIGHT.iter().any(|words| line.contains(words)))
            && line.split_whitespace().count() <= 10
}

/// True for one or two lines of a postal address
fn is_address(lines: &[&str]) -> bool {
    let names_place = |line: &&str| {
        let line = trim(line);
        line.len() <= 160
            && line.contains(',')
            && !line.ends_with(['.', '!', '?', ':', ','])
            && !is_quoted(line)
            && !is_personal(&lower(line))
    };
    lines.len() <= 2
        && lines.iter().all(names_place)
        && lines.iter().any(|line| line.bytes().any(|b| b.is_ascii_digit()))
}

/// Includes the rules directly above a footer
fn rules_above(lines: &[&str], start: usize) -> usize {
    if start == lines.len() {
        return start;
    }
    let mut at = start;
    for i in (0..start).rev().take(6) {
        if is_blank(lines[i]) {
            continue;
        }
        if !is_rule(lines[i]) {
            break;
        }
        at = i;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(lines::join(&cut(&lines::split(text)).kept), expected, "{text}");
    }

    #[test]
    fn footers_of_lists_and_newsletters() {
        for footer in [
            "_______________________________________________\nR-devel mailing list\nR-devel@example.org\nhttps://example.org/mailman/listinfo/r-devel",
            "-- \nYou received this message because you are subscribed to the Google Groups \"x\" group.\nTo unsubscribe from this group, send email to x@googlegroups.com.",
            "To unsubscribe, click here: http://example.com/u",
            "You are receiving this email because you signed up at example.com.\n\nUnsubscribe | http://example.com/u\n\n© 2020 Example Inc.",
            "Wenn Sie den Newsletter abbestellen möchten, klicken Sie hier.",
            "Pour vous désabonner, cliquez ici.",
            "Si desea darse de baja, pulse aquí.",
            "Se non vuoi più ricevere queste mail, annulla l'iscrizione.",
            "Klik hier om u uit te schrijven: uitschrijven",
            "Чтобы отписаться от рассылки, перейдите по ссылке.",
            "You are receiving this email because you subscribed.\n\nHarbour Press, 4 Quay Street, Port Example",
            "如果您不想再收到此类邮件，请点击退订。",
            "配信停止はこちら",
        ] {
            check(&format!("The news of the week.\n\n{footer}"), "The news of the week.");
        }
        check("Trouble viewing this? View it in your browser\n\nThe news.", "The news.");
    }

    #[test]
    fn wishes_about_lists_are_content() {
        for text in [
            "Hello,\n\nI want to unsubscribe from this list, please remove me.",
            "How do people unsubscribe?",
            "The mailing list is down again.",
        ] {
            check(text, text);
        }
    }
}
