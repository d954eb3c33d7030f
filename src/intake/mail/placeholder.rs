//! Whether the plain form of a message only stands for the page beside it: "your program cannot show this message", a
//! link to it, an ellipsis. No list of phrases tells, but what the page says: a form of the same text says the same.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::intake::pattern;

/// A shorter text loses to a page with this many times its characters, whatever it says.
const TERSE: usize = 100;
const TIMES: usize = 5;
/// A longer text is no placeholder.
const LONGEST: usize = 2000;
/// Letters in a row by which texts are compared. Few are in two texts of one language by accident.
const WINDOW: u32 = 6;
/// A page is compared up to here, in characters.
const COMPARED: usize = 512 * 1024;

/// True if the page must be rendered to tell whether the text stands for it, judging by the page's source.
pub(super) fn may_be(plain: &str, source: &str) -> bool {
    let plain = without_links(plain);
    let length = length(&plain);
    length < TERSE || length <= LONGEST && !says(source_text(source), &plain)
}

/// True if the text says less than the page, so that the page is the message.
pub(super) fn is(plain: &str, page: &str) -> bool {
    let (plain, page) = (without_links(plain), without_links(page));
    let has_words = |text: &str| text.chars().any(char::is_alphanumeric);
    if !has_words(&plain) || !has_words(&page) {
        return has_words(&page);
    }
    let (less, more) = (length(&plain), length(&page));
    less < TERSE && more > TIMES * less || less <= LONGEST && more > less && !says(page.chars(), &plain)
}

fn without_links(text: &str) -> String {
    static LINK: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\b(?:(?:https?|ftp)://|www\.|mailto:)[!-~]*"));
    LINK.replace_all(text, " ").into_owned()
}

fn length(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

/// The characters of a page outside its tags, from its body on.
fn source_text(source: &str) -> impl Iterator<Item = char> {
    let body = |tag: &[u8]| memchr::memmem::find(source.as_bytes(), tag);
    let start = body(b"<body").or_else(|| body(b"<BODY")).unwrap_or(0);
    let mut is_tag = false;
    source[start..].chars().filter(move |&c| {
        is_tag |= c == '<';
        let is_text = !is_tag;
        is_tag &= c != '>';
        is_text
    })
}

/// True if at least half of a text is among other characters, as far as letters and digits go.
fn says(characters: impl Iterator<Item = char>, text: &str) -> bool {
    let mut missing: HashSet<u128> = windows(text.chars()).collect();
    let enough = missing.len() / 2;
    let mut found = windows(characters.take(COMPARED)).filter(|window| missing.remove(window));
    enough == 0 || found.nth(enough - 1).is_some()
}

/// Each letter with those before it.
fn windows(characters: impl Iterator<Item = char>) -> impl Iterator<Item = u128> {
    const BITS: u32 = 21;
    let letters = characters.filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase);
    let windows = letters.scan(0u128, |window, c| {
        *window = (*window << BITS | u128::from(u32::from(c))) & ((1 << (BITS * WINDOW)) - 1);
        Some(*window)
    });
    windows.skip(WINDOW as usize - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = "Dear customer, your order of two lamps has left our warehouse and comes on Thursday between \
        nine and noon. Please be at home or name a neighbour who takes it. Questions? Write to us, we answer within a day.";

    fn check(plain: &str, page: &str, expected: bool) {
        assert_eq!(is(plain, page), expected, "{plain}");
        assert!(!expected || may_be(plain, page), "{plain}");
    }

    #[test]
    fn what_stands_for_a_page() {
        let page = ORDER.repeat(5);
        for plain in [
            "…",
            "-",
            "https://news.example.com/v/8f3a91c2?u=77&x=0123456789012345678901234567890123456789",
            "View in browser: https://news.example.com/v/8f3a91c2",
            "This newsletter is written in HTML. If you can read these lines, your program shows plain text only. Ask \
             whoever looks after it for help, or open the page under https://news.example.com/v/8f3a91c2 instead.",
            "此邮件为网页格式，您的邮件程序无法显示其内容。请更换程序，或者在浏览器中打开下面的链接阅读全文。",
            "Diese Nachricht liegt nur als Webseite vor. Ihr Programm zeigt keine Webseiten an; bitte wechseln Sie die \
             Ansicht oder öffnen Sie den folgenden Verweis in Ihrem Browser, um sie vollständig zu lesen.",
        ] {
            check(plain, &page, true);
        }
        check("Votre logiciel ne montre pas ce message, ouvrez-le dans un navigateur", ORDER, true);
    }

    #[test]
    fn what_is_the_text_itself() {
        check(ORDER, ORDER, false);
        check(
            &ORDER.replace(' ', "\n> "),
            &format!("Our shop {ORDER} Unsubscribe here. {}", "Imprint. ".repeat(60)),
            false,
        );
        check(ORDER, "Dear customer, see the picture.", false);
        check("Yes, on Friday.", "Yes, on Friday. Bob", false);
        check("您好，六月份的发票已经收到，谢谢。", "您好，六月份的发票已经收到，谢谢。财务部", false);
        check("https://news.example.com/1", "", false);
        check("", "", false);
        check(&"No page says what this long text says. ".repeat(80), &ORDER.repeat(20), false);
    }

    #[test]
    fn the_source_tells_mostly() {
        let source =
            format!("<html><style>p {{}}</style><body class=x><p>{}</p></body>", ORDER.replace("your", "<b>your</b>"));
        assert!(!may_be(ORDER, &source));
        assert!(may_be("…", &source));
    }
}
