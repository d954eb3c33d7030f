//! Text that fits a column: measured in columns of a terminal, and cut between what a reader sees as characters.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::terminal::escape;

/// The longest character of real writing, such as a family of emoji, has about 40 bytes. What is longer is an attack
/// on the terminal: thousands of accents on one letter.
const LONGEST_CHARACTER: usize = 64;

/// Text and its width.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::output) struct Fitted {
    pub(in crate::output) text: String,
    pub(in crate::output) width: usize,
}

/// Foreign text in at most `width` columns, with `…` at its end where it was cut.
pub(in crate::output) fn fit(text: &str, width: usize) -> Fitted {
    let mut fitted = Fitted::default();
    // Where to cut if the text turns out to be too long: bytes and columns.
    let mut cut = (0, 0);
    for character in escape(text).graphemes(true) {
        let character = if character.len() > LONGEST_CHARACTER { "\u{fffd}" } else { character };
        // What takes no room could be repeated without end.
        let columns = character.width();
        if columns == 0 {
            continue;
        }
        if fitted.width + columns > width {
            fitted.text.truncate(cut.0);
            fitted.width = cut.1;
            if width > 0 {
                fitted.text.push('…');
                fitted.width += 1;
            }
            return fitted;
        }
        fitted.text.push_str(character);
        fitted.width += columns;
        if fitted.width < width {
            cut = (fitted.text.len(), fitted.width);
        }
    }
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        let check = |text: &str, width: usize, expected: &str| {
            let fitted = fit(text, width);
            assert_eq!(fitted.text, expected);
            assert!(fitted.width <= width);
            assert_eq!(fitted.width, fitted.text.width());
        };
        check("meeting", 7, "meeting");
        check("meeting", 6, "meeti…");
        check("meeting", 1, "…");
        check("meeting", 0, "");
        check("会议邀请", 8, "会议邀请");
        check("会议邀请", 7, "会议邀…");
        check("会议邀请", 6, "会议…");
        check("会", 1, "…");
        check("👨‍👩‍👧‍👦👍🏽", 4, "👨‍👩‍👧‍👦👍🏽");
        check("👨‍👩‍👧‍👦👍🏽!", 4, "👨‍👩‍👧‍👦…");
        check("e\u{301}te\u{301}", 3, "e\u{301}te\u{301}");
        check("e\u{301}te\u{301}", 2, "e\u{301}…");
    }

    #[test]
    fn nothing_grows_without_taking_room() {
        assert_eq!(fit(&format!("a{}", "\u{301}".repeat(1000)), 9).text, "\u{fffd}");
        assert_eq!(fit(&"\u{200b}".repeat(1000), 9).text, "");
        assert_eq!(fit("a\u{1b}[2J", 9).text, "a\\u{1b}[…");
    }
}
