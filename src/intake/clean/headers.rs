//! Header blocks inside a text: the From/Sent/To/Subject lines that Outlook and others write above a quoted or
//! forwarded message

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::lexicon;
use super::lines::{self, is_blank, trim};
use crate::intake::pattern;

/// The role of a header field, as a bit of a set
pub(super) const FROM: u8 = 1;
pub(super) const DATE: u8 = 2;
pub(super) const TO: u8 = 4;
pub(super) const SUBJECT: u8 = 8;
/// Copies, attachments, priorities: part of a block, but no evidence for one
pub(super) const OTHER: u8 = 16;
/// Fields that no mail program shows: somebody pasted a whole message, or the text is a digest
pub(super) const RAW: u8 = 32;

/// Names with the role `RAW`
const RAW_FIELDS: &[&str] = &[
    "message-id",
    "received",
    "return-path",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "precedence",
    "x-mailer",
    "x-priority",
    "references",
    "in-reply-to",
    "delivered-to",
    "list-id",
    "sender",
    "errors-to",
    "status",
    "x-status",
];

static ROLES: LazyLock<HashMap<&str, u8>> = LazyLock::new(|| {
    use lexicon::headers as names;
    let roles = [
        (FROM, names::FROM),
        (DATE, names::DATE),
        (TO, names::TO),
        (SUBJECT, names::SUBJECT),
        (OTHER, names::OTHER),
        (RAW, RAW_FIELDS),
    ];
    roles.into_iter().flat_map(|(role, names)| names.iter().map(move |&name| (name, role))).collect()
});

/// The longest name in the lexicon, in bytes, with room for emphasis marks around it
pub(super) const LONGEST_NAME: usize = 48;

/// A header block has at most this many lines, including wrapped values
const MOST_LINES: usize = 24;

/// A header block found in a text
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeaderBlock {
    /// Its lines
    pub lines: Range<usize>,
    /// The set of the roles of its fields
    pub roles: u8,
    /// The role of its first field
    pub first: u8,
}

impl HeaderBlock {
    /// True with sender, date and recipient, which nobody types by hand. Digests lack the recipient and start with the
    /// subject.
    pub(super) fn is_certain(&self) -> bool {
        self.roles & (FROM | DATE | TO) == FROM | DATE | TO && self.roles & RAW == 0 && self.first != SUBJECT
    }

    /// True with sender, date and subject or recipient: enough if there is no text above
    pub(super) fn is_complete(&self) -> bool {
        self.roles & (FROM | DATE) == FROM | DATE && self.roles & (TO | SUBJECT) != 0
    }

    /// True with sender and date: enough below the rule that Outlook writes
    pub(super) fn is_dated(&self) -> bool {
        self.roles & (FROM | DATE) == FROM | DATE
    }

    /// True with recipient and subject, as below a sender and a date without names
    pub(super) fn is_addressed(&self) -> bool {
        self.roles & (TO | SUBJECT) == TO | SUBJECT && self.roles & (FROM | RAW) == 0 && self.first == TO
    }

    /// True with a sender: enough below "Original Message"
    pub(super) fn names_sender(&self) -> bool {
        self.roles & FROM != 0
    }

    /// True with two fields: enough below a forward marker
    pub(super) fn is_likely(&self) -> bool {
        (self.roles & !(OTHER | RAW)).count_ones() >= 2
    }
}

/// Name and value of a header line like `Subject: x`, `*Von:* x`, `发件人：x`, and of a row like `| From | x |`
fn field(line: &str) -> Option<(&str, &str)> {
    if let Some((name, value)) = trim(line).strip_prefix('|').and_then(|row| row.split_once('|')) {
        let (name, value) = (trim(name), trim(value).trim_end_matches('|'));
        return (!name.is_empty() && name.len() <= LONGEST_NAME && !value.is_empty())
            .then(|| (name.trim_end_matches([':', '：']), value));
    }
    let line = trim(line).trim_start_matches(['*', '_', '|', ' ']);
    let (at, colon) =
        line.char_indices().take_while(|&(at, _)| at <= LONGEST_NAME).find(|&(_, c)| c == ':' || c == '：')?;
    let name = line[..at].trim_end_matches(['*', '_', ' ', '\u{a0}']);
    (!name.is_empty()).then(|| (name, &line[at + colon.len_utf8()..]))
}

/// The role of a header line
pub(super) fn role(line: &str) -> Option<u8> {
    role_of(field(line)?.0)
}

fn role_of(name: &str) -> Option<u8> {
    // CJK mail programs put spaces into names of two characters: "主 题".
    let name: String = if name.chars().any(lines::is_cjk) && !name.chars().any(|c| c.is_ascii_alphanumeric()) {
        let tight: String = name.chars().filter(|c| !c.is_whitespace()).collect();
        if ROLES.contains_key(tight.as_str()) { tight } else { name.to_string() }
    } else {
        lexicon::lower(name).replace('’', "'")
    };
    ROLES.get(name.as_str()).copied()
}

/// True for `word: Name <address>`, with which a block of any language begins
pub(super) fn may_be_sender(line: &str) -> bool {
    line.contains('@') && value(line).is_some_and(has_address)
}

/// The block that starts on this line, by its shape alone: a sender with an address, a date with a time, and at least
/// two more fields, one a line, unless nothing says that it is a header. Words are not known in every language. The
/// date stands second, or behind a recipient with an address, or anywhere if there is a title between rules above.
pub(super) fn shaped_at(lines: &[&str], start: usize, titled: bool) -> Option<HeaderBlock> {
    /// Sender, date, recipient, copy, subject, attachments, importance
    const MOST_FIELDS: usize = 7;
    let fields: Vec<&str> = lines[start..].iter().take(MOST_FIELDS).map_while(|line| value(line)).collect();
    if fields.len() < 4 || !(has_address(fields[0]) || titled && fields.iter().any(|field| has_address(field))) {
        return None;
    }
    let date = fields.iter().position(|field| has_date(field))?;
    // A form in somebody's own text has no recipient, and names its fields in a language that is known.
    let addresses = fields.iter().filter(|field| has_address(field)).count();
    let is_foreign = |name: &str| !name.is_ascii() && !name.chars().any(lines::is_cjk);
    let is_header = titled
        || addresses > 1
        || role(lines[start]) == Some(FROM)
        || field(lines[start]).is_some_and(|(name, _)| is_foreign(name));
    let is_block = is_header
        && (titled || date == 1 || (2..5).contains(&date) && fields[1..date].iter().any(|field| field.contains('@')));
    is_block.then(|| HeaderBlock { lines: start..start + fields.len(), roles: FROM | DATE | TO | SUBJECT, first: FROM })
}

/// True for a date with a year and a time
fn has_date(value: &str) -> bool {
    static YEAR: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(^|\P{Nd})\p{Nd}{4}(\P{Nd}|$)|\p{Nd}[/.]\p{Nd}{1,2}[/.]\p{Nd}{2}"));
    static TIME: LazyLock<Regex> = LazyLock::new(|| pattern(r"(^|\P{Nd})\p{Nd}{1,2} ?[:.h：] ?\p{Nd}{2}(\P{Nd}|$)"));
    value.len() <= 120 && YEAR.is_match(value) && TIME.is_match(value)
}

/// True where a field has an address or a date with a time, as mail programs write them. "From: Hamburg", "To: Vienna"
/// and a day are of a journey.
pub(super) fn is_evident(block: &[&str]) -> bool {
    block.iter().any(|line| line.contains('@') || has_date(line))
}

/// True for a line that is only a date with a time
pub(super) fn is_date(line: &str) -> bool {
    let line = trim(line);
    (8..=40).contains(&line.len()) && !line.contains('@') && lines::words(line) <= 6 && has_date(line)
}

/// True for the name of a sender's or recipient's field that stands alone, as cells of a table do
pub(super) fn is_cell(line: &str) -> bool {
    let name = trim(line);
    name.len() <= LONGEST_NAME && !name.contains(' ') && matches!(cell_role(name), Some(FROM | TO))
}

fn cell_role(line: &str) -> Option<u8> {
    let name = trim(line).trim_end_matches([':', '：']);
    if name.len() <= LONGEST_NAME { role_of(name) } else { None }
}

/// The block that starts on this line with names and values in turns, as the cells of a table are written: a sender
/// with an address and two more fields, or recipient and subject
fn cells_at(lines: &[&str], start: usize) -> Option<HeaderBlock> {
    let filled = |from: usize| lines::next_nonblank(lines, from).filter(|&i| i <= from + 1);
    let first = cell_role(lines[start])?;
    let mut roles = 0;
    let mut at = start;
    let mut end = start;
    while let Some(name) = filled(at) {
        let Some(role) = cell_role(lines[name]).filter(|role| roles & role == 0) else { break };
        let value = filled(name + 1);
        if role == FROM && !value.is_some_and(|value| lines[value].contains('@')) {
            return None;
        }
        roles |= role;
        // The value may be empty.
        end = value.filter(|&value| cell_role(lines[value]).is_none()).map_or(name, |value| value) + 1;
        at = end;
    }
    let is_block = if roles & FROM != 0 { roles.count_ones() >= 3 } else { roles & (TO | SUBJECT) == TO | SUBJECT };
    is_block.then_some(HeaderBlock { lines: start..end, roles, first })
}

/// The header that old Lotus Notes writes in columns, with the names at the right edge: where it starts and ends
pub(super) fn columns_at(lines: &[&str], at: usize) -> Option<Range<usize>> {
    const MOST: usize = 8;
    let column = |i: usize| lines[i].len() - lines[i].trim_start_matches(' ').len();
    let named = |i: usize, role: u8| column(i) >= 40 && role_of(trim(lines[i])) == Some(role);
    if !named(at, TO) {
        return None;
    }
    let subject = (at + 1..lines.len().min(at + MOST)).find(|&i| named(i, SUBJECT))?;
    let indented = |&i: &usize| is_blank(lines[i]) || column(i) >= MOST;
    let above = (at.saturating_sub(MOST)..at).rev().take_while(indented).last().unwrap_or(at);
    let below = (subject + 1..lines.len().min(subject + 4)).take_while(|i| !is_blank(lines[*i]) && indented(i)).last();
    Some(above..below.unwrap_or(subject) + 1)
}

/// The value of a line `word: value`, of at most three words before the colon
fn value(line: &str) -> Option<&str> {
    let (name, value) = field(line)?;
    let is_name = name.split_whitespace().count() <= 3
        && name.chars().all(|c| match c {
            '\'' | '.' | '-' | ' ' => true,
            _ if c.is_ascii() => c.is_ascii_alphabetic(),
            _ => !c.is_numeric(),
        });
    (is_name && !value.trim().is_empty()).then_some(value)
}

/// True for `<name@host>` and Outlook's `[mailto:name@host]`
fn has_address(value: &str) -> bool {
    let behind = value.split_once('<').or_else(|| value.split_once("[mailto:")).map(|(_, behind)| behind);
    behind.is_some_and(|behind| behind.contains('@') && behind.contains(['>', ']']))
}

/// The block that starts on this line. Values may be wrapped onto further lines, and conversion from HTML may leave one
/// blank line between fields.
pub(super) fn block_at(lines: &[&str], start: usize) -> Option<HeaderBlock> {
    let cells = || cells_at(lines, start);
    let Some(first) = role(lines[start]) else { return cells() };
    if field(lines[start]).is_some_and(|(_, value)| is_blank(value))
        && let Some(block) = cells()
    {
        return Some(block);
    }
    // Lotus Notes writes the date behind the sender.
    let dated = |i: usize, role: u8| if role == FROM && has_date(lines[i]) { role | DATE } else { role };
    let mut roles = dated(start, first);
    let mut end = start + 1;
    let mut i = start + 1;
    while i < lines.len() && i - start < MOST_LINES {
        if is_blank(lines[i]) {
            match lines::next_nonblank(lines, i) {
                Some(next)
                    if next == i + 1 && roles.count_ones() < 5 && role(lines[next]).is_some_and(|r| roles & r == 0) =>
                {
                    i = next;
                }
                _ => break,
            }
        }
        match role(lines[i]) {
            Some(role) => {
                roles |= dated(i, role);
                end = i + 1;
            }
            // A wrapped address list or subject: only if a field follows within two lines, or if the line is indented.
            None => {
                let next = (i + 1..lines.len().min(i + 3)).find(|&j| role(lines[j]).is_some());
                let joined = next.is_some_and(|n| (i..n).all(|j| !is_blank(lines[j])));
                if joined {
                    i = next.unwrap_or(i);
                    continue;
                }
                let hangs = lines[i].starts_with([' ', '\t']) && !lines[start].starts_with([' ', '\t']);
                if !(hangs && i == end) {
                    break;
                }
                end = i + 1;
            }
        }
        i += 1;
    }
    // The last cell of a table may be wrapped.
    let is_open = |i: usize| trim(lines[i]).starts_with('|') && !trim(lines[i]).ends_with('|');
    if is_open(end - 1) {
        let closing = (end..lines.len().min(end + 3)).find(|&i| trim(lines[i]).ends_with('|'));
        end = closing.map_or(end, |i| i + 1);
    }
    Some(HeaderBlock { lines: start..end, roles, first })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_in_many_languages() {
        for (line, expected) in [
            ("From: a@b", FROM),
            ("*Sent:* today", DATE),
            ("À : moi", TO),
            ("Envoyé le : lundi", DATE),
            ("发件人：张三", FROM),
            ("主 题: 你好", SUBJECT),
            ("Betreff: AW: x", SUBJECT),
            ("Copie à : ", OTHER),
            ("보낸 날짜: x", DATE),
            ("| From | Bob <b@example.com> |", FROM),
            ("| 日期 | 2024年06月11日 09:12 |", DATE),
        ] {
            assert_eq!(role(line), Some(expected), "{line}");
        }
        for line in ["", "| |", "| xy | b |", "| From |", "Note: this", "12:30", "http://x", "no colon", "::"] {
            assert_eq!(role(line), None, "{line}");
        }
    }

    #[test]
    fn blocks_span_wrapped_values() {
        let text = "From: Human Resources \n<a-long-address@example.com> \nSent: Monday\nTo: B\nSubject: x\n\nbody";
        let block = block_at(&lines::split(text), 0).unwrap();
        assert_eq!(block.lines, 0..5);
        assert!(block.is_certain());
    }

    #[test]
    fn blocks_of_any_language_have_a_shape() {
        let check = |text: &str, expected: Option<usize>| {
            let lines = lines::split(text);
            assert_eq!(shaped_at(&lines, 0, false).map(|block| block.lines.end), expected, "{text}");
            assert!(expected.is_none() || may_be_sender(lines[0]), "{text}");
        };
        check("چێک: Dana <a@b>\nرۆژ: 11 2024 09:12\nبۆ: Ali\nبابەت: x\n\nbody", Some(4));
        check("*Lähettäjä:* D <a@b>\n*Päivä:* 11.6.2024 klo 9.12\n*X:* y\n*Z:* w\n*V:* u\nbody", Some(5));
        check("| چێک | Dana <a@b> |\n| ڕۆژ | 11 2024 09:12 |\n| بۆ | Ali |\n| بابەت | x |\nbody", Some(4));
        check("Xy: D <a@b>\nXz: A <c@d>\nXa: 11 2024 09:12\nXb: x\nbody", Some(4));
        check("Name: Anna <a@b>\nBorn: 11.06.1984 at 09:12\nPassport: X123\nCity: Bonn\n\nPlease book the hotel", None);
        check("Customer: A <a@b>\nDelivery: 2024-06-11 09:12\nItem: two lamps\nAddress: x\nPlease deliver", None);
        check("| Name | Anna <a@b> |\n| Born | 11.06.1984 09:12 |\n| Passport | X123 |\n| City | Bonn |", None);
        check("Name: D <a@b>\nTable: 7\nArrival: 11 June 2024 09:12\nWish: x", None);
        check("De la: D <a@b>\nTrimis: 11 iunie 2024 09:12\nSubiect: x\n\nbody", None);
        check("Name: D <a@b>\nTelephone: 0123 456 789\nTopic: x\nText: y", None);
        check("I wrote to them: D <a@b> says\nwhat: 11 June 2024 09:12\na: b\nc: d", None);
        check("Name: D\nDate: 11 June 2024 09:12\nTopic: x\nText: y", None);
        check("Von: D <a@b> 11.06.2024 09:12\nAn: A <c@d>\nXa: y\nXb: x\nbody", None);
    }

    #[test]
    fn a_header_has_an_address_or_a_time() {
        let check = |text: &str, expected: bool| assert_eq!(is_evident(&lines::split(text)), expected, "{text}");
        check("From: Fox, Dana\nSent: Monday, June 10, 2024 3:15 PM\nTo: Smith, John\nSubject: x", true);
        check("发件人: 王芳\n发送时间: 2024年6月11日 9:12\n收件人: 林梅\n主题: x", true);
        check("Von: Dana\nGesendet: Mo 10.06.24 15:15\nAn: Ann\nBetreff: x", true);
        check("From: Dana <dana@example.org>\nDate: today\nTo: Ann", true);
        check("From: Hamburg\nTo: Vienna\nDate: 3 June 2024\nSeat: window", false);
        check("TO: all staff\nFROM: the board\nDATE: 3 June 2024\nRE: holidays", false);
    }

    #[test]
    fn tables_are_blocks() {
        let check = |text: &str, expected: usize| {
            let block = block_at(&lines::split(text), 0).unwrap();
            assert!(block.lines.end == expected && block.roles & (FROM | SUBJECT) == FROM | SUBJECT, "{text}");
        };
        check(
            "| From | Bob <b@example.com> |\n| Date | 06/11/2024 09:12 |\n| Cc | Ann<a@example.com>,\nAl<c@example.com> |\n| Subject | x |\n\nbody",
            5,
        );
        check("| From | Bob<b@example.com> |\n| Subject | a long\nsubject |\nbody", 3);
        check("From\nBob<b@example.com>\nDate\n06/11/2024 09:12\nTo\nAnn\n\nSubject\nx\nbody", 9);
        check("From\nb@example.com\nCc\n\nSubject\nx\n\nbody", 6);
        check("Subject:\nx\nFrom:\nb@example.com\nTo:\nAnn\n\nbody", 6);
        assert!(block_at(&lines::split("From\nParis\nTo\nLondon\nDate\n3 May"), 0).is_none());
    }

    #[test]
    fn columns_of_lotus_notes() {
        let right = |name: &str| format!("{name:>74} ");
        let text = format!(
            "Yes.\n\n             Bob Smith\n             <b@example.com>\n{}\n             03/28/2006 05:35          Ann\n             PM\n\n{}\n{:>45}\n\nbody",
            right("To"),
            right("Subject"),
            "RE: x"
        );
        let lines = lines::split(&text);
        assert_eq!((0..lines.len()).find_map(|i| columns_at(&lines, i)), Some(1..10));
    }

    #[test]
    fn a_form_is_no_certain_block() {
        let block = block_at(&lines::split("From: Bob\nSubject: printer\n\nbody"), 0).unwrap();
        assert!(!block.is_certain() && block.is_likely());
    }
}
