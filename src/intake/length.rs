//! `Content-Length` in an mbox, and whether it is right.

use super::separator::{Before, begins_mail};

/// How far ahead the end that a length gives is checked. A longer length is ignored.
pub(super) const LOOK_AHEAD: u64 = 16 * 1024 * 1024;

/// How much of the next message's header block is searched for a length.
const LONGEST_BLOCK: usize = 64 * 1024;

/// What is known about the end of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// Nothing.
    None,
    /// The header gives the length of the body in bytes.
    Said(u64),
    /// The offset at which the body ends if the length is right.
    Ends(u64),
    /// The offset at which the body ends; checked.
    Holds(u64),
}

impl Length {
    /// Updates it by a line of the header block. The last of several lengths counts, because the delivery agent
    /// writes its own below those that came with the message.
    pub(super) fn or_said(self, line: &[u8]) -> Self {
        content_length(line).unwrap_or(self)
    }

    /// Updates it at the start of the body.
    pub(super) fn from(self, body: u64) -> Self {
        match self {
            Length::Said(bytes) => body.checked_add(bytes).map_or(Length::None, Length::Ends),
            other => other,
        }
    }
}

/// The length in a header line; [`Length::None`] if it is not a number or is larger than any file.
fn content_length(line: &[u8]) -> Option<Length> {
    const NAME: &[u8] = b"content-length";
    let is_named = line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME);
    let value = line[NAME.len().min(line.len())..].trim_ascii_start().strip_prefix(b":").filter(|_| is_named)?;
    let digits = str::from_utf8(value.trim_ascii()).ok().filter(|value| !value.starts_with('+'));
    Some(digits.and_then(|digits| digits.parse().ok()).map_or(Length::None, Length::Said))
}

/// True if a message ends at byte `at` of `bytes`: the file ends there, or a message starts there that has a length
/// too. One line break more or less is accepted. `bytes` are the next bytes of the stream, all of them if `ended`;
/// `None` if more are needed.
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

/// True if the header block at the start of `bytes` gives a length.
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
        // One line break more or less, and the end of the file.
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
