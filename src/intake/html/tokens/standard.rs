//! Our tokens against those of html5ever, the standard's tokenizer, for texts made of what tokenizers stumble over.

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{self, BufferQueue, Tag, TagKind, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use proptest::prelude::*;

use super::{Attributes, Token, is_any, tokens};

/// What texts are made of. References, NUL and carriage returns, which are not ours to judge, are not among them.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "<", ">", "/", "</", "<!", "<?", "<!--", "--", "-->", "--!>", "!>", "<![CDATA[", "]]>", "<!doctype ",
    "=", "\"", "'", " ", "\n", "a", "é", "b=c", " d=\"e>f\"", " G='h'", " i = j/",
    "<p", "<p>", "</p>", "<B k", "<pé>", "</b ", "<br/>", "/>",
    "<script", "<script>", "<SCRIPT>", "</script>", "</script ", "</scripty>", "<style>", "</style>", "</style",
    "<title>", "<title/>", "</title>", "<textarea>", "</textarea>", "<iframe a=b/>", "</iframe>", "<noembed>",
    "<object>", "<object/>", "</object>", "<svg>", "</svg>", "<svg />", "<math>", "</math>", "<template>", "</template>",
    "<noframes>", "</noframes>", "<xmp>", "</xmp>", "<xml>", "</xml>", "\u{c}",
];

/// Tokens in words, texts side by side as one.
#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn text(&mut self, text: &str) {
        match self.0.last_mut().and_then(|last| last.strip_prefix("text ").map(str::to_string).map(|old| (last, old))) {
            Some((last, old)) => *last = format!("text {old}{text}"),
            None => self.0.push(format!("text {text}")),
        }
    }

    /// The first of attributes of one name counts.
    fn open<'a>(&mut self, name: &str, attributes: impl Iterator<Item = (&'a str, &'a str)>) {
        let mut all: Vec<(String, &str)> = Vec::new();
        for (name, value) in attributes {
            let name = name.to_ascii_lowercase();
            if all.iter().all(|(known, _)| *known != name) {
                all.push((name, value));
            }
        }
        self.0.push(format!("open {} {all:?}", name.to_ascii_lowercase()));
    }

    fn close(&mut self, name: &str) {
        self.0.push(format!("close {}", name.to_ascii_lowercase()));
    }
}

fn ours(html: &str) -> Vec<String> {
    let mut words = Words::default();
    for token in tokens(html) {
        match token {
            Token::Text(text) => words.text(text),
            Token::Open(name, inside) => words.open(name, Attributes { html: inside, at: 0 }),
            Token::Close(name) => words.close(name),
            Token::Style("") => {}
            Token::Style(css) => words.text(css),
        }
    }
    words.0
}

/// Elements that are not read; the standard tokenizes the contents of the last five.
const UNREAD: [&str; 11] =
    ["script", "title", "textarea", "iframe", "noembed", "noframes", "object", "svg", "math", "template", "xml"];

/// What comes after the tokenizer: it says which texts are raw, and leaves out what is not read.
#[derive(Default)]
struct Reader {
    words: Words,
    is_unread: bool,
}

impl Reader {
    fn tag(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name = &*tag.name;
        self.is_unread = false;
        if tag.kind == TagKind::EndTag {
            self.words.close(name);
            return TokenSinkResult::Continue;
        }
        if UNREAD.contains(&name) && !tag.self_closing {
            self.is_unread = true;
        } else {
            self.words.open(name, tag.attrs.iter().map(|one| (&*one.name.local, &*one.value)));
        }
        let is_raw = self.is_unread || name == "style";
        if is_raw { TokenSinkResult::RawData(RawKind::Rawtext) } else { TokenSinkResult::Continue }
    }
}

/// Ends whatever is not read
const ENDS: &str =
    "--></script></title></textarea></iframe></noembed></noframes></object></svg></math></template></xml></style>";

/// True where a comment, a tag or an element that is not read never ends: the standard hides the text behind it.
fn is_never_closed(html: &str) -> bool {
    let mut all = tokens(html);
    all.by_ref().for_each(drop);
    !all.open.is_empty()
}

/// True where a slash ends the tag of an element that is not read and is part of a value: by the standard such an
/// element is not empty.
fn has_slash_in_value(html: &str) -> bool {
    tokens(html).any(|token| {
        let Token::Open(name, inside) = token else { return false };
        let (_, last) = Attributes { html: inside, at: 0 }.last().unwrap_or_default();
        is_any(name, &UNREAD) && last.ends_with('/') && inside.ends_with(last)
    })
}

struct Sink<'a>(&'a RefCell<Reader>);

impl TokenSink for Sink<'_> {
    type Handle = ();

    fn process_token(&self, token: tokenizer::Token, _: u64) -> TokenSinkResult<()> {
        let mut reader = self.0.borrow_mut();
        match token {
            tokenizer::Token::TagToken(tag) => return reader.tag(&tag),
            tokenizer::Token::CharacterTokens(text) if !reader.is_unread => reader.words.text(&text),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

fn theirs(html: &str) -> Vec<String> {
    let reader = RefCell::default();
    let tokenizer = Tokenizer::new(Sink(&reader), TokenizerOpts { discard_bom: false, ..TokenizerOpts::default() });
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    // It stops early only for scripts and encodings, which the sink does not report.
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    drop(tokenizer);
    reader.into_inner().words.0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, max_global_rejects: 200_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tokens_are_those_of_the_standard(
        pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 1..24),
        is_ended in any::<bool>(),
    ) {
        let html = pieces.concat() + if is_ended { ENDS } else { "" };
        prop_assume!(!has_slash_in_value(&html) && !is_never_closed(&html));
        prop_assert_eq!(ours(&html), theirs(&html), "{}", html);
    }
}

#[test]
fn tokens_of_pages_are_those_of_the_standard() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/html");
    let mut compared = 0;
    for page in fs::read_dir(pages).unwrap() {
        let path = page.unwrap().path();
        let Ok(html) = String::from_utf8(fs::read(&path).unwrap()) else { continue };
        let html: String = html.chars().filter(|c| !matches!(c, '&' | '\0' | '\r')).collect();
        if is_never_closed(&html) {
            continue;
        }
        assert_eq!(ours(&html), theirs(&html), "{}", path.display());
        compared += 1;
    }
    assert!(compared > 20, "{compared} pages");
}

#[test]
fn the_standard_is_that_of_html2text() {
    let lock = include_str!("../../../../Cargo.lock");
    assert_eq!(lock.matches("name = \"html5ever\"").count(), 1);
}
