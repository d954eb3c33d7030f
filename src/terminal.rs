//! Escapes foreign text for a terminal.

/// Escapes foreign text for a terminal, as one line. Control characters can move the cursor, change the title of the
/// window or worse. Bidirectional overrides can make a line read as something else.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let separator = matches!(c, '\u{2028}' | '\u{2029}');
        let bidirectional = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || separator || bidirectional {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Like [`escape`], but keeps line breaks: for messages that are made of lines, in which what is foreign has none.
pub fn escape_lines(text: &str) -> String {
    text.split('\n').map(escape).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attacks_on_terminals_are_shown() {
        assert_eq!(escape("\u{1b}]0;owned\u{7}"), "\\u{1b}]0;owned\\u{7}");
        assert_eq!(escape("a\rb"), "a\\rb");
        assert_eq!(escape("a\u{9b}31mb"), "a\\u{9b}31mb");
        assert_eq!(escape("evil\u{202e}txt.exe"), "evil\\u{202e}txt.exe");
        assert_eq!(escape("two\nlines\u{2028}three"), "two\\nlines\\u{2028}three");
        assert_eq!(escape("grüße 会议"), "grüße 会议");
    }

    #[test]
    fn our_own_line_breaks_stay() {
        assert_eq!(escape_lines("a\nb\r\u{1b}[2J\n"), "a\nb\\r\\u{1b}[2J\n");
    }
}
