//! What an invitation (iCalendar, RFC 5545) says to a person: summary, time, place and description of its event.

/// The first event of a calendar as lines of text; `None` when it holds no event that says anything.
pub(super) fn event(source: &str) -> Option<String> {
    let unfolded = unfold(source);
    let mut fields = [const { None }; 4];
    // 0 outside an event, 1 in it, more in a part of it such as an alarm, which has a description of its own.
    let mut depth = 0u32;
    for line in unfolded.lines() {
        // A parameter may hold a quoted colon; none that matters here does.
        let Some((head, value)) = line.split_once(':') else {
            continue;
        };
        let name = head.split(';').next().unwrap_or(head).to_ascii_uppercase();
        match (name.as_str(), value.trim()) {
            ("BEGIN", "VEVENT") if depth == 0 => depth = 1,
            ("END", "VEVENT") => break,
            ("BEGIN", _) if depth > 0 => depth += 1,
            ("END", _) if depth > 1 => depth -= 1,
            ("SUMMARY", value) if depth == 1 => fields[0] = Some(unescape(value)),
            ("DTSTART", value) if depth == 1 => fields[1] = time(value),
            ("LOCATION", value) if depth == 1 => fields[2] = Some(unescape(value)),
            ("DESCRIPTION", value) if depth == 1 => fields[3] = Some(unescape(value)),
            _ => {}
        }
    }
    let said: Vec<String> = fields.into_iter().flatten().filter(|field| !field.trim().is_empty()).collect();
    (!said.is_empty()).then(|| said.join("\n"))
}

/// Long lines are folded: a line break and one blank in the middle of a value.
fn unfold(source: &str) -> String {
    source.replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "")
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
        assert_eq!(event(source).as_deref(), Some("Roadmap, part 2\n2024-06-18 14:30\nRoom 5"));
        let alarm_first = "BEGIN:VEVENT\nBEGIN:VALARM\nSUMMARY:Ring\nEND:VALARM\nSUMMARY:Party\nEND:VEVENT\n";
        assert_eq!(event(alarm_first).as_deref(), Some("Party"));
        assert_eq!(event("BEGIN:VEVENT\nDTSTART;VALUE=DATE:20240618\nEND:VEVENT").as_deref(), Some("2024-06-18"));
        assert_eq!(event("BEGIN:VCALENDAR\nEND:VCALENDAR"), None);
        assert_eq!(event("BEGIN:VEVENT\nSUMMARY:\nDTSTART:soon\n"), None);
    }
}
