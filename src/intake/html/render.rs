//! Lays tokens out as text: html5ever builds the tree, html2text renders it.

use html2text::render::TextDecorator;
use html2text::{RcDom, config};
use html5ever::tokenizer::{CharacterTokens, EOFToken, Tag, TagKind, TagToken, TokenSink};
use html5ever::tree_builder::{TreeBuilder, TreeBuilderOpts};
use html5ever::{Attribute, LocalName, local_name};

use super::css;
use super::elements::is_unread;
use super::tokens::{Element, Token};

/// Wider than any paragraph, so that nothing is wrapped.
const WIDTH: usize = 1 << 20;

/// Maximum size of all style sheets, in bytes.
const MOST_CSS: usize = 512 << 10;

/// Lays tokens out. Only attributes that affect visibility reach the tree.
pub(super) fn render(tokens: &[&Token]) -> Result<String, html2text::Error> {
    let builder =
        TreeBuilder::new(RcDom::default(), TreeBuilderOpts { scripting_enabled: false, ..Default::default() });
    let add = |token: html5ever::tokenizer::Token| {
        let _ = builder.process_token(token, 0);
    };
    let tag = |kind: TagKind, name: LocalName, attrs: Vec<Attribute>| {
        let tag = Tag { kind, name, attrs, self_closing: false, had_duplicate_attributes: false };
        add(TagToken(tag));
    };
    let (start, end) =
        (|name, attributes| tag(TagKind::StartTag, name, attributes), |name| tag(TagKind::EndTag, name, Vec::new()));
    let mut read = 0;
    let elements = tokens.iter().filter(|token| matches!(token, Token::Open(_))).count();
    let mut matches = css::MOST_MATCHES;
    for token in tokens {
        match token {
            Token::Text(text) => add(CharacterTokens(text.clone())),
            Token::Style(sheet) => {
                read += sheet.len();
                for selector in css::hiding(sheet, elements, &mut matches).iter().take_while(|_| read <= MOST_CSS) {
                    start(local_name!("style"), Vec::new());
                    add(CharacterTokens(format!("{selector}{{display:none}}").into()));
                    end(local_name!("style"));
                }
            }
            Token::Open(element) => match element.name {
                local_name!("img") => add(CharacterTokens(alternative(element).into())),
                local_name!("hr") => {
                    start(local_name!("div"), Vec::new());
                    end(local_name!("div"));
                }
                ref name if is_left_out(name) => {}
                ref name => start(name.clone(), attributes(element)),
            },
            Token::Close(name) if is_left_out(name) => {}
            Token::Close(name) => end(name.clone()),
        }
    }
    add(EOFToken);
    TokenSink::end(&builder);
    let config = config::with_decorator(Plain).use_doc_css().raw_mode(true).allow_width_overflow();
    config.render_to_string(config.dom_to_render_tree(&builder.sink)?, WIDTH)
}

/// Elements that change nothing in the text, and those after which the tree builder would expect raw text.
fn is_left_out(name: &LocalName) -> bool {
    is_unread(name)
        || matches!(
            *name,
            local_name!("style")
                | local_name!("a")
                | local_name!("link")
                | local_name!("meta")
                | local_name!("base")
                | local_name!("plaintext")
                | local_name!("xmp")
                | local_name!("noscript")
        )
}

/// The alternative text of an image, unless it looks like a file name or a spacer.
fn alternative(image: &Element) -> String {
    let alt = image.attribute(local_name!("alt")).unwrap_or("").trim();
    let says = alt.contains(' ') || alt.len() > 3 && !alt.contains(['.', '_', '/']);
    if says { format!(" {alt} ") } else { String::new() }
}

/// The attributes of an element that affect visibility and white space.
fn attributes(element: &Element) -> Vec<Attribute> {
    let attribute = |attribute: &Attribute| match attribute.name.local {
        local_name!("class") | local_name!("id") if !attribute.value.is_empty() => Some(attribute.clone()),
        local_name!("style") if attribute.value.contains("white-space") && attribute.value.contains("pre") => {
            Some(Attribute { name: attribute.name.clone(), value: "white-space:pre-wrap".into() })
        }
        _ => None,
    };
    element.attributes.iter().filter_map(attribute).collect()
}

/// Decorates nothing: neither links nor emphasis, headings or images.
#[derive(Clone, Debug)]
struct Plain;

impl TextDecorator for Plain {
    type Annotation = ();

    fn decorate_link_start(&mut self, _url: &str) -> (String, ()) {
        Default::default()
    }
    fn decorate_link_end(&mut self) -> String {
        String::new()
    }
    fn decorate_em_start(&self) -> (String, ()) {
        Default::default()
    }
    fn decorate_em_end(&self) -> String {
        String::new()
    }
    fn decorate_strong_start(&self) -> (String, ()) {
        Default::default()
    }
    fn decorate_strong_end(&self) -> String {
        String::new()
    }
    fn decorate_strikeout_start(&self) -> (String, ()) {
        Default::default()
    }
    fn decorate_strikeout_end(&self) -> String {
        String::new()
    }
    fn decorate_code_start(&self) -> (String, ()) {
        Default::default()
    }
    fn decorate_code_end(&self) -> String {
        String::new()
    }
    fn decorate_preformat_first(&self) {}
    fn decorate_preformat_cont(&self) {}
    fn decorate_image(&mut self, _src: &str, title: &str) -> (String, ()) {
        (title.to_string(), ())
    }
    fn header_prefix(&self, _level: usize) -> String {
        String::new()
    }
    fn quote_prefix(&self) -> String {
        String::new()
    }
    fn unordered_item_prefix(&self) -> String {
        "- ".to_string()
    }
    fn ordered_item_prefix(&self, i: i64) -> String {
        format!("{i}. ")
    }
    fn make_subblock_decorator(&self) -> Self {
        Plain
    }
    fn decorate_superscript_start(&self) -> (String, ()) {
        Default::default()
    }
    fn decorate_superscript_end(&self) -> String {
        String::new()
    }
}
