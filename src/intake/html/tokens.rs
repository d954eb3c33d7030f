//! A linear tokenizer: enough of HTML to bound, cut and strip it before anything slower sees it

/// A piece of HTML. What nobody reads (comments, doctypes, scripts) never becomes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Text with its character references as they stand
    Text(&'a str),
    /// A start tag: its name as written, and everything between the name and `>`
    Open(&'a str, &'a str),
    /// An end tag
    Close(&'a str),
    /// The contents of a `<style>` element
    Style(&'a str),
}

/// Elements whose contents are no text
pub(super) const UNREAD: &[&str] =
    &["script", "title", "textarea", "iframe", "noembed", "noframes", "object", "svg", "math", "template", "xml"];

/// Elements without contents and end tag
#[rustfmt::skip]
pub(super) const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr", "basefont", "bgsound", "frame", "keygen",
];

/// The tokens of an HTML text, one pass, each byte looked at a bounded number of times
pub(super) struct Tokens<'a> {
    html: &'a str,
    at: usize,
    /// Set behind `<style>`: what follows is its contents
    style: bool,
}

/// Tokenize
pub(super) fn tokens(html: &str) -> Tokens<'_> {
    Tokens { html, at: 0, style: false }
}

/// Is the tag one of these, whatever its case?
pub(super) fn is_any(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let html = self.html;
        if std::mem::take(&mut self.style) {
            let end = end_of_raw(html, self.at, "style");
            let css = &html[self.at..end];
            self.at = end;
            return Some(Token::Style(css));
        }
        while self.at < html.len() {
            let start = self.at;
            let bytes = html.as_bytes();
            if !begins_markup(bytes, start) {
                let end = (start + 1..html.len()).find(|&i| begins_markup(bytes, i)).unwrap_or(html.len());
                self.at = end;
                return Some(Token::Text(&html[start..end]));
            }
            match bytes[start + 1] {
                b'!' | b'?' => self.at = end_of_declaration(html, start),
                b'/' if bytes.get(start + 2).is_some_and(u8::is_ascii_alphabetic) => {
                    let name = end_of_name(bytes, start + 2);
                    self.at = end_of_tag(bytes, name);
                    return Some(Token::Close(&html[start + 2..name]));
                }
                b'/' => self.at = end_of_tag(bytes, start + 2),
                _ => {
                    let name = end_of_name(bytes, start + 1);
                    self.at = end_of_tag(bytes, name);
                    let tag = &html[start + 1..name];
                    let inside = html.get(name..self.at.saturating_sub(1)).unwrap_or("");
                    self.style = tag.eq_ignore_ascii_case("style");
                    if is_any(tag, UNREAD) && !inside.ends_with('/') {
                        self.at = end_of_raw(html, self.at, tag);
                        continue;
                    }
                    return Some(Token::Open(tag, inside));
                }
            }
        }
        None
    }
}

fn begins_markup(bytes: &[u8], at: usize) -> bool {
    bytes[at] == b'<' && bytes.get(at + 1).is_some_and(|&b| b.is_ascii_alphabetic() || matches!(b, b'!' | b'?' | b'/'))
}

fn end_of_name(bytes: &[u8], from: usize) -> usize {
    let is_end = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'>' | b'/') || !b.is_ascii();
    bytes[from..].iter().position(is_end).map_or(bytes.len(), |n| from + n)
}

/// Behind the `>` that ends the tag, which is not one inside a quoted attribute value
fn end_of_tag(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    let mut value = false;
    while at < bytes.len() {
        match bytes[at] {
            b'>' => return at + 1,
            b'=' => value = true,
            quote @ (b'"' | b'\'') if value => {
                value = false;
                at += 1 + bytes[at + 1..].iter().position(|&b| b == quote).unwrap_or(bytes.len() - at - 1);
            }
            b if b.is_ascii_whitespace() => {}
            _ => value = false,
        }
        at += 1;
    }
    bytes.len()
}

/// Behind a comment, doctype or processing instruction
fn end_of_declaration(html: &str, start: usize) -> usize {
    let (from, end) = if html[start..].starts_with("<!--") { (start + 2, "-->") } else { (start + 1, ">") };
    html[from..].find(end).map_or(html.len(), |n| from + n + end.len())
}

/// Where the end tag of an element with raw contents begins
fn end_of_raw(html: &str, from: usize, name: &str) -> usize {
    let bytes = html.as_bytes();
    let is_end = |&i: &usize| {
        bytes[i] == b'<'
            && bytes.get(i + 1) == Some(&b'/')
            && bytes.get(i + 2..i + 2 + name.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(name.as_bytes()))
    };
    (from..bytes.len()).find(is_end).unwrap_or(bytes.len())
}

/// The value of an attribute, as it stands
pub(super) fn attribute<'a>(inside: &'a str, name: &str) -> Option<&'a str> {
    let bytes = inside.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at].is_ascii_whitespace() || bytes[at] == b'/' {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && !bytes[at].is_ascii_whitespace() && bytes[at] != b'=' {
            at += 1;
        }
        let found = inside[start..at].eq_ignore_ascii_case(name);
        let mut equals = at;
        while equals < bytes.len() && bytes[equals].is_ascii_whitespace() {
            equals += 1;
        }
        let mut value = "";
        if bytes.get(equals) == Some(&b'=') {
            at = equals + 1;
            while at < bytes.len() && bytes[at].is_ascii_whitespace() {
                at += 1;
            }
            let quote = bytes.get(at).copied().filter(|b| matches!(b, b'"' | b'\''));
            let from = at + usize::from(quote.is_some());
            let ends = |&b: &u8| quote.map_or(b.is_ascii_whitespace(), |quote| b == quote);
            let end = bytes[from.min(bytes.len())..].iter().position(ends).map_or(bytes.len(), |n| from + n);
            value = inside.get(from..end).unwrap_or("");
            at = end + usize::from(quote.is_some());
        } else if at == start {
            at += 1;
        }
        if found {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::Token::*;
    use super::*;

    #[test]
    fn tokens_of_ordinary_and_broken_html() {
        for (html, expected) in [
            ("a<b>c</b>", vec![Text("a"), Open("b", ""), Text("c"), Close("b")]),
            ("1 < 2 <- 3", vec![Text("1 < 2 <- 3")]),
            ("<a title='x>y' href=z>t", vec![Open("a", " title='x>y' href=z"), Text("t")]),
            ("a<!-- <b> -->c<!doctype x>d", vec![Text("a"), Text("c"), Text("d")]),
            ("<style>p{}</style>x", vec![Open("style", ""), Style("p{}"), Close("style"), Text("x")]),
            ("<SCRIPT>if (a<b)</Script>x", vec![Close("Script"), Text("x")]),
            ("x<!-- never closed <p>y", vec![Text("x")]),
            ("x<a href=\"never closed", vec![Text("x"), Open("a", " href=\"never close")]),
            ("x<style>never closed", vec![Text("x"), Open("style", ""), Style("never closed")]),
            ("<", vec![Text("<")]),
            ("é<é", vec![Text("é<é")]),
        ] {
            assert_eq!(tokens(html).collect::<Vec<_>>(), expected, "{html}");
        }
    }

    #[test]
    fn attributes() {
        let inside = " class=\"a b\" id = x hidden data-x='1' type=cite/";
        for (name, expected) in
            [("class", Some("a b")), ("ID", Some("x")), ("hidden", Some("")), ("data-x", Some("1")), ("none", None)]
        {
            assert_eq!(attribute(inside, name), expected, "{name}");
        }
        for inside in ["=", "= =", "a=", "a='", "\"", "é=é x"] {
            assert_eq!(attribute(inside, "b"), None);
        }
    }
}
