//! `Content-Length` in an mbox: what it says, and whether that is right.

use super::separator::{Before, begins_mail};

/// How far behind a separator the end that a length promises is looked for. Beyond it, the length is not believed.
pub(super) const LOOK_AHEAD: u64 = 16 * 1024 * 1024;

/// So much of the next mail's header block is searched for a length.
const LONGEST_BLOCK: usize = 64 * 1024;

/// What is known of where a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// Nothing.
    None,
    /// Its header says how many bytes the body has.
    Said(u64),
    /// Where in the stream the body ends if that is right.
    Ends(u64),
    /// Where the body does end.
    Holds(u64),
}

impl Length {
    /// What is known after another line of the header block. Of several lengths the last counts, which a delivery agent
    /// wrote below what came with the mail.
    pub(super) fn or_said(self, line: &[u8]) -> Self {
        content_length(line).unwrap_or(self)
    }

    /// What is known where the body begins.
    pub(super) fn from(self, body: u64) -> Self {
        match self {
            Length::Said(bytes) => body.checked_add(bytes).map_or(Length::None, Length::Ends),
            other => other,
        }
    }
}

/// The length that a header line gives; [`Length::None`] for one that is no number or larger than any file.
fn content_length(line: &[u8]) -> Option<Length> {
    const NAME: &[u8] = b"content-length";
    let is_named = line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME);
    let value = line[NAME.len().min(line.len())..].trim_ascii_start().strip_prefix(b":").filter(|_| is_named)?;
    let digits = str::from_utf8(value.trim_ascii()).ok().filter(|value| !value.starts_with('+'));
    Some(digits.and_then(|digits| digits.parse().ok()).map_or(Length::None, Length::Said))
}

/// True when a mail ends at byte `at` of `bytes`, which hold what comes next in the stream, all of it when `ended`: it
/// is the end of the file, or a mail begins there that has a length too, as all mails of such a mailbox have. A line
/// break more or less is forgiven. `None` when more bytes are needed to tell.
pub(super) fn is_end(bytes: &[u8], at: usize, ended: bool) -> Option<bool> {
    if !ended && bytes.len() < at + 5 {
        return None;
    }
    let Some((body, rest)) = bytes.split_at_checked(at) else {
        return Some(false);
    };
    let next = without_line_break(without_line_break(rest));
    if next.is_empty() {
        return ended.then_some(true);
    }
    if !body.ends_with(b"\n") && next.len() == rest.len() {
        return Some(false);
    }
    match begins_mail(next, Before::Blank, ended)? {
        true => has_length(next, ended),
        false => Some(false),
    }
}

fn without_line_break(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\r\n").or(bytes.strip_prefix(b"\n")).unwrap_or(bytes)
}

/// True when the header block with which `bytes` begin gives a length.
fn has_length(bytes: &[u8], ended: bool) -> Option<bool> {
    let block = &bytes[..bytes.len().min(LONGEST_BLOCK)];
    for line in block.split_inclusive(|&b| b == b'\n') {
        if matches!(line, b"\n" | b"\r\n") {
            return Some(false);
        }
        if line.ends_with(b"\n") && matches!(content_length(line), Some(Length::Said(_))) {
            return Some(true);
        }
    }
    (ended || block.len() == LONGEST_BLOCK).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        let said = |line: &str| Length::None.or_said(line.as_bytes());
        assert_eq!(said("Content-Length: 12\r\n"), Length::Said(12));
        assert_eq!(said("CONTENT-LENGTH :7\n"), Length::Said(7));
        for wrong in ["-1", "+1", "", "1e3", "12 x", "1000000000000000000000000000000", "\u{661}"] {
            assert_eq!(said(&format!("Content-Length: {wrong}\n")), Length::None, "{wrong}");
        }
        assert_eq!(Length::Said(1).or_said(b"Content-Length: x\n"), Length::None, "the last counts");
        assert_eq!(Length::Said(1).or_said(b"Content-Length"), Length::Said(1));
        assert_eq!(Length::Said(1).or_said(b"Content-Lengths: 3\n"), Length::Said(1));
        assert_eq!(Length::Said(u64::MAX).from(1), Length::None);
    }

    #[test]
    fn ends() {
        let mailbox = b"body\n\nFrom a Sat Jan  3 01:05:34 1996\nA: b\nContent-Length: 2\n\nx\n";
        let right: Vec<usize> = (0..=mailbox.len() + 9).filter(|&at| is_end(mailbox, at, true) == Some(true)).collect();
        // A line break more or less, and the end of the file.
        assert_eq!(right, [4, 5, 6, mailbox.len() - 1, mailbox.len()]);
        for at in 0..=mailbox.len() {
            let known = is_end(mailbox, at, true);
            for end in 0..mailbox.len() {
                let part = is_end(&mailbox[..end], at, false);
                assert!(part.is_none() || part == known, "{at} {end}");
            }
        }
        let without = b"body\n\nFrom a Sat Jan  3 01:05:34 1996\nA: b\n\nx\n";
        assert_eq!(is_end(without, 5, true), Some(false), "the next mail has no length");
    }
}
