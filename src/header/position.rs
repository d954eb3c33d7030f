//! Where a field goes, so that every mail program reads it and takes no other line for its continuation.
//!
//! Python's email ends the header block at the first malformed line and takes a lone carriage return for a line end.
//! formail ends it there too, but not at a carriage return. procmail, reformail, maildrop and Dovecot read on to the
//! blank line. To reformail and maildrop a line that begins with any white space, such as a form feed, continues the
//! one before. All but formail ignore continuation lines before the first field.

use crate::charset::BYTE_ORDER_MARK;

/// A position in a header block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) at: usize,
    pub(super) form: FieldForm,
}

/// How fields are written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldForm {
    /// As lines.
    Lines,
    /// As lines, and a blank one: what follows is the body to the programs that end the block here, and would continue
    /// the field to the others.
    ThenBlank,
    /// After a line end, and without one: the line before has none, and nothing else can be a position.
    OnNewLine,
}

impl Position {
    /// The end of a header block, or the first line at which a program ends it. If the line there could continue a
    /// field, the position is before the last field instead.
    pub(super) fn of(block: &[u8]) -> Self {
        let lines = |at: usize| Self { at, form: FieldForm::Lines };
        let (mut at, mut field, mut has_envelope, mut top) = (0, None, true, 0);
        for line in block.split_inclusive(|&byte| byte == b'\n') {
            let start = at;
            at += line.len();
            let mark = if start == 0 && line.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
            let text = &line[mark..];
            let is_whole = has_whole_lines(text);
            match text {
                b"\n" | b"\r\n" if mark == 0 => return lines(start),
                [b' ' | b'\t', ..] if is_whole => has_envelope = false,
                [b' ' | b'\t', ..] => return field.map_or(Self { at: top, form: FieldForm::ThenBlank }, lines),
                [b'\x0b' | b'\x0c' | b'\r', ..] => {
                    return field.map_or(Self { at: start, form: FieldForm::ThenBlank }, lines);
                }
                // Of old mbox files: programs skip them.
                _ if has_envelope && is_whole && is_envelope(text, start == 0) => top = at,
                _ if is_field(text) && is_whole => (field, has_envelope) = (Some(start + mark), false),
                _ if is_field(text) => return lines(start + mark),
                _ => return lines(start),
            }
        }
        match (block.last(), field) {
            (None | Some(b'\n'), _) => lines(at),
            (_, Some(field)) => lines(field),
            (_, None) => Self { at, form: FieldForm::OnNewLine },
        }
    }
}

/// True for the line before the header block in an mbox file, and for older ones behind it.
fn is_envelope(line: &[u8], is_first: bool) -> bool {
    line.starts_with(b">From ") || (is_first && line.starts_with(b"From "))
}

/// True for the first line of a field. Python's email allows no white space between name and colon.
fn is_field(line: &[u8]) -> bool {
    let name = line.iter().position(|&byte| byte == b':' || !matches!(byte, 0x21..=0x7e)).unwrap_or_default();
    name > 0 && line[name] == b':'
}

/// True unless a lone carriage return in a line begins what is neither a field nor a continuation.
fn has_whole_lines(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut behind = line.split(|&byte| byte == b'\r').skip(1);
    behind.all(|part| part.starts_with(b" ") || part.starts_with(b"\t") || is_field(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions() {
        let check = |block: &str, at: usize, form: FieldForm| {
            assert_eq!(Position::of(block.as_bytes()), Position { at, form }, "{block:?}");
        };
        for (block, at) in [
            ("To: y\n\n", 6),
            ("To: y\r\n\r\n", 7),
            ("To: y\n", 6),
            ("To: y", 0),
            ("", 0),
            ("\n", 0),
            ("From a\n>From b\nTo: y\n\n", 21),
            // A line that programs differ on.
            ("To: y\nCc : z\n\n", 6),
            ("To: y\n: z\n\n", 6),
            ("To: y\n\0z\n\n", 6),
            ("To: y\nFrom z\n\n", 6),
            ("To: y\nFrom z: a\n\n", 6),
            // A line that may be a continuation.
            ("Cc: x\nTo: y\n\x0cz\n\n", 6),
            ("Cc: x\nTo: y\n z\n\x0bz\n\n", 6),
            ("To: y\n\rz\n\n", 0),
            ("To: y\n z\r\rz\n\n", 0),
            // Lone carriage returns.
            ("To: y\rCc: z\n\n", 12),
            ("To: y\r z\n\n", 9),
            ("To: y\r\rz\n\n", 0),
            ("To: y\nCc: z\rprose\n\n", 6),
            ("To: y\nCc: z\r\r\n\n", 6),
            // Continuations of nothing.
            (" x\nTo: y\n\n", 9),
            (" x\nprose\n", 3),
            (" x\n\n", 3),
        ] {
            check(block, at, FieldForm::Lines);
        }
        check("\x0cx\nTo: y\n\n", 0, FieldForm::ThenBlank);
        check("\rx\nTo: y\n\n", 0, FieldForm::ThenBlank);
        check(" x\n\x0cx\n", 3, FieldForm::ThenBlank);
        check("From a\n x\r\rx\n", 7, FieldForm::ThenBlank);
        check(" x", 2, FieldForm::OnNewLine);
        check("From a", 6, FieldForm::OnNewLine);
    }
}
