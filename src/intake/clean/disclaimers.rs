//! Legal notices: confidentiality, viruses, the environment, company particulars

use std::ops::Range;
use std::sync::LazyLock;

use super::lexicon::{
    self,
    disclaimers::{LEGAL, OPENINGS},
    lower,
};
use super::lines::{self, LineCut, is_quoted, trim};
use super::phrases::Phrases;

/// Phrases that only a legal department writes
static NOTICES: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(lexicon::disclaimers::NOTICES.iter().copied()));

/// Parts of words of legal text
static LEGAL_WORDS: LazyLock<Phrases> = LazyLock::new(|| Phrases::anywhere(LEGAL.iter().copied()));

/// Paragraphs examined from the end, and how many paragraphs of other text may be between or below notices
const MOST_PARAGRAPHS: usize = 24;
const MOST_OTHERS: usize = 4;

/// A notice is no longer than this, in bytes
const MOST_BYTES: usize = 6000;

/// Cuts notices near the end of the text
pub(super) fn cut<'a>(lines: &[&'a str]) -> LineCut<'a> {
    LineCut::ranges(lines, &ranges(lines))
}

/// The lines that `cut` removes
pub(super) fn ranges(lines: &[&str]) -> Vec<Range<usize>> {
    let from = lines.len().saturating_sub(400);
    let paragraphs: Vec<Range<usize>> =
        lines::paragraphs(&lines[from..]).into_iter().map(|p| p.start + from..p.end + from).collect();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut others = 0;
    let mut legal_below: Vec<Range<usize>> = Vec::new();
    for paragraph in paragraphs.iter().rev().take(MOST_PARAGRAPHS) {
        let part = &lines[paragraph.clone()];
        let fits = part.iter().map(|line| line.len()).sum::<usize>() <= MOST_BYTES;
        let text = if fits { lower(&part.join(" ")) } else { String::new() };
        let quoted = part.iter().any(|line| is_quoted(line));
        if let Some(at) = notice_in(lines, paragraph, &text).filter(|_| !quoted) {
            // Paragraphs of legal text directly below belong to the notice.
            ranges.append(&mut legal_below);
            ranges.push(at..paragraph.end);
            others = 0;
            continue;
        }
        if is_legal(&text) && !quoted && ranges_touch(&ranges, &legal_below, lines, paragraph) {
            legal_below.push(paragraph.clone());
            continue;
        }
        legal_below.clear();
        others += 1;
        if others > MOST_OTHERS {
            break;
        }
    }
    ranges.sort_by_key(|range| range.start);
    let mut end = 0;
    for range in &mut ranges {
        // The rule above may already belong to the previous notice.
        range.start = lines::rule_above(lines, range.start).max(end);
        end = range.end;
    }
    ranges
}

/// True if only notices, legal text or a rule follow the paragraph
fn ranges_touch(ranges: &[Range<usize>], below: &[Range<usize>], lines: &[&str], paragraph: &Range<usize>) -> bool {
    let next = lines::next_nonblank(lines, paragraph.end);
    next.is_none_or(|next| ranges.iter().chain(below).any(|range| range.start == next) || lines::is_rule(lines[next]))
}

/// Where a notice starts in this paragraph: at its first line, or further down if the lines above are not legal text
fn notice_in(lines: &[&str], paragraph: &Range<usize>, text: &str) -> Option<usize> {
    if !NOTICES.are_in(text) {
        return None;
    }
    let is_first = |&i: &usize| opens(lines[i]) || NOTICES.are_in(&lower(lines[i]));
    let first = paragraph.clone().find(is_first).unwrap_or(paragraph.start);
    // A sentence above that is neither legal text nor a heading was written by the sender.
    let above = &lines[paragraph.start..first];
    let written = above.iter().any(|line| !is_legal(&lower(line)) && line.split_whitespace().count() > 3);
    if first > paragraph.start && written { Some(first) } else { Some(paragraph.start) }
}

fn is_legal(text: &str) -> bool {
    LEGAL_WORDS.are_in(text)
}

fn opens(line: &str) -> bool {
    let line = trim(line);
    OPENINGS.iter().any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(lines::join(&cut(&lines::split(text)).kept), expected, "{text}");
    }

    #[test]
    fn notices_in_many_languages() {
        for notice in [
            "This e-mail and any attachments are confidential. If you are not the intended recipient, delete it.",
            "CONFIDENTIALITY NOTICE: for the addressee only.\n\nUnauthorised disclosure is prohibited.",
            "Please consider the environment before printing this email.",
            "Diese E-Mail enthält vertrauliche Informationen. Wenn Sie nicht der richtige Adressat sind, löschen Sie sie.",
            "Ce message est confidentiel et destiné à son seul destinataire.",
            "Este mensaje es confidencial y para uso exclusivo de su destinatario.",
            "Esta mensagem é confidencial e destina-se ao seu destinatário.",
            "Le informazioni contenute in questo messaggio sono riservate.",
            "Dit bericht is uitsluitend bestemd voor de geadresseerde.",
            "Данное сообщение является конфиденциальным.",
            "本邮件及其附件含有保密信息，仅限于发送给收件人。",
            "本メールには機密情報が含まれています。",
        ] {
            check(&format!("The offer is attached.\n\n{notice}"), "The offer is attached.");
        }
    }

    #[test]
    fn what_people_write_about_such_things_stays() {
        for text in [
            "Disclaimer: I am an author of the library.\n\nIt is good.",
            "Should mail be scanned for viruses before delivery?",
            "Save the file before printing.",
            "Please keep the salary list confidential.",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn a_rule_between_two_notices_goes_once() {
        let text = "We agree.\n\nThis e-mail is confidential and intended solely for the addressee.\n#########\n\n#########\n\
                    Please consider the environment before printing this e-mail.";
        assert_eq!(cut(&lines::split(text)).kept, ["We agree.", ""]);
    }
}
