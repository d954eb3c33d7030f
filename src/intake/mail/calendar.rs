//! The details of an invitation (iCalendar, RFC 5545): summary, time, place and description of its event.

use crate::charset;

/// The details of an event, as its reader would see them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// Its summary.
    pub summary: Option<String>,
    /// Its start: `2024-06-18 14:30`, or only the day.
    pub start: Option<String>,
    /// Its place.
    pub place: Option<String>,
    /// Its description.
    pub description: Option<String>,
}

/// The first event of a calendar in the charset that its part declares; `None` if no event has details.
pub(super) fn event(source: &[u8], charset: Option<&str>) -> Option<Event> {
    let unfolded = charset::decode_declared(charset, &unfold(source));
    let mut event = Event::default();
    // 0 outside of an event, 1 in it, more in a component of it such as an alarm, which has its own description.
    let mut depth = 0u32;
    for line in unfolded.lines() {
        let Some((head, value)) = split_at_colon(line) else {
            continue;
        };
        let name = head.split(';').next().unwrap_or(head).to_ascii_uppercase();
        match (name.as_str(), value.trim()) {
            ("BEGIN", "VEVENT") if depth == 0 => depth = 1,
            ("END", "VEVENT") => break,
            ("BEGIN", _) if depth > 0 => depth += 1,
            ("END", _) if depth > 1 => depth -= 1,
            ("SUMMARY", value) if depth == 1 => event.summary = said(value),
            ("DTSTART", value) if depth == 1 => event.start = time(value),
            ("LOCATION", value) if depth == 1 => event.place = said(value),
            ("DESCRIPTION", value) if depth == 1 => event.description = said(value),
            _ => {}
        }
    }
    (event != Event::default()).then_some(event)
}

/// Splits at the first colon outside of a quoted parameter, such as the name of a time zone.
fn split_at_colon(line: &str) -> Option<(&str, &str)> {
    let mut is_quoted = false;
    let at = line.bytes().position(|byte| {
        is_quoted ^= byte == b'"';
        byte == b':' && !is_quoted
    })?;
    Some((&line[..at], &line[at + 1..]))
}

/// The text of a field unless it is blank.
fn said(value: &str) -> Option<String> {
    Some(unescape(value)).filter(|text| !text.trim().is_empty())
}

/// Long lines are folded by a line break and one blank inside a value, or inside a character: by the number of bytes.
fn unfold(source: &[u8]) -> Vec<u8> {
    let mut unfolded = Vec::with_capacity(source.len());
    for line in source.split_inclusive(|&byte| byte == b'\n') {
        let folded = line.strip_prefix(b" ").or(line.strip_prefix(b"\t")).filter(|_| !unfolded.is_empty());
        if folded.is_some() {
            unfolded.pop_if(|byte| *byte == b'\n');
            unfolded.pop_if(|byte| *byte == b'\r');
        }
        unfolded.extend_from_slice(folded.unwrap_or(line));
    }
    unfolded
}

fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n' | 'N') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            _ => out.push(c),
        }
    }
    out
}

/// `20240618T143000Z` as `2024-06-18 14:30`, a date alone as `2024-06-18`.
fn time(value: &str) -> Option<String> {
    let digits: Vec<char> = value.chars().filter(char::is_ascii_digit).collect();
    let part = |from: usize, to: usize| digits.get(from..to).map(|d| d.iter().collect::<String>());
    let date = format!("{}-{}-{}", part(0, 4)?, part(4, 6)?, part(6, 8)?);
    Some(match (part(8, 10), part(10, 12)) {
        (Some(hour), Some(minute)) => format!("{date} {hour}:{minute}"),
        _ => date,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_in_words() {
        let source = "BEGIN:VCALENDAR\r\nBEGIN:VTIMEZONE\r\nDTSTART:19700101T000000\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\n\
                      DTSTART;TZID=Europe/Berlin:20240618T143000\r\nSUMMARY:Roadmap\\, pa\r\n rt 2\r\nLOCATION:Room 5\r\n\
                      BEGIN:VALARM\r\nDESCRIPTION:Reminder\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        let check = |source: &str, expected: [Option<&str>; 4]| {
            let found = event(source.as_bytes(), None).unwrap();
            let fields = [&found.summary, &found.start, &found.place, &found.description];
            assert_eq!(fields.map(|field| field.as_deref()), expected);
        };
        check(source, [Some("Roadmap, part 2"), Some("2024-06-18 14:30"), Some("Room 5"), None]);
        let alarm_first = "BEGIN:VEVENT\nBEGIN:VALARM\nSUMMARY:Ring\nEND:VALARM\nSUMMARY:Party\nEND:VEVENT\n";
        check(alarm_first, [Some("Party"), None, None, None]);
        check("BEGIN:VEVENT\nDTSTART;VALUE=DATE:20240618\nEND:VEVENT", [None, Some("2024-06-18"), None, None]);
        let quoted = "BEGIN:VEVENT\nDTSTART;TZID=\"(UTC+01:00) Amsterdam, Berlin\":20240618T143000\n\
                      LOCATION;ALTREP=\"http://x/y\":Room 5\nEND:VEVENT";
        check(quoted, [None, Some("2024-06-18 14:30"), Some("Room 5"), None]);
        assert_eq!(event(b"BEGIN:VCALENDAR\nEND:VCALENDAR", None), None);
        assert_eq!(event(b"BEGIN:VEVENT\nSUMMARY:\nDTSTART:soon\n", None), None);
    }
    #[test]
    fn lines_that_are_folded_inside_a_character() {
        let source = "BEGIN:VEVENT\r\nSUMMARY:六月份的发票会议\r\nEND:VEVENT\r\n".as_bytes();
        for at in 23..44 {
            let folded = [&source[..at], b"\r\n ", &source[at..]].concat();
            for charset in [None, Some("utf-8"), Some("us-ascii")] {
                let summary = event(&folded, charset).unwrap().summary;
                assert_eq!(summary.as_deref(), Some("六月份的发票会议"), "{at}");
            }
        }
    }
}
