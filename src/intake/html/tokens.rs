//! A tokenizer in linear time: what bounds, cuts and strips HTML before anything slower sees it.
//!
//! It finds the tags, attributes and comments that the standard finds
//! (<https://html.spec.whatwg.org/multipage/parsing.html#tokenization>); a test holds it to html5ever's. Where the
//! standard would lose text of a mail it does not: an element that is not read ends at the first end tag of its name,
//! whatever is inside, and its start tag is an empty element where it ends in a slash. A comment, a tag or an element
//! that is not read and never ends hides itself, not the text behind it. Character references and NUL are left as they
//! stand, and `<xmp>` and `<plaintext>` hold markup like other elements.

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
    /// What is known to have no end from here on, so that the end is looked for once: names of elements, and the three
    /// below
    open: Vec<&'static str>,
}

/// In `Tokens::open`: a comment
const COMMENT: &str = "!--";

/// In `Tokens::open`: a tag whose quotes count, because one is never closed
const QUOTED: &str = "\"";

/// In `Tokens::open`: anything that `>` would end
const MARKUP: &str = "<";

/// Tokenize
pub(super) fn tokens(html: &str) -> Tokens<'_> {
    Tokens { html, at: 0, style: false, open: Vec::new() }
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
            let start = self.at;
            self.skip("style");
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
                self.at = self.end_of_comment(start);
                continue;
            }
            let name_end = find(bytes, name_start, ends_name);
            // What is cut off before its end is no tag.
            self.at = self.end_of_tag(name_end)?;
            let (name, inside) = (&html[name_start..name_end], &html[name_end..self.at - 1]);
            if is_close {
                return Some(Token::Close(name));
            }
            if let Some(unread) = UNREAD.iter().find(|unread| name.eq_ignore_ascii_case(unread))
                && !inside.ends_with('/')
            {
                self.skip(unread);
                continue;
            }
            self.style = name.eq_ignore_ascii_case("style");
            return Some(Token::Open(name, inside));
        }
        None
    }
}

impl Tokens<'_> {
    /// Skips what an element holds that is not read. If it never ends, its contents are read, and of a script or a
    /// style sheet what follows the first tag.
    fn skip(&mut self, name: &'static str) {
        let end = if self.open.contains(&name) { None } else { end_of_raw(self.html, self.at, name) };
        if let Some(end) = end {
            self.at = end;
            return;
        }
        self.set_open(name);
        if matches!(name, "script" | "style") {
            let bytes = self.html.as_bytes();
            self.at = (self.at..bytes.len()).find(|&at| begins_markup(bytes, at)).unwrap_or(bytes.len());
        }
    }

    /// Behind a comment, a doctype, a processing instruction or an end tag without a name. A comment that never ends
    /// ends where a tag would.
    fn end_of_comment(&mut self, start: usize) -> usize {
        if !self.html[start..].starts_with("<!--") {
            return self.next_end(start).unwrap_or(self.html.len());
        }
        let end = if self.open.contains(&COMMENT) { None } else { end_of_comment(self.html, start) };
        end.unwrap_or_else(|| {
            self.set_open(COMMENT);
            self.next_end(start).unwrap_or(start + "<!--".len())
        })
    }

    /// Behind the `>` that ends the tag, which is not one inside a quoted value unless a quote is never closed. `None`
    /// where there is none
    fn end_of_tag(&mut self, from: usize) -> Option<usize> {
        if !self.open.contains(&QUOTED) {
            let mut attributes = Attributes { html: self.html, at: from };
            attributes.by_ref().for_each(drop);
            if attributes.at < self.html.len() {
                return Some(attributes.at + 1);
            }
            self.set_open(QUOTED);
        }
        self.next_end(from)
    }

    /// Behind the next `>`
    fn next_end(&mut self, from: usize) -> Option<usize> {
        if self.open.contains(&MARKUP) {
            return None;
        }
        let end = self.html[from..].find('>').map(|n| from + n + 1);
        if end.is_none() {
            self.set_open(MARKUP);
        }
        end
    }

    fn set_open(&mut self, what: &'static str) {
        if !self.open.contains(&what) {
            self.open.push(what);
        }
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

/// The first byte of a kind, or the end
fn find(bytes: &[u8], from: usize, is_it: impl Fn(u8) -> bool) -> usize {
    bytes[from..].iter().position(|&byte| is_it(byte)).map_or(bytes.len(), |n| from + n)
}

/// Behind a comment, if it ends
fn end_of_comment(html: &str, start: usize) -> Option<usize> {
    let bytes = html.as_bytes();
    // The dashes that begin a comment may end it.
    let mut at = start + 2;
    while let Some(n) = html[at..].find("--") {
        at += n;
        match &bytes[at + 2..] {
            [b'>', ..] => return Some(at + 3),
            [b'!', b'>', ..] if at >= start + 4 => return Some(at + 4),
            _ => at += 1,
        }
    }
    None
}

/// Where the end tag of an element begins whose contents are not tokenized
fn end_of_raw(html: &str, from: usize, name: &str) -> Option<usize> {
    let bytes = html.as_bytes();
    let is_end = |&at: &usize| {
        let Some(tag) = bytes[at..].strip_prefix(b"</") else { return false };
        tag.get(..name.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(name.as_bytes()))
            && tag.get(name.len()).is_some_and(|&byte| ends_name(byte))
    };
    (from..bytes.len()).find(is_end)
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
    // Most tags have none, and are asked for many.
    if inside.is_empty() {
        return None;
    }
    let mut attributes = Attributes { html: inside, at: 0 };
    attributes.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The classes of an element, as many as are looked at
pub(super) fn classes(inside: &str) -> impl Iterator<Item = &str> {
    const MOST: usize = 32;
    attribute(inside, "class").unwrap_or("").split_ascii_whitespace().take(MOST)
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
            // No text of a mail is lost by what is not read.
            ("<object><object></object>a", vec![Close("object"), Text("a")]),
            ("<object><!-- </object>a", vec![Close("object"), Text("a")]),
            ("<object><style/></object>a", vec![Close("object"), Text("a")]),
            ("<object>a<svg>b<OBJECT>c", vec![Text("a"), Text("b"), Text("c")]),
            ("<iframe src=x/>a<title/>b", vec![Open("iframe", " src=x/"), Text("a"), Open("title", "/"), Text("b")]),
            ("x<!-- never closed <p>y", vec![Text("x"), Text("y")]),
            ("x<!-- never closed", vec![Text("x"), Text(" never closed")]),
            ("x<!--[if mso]>y<!--z", vec![Text("x"), Text("y"), Text("z")]),
            ("x<a href=\"never closed", vec![Text("x")]),
            ("x<a href=\"y>z</a><b c=\"d>e\">f", vec![Text("x"), Open("a", " href=\"y>z</a><b c=\"d"), Text("e\">f")]),
            ("x<a href='y>z</a>", vec![Text("x"), Open("a", " href='y"), Text("z"), Close("a")]),
            ("x<style>never closed", vec![Text("x"), Open("style", ""), Style("never closed")]),
            ("x<style>p{}<p>y", vec![Text("x"), Open("style", ""), Style("p{}"), Open("p", ""), Text("y")]),
            ("x<script>y()<p>z<script>1<p>", vec![Text("x"), Open("p", ""), Text("z"), Open("p", "")]),
            ("x<title>y<p>z", vec![Text("x"), Text("y"), Open("p", ""), Text("z")]),
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
