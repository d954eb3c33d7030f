//! Renders HTML as the text that a reader sees.
//!
//! 1. `tokens`: html5ever's tokenizer splits the page. No other code decides what a tag, a comment or a script is.
//! 2. `visible`: hidden elements and quoted replies are cut.
//! 3. `render`: html5ever builds a tree of the rest, which html2text lays out. Both take quadratic time on deep nesting, so
//!    `bounds` limits depth and size; beyond the limits `strip` only removes the tags.

mod bounds;
mod css;
mod elements;
mod quote;
mod render;
mod strip;
mod tokens;

use elements::is_void;
use html5ever::local_name;
use quote::Nesting;
use tokens::{Element, Token, tokens};

use crate::guard;

/// Maximum size of HTML to render, in bytes. Of longer HTML only the tags are removed.
const LARGEST: usize = 2 << 20;

/// HTML as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// What a reader sees.
    pub text: String,
    /// The texts of quoted replies that were cut.
    pub quoted: Vec<String>,
    /// The texts of elements that are hidden by an attribute, such as preheaders.
    pub hidden: Vec<String>,
}

/// Name of the cleaning step that removes hidden text.
pub const STEP: &str = "html";

/// The size of trees that may still be built for a message. Further parts only lose their tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutBudget {
    nodes: usize,
}

impl Default for LayoutBudget {
    fn default() -> Self {
        LayoutBudget { nodes: bounds::MOST_NODES }
    }
}

/// Renders HTML as the text that a reader sees: without markup, styles, scripts and hidden elements; list items, cells and
/// paragraphs on separate lines; the alternative text of images.
///
/// With `cut_quotes` the elements in which mail clients put quoted replies are cut, unless they contain a forwarded message
/// or nothing else would be left. Never panics. Takes linear time.
pub fn to_text(html: &str, cut_quotes: bool) -> Rendered {
    to_text_within(html, cut_quotes, &mut LayoutBudget::default())
}

/// The same for one of several parts with a common budget.
pub fn to_text_within(html: &str, cut_quotes: bool, budget: &mut LayoutBudget) -> Rendered {
    if html.len() > LARGEST {
        return Rendered { text: tidy(&strip::strip(html)), quoted: Vec::new(), hidden: Vec::new() };
    }
    let all = tokens(html);
    let delimiter =
        [Token::Open(Element::new(local_name!("div"))), Token::Text("-- ".into()), Token::Close(local_name!("div"))];
    let mut seen = visible(&all, &delimiter, cut_quotes);
    let mut text = layout(&seen.kept, budget);
    if cut_quotes && !text.chars().any(char::is_alphanumeric) {
        let whole = visible(&all, &delimiter, false);
        // A quote may consist of nothing but the alternative text of an image.
        if whole.kept.len() > seen.kept.len() {
            text = layout(&whole.kept, budget);
            seen = whole;
        }
    }
    Rendered { text, quoted: seen.quoted, hidden: seen.hidden }
}

/// A page without what is hidden and quoted.
struct VisibleTokens<'t> {
    /// The tokens that are visible and not quoted.
    kept: Vec<&'t Token>,
    /// The texts of quotes.
    quoted: Vec<String>,
    /// The texts of hidden elements.
    hidden: Vec<String>,
}

/// Number of history marks for which the text before them is examined. A reply has one, a forward of forwards a few.
const MOST_JUDGED: usize = 16;

/// Cuts hidden elements and quotes. Puts `delimiter` above signatures.
fn visible<'t>(tokens: &'t [Token], delimiter: &'t [Token], cut_quotes: bool) -> VisibleTokens<'t> {
    let nesting = Nesting::of(tokens);
    let mut kept: Vec<&Token> = Vec::with_capacity(tokens.len());
    let (mut quoted, mut hidden) = (Vec::new(), Vec::new());
    let mut judged = 0;
    let mut at = 0;
    while at < tokens.len() {
        if let Token::Open(element) = &tokens[at] {
            if is_hidden(element) {
                let end = if is_void(&element.name) { at + 1 } else { hidden_end(tokens, &nesting, at) };
                hidden.extend(text_of(&tokens[at..end]));
                at = end;
                continue;
            }
            let own = || {
                judged += 1;
                (judged <= MOST_JUDGED).then(|| strip::strip_tokens(kept.iter().copied()))
            };
            let end = if cut_quotes { quote::container(tokens, &nesting, at, own) } else { None };
            if let Some(end) = end {
                quoted.extend(text_of(&tokens[at..end]));
                at = end;
                continue;
            }
            if quote::is_signature(element) {
                kept.extend(delimiter);
            }
        }
        kept.push(&tokens[at]);
        at += 1;
    }
    VisibleTokens { kept, quoted, hidden }
}

/// The text of tokens, if it has letters or digits.
fn text_of(tokens: &[Token]) -> Option<String> {
    let text = strip::strip_tokens(tokens);
    text.chars().any(char::is_alphanumeric).then(|| text.trim().to_string())
}

/// Where a hidden element ends. One that is never closed hides its tag only, not the rest of the page.
fn hidden_end(tokens: &[Token], nesting: &Nesting, at: usize) -> usize {
    if nesting.end(at) == tokens.len() && !matches!(tokens.last(), Some(Token::Close(_))) {
        at + 1
    } else {
        nesting.end(at)
    }
}

/// Hidden by an attribute or inline style, as preheaders are. html2text applies the style sheets.
fn is_hidden(element: &Element) -> bool {
    if matches!(element.name, local_name!("body") | local_name!("html")) {
        return false;
    }
    if element.attribute(local_name!("hidden")).is_some() || element.name == local_name!("input") {
        return true;
    }
    let Some(style) = element.attribute(local_name!("style")) else {
        return false;
    };
    let tight: String = style.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
    tight.contains("display:none")
        || tight.contains("visibility:hidden")
        || tight.contains("overflow:hidden")
            && (declares_zero(&tight, "max-height:") || declares_zero(&tight, "height:"))
        || declares_zero(&tight, "opacity:")
}

fn declares_zero(style: &str, property: &str) -> bool {
    style.split(';').any(|part| {
        part.strip_prefix(property)
            .is_some_and(|value| matches!(value.trim_end_matches("!important"), "0" | "0px" | "0pt" | "0.0" | "0em"))
    })
}

fn layout(tokens: &[&Token], budget: &mut LayoutBudget) -> String {
    let strip = || tidy(&strip::strip_tokens(tokens.iter().copied()));
    let Some(nodes) = bounds::tree_nodes(tokens, budget.nodes) else {
        return strip();
    };
    budget.nodes -= nodes;
    match guard::catch(|| render::render(tokens)) {
        Ok(Ok(text)) => tidy(&text),
        // Such as an error in a style sheet.
        _ => strip(),
    }
}

/// Removes characters that pad preheaders, spaces at line ends and repeated blank lines.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut blank = 0;
    for line in text.lines() {
        let padding = |c: char| matches!(c, '\u{34f}' | '\u{200b}' | '\u{ad}' | '\u{feff}' | '\u{2007}' | '\u{200e}');
        let line: String = line.chars().filter(|&c| !padding(c)).map(|c| if c == '\u{a0}' { ' ' } else { c }).collect();
        let line = line.trim_end_matches(|c: char| c.is_whitespace() || c == '\u{200c}');
        // A bullet of an empty item.
        if line.is_empty() || line.trim_start() == "-" {
            blank += 1;
            continue;
        }
        if !tidy.is_empty() {
            tidy.push('\n');
            if blank > 0 {
                tidy.push('\n');
            }
        }
        blank = 0;
        tidy.push_str(line);
    }
    tidy
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[track_caller]
    fn check(html: &str, expected: &str) {
        assert_eq!(to_text(html, true).text, expected, "{html}");
    }

    #[test]
    fn as_a_reader_sees_it() {
        check("<p>One <b>bold</b> <i>word</i><sup>2</sup></p><p>Two</p>", "One bold word²\n\nTwo");
        check("<table><tr><td>Cell A</td><td>Cell B</td></tr></table>", "Cell A\nCell B");
        check("<ul><li>a<li>b</ul><ol><li>c</ol>", "- a\n- b\n1. c");
        check(
            "<h1>Head</h1><a href='http://x'>link</a><img src=x alt='A red car'><img src=y>",
            "Head\n\nlink A red car",
        );
        check("a<script>x</script><style>p{}</style><title>t</title><!-- c -->b", "ab");
        check("&lt;&amp;&eacute;&#20013;&nbsp;x", "<&é中 x");
        check(&format!("<p>{}</p>", "word ".repeat(500)), "word ".repeat(500).trim_end());
    }

    #[test]
    fn no_tag_swallows_what_follows() {
        check("a<title/>b<textarea/>c<script/>d", "abcd");
        check("a<plaintext>b<i>c</i>", "abc");
        check("<xmp>a<i>b</i></xmp><noscript>c<b>d</b></noscript>", "abcd");
        check("a <<!-- c -->script>b</script>c", "a <script>bc");
    }

    /// What a tokenizer of our own once took for something else than the standard does.
    #[test]
    fn the_standard_decides_what_is_a_tag() {
        check("a<!-- b --!>c", "ac");
        check("a</", "a</");
        check("a</=\">b", "ab");
        check("a<img alt=\"A red car", "a");
        check("<p\u{e9}>a</p\u{e9}>b", "ab");
        check("<script>a</scripted>b</script>c", "c");
        check("<script><!--<script></script>a--></script>b", "b");
        check("a<object>b<object>c</object>d</object>e", "ae");
        check("a<object><!-- </object> -->b</object>c", "ac");
        check("a<script src=b/>c</script>d", "ad");
        check("a&nbs<plaintext>p; &am<!-- -->p;", "a&nbsp; &amp;");
        check("a<div class='gmail&#95;quote'>b</div>", "a");
        check("a<p style='display&colon;none'>b</p>", "a");
        let quoted = |html: &str| to_text(&format!("a<div class=gmail_quote>{html}</div>"), true).quoted;
        assert_eq!(quoted("b &Zcaron; &#149; &copy d&zwnj;e\0"), ["b \u{17d} \u{2022} \u{a9} d\u{200c}e"]);
        assert_eq!(quoted("&amp"), Vec::<String>::new());
    }

    #[test]
    fn hidden_text_is_not_seen() {
        check("<div style='display: none'>preheader</div><p>text</p>", "text");
        check("<style>.pre{display:none!important}</style><span class=pre>preheader</span><p>text</p>", "text");
        check("<style>@media (max-width:9px){.a{display:none}}</style><p class=a>text</p>", "text");
        check("<div style='max-height:0;overflow:hidden'>preheader</div><p>text</p>", "text");
        check("<span hidden>x</span>text", "text");
    }

    #[test]
    fn quote_containers_are_cut() {
        for quote in [
            "<div class=\"gmail_quote\">On Monday Bob wrote:<br>hi</div>",
            "<div class=gmail_quote><div class=gmail_attr>Bob:</div><blockquote class=gmail_quote>hi</blockquote></div>",
            "<blockquote type=\"cite\">hi</blockquote>",
            "<div id=\"appendonsend\"></div><hr><div id=\"divRplyFwdMsg\">From: Bob</div><div>hi</div>",
            "<div class=\"yahoo_quoted\">hi</div>",
            "<div class=\"moz-cite-prefix\">Bob wrote:</div><blockquote type=cite>hi</blockquote>",
            "<blockquote style='border-left:1px solid;padding-left:1ex'>hi</blockquote>",
        ] {
            let rendered = to_text(&format!("<p>Yes.</p>{quote}"), true);
            assert_eq!(rendered.text, "Yes.", "{quote}");
            assert!(!rendered.quoted.is_empty());
            assert!(to_text(&format!("<p>Yes.</p>{quote}"), false).text.len() > 6, "{quote}");
        }
    }

    #[test]
    fn forwards_answers_and_lonely_quotations_stay() {
        let forward =
            "<p>FYI</p><div class=gmail_quote>---------- Forwarded message ---------<br>From: Bob<br>The news.</div>";
        assert!(to_text(forward, true).text.contains("The news."));
        let outlook = "<p>FYI</p><div id=divRplyFwdMsg>From: Bob</div><p>The news.</p>";
        assert!(to_text(outlook, true).text.contains("The news."));
        let inline = "<div class=gmail_quote><blockquote class=gmail_quote>When?</blockquote><p>At nine.</p><blockquote class=gmail_quote>Where?</blockquote></div>";
        check(inline, "At nine.");
        assert_eq!(
            to_text("<blockquote type=cite>hi</blockquote>", true),
            Rendered { text: "hi".into(), quoted: Vec::new(), hidden: Vec::new() }
        );
        check("<p>Yes.</p><div class=gmail_signature>Bob</div>", "Yes.\n\n--\nBob");
    }

    #[test]
    #[rustfmt::skip]
    fn hostile_html_takes_linear_time() {
        let many = |part: &str| part.repeat(50_000);
        let mut cases: Vec<String> = [
            "<div>x", "<li>x", "<font>x", "<table>x", "<blockquote>x", "<table><tr><td>x", "<ul><li>x",
            "<b><p></b>x", "<a><div><a><p></a>", "<p>x</p>", "</div>", "<", "<a ", "<a b=\"", "&#x&am;",
            "<!--", "<style>", "<div class=gmail_quote>x", "<div style='display:none'>x",
        ]
            .iter()
            .map(|part| many(part))
            .collect();
        cases.push(format!("<div>{}", many("x").repeat(200)));
        cases.push(format!("<style>{}", many("a{display:none}")));
        cases.push(format!("<style>{}</style>{}", ".a b{display:none}".repeat(5_000), many("<p>x</p>")));
        cases.push(format!("<style>@media (#{}</style>x", many("{")));
        cases.push(format!("<p style=\"a:{}\">x", many("((((")));
        cases.push(many("<div id=appendonsend></div>"));
        cases.push(format!("<p>FYI</p>{}", many("<div id=divRplyFwdMsg></div>")));
        cases.push(format!("{}Begin forwarded message:", many("<blockquote type=cite>")));
        let sheet = format!("<style>{}</style>", ".a{display:none}".repeat(100));
        cases.push(format!("{}{}", sheet.repeat(300), "<p>x</p>".repeat(30_000)));
        cases.push("<td colspan=999999999 rowspan=0>x".repeat(5_000));
        let numbered = |part: &str| (0..100_000).map(|at| part.replace('#', &at.to_string())).collect::<String>();
        cases.push(format!("<p {}>x", numbered(" a#='>'")));
        cases.push(numbered("<unknown-#>x"));
        for html in cases {
            let start = Instant::now();
            to_text(&html, true);
            let head: String = html.chars().take(40).collect();
            // A tenth of this in a release build.
            assert!(start.elapsed() < Duration::from_secs(4), "{head} took {:?}", start.elapsed());
        }
    }
}
