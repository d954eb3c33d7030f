//! Attribution lines: "On Monday, Bob wrote:" in the forms that mail programs write
//!
//! A candidate is found by the end of its last line, which varies least. Its start is searched upwards, because mail
//! programs wrap long attributions. `wording` judges the joined text.

use std::ops::Range;

use super::lexicon::attribution::WITHOUT_COLON;
use super::lines::{self, is_blank, is_quoted, trim, words};
use super::wording::{EXCERPTS, Fit, is_framed, judge};

/// An attribution is wrapped over at most this many lines: Outlook for iOS puts the name, `<`, the address and `>
/// wrote:` on separate lines
const MOST_LINES: usize = 6;

/// An attribution is no longer than this, in bytes, including links after names
const MOST_BYTES: usize = 600;

/// Candidates tried in one text, which bounds the cost of a text in which every line ends with a colon
const MOST_CANDIDATES: usize = 2_000;

/// How certain it is that the lines are an attribution
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    /// Only a verb and a colon: counts only directly above quoted lines
    Weak,
    /// Also a date or an address: counts even if the quoted text has no `>`
    Strong,
}

/// An attribution found in a text
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribution {
    /// Its lines
    pub lines: Range<usize>,
    /// How sure it is
    pub strength: Strength,
}

/// All attributions outside of marked quotations, in order
pub(super) fn all(lines: &[&str]) -> Vec<Attribution> {
    let mut found: Vec<Attribution> = Vec::new();
    let mut floor = 0;
    for end in (0..lines.len()).filter(|&end| may_end(lines, end)).take(MOST_CANDIDATES) {
        if let Some(attribution) = ending_at(lines, floor, end) {
            floor = attribution.lines.end;
            found.push(attribution);
        }
    }
    found
}

/// A cheap test that rules out nearly every line
fn may_end(lines: &[&str], end: usize) -> bool {
    let line = trim(lines[end]);
    if line.is_empty() || line.len() > lines::LONGEST {
        return false;
    }
    let bare = line.trim_end_matches([' ', '-', '*', '_', '>', '\u{a0}']);
    let ends = bare.ends_with([':', '：'])
        || WITHOUT_COLON.iter().any(|verb| bare.ends_with(verb))
        || line.starts_with("20")
        || line.starts_with(EXCERPTS);
    // In some languages it ends in a name or a verb; then it counts only directly above quoted lines.
    let above_quote = || {
        let next = lines::next_nonblank(lines, end + 1);
        next.is_some_and(|next| next <= end + 2 && is_quoted(lines[next])) && !line.ends_with(['.', '!', '?', ','])
    };
    (ends || above_quote()) && (!is_quoted(line) || closes_bracket(lines, end)) || is_framed(line)
}

/// True for a line like `> wrote:` or `>:` that closes the address of a wrapped attribution and is not quoted
fn closes_bracket(lines: &[&str], end: usize) -> bool {
    let line = trim(lines[end]);
    words(line) <= 5
        && line.ends_with([':', '：'])
        && (end.saturating_sub(2)..end).any(|i| lines[i].rfind('<') > lines[i].rfind('>') && !is_quoted(lines[i]))
}

/// The attribution that ends on this line. Of several possible starts the best wins: an opening, else a name with an
/// address, else a bare verb.
fn ending_at(lines: &[&str], floor: usize, end: usize) -> Option<Attribution> {
    let mut joined = String::new();
    let mut best: Option<(Fit, usize)> = None;
    for (taken, start) in (floor..=end).rev().take(MOST_LINES).enumerate() {
        let line = trim(lines[start]).replace(lines::is_direction_mark, "");
        if line.is_empty() {
            // A blank line is part of it only if the part below cannot be complete.
            if joined.starts_with(['<', '>']) {
                continue;
            } else {
                break;
            }
        }
        let ends_sentence = line.ends_with(['.', '!', '?']) && !ends_in_figure(&line);
        if taken > 0 && (ends_sentence || is_quoted(&line) && !closes_bracket(lines, start)) {
            break;
        }
        joined = if joined.is_empty() { line } else { format!("{line} {joined}") };
        if joined.len() > MOST_BYTES {
            break;
        }
        let fit = judge(&joined, taken == 0);
        if fit.is_some() && best.is_none_or(|(known, _)| fit > Some(known)) {
            best = fit.map(|fit| (fit, start));
        }
        if fit == Some(Fit::Opening) {
            break;
        }
    }
    best.map(|(fit, start)| Attribution {
        lines: start..end + 1,
        strength: if fit == Fit::Verb { Strength::Weak } else { Strength::Strong },
    })
}

fn ends_in_figure(line: &str) -> bool {
    line.trim_end_matches('.').ends_with(|c: char| c.is_ascii_digit())
}

/// True if the lines after an attribution are marked as quoted
pub(super) fn is_marked(lines: &[&str], attribution: &Attribution) -> bool {
    lines::next_nonblank(lines, attribution.lines.end).is_some_and(|i| is_quoted(lines[i]) && !is_blank(lines[i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(Range<usize>, Strength)>) {
        let found = all(&lines::split(text));
        let first = found.first().map(|a| (a.lines.clone(), a.strength));
        assert_eq!(first, expected, "{text}");
    }

    #[test]
    fn one_line_in_many_languages() {
        for text in [
            "On Wed, Sep 25, 2013, at 03:57 PM, richard wrote:",
            "Le 2016-11-16 02:22, Erlend Heggen a écrit :",
            "Am 03.02.2016 3:35 nachm. schrieb Max Mustermann <m@example.com>:",
            "El mar., 3 de mayo de 2016 a las 10:11, Ana (<a@example.com>) escribió:",
            "Em 10 de julho de 2017 às 16:32, João (j@example.com) escreveu:",
            "Il 26 marzo 2016 alle 13.16 Sam <s@example.com> ha scritto:",
            "Op 2 feb. 2015 om 05:28 heeft Sky <s@example.com> het volgende geschreven:",
            "Den 15. jun. 2016 kl. 20.42 skrev Jeff <j@example.com>:",
            "W dniu 2017-01-09 11:59:39 użytkownik Q <q@example.com> napisał:",
            "ср, 30 апр. 2025 г. в 15:19, John Doe <doe@example.com>:",
            "pe 20. lokakuuta 2017 klo 17.50 John <j@example.com> kirjoitti:",
            "2013.02.08. 7:31 keltezéssel, \"Eszter\" írta:",
            "在 2016年12月12日，下午8:45，Erlend <e@example.com> 写道：",
            "2016年12月12日(月) 20:45 山田太郎 <y@example.com>:",
            "2016년 12월 12일 (월) 오후 8:45, 김철수 <k@example.com>님이 작성:",
            "30.09.2017, 18.30, \"John - Doe\" <j@example.com>:",
            "11:00 AM, November 17, 2021, \"John - Acme\" <john@mail.acme.com>:",
            "---- On Wed, 24 Feb 2021 14:02:50 +0530 john@example.com wrote ----",
            "On Wed, 14 Nov 2018 08:14:43 -0200 John Doe <john@example.com> wrote",
            "In article <1993Apr5.1@example.edu>, bob@example.edu (Bob) writes:",
            "bob@example.edu (Bob Smith) writes:",
            "2016-03-03 17:21 GMT+01:00 Some One",
            "At 6/16/2016 08:32 PM, you wrote:",
            "On Nov 26, 2013 you wrote:",
            ">>> Bob Smith <bob@example.com> 5/3/2016 10:10 AM >>>",
            ">>> \"Bob Smith\" 03.05.16 10.10 Uhr >>>",
            "-----Bob Smith/ACME wrote: -----",
            "-----\"Bob Smith\" <bob@example.com> schrieb: -----",
            "Bob Smith/HOU/ACME wrote on 01/05/2012 09:00:00 AM:",
            "Am 3. März schrieb Anna ‹a@example.com›:",
            // Whatever the language.
            "كتب Dana Fox <dana@example.com> في 11 يونيو 2024:",
            "في الثلاثاء، 11 يونيو 2024 في 9:12 ص تمت كتابة ما يلي بواسطة \u{202a}Dana Fox\u{202c}\u{200f} <\u{202a}dana@example.com\u{202c}\u{200f}>:\u{202c}",
            "در تاریخ سه‌شنبه ۱۱ ژوئن ۲۰۲۴ ساعت ۹:۱۲ Dana Fox <dana@example.com> نوشت:",
            "V tor., 11. jun. 2024 ob 09:12 je oseba Dana Fox <dana@example.com> napisala:",
            "Otrd., 2024. g. 11. jūn., plkst. 09:12 — lietotājs Dana Fox (<dana@example.com>) rakstīja:",
            "Kuupäev 11. juuni 2024 kell 9:12 kirjutas Dana Fox <dana@example.com>:",
            "Dana Fox <dana@example.com> ने 11 जून 2024 को लिखा:",
            "เมื่อ อ. 11 มิ.ย. 2567 เวลา 09:12 Dana Fox <dana@example.com> เขียนว่า:",
            "Dana Fox (dana@example.com) 2024-06-11 09:12:",
            "2010/10/3 Dana Fox <dana at example.com>:",
        ] {
            check(text, Some((0..1, Strength::Strong)));
        }
    }

    #[test]
    fn wrapped_over_lines() {
        check("Best\nOn Tue, 3 May 2016 10:10, Some One\n<a@example.com>\nwrote:", Some((1..4, Strength::Strong)));
        check("Ok\n\n2016-10-24 15:36 GMT+02:00 Foo bar <\ninfo@example.com>:", Some((2..4, Strength::Strong)));
        check(
            "Hi\n\nMax Muster <m@example.com> schrieb am Fr., 28.\nApr. 2017 um 11:53 Uhr:",
            Some((2..4, Strength::Strong)),
        );
        check("Hi\n\ntir. 18. apr. 2017 kl. 13:09 skrev Test user <t@example.com\n>:", Some((2..4, Strength::Strong)));
        check(
            "One\n\nOn Thu, 31 Mar 2016 at 11:16 Some One\n\n<\nmailto:Some One <s@example.com>\n> wrote:",
            Some((2..7, Strength::Strong)),
        );
    }

    #[test]
    fn a_name_and_a_verb_are_weak() {
        check("John Doe wrote:", Some((0..1, Strength::Weak)));
        check("Dana Fox <dana@example.com>, 11 June 2024:", Some((0..1, Strength::Weak)));
        check("W dniu 28 stycznia 2015 01:53 Zofia <z@example.com> napisał\n\n> x", Some((0..1, Strength::Weak)));
        check("Quoting Dana Fox <dana@example.com>:", Some((0..1, Strength::Weak)));
        check("Дана Фокс, 11 июня 2024, 09:12:", Some((0..1, Strength::Weak)));
    }

    #[test]
    fn prose_is_none() {
        for text in [
            "On this day\nI wrote something\nwhich was interesting.",
            "On the other hand, we should be careful:",
            "Something like:",
            "The meeting is on 3 May at 10:00, please bring:",
            "See https://example.com/on-date-someone-wrote: it is good",
            "2024-01-15 14:30:25",
            "Please write to Bob <b@example.com> before 11 June 2024 with the following:",
            "Meeting with Bob <b@example.com> on 11 June 2024 at 9:30 about the following:",
            "I had a mail from Bob <b@example.com> on 11 June 2024 at 9:30:",
            "----- Notes: -----",
            ">>> print(1) >>>",
            "Running version 1.2.0 patched (2001-01-07) on my own system 6.4 gives:",
            "On R 3.5.3:",
            "<p><b>bob</b> 2007-10-22 23:45:23 (Mon)</p><font color='gray'>Modified:",
            "From dana@example.com Mon Jan 15 15:30:00 2018\n>From here",
            "From dana@example.com Mon Jan 15 15:30:00 2018\nMessage 4\n> here",
        ] {
            check(text, None);
        }
    }
}
