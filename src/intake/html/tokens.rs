//! A tokenizer in linear time: what bounds, cuts and strips HTML before anything slower sees it.
//!
//! It finds the tags, attributes and raw texts that the standard finds
//! (<https://html.spec.whatwg.org/multipage/parsing.html#tokenization>); a test holds it to html5ever's. Three things are
//! not the standard's: character references are left as they stand, NUL is text, and `<title/>`, by the standard the
//! start of a text that ends with the page, is an empty element, as mail means it.

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

/// Elements whose contents are one text, up to the end tag
const RAW_TEXT: &[&str] = &["style", "script", "title", "textarea", "iframe", "noembed", "noframes"];

/// Elements in which those are elements like others
const FOREIGN: &[&str] = &["svg", "math"];

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
    /// The element whose raw text follows
    raw: Option<&'a str>,
    /// The element whose contents are not read, and how many of its name are open
    unread: Option<(&'a str, usize)>,
}

/// Tokenize
pub(super) fn tokens(html: &str) -> Tokens<'_> {
    Tokens { html, at: 0, raw: None, unread: None }
}

/// Is the tag one of these, whatever its case?
pub(super) fn is_any(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let token = self.any()?;
            match (&mut self.unread, token) {
                (None, Token::Open(name, inside)) if is_any(name, UNREAD) && !is_empty(inside) => {
                    self.unread = Some((name, 1));
                }
                (None, token) => return Some(token),
                (Some((unread, depth)), Token::Open(name, inside)) if name.eq_ignore_ascii_case(unread) => {
                    *depth += usize::from(!is_empty(inside));
                }
                (Some((unread, depth)), Token::Close(name)) if name.eq_ignore_ascii_case(unread) => {
                    *depth -= 1;
                    if *depth == 0 {
                        self.unread = None;
                        return Some(token);
                    }
                }
                _ => {}
            }
        }
    }
}

impl<'a> Tokens<'a> {
    /// The next token, be it read or not. Raw text of any element is `Style`
    fn any(&mut self) -> Option<Token<'a>> {
        let html = self.html;
        if let Some(name) = self.raw.take() {
            let start = self.at;
            self.at = end_of_raw(html, start, name);
            return Some(Token::Style(&html[start..self.at]));
        }
        while self.at < html.len() {
            let start = self.at;
            let bytes = html.as_bytes();
            if !begins_markup(bytes, start) {
                let end = (start + 1..html.len()).find(|&i| begins_markup(bytes, i)).unwrap_or(html.len());
                self.at = end;
                return Some(Token::Text(&html[start..end]));
            }
            let is_close = bytes[start + 1] == b'/';
            let name_start = start + 1 + usize::from(is_close);
            if !bytes[name_start].is_ascii_alphabetic() {
                self.at = end_of_comment(html, start);
                continue;
            }
            let name_end = end_of_name(bytes, name_start);
            // What is cut off before its end is no tag.
            let end = end_of_tag(html, name_end)?;
            self.at = end;
            let name = &html[name_start..name_end];
            if is_close {
                return Some(Token::Close(name));
            }
            let inside = &html[name_end..end - 1];
            let is_foreign = self.unread.is_some_and(|(unread, _)| is_any(unread, FOREIGN));
            if !is_foreign && is_any(name, RAW_TEXT) && (name.eq_ignore_ascii_case("style") || !is_empty(inside)) {
                self.raw = Some(name);
            }
            return Some(Token::Open(name, inside));
        }
        None
    }
}

/// Does a tag, a comment or something like one begin here?
fn begins_markup(bytes: &[u8], at: usize) -> bool {
    bytes[at] == b'<'
        && match bytes.get(at + 1) {
            Some(b'/') => at + 2 < bytes.len(),
            Some(&next) => next.is_ascii_alphabetic() || matches!(next, b'!' | b'?'),
            None => false,
        }
}

fn ends_name(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/')
}

fn end_of_name(bytes: &[u8], from: usize) -> usize {
    find(bytes, from, ends_name)
}

/// The first byte of a kind, or the end
fn find(bytes: &[u8], from: usize, is_it: impl Fn(u8) -> bool) -> usize {
    bytes[from..].iter().position(|&byte| is_it(byte)).map_or(bytes.len(), |n| from + n)
}

/// Behind the `>` that ends the tag, which is not one inside a quoted value. `None` where there is none
fn end_of_tag(html: &str, from: usize) -> Option<usize> {
    let mut attributes = Attributes { html, at: from };
    attributes.by_ref().for_each(drop);
    (attributes.at < html.len()).then_some(attributes.at + 1)
}

/// Behind a comment, a doctype, a processing instruction or an end tag without a name
fn end_of_comment(html: &str, start: usize) -> usize {
    let bytes = html.as_bytes();
    if !html[start..].starts_with("<!--") {
        return html[start..].find('>').map_or(html.len(), |n| start + n + 1);
    }
    // The dashes that begin a comment may end it.
    let mut at = start + 2;
    while let Some(n) = html[at..].find("--") {
        at += n;
        match &bytes[at + 2..] {
            [b'>', ..] => return at + 3,
            [b'!', b'>', ..] if at >= start + 4 => return at + 4,
            _ => at += 1,
        }
    }
    html.len()
}

/// Where the end tag of an element with raw text begins
fn end_of_raw(html: &str, from: usize, name: &str) -> usize {
    let bytes = html.as_bytes();
    let names = |at: usize| {
        let is_it = bytes.get(at..at + name.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(name.as_bytes()));
        is_it && bytes.get(at + name.len()).is_some_and(|&byte| ends_name(byte))
    };
    let is_script = name.eq_ignore_ascii_case("script");
    // In a comment of a script, and there in a script: its end tag ends that.
    let (mut in_comment, mut in_script) = (false, false);
    let mut at = from;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'<', b'/', ..] if names(at + 2) => {
                if !in_script {
                    return at;
                }
                in_script = false;
            }
            [b'<', b'!', b'-', b'-', ..] if is_script && !in_comment => {
                in_comment = true;
                at += 1;
            }
            [b'-', b'-', b'>', ..] => (in_comment, in_script) = (false, false),
            [b'<', ..] if in_comment && names(at + 1) => in_script = true,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The attributes of a tag, from where its name ends up to its `>` or the end of the text: names, and values as they
/// stand
struct Attributes<'a> {
    html: &'a str,
    at: usize,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        let (html, bytes) = (self.html, self.html.as_bytes());
        let behind_space = |at| find(bytes, at, |byte| !byte.is_ascii_whitespace());
        let start = find(bytes, self.at, |byte| !byte.is_ascii_whitespace() && byte != b'/');
        self.at = start;
        if bytes.get(start).is_none_or(|&byte| byte == b'>') {
            return None;
        }
        // A name may begin with `=`.
        let end = find(bytes, start + 1, |byte| ends_name(byte) || byte == b'=');
        let name = &html[start..end];
        let equals = behind_space(end);
        if bytes.get(equals) != Some(&b'=') {
            self.at = end;
            return Some((name, ""));
        }
        let from = behind_space(equals + 1);
        let value = match bytes.get(from) {
            Some(&quote @ (b'"' | b'\'')) => {
                let end = find(bytes, from + 1, |byte| byte == quote);
                self.at = (end + 1).min(bytes.len());
                &html[from + 1..end]
            }
            _ => {
                self.at = find(bytes, from, |byte| byte.is_ascii_whitespace() || byte == b'>');
                &html[from..self.at]
            }
        };
        Some((name, value))
    }
}

/// The value of an attribute, as it stands
pub(super) fn attribute<'a>(inside: &'a str, name: &str) -> Option<&'a str> {
    let mut attributes = Attributes { html: inside, at: 0 };
    attributes.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Does the tag say that its element is empty? The slash that says so is not part of a value
fn is_empty(inside: &str) -> bool {
    let mut attributes = Attributes { html: inside, at: 0 };
    let mut end = 0;
    while inside.ends_with('/') && attributes.next().is_some() {
        end = attributes.at;
    }
    inside.ends_with('/') && end < inside.len()
}

#[cfg(test)]
mod standard;

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
            ("<a ='x>y' title= 'z'>t", vec![Open("a", " ='x"), Text("y' title= 'z'>t")]),
            ("a<!-- <b> -->c<!doctype x>d", vec![Text("a"), Text("c"), Text("d")]),
            ("a<!-->b<!--->c<!-- -- --!>d", vec![Text("a"), Text("b"), Text("c"), Text("d")]),
            ("a</>b</ x='>'>c</", vec![Text("a"), Text("b"), Text("'>c</")]),
            ("<style>p{}</style>x", vec![Open("style", ""), Style("p{}"), Close("style"), Text("x")]),
            ("<SCRIPT>if (a<b)'</scripted>'</Script >x", vec![Close("Script"), Text("x")]),
            ("<script><!-- <script>a</script>b--></script>c", vec![Close("script"), Text("c")]),
            ("<script src=a/>b</script>c", vec![Close("script"), Text("c")]),
            ("<title/>a<svg />b", vec![Open("title", "/"), Text("a"), Open("svg", " /"), Text("b")]),
            ("<object>a<object>b</object>c<!--</object>--></object>d", vec![Close("object"), Text("d")]),
            ("<svg><title>a<g/><svg/></svg>b", vec![Close("svg"), Text("b")]),
            ("x<!-- never closed <p>y", vec![Text("x")]),
            ("x<a href=\"never closed", vec![Text("x")]),
            ("x<style>never closed", vec![Text("x"), Open("style", ""), Style("never closed")]),
            ("<", vec![Text("<")]),
            ("é<é<pé>", vec![Text("é<é"), Open("pé", "")]),
        ] {
            assert_eq!(tokens(html).collect::<Vec<_>>(), expected, "{html}");
        }
    }

    #[test]
    fn attributes() {
        let inside = " class=\"a b\" id = x hidden data-x='1' a/b=c type=cite/";
        for (name, expected) in [
            ("class", Some("a b")),
            ("ID", Some("x")),
            ("hidden", Some("")),
            ("data-x", Some("1")),
            ("a", Some("")),
            ("type", Some("cite/")),
            ("none", None),
        ] {
            assert_eq!(attribute(inside, name), expected, "{name}");
        }
        for inside in ["=", "= =", "a=", "a='", "\"", "é=é x"] {
            assert_eq!(attribute(inside, "b"), None);
        }
    }
}
