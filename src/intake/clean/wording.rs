//! The wording of attributions: a date, a person, a verb and a colon
//!
//! Mail programs differ in the language and order of these parts. So there is no pattern per program: a text is judged
//! by how many of the parts it has. Where the verb is not known, address, date and the order of both tell.

use std::borrow::Cow;

use super::lexicon::attribution::{DATE_MARKS, OPENINGS, VERBS, WITHOUT_COLON, YOU_WROTE};
use super::lexicon::lower;
use super::lexicon::prose::{ADDRESSED, PERSONAL};
use super::lines::{is_caseless, is_cjk, words};
use super::phrases::has_word;

/// Start of the attributions of Andrew and Exmh: `Excerpts from netnews.rec.autos: 5-Apr-93 Re: brakes by Bob@...`
pub(super) const EXCERPTS: &str = "Excerpts from ";

/// Which form of attribution a text has, from the weakest to the strongest
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// It ends with a verb and a colon
    Verb,
    /// It starts with a name and an address
    Name,
    /// It starts with a date or a word that introduces one
    Opening,
}

/// The form of the attribution, if the whole text is one
pub(super) fn judge(text: &str, one_line: bool) -> Option<Fit> {
    if is_framed(text) {
        return Some(Fit::Opening);
    }
    let text = &*ascii_digits(text);
    let framed = text.starts_with("---");
    // Yahoo and Zoho put rules around it: `--- On Mon, 1/5/09, Bob wrote:`, `---- On … wrote ----`.
    let text = text.trim_start_matches(['-', '*', '_', '=', ' ', '\u{a0}']).trim_end_matches(['*', '_', ' ', '\u{a0}']);
    let balanced = |open: [char; 2], close: [char; 2]| text.matches(open).count() >= text.matches(close).count();
    if !balanced(['<', '＜'], ['>', '＞']) || !balanced(['(', '（'], [')', '）']) {
        return None;
    }
    if one_line && is_iso_dated(text) {
        return Some(Fit::Opening);
    }
    let ruled = text.ends_with('-');
    let text = text.trim_end_matches(['-', ' ']);
    let colon = text.ends_with([':', '：']);
    if one_line && text.starts_with(EXCERPTS) {
        return Some(Fit::Verb);
    }
    let lower = lower(text);
    if !colon && !WITHOUT_COLON.iter().any(|verb| text.ends_with(verb)) {
        // A separator of a mailbox is none.
        let whole = !text.starts_with("From ")
            && has_clock(text)
            && text.contains('@')
            && text.matches('<').count() == text.matches('>').count();
        return by_form(text, &lower, false).filter(|_| whole).map(|_| Fit::Verb);
    }
    let verb = || VERBS.iter().any(|verb| find_word(&lower, verb).is_some());
    let bracketed = text.find('<').is_some_and(|at| text[at..].contains('>'));
    let address = text.contains('@') || bracketed || text.contains("&lt;");
    if opens(&lower) {
        let time = has_exact_time(&lower);
        let you = YOU_WROTE.iter().any(|words| lower.contains(words));
        if (time || address || you) && (colon || ruled || (time && address)) && verb() {
            return Some(Fit::Opening);
        }
        if colon && ends_in_address(text) {
            return Some(if time { Fit::Opening } else { Fit::Verb });
        }
    } else if ruled && framed && colon && words(text) <= 10 && verb() {
        // Lotus Notes: `-----Bob Smith/ACME wrote: -----`.
        return Some(Fit::Opening);
    } else if colon && address && starts_with_name(text) && verb() {
        return Some(Fit::Name);
    }
    let short = text.len() <= 160 && words(text) <= 14;
    if colon && one_line && short && ends_in_verb(&lower) {
        return Some(Fit::Verb);
    }
    if colon { by_form(text, &lower, verb()) } else { None }
}

/// GroupWise: `>>> Bob Smith <bob@example.com> 5/3/2016 10:10 AM >>>`
pub(super) fn is_framed(text: &str) -> bool {
    let inside = text.strip_prefix(">>>").and_then(|rest| rest.strip_suffix(">>>"));
    inside.is_some_and(|inside| inside.len() <= 200 && !inside.contains(">>") && has_exact_time(inside))
}

/// The form of an attribution in a language whose words are not known: a date, and an address behind which stand at
/// most two words or the date. The words of somebody who writes a sentence are in none.
fn by_form(text: &str, lower: &str, verb: bool) -> Option<Fit> {
    /// Besides names: weekday, month, "at", "user", "wrote" and the like
    const MOST_PLAIN: usize = 8;
    let year = has_year(text);
    let time = has_exact_time(text);
    let plain = plain_words(text);
    if text.contains("</")
        || !(year || time)
        || plain > MOST_PLAIN
        || has_word(lower, ADDRESSED)
        || has_word(lower, PERSONAL)
    {
        return None;
    }
    let bare = text.trim_end_matches([':', '：', ' ']);
    let dated_end = bare.split_whitespace().rev().take(3).any(|word| word.contains(|c: char| c.is_ascii_digit()));
    let Some(behind) = behind_address(bare) else {
        let named = text.starts_with(char::is_uppercase) && verb && dated_end;
        let fit = if named { Fit::Name } else { Fit::Verb };
        return (year && has_clock(text) && plain <= MOST_PLAIN / 2 && words(text) <= 14).then_some(fit);
    };
    let figures = behind.contains(|c: char| c.is_ascii_digit());
    let ends = if figures { dated_end } else { words(behind) <= 2 };
    if !ends {
        return None;
    }
    // Prose names an address and a day too, but no time.
    let caseless = text.chars().any(is_caseless) && plain <= MOST_PLAIN / 2 + 2;
    Some(if year && (time || caseless || verb) { Fit::Name } else { Fit::Verb })
}

/// What stands behind the address, if the text has one. Archives write `<name at host>`.
fn behind_address(text: &str) -> Option<&str> {
    let bracketed = text.rfind('<').and_then(|at| {
        let (inside, _) = text[at + 1..].split_once('>')?;
        (inside.contains(" at ") && !inside.contains(['=', '/', '"'])).then_some(at + 1 + inside.len())
    });
    let end = match bracketed.max(text.rfind('@'))? {
        at if text[at..].starts_with('@') => {
            let ends = |c: char| c.is_whitespace() || matches!(c, '>' | ')' | ']' | '›' | '〉' | ',');
            text[at..].find(ends).map_or(text.len(), |n| at + n)
        }
        at => at,
    };
    Some(text[end..].trim_start_matches(|c: char| !c.is_alphanumeric()))
}

/// True for a time of day: `9:12`
fn has_clock(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    (1..bytes.len()).any(|i| bytes[i] == b':' && digit(i - 1) && digit(i + 1) && digit(i + 2))
}

/// The number of words that begin like no name
fn plain_words(text: &str) -> usize {
    let plain = |word: &&str| {
        let first = word.trim_start_matches(|c: char| !c.is_alphanumeric()).chars().next();
        !word.contains(['@', ':']) && first.is_some_and(|c| c.is_lowercase() || is_caseless(c))
    };
    text.split_whitespace().filter(plain).count()
}

/// Digits of all scripts as those of ASCII
fn ascii_digits(text: &str) -> Cow<'_, str> {
    /// Zeros of Arabic, Persian, Devanagari, Bengali, Thai, and full-width
    const ZEROS: &[u32] = &[0x660, 0x6f0, 0x966, 0x9e6, 0xe50, 0xff10];
    let digit = |c: char| ZEROS.iter().find_map(|zero| u32::from(c).checked_sub(*zero).filter(|n| *n < 10));
    if !text.chars().any(|c| digit(c).is_some()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| digit(c).and_then(|n| char::from_digit(n, 10)).unwrap_or(c)).collect())
}

/// True for a year of four digits, or a whole date in digits
fn has_year(text: &str) -> bool {
    let is_date = |word: &str| {
        let figures: Vec<&str> = word.trim_end_matches(['.', ':']).split(['/', '.', '-']).collect();
        let [a, b, c] = figures.as_slice() else { return false };
        let digits = figures.iter().all(|f| !f.is_empty() && f.bytes().all(|b| b.is_ascii_digit()));
        digits && (a.len() == 4 || c.len() == 4 || c.len() == 2 && (a.len(), b.len()) == (2, 2) || word.contains('/'))
    };
    text.split(|c: char| !c.is_ascii_digit()).any(|word| word.len() == 4 && ["19", "20", "25"].contains(&&word[..2]))
        || text.split([' ', ',']).any(is_date)
}

/// Finds a whole word; Chinese, Japanese and Korean words have no boundaries
fn find_word(text: &str, word: &str) -> Option<usize> {
    let cjk = word.chars().next().is_some_and(is_cjk);
    let at = text.match_indices(word).find(|&(at, _)| {
        cjk || !text[..at].ends_with(char::is_alphabetic) && !text[at + word.len()..].starts_with(char::is_alphabetic)
    });
    at.map(|(at, _)| at)
}

/// True if the text starts with an opening word, or with a number among its first words: `pe 20. lokakuuta`
fn opens(lower: &str) -> bool {
    let known = OPENINGS.iter().any(|word| {
        lower.strip_prefix(word).is_some_and(|rest| {
            word.ends_with('<') || word.starts_with(is_cjk) || !rest.starts_with(char::is_alphabetic)
        })
    });
    known
        || lower.split_whitespace().take(3).enumerate().any(|(i, word)| {
            let plain = lower
                .split_whitespace()
                .take(i)
                .all(|before| before.trim_end_matches(is_punctuation).chars().all(char::is_alphabetic));
            plain && word.starts_with(|c: char| c.is_ascii_digit())
        })
}

fn is_punctuation(c: char) -> bool {
    matches!(c, '.' | ',' | '،' | '、' | '，' | '׳' | '\'' | '’')
}

/// True for a time of day, a date in digits or a CJK date, which prose before "wrote:" rarely has
fn has_exact_time(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let digit = |i: usize| chars.get(i).is_some_and(char::is_ascii_digit);
    (1..chars.len()).any(|i| {
        if !digit(i - 1) {
            return false;
        }
        match chars[i] {
            ':' | '.' | 'h' | 'H' if digit(i + 1) && digit(i + 2) => true,
            '-' | '/' | '.' => {
                let after = (i + 1..chars.len()).find(|&j| !digit(j)).unwrap_or(chars.len());
                after > i + 1 && chars.get(after).is_some_and(|c| matches!(c, '-' | '/' | '.')) && digit(after + 1)
            }
            ' ' if chars.get(i + 1) == Some(&'h') && digit(i + 3) => true,
            c => DATE_MARKS.iter().any(|mark| mark.starts_with(c)) && (digit(i + 1) || digit(i + 2)),
        }
    })
}

/// `… <address>:` or `… address:`
fn ends_in_address(text: &str) -> bool {
    let text = text.trim_end_matches([':', '：', ' ']);
    let last = text.split_whitespace().next_back().unwrap_or("");
    let bracket =
        text.ends_with('>') && text.rfind('<').is_some_and(|at| text[at..].contains('@') || text[..at].contains("@"));
    bracket || last.contains('@') && !last.starts_with('@')
}

/// True for Gmail's form of 2013 to 2017, which in some languages has neither verb nor colon:
/// `2016-03-03 17:21 GMT+01:00 Some One`, `2013/7/20 Sam <sam@example.com>`
fn is_iso_dated(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let (date, second, third) = (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""));
    let figures: Vec<&str> = date.split(['-', '/']).collect();
    let dated = date.starts_with("20")
        && figures.len() == 3
        && figures.iter().all(|f| !f.is_empty() && f.bytes().all(|b| b.is_ascii_digit()));
    if !dated || text.len() > 160 || text.ends_with(['.', '!', '?', '<', ',']) {
        return false;
    }
    let zoned = second.contains(':') && (third.starts_with("GMT") || third.starts_with("UTC")) && third.len() > 3;
    let rest = words.count();
    zoned && (1..=8).contains(&rest) || text.trim_end_matches(':').ends_with('>') && text.contains('@') && rest <= 8
}

/// True for a person and an address at the start: `Max Muster <m@example.com> schrieb am Fr.:`
fn starts_with_name(text: &str) -> bool {
    let Some(at) = text.find('@') else {
        return text.find('<').is_some_and(|at| (1..=60).contains(&at) && words(&text[..at]) <= 6);
    };
    let before = text[..at].rfind([' ', '<', '(', '[']).map_or("", |space| &text[..space]);
    let few = words(before) <= 8 && !before.contains(". ") || words(before) <= 4;
    few && !before.contains([':', '?', '!']) && !(before.is_empty() && text.starts_with('<'))
}

fn ends_in_verb(lower: &str) -> bool {
    let text = lower.trim_end_matches([':', '：', ' ', '\u{a0}', '>', '*']);
    VERBS.iter().any(|verb| {
        text.strip_suffix(verb).is_some_and(|rest| verb.starts_with(is_cjk) || !rest.ends_with(char::is_alphabetic))
    })
}
