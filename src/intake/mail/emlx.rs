//! Messages as Apple Mail keeps them (`.emlx`, `.partial.emlx`): the number of bytes on a line of its own, the message,
//! and a property list with its flags.

use crate::intake::sniff;

/// The longest first line: digits, and the blanks that Apple Mail puts behind them.
const LONGEST_LINE: usize = 32;
/// How the property list starts.
const LIST: &[u8] = b"<?xml version";

/// The message without what is around it; other bytes as they are.
pub(in crate::intake) fn message(bytes: &[u8]) -> &[u8] {
    inside(bytes).unwrap_or(bytes)
}

fn inside(bytes: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr(b'\n', &bytes[..bytes.len().min(LONGEST_LINE)])?;
    let digits = bytes[..end].trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let rest = &bytes[end + 1..];
    if sniff::known_headers(rest) == 0 {
        return None;
    }
    let is_end = |behind: &&[u8]| behind.trim_ascii().is_empty() || behind.trim_ascii_start().starts_with(LIST);
    if rest.get(length..).as_ref().is_some_and(is_end) {
        return Some(&rest[..length]);
    }
    // Some program has changed the message and not the number.
    let list = memchr::memmem::rfind(rest, LIST);
    let list = list.filter(|&at| memchr::memmem::find(&rest[at..], b"<plist").is_some());
    Some(&rest[..list.unwrap_or(rest.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_alone() {
        let mail = "From: a@b\nSubject: x\n\n<?xml version=\"1.0\"?> is how it starts.\n";
        let list = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist>\n<plist version=\"1.0\">\n</plist>\n";
        let length = mail.len();
        for (line, behind) in [
            (format!("{length}\n"), list),
            (format!("{length}        \r\n"), list),
            (format!("{length}\n"), ""),
            (format!("{length}\n"), "\n"),
            // A number that is wrong.
            (format!("{}\n", length + 5), list),
            ("7\n".into(), list),
            ("99999\n".into(), ""),
        ] {
            let file = format!("{line}{mail}{behind}");
            assert_eq!(message(file.as_bytes()).trim_ascii(), mail.trim().as_bytes(), "{file}");
        }
        for other in [mail, "12\nmonkeys\n", "12", "", "x\nSubject: y\n", "99999999999999999999999\nSubject: y\n"] {
            assert_eq!(message(other.as_bytes()), other.as_bytes());
        }
    }
}
