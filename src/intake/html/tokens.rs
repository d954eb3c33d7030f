//! Tokens of HTML, by html5ever's tokenizer. Drops comments and unread elements, and keeps the work linear.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{self, BufferQueue, Tag, TagKind, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use html5ever::{Attribute, LocalName, local_name};
use memchr::{memchr, memchr_iter};

use super::elements::{is_foreign, is_read, is_unread, raw_kind};

/// A token. There are none for comments, doctypes and the contents of unread elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Text with character references resolved.
    Text(StrTendril),
    /// A start tag.
    Open(Element),
    /// An end tag.
    Close(LocalName),
    /// The contents of a `<style>` element.
    Style(StrTendril),
}

/// A start tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: LocalName,
    pub(super) attributes: Vec<Attribute>,
}

impl Element {
    /// An element without attributes.
    pub(super) fn new(name: LocalName) -> Self {
        Element { name, attributes: Vec::new() }
    }

    /// The value of an attribute.
    pub(super) fn attribute(&self, name: LocalName) -> Option<&str> {
        self.attributes.iter().find(|attribute| attribute.name.local == name).map(|attribute| &*attribute.value)
    }
}

/// The tokens of an HTML text.
pub(super) fn tokens(html: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    each(html, |token| tokens.push(token));
    tokens
}

/// Maximum size of the pieces that the tokenizer is fed, in bytes.
const PIECE: usize = 4 << 10;

/// The tokenizer compares every attribute with all before it in the same tag. In tags longer than `LONG_TAG` bytes the
/// attributes are counted. A tag with more than `MOST_ATTRIBUTES` loses them.
const LONG_TAG: usize = PIECE;
const MOST_ATTRIBUTES: usize = 1000;

/// Maximum number of tags with long unknown names, which html5ever keeps in hash chains. Further ones become `span`.
const MOST_UNKNOWN: usize = 10_000;

/// Calls `emit` with every token of an HTML text, in linear time.
pub(super) fn each(html: &str, emit: impl FnMut(Token)) {
    let collector = RefCell::new(Collector {
        emit,
        text: StrTendril::new(),
        unread: None,
        is_style: false,
        unknown: 0,
        texts: 0,
        markup: 0,
    });
    let start = || Tokenizer::new(Sink(&collector), TokenizerOpts::default());
    let mut tokenizer = start();
    // Where a tag may have begun that has not ended, and up to where attributes have been counted.
    let (mut open, mut measured) = (None, 0);
    let mut at = 0;
    while at < html.len() {
        let end = end_of_piece(html, at);
        let (texts, markup) = collector.borrow().seen();
        feed(&tokenizer, &html[at..end]);
        let seen = collector.borrow().seen();
        open = if seen == (texts, markup) { open.or(Some(at)) } else { (seen.1 == markup).then_some(at) };
        at = end;
        if let Some(from) = open
            && from >= measured
            && end - from > LONG_TAG
            && begins_tag(&html[from..])
        {
            let (length, attributes) = measure(&html[from..]);
            measured = from + length;
            if attributes > MOST_ATTRIBUTES {
                // A new tokenizer, which has not seen the attributes.
                let tag = &html[from..measured];
                let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>');
                let name = tag[2..].find(ends).map_or(tag.len(), |length| 2 + length);
                tokenizer = start();
                feed(&tokenizer, &tag[..name]);
                feed(&tokenizer, ">");
                (at, open) = (measured, None);
            }
        }
    }
    tokenizer.end();
}

fn feed<S: TokenSink>(tokenizer: &Tokenizer<S>, html: &str) {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    // It stops early only for scripts and encodings, which our sink does not report.
    let _ = tokenizer.feed(&input);
}

/// A piece ends before the next markup, so that tags begin at the beginning of a piece.
fn end_of_piece(html: &str, at: usize) -> usize {
    let bytes = html.as_bytes();
    let most = html.floor_char_boundary(at + PIECE);
    let begins_markup = |&at: &usize| {
        bytes.get(at + 1).is_some_and(|&next| next.is_ascii_alphabetic() || matches!(next, b'!' | b'?' | b'/'))
    };
    memchr_iter(b'<', &bytes[at + 1..most]).map(|n| at + 1 + n).find(begins_markup).unwrap_or(most)
}

fn begins_tag(html: &str) -> bool {
    let name = html.strip_prefix("</").or(html.strip_prefix('<'));
    name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// Length of a tag, and an upper bound on its attributes.
fn measure(tag: &str) -> (usize, usize) {
    let bytes = tag.as_bytes();
    let (mut at, mut attributes, mut is_value) = (0, 0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'>' => return (at + 1, attributes),
            b'=' => is_value = true,
            quote @ (b'"' | b'\'') if is_value => {
                is_value = false;
                attributes += 1;
                at += 1 + memchr(quote, &bytes[at + 1..]).unwrap_or(bytes.len() - at - 1);
            }
            b'/' => attributes += 1,
            byte if byte.is_ascii_whitespace() => attributes += usize::from(!is_value),
            _ => is_value = false,
        }
        at += 1;
    }
    (bytes.len(), attributes)
}

/// Converts html5ever's tokens.
struct Collector<F> {
    emit: F,
    /// Text that was not emitted yet, because more may follow.
    text: StrTendril,
    /// The unread element, and how many of its name are open.
    unread: Option<(LocalName, usize)>,
    /// True in a style sheet.
    is_style: bool,
    /// Number of tags with unknown names.
    unknown: usize,
    /// Number of text tokens and of other tokens.
    texts: usize,
    markup: usize,
}

impl<F: FnMut(Token)> Collector<F> {
    fn seen(&self) -> (usize, usize) {
        (self.texts, self.markup)
    }

    fn process(&mut self, token: tokenizer::Token) -> TokenSinkResult<()> {
        use tokenizer::Token::*;
        match token {
            ParseError(_) => return TokenSinkResult::Continue,
            CharacterTokens(text) => {
                self.texts += 1;
                if self.unread.is_none() {
                    self.text.push_tendril(&text);
                }
                return TokenSinkResult::Continue;
            }
            // The standard drops them.
            NullCharacterToken => {
                self.texts += 1;
                return TokenSinkResult::Continue;
            }
            _ => self.markup += 1,
        }
        if self.text.len32() > 0 {
            let text = std::mem::take(&mut self.text);
            (self.emit)(if self.is_style { Token::Style(text) } else { Token::Text(text) });
        }
        match token {
            TagToken(tag) => self.tag(tag),
            _ => TokenSinkResult::Continue,
        }
    }

    fn tag(&mut self, mut tag: Tag) -> TokenSinkResult<()> {
        let (is_start, is_empty) = (tag.kind == TagKind::StartTag, tag.self_closing);
        // By the standard `<title/>` is a start tag, but mail that has it means an empty element.
        let is_raw = is_start && (!is_empty || tag.name == local_name!("style"));
        let mut raw = raw_kind(&tag.name).filter(|_| is_raw);
        if let Some((name, depth)) = &mut self.unread {
            raw = raw.filter(|_| !is_foreign(name));
            if *name == tag.name && !(is_start && is_empty) {
                *depth = if is_start { *depth + 1 } else { *depth - 1 };
            }
            if *depth > 0 {
                return raw.map_or(TokenSinkResult::Continue, TokenSinkResult::RawData);
            }
            self.unread = None;
        }
        if tag.name.is_dynamic() {
            self.unknown += 1;
            if self.unknown > MOST_UNKNOWN {
                tag.name = local_name!("span");
            }
        }
        self.is_style = is_start && tag.name == local_name!("style");
        if !is_start {
            (self.emit)(Token::Close(tag.name));
        } else if is_unread(&tag.name) && !is_empty {
            self.unread = Some((tag.name, 1));
        } else {
            tag.attrs.retain(|attribute| is_read(&attribute.name.local));
            (self.emit)(Token::Open(Element { name: tag.name, attributes: tag.attrs }));
        }
        raw.map_or(TokenSinkResult::Continue, TokenSinkResult::RawData)
    }
}

struct Sink<'a, F>(&'a RefCell<Collector<F>>);

impl<F: FnMut(Token)> TokenSink for Sink<'_, F> {
    type Handle = ();

    fn process_token(&self, token: tokenizer::Token, _line: u64) -> TokenSinkResult<()> {
        self.0.borrow_mut().process(token)
    }

    /// True where `<![CDATA[` begins text.
    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.0.borrow().unread.as_ref().is_some_and(|(name, _)| is_foreign(name))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Tokens in words: text as it is, a start tag with its attributes.
    fn words(html: &str) -> Vec<String> {
        let word = |token: Token| match token {
            Token::Text(text) => text.to_string(),
            Token::Style(sheet) => format!("style {sheet}"),
            Token::Close(name) => format!("</{name}>"),
            Token::Open(element) => {
                let attribute = |one: &Attribute| format!(" {}={}", one.name.local, &*one.value);
                format!("<{}{}>", element.name, element.attributes.iter().map(attribute).collect::<String>())
            }
        };
        tokens(html).into_iter().map(word).collect()
    }

    #[track_caller]
    fn check(html: &str, expected: &[&str]) {
        assert_eq!(words(html), expected, "{html}");
    }

    #[test]
    fn tokens_of_ordinary_and_broken_html() {
        check("a<b>c</b>", &["a", "<b>", "c", "</b>"]);
        check("1 < 2 <- 3", &["1 < 2 <- 3"]);
        check("a&amp;b &eacute;&#20013; &bogus; &copy", &["a&b é中 &bogus; ©"]);
        check("<A title='x>y' ID=z>t", &["<a id=z>", "t"]);
        check(
            "<p class=\"a &amp; b\" class=c id = x hidden data-x='1' type=cite/>",
            &["<p class=a & b id=x hidden= type=cite/>"],
        );
        check("a<!-- <b> -->c<!doctype x>d<?php e ?>f</>g</ h>i<![CDATA[j]]>k", &["a", "c", "d", "fg", "i", "k"]);
        check("a<!-->b<!--->c<!-- -- --!>d", &["a", "b", "c", "d"]);
        check("x<!-- never closed <p>y", &["x"]);
        check("x<a href=\"never closed", &["x"]);
        check("x<style>never <b>closed", &["x", "<style>", "style never <b>closed"]);
        check("é<é<", &["é<é<"]);
        check("a\r\nb\0c", &["a\nbc"]);
    }

    #[test]
    fn what_nobody_reads() {
        check("<SCRIPT>if (a<b) '</scripted>'</Script >x", &["</script>", "x"]);
        check("<script><!-- <script>a</script>b--></script>c", &["</script>", "c"]);
        check("<title>a<b></title>c<textarea>d&amp;</textarea>e", &["</title>", "c", "</textarea>", "e"]);
        check("<object>a<object>b</object>c<script></object></script></object>d", &["</object>", "d"]);
        check("<svg><title>a</title><style>b</style><g/><svg/><![CDATA[</svg>]]>c</svg>d", &["</svg>", "d"]);
        check("<title/>a<svg/>b<style/>c</style>", &["<title>", "a", "<svg>", "b", "<style>", "style c", "</style>"]);
        check(
            "<xmp>a<b></xmp><plaintext>c<noscript>d",
            &["<xmp>", "a", "<b>", "</xmp>", "<plaintext>", "c", "<noscript>", "d"],
        );
    }

    #[test]
    fn a_tag_with_too_many_attributes_loses_them_and_nothing_else() {
        let many = |count: usize| (0..count).map(|at| format!("a{at}=\">\" ")).collect::<String>();
        for opening in ["", "<", "<<", "x<"] {
            let expected = |tag: &str| {
                let text = if opening.is_empty() { vec![] } else { vec![opening] };
                [text, vec![tag, "x"]].concat().into_iter().map(String::from).collect::<Vec<_>>()
            };
            assert_eq!(words(&format!("{opening}<p id=a {}>x", many(900))), expected("<p id=a>"));
            assert_eq!(words(&format!("{opening}<p id=a {}>x", many(5000))), expected("<p>"));
            assert_eq!(words(&format!("{opening}</p {}>x", many(5000))), expected("</p>"));
            assert_eq!(words(&format!("{opening}<p/{}>x", many(5000).replace(' ', "/"))), expected("<p>"));
        }
        // Words in a comment, an attribute and a script are none.
        let long = "<b c ".repeat(9000);
        check(&format!("<!-- {long} -->x"), &["x"]);
        check(&format!("<p alt='{long}' id=a>x"), &[&format!("<p alt={long} id=a>"), "x"]);
        check(&format!("<script>{long}</script>x"), &["</script>", "x"]);
    }

    /// `#` in a part is its number.
    #[test]
    fn time_grows_with_the_length() {
        let time = |html: &str| {
            let start = Instant::now();
            each(html, |_| {});
            start.elapsed()
        };
        for (before, part) in [
            ("", "<"),
            ("", "</"),
            ("", "<!"),
            ("", "<!--"),
            ("", "<!-- <a#='"),
            ("", "<a b=\""),
            ("", "<a b='\""),
            ("<a", " a#"),
            ("<a", " a#='>'"),
            ("</a", " a#=\"<a\""),
            ("<<a", "/a#"),
            ("", "<p a# b# c# d#>"),
            ("", "<unknown-name-# />"),
            ("", "&"),
            ("", "&#x1F600&amp&bogus;"),
            ("&", "bogus"),
            ("<title>", "</titl"),
            ("<script>", "<!--<script></script>"),
            ("", "<svg>"),
            ("", "<object><script><title>"),
            ("", "<style><!--"),
            ("", "\0"),
            ("<svg>", "<![CDATA[]]"),
        ] {
            let html = |bytes: usize| {
                let mut html = before.to_string();
                let mut at = 0;
                while html.len() < bytes {
                    html.push_str(&part.replace('#', &at.to_string()));
                    at += 1;
                }
                html
            };
            // Four times the length takes four times as long, or sixteen times if it is quadratic. Other processes may take
            // the CPU meanwhile, so the fastest of several runs counts.
            let (short, long) = (html(50_000), html(200_000));
            let short = (0..5).map(|_| time(&short)).min().unwrap();
            let fast = |_| time(&long) < 9 * short + Duration::from_millis(10);
            assert!((0..20).any(fast), "{before}{part}: 50 kB take {short:?}");
        }
    }
}
