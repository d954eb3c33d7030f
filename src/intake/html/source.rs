//! Whether a plain text is the source of a page, which some programs send as text: its text is all inside elements, or
//! its lines end with `<br>`. A text that only talks about markup has words outside of it.

use super::tokens::{Token, VOID, is_any, tokens};

/// Elements of mail. Others, as in logs of XML, are no page.
#[rustfmt::skip]
const KNOWN: &[&str] = &[
    "a", "abbr", "address", "article", "b", "big", "blockquote", "body", "br", "button", "center", "code", "col", "dd",
    "del", "div", "dl", "dt", "em", "figure", "font", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "head",
    "header", "hr", "html", "i", "img", "input", "ins", "label", "li", "link", "main", "meta", "nobr", "ol", "p", "pre",
    "s", "section", "small", "span", "strike", "strong", "style", "sub", "sup", "table", "tbody", "td", "tfoot", "th",
    "thead", "title", "tr", "tt", "u", "ul", "wbr",
];
/// Elements that hold paragraphs: a fragment has one of them.
#[rustfmt::skip]
const BLOCKS: &[&str] = &[
    "article", "blockquote", "body", "center", "div", "h1", "h2", "h3", "h4", "html", "main", "ol", "p", "section",
    "span", "font", "table", "ul",
];
/// Signs of a template or program.
const CODE: &[&str] = &["{{", "{%", "<?php", "<%", "className="];
/// A longer text is not looked at, in bytes.
const LARGEST: usize = 2 << 20;
/// Fewer breaks are no habit.
const FEWEST_BREAKS: usize = 2;

/// True for the name of an element that stands in mail or Markdown.
pub fn is_element(name: &str) -> bool {
    KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// True for the source of a page.
pub fn is_source(text: &str) -> bool {
    if text.len() > LARGEST || !text.contains('<') || !text.contains('>') || CODE.iter().any(|sign| text.contains(sign))
    {
        return false;
    }
    let start = text.trim_start().as_bytes();
    let begins = |mark: &[u8]| start.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark));
    if begins(b"<?xml") && !text.contains("<html") {
        return false;
    }
    let all: Vec<Token<'_>> = tokens(text).collect();
    let is_page = begins(b"<!doctype html") || begins(b"<html") || begins(b"<?xml");
    let mut seen = Outline::default();
    seen.read(&all, is_page);
    let is_known = seen.unknown * 4 <= seen.known;
    let is_all_inside = seen.blocks > 0 && !seen.has_text;
    // The last line needs no break.
    let is_broken =
        seen.breaks > 0 && seen.breaks + seen.blocks >= FEWEST_BREAKS && seen.loose <= usize::from(seen.last_is_loose);
    is_known && (is_all_inside && seen.loose == 0 || is_broken)
}

/// What is outside of all elements, and how many there are.
#[derive(Default)]
struct Outline {
    known: usize,
    unknown: usize,
    blocks: usize,
    /// `<br>` that ends a line or stands between words.
    breaks: usize,
    has_text: bool,
    /// Lines of text that touch no tag, and tags that are talked about.
    loose: usize,
    last_is_loose: bool,
}

impl Outline {
    fn read(&mut self, all: &[Token<'_>], is_page: bool) {
        let closed = closed(all);
        // The end of the element that is open.
        let mut inside = 0;
        for (at, token) in all.iter().enumerate() {
            match *token {
                Token::Open(name, _) => {
                    let is_known = is_any(name, KNOWN);
                    self.known += usize::from(is_known);
                    // Outlook's own elements have a colon.
                    self.unknown += usize::from(!is_known && !name.contains(':'));
                    let end = closed[at].or((is_page && name.eq_ignore_ascii_case("html")).then_some(all.len()));
                    if let Some(end) = end.filter(|_| is_known && at >= inside) {
                        self.blocks += usize::from(is_any(name, BLOCKS));
                        inside = end;
                    } else if at >= inside {
                        self.outside(all, at, name);
                    }
                }
                Token::Text(text)
                    if at >= inside && !self.text(text, at > 0, at + 1 < all.len(), is_page && inside > 0) =>
                {
                    return;
                }
                _ => {}
            }
        }
    }

    /// A tag outside of all elements: a break, or one that is talked about.
    fn outside(&mut self, all: &[Token<'_>], at: usize, name: &str) {
        let before = at.checked_sub(1).and_then(|before| text_of(all.get(before)?));
        let behind = text_of(all.get(at + 1).unwrap_or(&Token::Text("")));
        let is_mentioned = before.is_some_and(|text| text.ends_with([' ', '`', '\'', '"', '(', '“', '„', '「', '「']))
            || behind
                .is_some_and(|text| text.starts_with(['`', '\'', '"', ',', '.', ')', '?', ':', ';', '”', '“', '」']));
        if is_any(name, &["br", "hr"]) && !is_mentioned {
            self.breaks += 1;
        } else if !is_any(name, VOID) && !is_any(name, &["p", "li"]) || is_mentioned {
            self.loose += 2;
        }
    }

    /// Text outside of all elements; false at a footer behind the page.
    fn text(&mut self, text: &str, follows_tag: bool, precedes_tag: bool, is_behind_page: bool) -> bool {
        let last = text.lines().count().saturating_sub(1);
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            let is_rule = line.len() > 1 && line.bytes().all(|byte| matches!(byte, b'-' | b'_' | b'=' | b'*'));
            if is_behind_page && is_rule {
                return false;
            }
            let touches = at == 0 && follows_tag || at == last && precedes_tag && !text.ends_with('\n');
            if !line.is_empty() {
                self.last_is_loose = !touches;
                self.loose += usize::from(!touches);
                self.has_text = true;
            }
        }
        true
    }
}

fn text_of<'a>(token: &Token<'a>) -> Option<&'a str> {
    if let Token::Text(text) = token { Some(text) } else { None }
}

/// The place behind the end tag of each element that has one.
fn closed(all: &[Token<'_>]) -> Vec<Option<usize>> {
    /// A broken page may leave many elements open.
    const DEEPEST: usize = 64;
    let mut closed = vec![None; all.len()];
    let mut open: Vec<(usize, &str)> = Vec::new();
    for (at, token) in all.iter().enumerate() {
        match *token {
            Token::Open(name, _) if !is_any(name, VOID) => open.push((at, name)),
            Token::Close(name) => {
                let found = open.iter().rev().take(DEEPEST).position(|(_, opened)| opened.eq_ignore_ascii_case(name));
                if let Some(up) = found {
                    let start = open.len() - 1 - up;
                    closed[open[start].0] = Some(at + 1);
                    open.truncate(start);
                }
            }
            _ => {}
        }
    }
    closed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_as_text() {
        for source in [
            "<html><body><p>Please pay.</p></body></html>",
            "<!DOCTYPE html>\n<html>\n<head><title>x</title></head>\n<body>\nPlease pay\nuntil Friday.\n</body>\n</html>\n",
            "<html><body>Please pay.</body></html>\n\n_____________\nusers mailing list\nusers@example.org\n",
            "<HTML><BODY><P>Please pay<BR>until Friday",
            "<div>Please pay<br>until Friday</div>\n<div>&nbsp;</div>\n<p>Regards</p>",
            "<p class=MsoNormal>Please pay.<o:p></o:p></p>",
            "Dear customer,<br><br>please pay until Friday.<br>Regards",
            "Dear customer,<br>\n<br />\nplease pay.<br>\n<br>\nBob\n",
            "Dear <b>customer</b>,<br>please pay.<br>\n<a href=\"http://x.example\">Here</a><br>",
            "<span style=\"color:red\">您好，请付款。</span><br/>谢谢",
        ] {
            assert!(is_source(source), "{source}");
        }
    }

    #[test]
    fn texts_about_markup() {
        for text in [
            "Why is this not centred?\n\n<div class=\"card\">\n  <p>Hello</p>\n</div>\n\nThanks, Bob",
            "<p> is a paragraph, and <br> breaks a line.",
            "Should I use <br>, <br/> or <br />?",
            "Replace <b>this</b> by <strong>that</strong> in the template.",
            "<!DOCTYPE html> at the top of my page does nothing. Why?",
            "<html>\n<body>\n<p>Hello</p>\n</body>\n</html>\n\nThis is my page. What is wrong?",
            "<?xml version=\"1.0\"?>\n<log><entry level=\"error\">disk full</entry></log>",
            "<event><id>5</id><body>disk full</body></event>",
            "2024-06-11 10:20 ERROR <request><id>5</id></request>\n2024-06-11 10:21 OK",
            "<div>{{ name }}</div>",
            "<bob@example.org> wrote:\n> <p>x</p>\n\nyes",
            "a < b and c > d",
            "I <b>really</b> mean it.\nBob",
            "Use \"<br>\" at the end\nof a line\nor \"<br/>\".\n",
            "plain",
            "",
        ] {
            assert!(!is_source(text), "{text}");
        }
    }
}
