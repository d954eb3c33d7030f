//! HTML to text, as a reader would see it, whatever the HTML
//!
//! html2text lays out best, but it is quadratic in nesting and builds a tree. So the HTML is tokenized first,
//! in linear time: what nobody sees and what is quoted goes, tags shrink to what layout and
//! visibility need, and what is still too deep or too long for a tree only loses its tags.

mod bounds;
mod css;
mod plain;
mod quote;
mod source;
mod strip;
mod tokens;

use std::borrow::Cow;

use css::Hiding;
use html2text::config;
use plain::Plain;
use quote::Nesting;
pub use source::{is_element, is_source};
use tokens::{Token, attribute, is_any, tokens};

use super::clean;
use crate::guard;

/// Longer HTML is stripped instead of rendered, in bytes
const LARGEST: usize = 2 << 20;

/// Wider than any paragraph a person writes, so that nothing is wrapped
const WIDTH: usize = 1 << 20;

/// An HTML part as text
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// What a reader sees
    pub text: String,
    /// The text of the quote containers that were cut
    pub quoted: Vec<String>,
    /// The text of elements that are hidden, as preheaders are
    pub hidden: Vec<String>,
}

/// The name under which hidden text is shown as taken out
pub const STEP: &str = "html";

/// What may still be laid out of the HTML of one mail, whose parts are many or large; what is beyond only loses its
/// tags
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutBudget {
    nodes: usize,
}

impl Default for LayoutBudget {
    fn default() -> Self {
        LayoutBudget { nodes: bounds::MOST_NODES }
    }
}

/// Turn HTML into the text that a reader sees: no markup, styles, scripts or hidden elements; list
/// items, cells and paragraphs on lines of their own; of images the alternative text.
///
/// With `cut_quotes` the containers in which mail clients put quoted replies go, except where
/// they hold a forwarded message or nothing else would be left. Never panics; takes time linear in
/// the length.
pub fn to_text(html: &str, cut_quotes: bool) -> Rendered {
    to_text_within(html, cut_quotes, &mut LayoutBudget::default())
}

/// The same for one of several parts, which share a budget
pub fn to_text_within(html: &str, cut_quotes: bool, budget: &mut LayoutBudget) -> Rendered {
    if html.len() > LARGEST {
        return Rendered { text: tidy(&strip::strip(html)), quoted: Vec::new(), hidden: Vec::new() };
    }
    let all: Vec<Token<'_>> = tokens(html).collect();
    let mut seen = visible(&all, cut_quotes);
    let mut text = layout(&seen.kept, budget);
    if cut_quotes && !text.chars().any(char::is_alphanumeric) {
        let whole = visible(&all, false);
        // A quote may say something without a word between its tags: the alternative text of a picture.
        if whole.kept.len() > seen.kept.len() {
            text = layout(&whole.kept, budget);
            seen = whole;
        }
    }
    Rendered { text, quoted: seen.quoted, hidden: seen.hidden }
}

/// A page taken apart
struct VisibleTokens<'a> {
    /// The tokens of what can be seen and is not quoted
    kept: Vec<Token<'a>>,
    /// The text of what is quoted
    quoted: Vec<String>,
    /// The text of what is hidden
    hidden: Vec<String>,
}

/// Marks of a reply's history at which all text before them is judged; a client sets one, a forward of forwards a few
const MOST_JUDGED: usize = 16;

fn visible<'a>(tokens: &[Token<'a>], cut_quotes: bool) -> VisibleTokens<'a> {
    let nesting = Nesting::of(tokens);
    let mut hiding = Hiding::of(tokens.iter().filter_map(|token| match token {
        Token::Style(sheet) => Some(*sheet),
        _ => None,
    }));
    let mut kept: Vec<Token<'a>> = Vec::with_capacity(tokens.len());
    let (mut quoted, mut hidden) = (Vec::new(), Vec::new());
    let mut judged = 0;
    // Set at the first quotation.
    let mut announced = None;
    // Where marks of signatures stand, and where the signatures end.
    let mut signatures: Vec<(usize, usize)> = Vec::new();
    let mut open = None;
    let mut at = 0;
    while at < tokens.len() {
        if let Some((mark, _)) = open.take_if(|(_, end)| at >= *end) {
            signatures.push((mark, kept.len()));
        }
        if let Token::Open(name, inside) = tokens[at] {
            let by_sheet = hiding.hides(name, inside, at, nesting.closed_end(at)) && !is_shown(inside);
            if by_sheet || is_hidden(name, inside) {
                let end = hidden_end(tokens, &nesting, at);
                hidden.extend(text_of(&tokens[at..end]));
                at = end;
                continue;
            }
            let own = || {
                judged += 1;
                (judged <= MOST_JUDGED).then(|| strip::strip_tokens(&kept))
            };
            let end = if cut_quotes { quote::container(tokens, &nesting, at, own) } else { None };
            // Answers that stand inside the history are lost with it.
            let mut answered = |end: usize| {
                !quote::is_attribution(inside)
                    && *announced.get_or_insert_with(|| {
                        clean::announces_answers(&strip::strip_tokens(&kept)) && text_of(&tokens[end..]).is_none()
                    })
            };
            if let Some(end) = end.filter(|&end| !answered(end)) {
                quoted.extend(text_of(&tokens[at..end]));
                at = end;
                continue;
            }
            if quote::is_signature(inside) {
                open = open.or(nesting.closed_end(at).map(|end| (kept.len(), end)));
                kept.extend([Token::Open("div", ""), Token::Text("-- "), Token::Close("div")]);
            }
        }
        kept.push(tokens[at]);
        at += 1;
    }
    for (mark, end) in signatures {
        if goes_on(&kept[end..]) {
            kept[mark + 1] = Token::Text("");
        }
    }
    VisibleTokens { kept, quoted, hidden }
}

/// True where more than history follows a signature: below its mark it would be lost
fn goes_on(behind: &[Token<'_>]) -> bool {
    let text = strip::strip_tokens(behind);
    let first = text.lines().map(str::trim).find(|line| line.chars().any(char::is_alphanumeric));
    first.is_some_and(|line| !clean::may_be_history(line))
}

/// What tokens that are cut say, if anything
fn text_of(tokens: &[Token<'_>]) -> Option<String> {
    let text = strip::strip_tokens(tokens);
    text.chars().any(char::is_alphanumeric).then(|| text.trim().to_string())
}

/// Where a hidden element ends. One that is never closed hides itself only, or up to the next of its kind where end
/// tags are left out: the rest is not worth losing
fn hidden_end(tokens: &[Token<'_>], nesting: &Nesting, at: usize) -> usize {
    let Token::Open(name, _) = tokens[at] else { return at + 1 };
    if is_any(name, tokens::VOID) {
        return at + 1;
    }
    let end = nesting.closed_end(at);
    let ends: &[&str] = match name {
        // A paragraph ends where a block begins, whatever is closed later.
        _ if is_any(name, &["p"]) => strip::BLOCKS,
        _ if end.is_some() => &[],
        _ if is_any(name, &["td", "th"]) => &["td", "th", "tr", "table"],
        _ if is_any(name, &["tr"]) => &["tr", "table"],
        _ if is_any(name, &["li", "option"]) => &["li", "option", "ul", "ol", "select"],
        _ => return at + 1,
    };
    let inside = at + 1..end.unwrap_or(tokens.len());
    let next = inside.clone().find(|&i| match tokens[i] {
        Token::Open(next, _) => is_any(next, ends) && !next.eq_ignore_ascii_case("br"),
        Token::Close(next) => end.is_none() && is_any(next, strip::BLOCKS),
        _ => false,
    });
    next.or(end).unwrap_or(at + 1)
}

/// True if an inline style shows what a style sheet may hide
fn is_shown(inside: &str) -> bool {
    let Some(style) = attribute(inside, "style") else { return false };
    style.split(';').filter_map(|part| part.split_once(':')).any(|(name, value)| {
        name.trim().eq_ignore_ascii_case("display") && !value.trim().to_ascii_lowercase().starts_with("none")
    })
}

/// Hidden by attribute or inline style, as preheaders are
fn is_hidden(name: &str, inside: &str) -> bool {
    if inside.is_empty() || is_any(name, &["body", "html"]) {
        return false;
    }
    if attribute(inside, "hidden").is_some() || name.eq_ignore_ascii_case("input") {
        return true;
    }
    let Some(style) = attribute(inside, "style") else {
        return false;
    };
    let tight: String = style.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
    tight.contains("display:none")
        || tight.contains("visibility:hidden")
        || tight.contains("overflow:hidden")
            && (declares_zero(&tight, "max-height:") || declares_zero(&tight, "height:"))
        || declares_zero(&tight, "opacity:")
        || declares_zero(&tight, "font-size:")
        || tight.contains("mso-hide:all")
}

fn declares_zero(style: &str, property: &str) -> bool {
    style.split(';').any(|part| {
        part.strip_prefix(property)
            .is_some_and(|value| matches!(value.trim_end_matches("!important"), "0" | "0px" | "0pt" | "0.0" | "0em"))
    })
}

fn layout(tokens: &[Token<'_>], budget: &mut LayoutBudget) -> String {
    let Some(nodes) = bounds::tree_nodes(tokens, budget.nodes) else {
        return tidy(&strip::strip_tokens(tokens));
    };
    budget.nodes -= nodes;
    let html = rewrite(tokens);
    let render = || {
        let config = config::with_decorator(Plain).use_doc_css().raw_mode(true).allow_width_overflow();
        config.string_from_read(html.as_bytes(), WIDTH)
    };
    match guard::catch(render) {
        Ok(Ok(text)) => tidy(&text),
        // Broken CSS is one of the errors; the text is there all the same.
        _ => tidy(&strip::strip_tokens(tokens)),
    }
}

/// Elements behind which a browser takes tags for text, so that it would be text what is written here for a tag
const RAW: &[&str] = &["plaintext", "xmp", "noscript"];

/// Elements whose texts are choices, which stand apart
const CHOICES: &[&str] = &["select", "optgroup", "option"];

/// HTML again, with only the attributes that layout needs
fn rewrite(tokens: &[Token<'_>]) -> String {
    let mut html = String::new();
    for token in tokens {
        match token {
            // A `<` in a text was none of a tag, and shall not become one beside what followed a comment.
            Token::Text(text) => html.push_str(&text.replace('<', "&lt;")),
            Token::Style(_) => {}
            Token::Open(name, inside) => open(&mut html, name, inside),
            Token::Close(name) if is_any(name, &["style", "a"]) || is_any(name, RAW) || is_any(name, CHOICES) => {}
            Token::Close(name) => {
                html.push_str("</");
                html.push_str(name);
                html.push('>');
            }
        }
    }
    html
}

fn open(html: &mut String, name: &str, inside: &str) {
    let unread = is_any(name, RAW) || is_any(name, tokens::UNREAD);
    if unread || is_any(name, &["style", "a", "link", "meta", "base"]) {
        return;
    }
    if name.eq_ignore_ascii_case("img") {
        let alt = attribute(inside, "alt").unwrap_or("").trim();
        // File names and spacers are no alternative to anything.
        if alt.contains(' ') || alt.len() > 3 && !alt.contains(['.', '_', '/']) {
            html.push(' ');
            html.push_str(&alt.replace('<', "&lt;"));
            html.push(' ');
        }
        return;
    }
    if name.eq_ignore_ascii_case("hr") {
        html.push_str("<div></div>");
        return;
    }
    if is_any(name, CHOICES) {
        html.push(' ');
        return;
    }
    html.push('<');
    html.push_str(name);
    if attribute(inside, "style").is_some_and(|style| style.contains("white-space") && style.contains("pre")) {
        html.push_str(" style=\"white-space:pre-wrap\"");
    }
    html.push('>');
}

/// Without characters that pad preheaders, spaces at line ends and piles of blank lines
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut blank = 0;
    for line in text.lines() {
        let padding = |c: char| matches!(c, '\u{34f}' | '\u{200b}' | '\u{ad}' | '\u{feff}' | '\u{2007}' | '\u{200e}');
        let line: Cow<'_, str> = if line.is_ascii() {
            line.into()
        } else {
            line.chars().filter(|&c| !padding(c)).map(|c| if c == '\u{a0}' { ' ' } else { c }).collect()
        };
        let line = line.trim_end_matches(|c: char| c.is_whitespace() || c == '\u{200c}');
        // A bullet without an item is layout.
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
        check("<p>a</p><!-- never closed <p>b</p>", "a\n\nb");
        check("<p>a</p><script>x=1; <p>b</p>", "a\n\nb");
        check("<p>a <a href=\"http://x>b</a></p><p>c</p>", "a b\n\nc");
    }

    #[test]
    fn hidden_text_is_not_seen() {
        check("<div style='display: none'>preheader</div><p>text</p>", "text");
        check("<style>.pre{display:none!important}</style><span class=pre>preheader</span><p>text</p>", "text");
        check("<style>@media (max-width:9px){.a{display:none}}</style><p class=a>text</p>", "text");
        check("<div style='max-height:0;overflow:hidden'>preheader</div><p>text</p>", "text");
        check("<span hidden>x</span>text", "text");
        check("<p style='display:none'>preheader<p>text</p></p></body>", "text");
        check("<table><tr><td style='display:none'>a<td>text</table>", "text");
        check("<style>.x{display:none} .x{display:block}</style><p class=x>seen</p><p>text</p>", "seen\n\ntext");
        check("<style>.x{display:none}</style><p class=x style='display:block'>seen</p><p>text</p>", "seen\n\ntext");
        let sheets = "<style>.k{display:none /* } */ }</style><div class=k>first</div><div style='display:none'>second</div>text";
        let expected =
            Rendered { text: "text".into(), quoted: Vec::new(), hidden: vec!["first".into(), "second".into()] };
        assert_eq!(to_text(sheets, true), expected);
    }

    #[test]
    fn choices_stand_apart() {
        check("<p>Pick: <select><option>Red<option>Green</select> now</p>", "Pick: Red Green now");
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
            "<blockquote style='BORDER-LEFT:1px solid #0857A6; margin:10px; padding:0 0 0 10px'>hi</blockquote>",
            "<div class='J-reply ntes-mailmaster-quote'><p>---- Replied Message ----</p><table><tr><td>From</td><td>Bob</td></tr></table>hi</div>",
            "<blockquote name=replyContent class=ReferenceQuote>hi</blockquote>",
            "<div id=mail-editor-reference-message-container><div>From: Bob</div>hi</div>",
            "<div class=ydp0a1b2c3dyahoo_quoted>hi</div>",
            "<div class=yiv1234567890gmail_quote>hi</div>",
            "<div id=x_x_divRplyFwdMsg>From: Bob</div><div>hi</div>",
            "<div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm'><p><b>&#1578;:</b> Bob</p></div><p>hi</p>",
            "<div name=quote style='padding:10px'>hi</div>",
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
        check(
            "<p>Yes.</p><div class=gmail_signature>Bob</div><p>One more thing.</p>",
            "Yes.\n\nBob\n\nOne more thing.",
        );
        check(
            "<p>Yes.</p><div id=Signature>Bob</div><div>From: Ann &lt;a@b&gt;</div>",
            "Yes.\n\n--\nBob\nFrom: Ann <a@b>",
        );
        let answered =
            "<p>My answers are in blue below.</p><div id=divRplyFwdMsg>From: Bob</div><p>When? <b>At nine.</b></p>";
        check(answered, "My answers are in blue below.\n\nFrom: Bob\n\nWhen? At nine.");
        let between = "<p>See my answers inline.</p><blockquote type=cite>When?</blockquote><p>At nine.</p>";
        check(between, "See my answers inline.\n\nAt nine.");
    }

    #[test]
    #[rustfmt::skip]
    fn hostile_html_takes_linear_time() {
        let many = |part: &str| part.repeat(50_000);
        let mut cases: Vec<String> = [
            "<div>x", "<li>x", "<font>x", "<table>x", "<blockquote>x", "<table><tr><td>x", "<ul><li>x",
            "<b><p></b>x", "<a><div><a><p></a>", "<p>x</p>", "</div>", "<", "<a ", "<a b=\"", "&#x&am;",
            "<!--", "<!--<a>", "<a b=\">\" ", "<a b='>\" ", "<style>x<b>", "--", "<object>", "<script><!--", "</", "<a/b=", "<svg a/", "<style>", "<div class=gmail_quote>x", "<div style='display:none'>x",
        ]
            .iter()
            .map(|part| many(part))
            .collect();
        cases.push(format!("<div>{}", many("x").repeat(200)));
        cases.push(format!("<!--{}", many("-!-")));
        cases.push(format!("<a{}>x", many(" b=c")));
        cases.push(format!("<style>{}", many("a{display:none}")));
        cases.push(format!("<style>{}</style>{}", ".a b{display:none}".repeat(5_000), many("<p>x</p>")));
        cases.push(format!("<style>@media (#{}</style>x", many("{")));
        cases.push(format!("<style>{}</style>x", many("@media screen{")));
        cases.push(format!("<style>{}</style>x", many(".a{display:block}.a{display:none}/*")));
        let many_above: String = (0..10_000).map(|i| format!(".x{i} .a{{display:none}}")).collect();
        cases.push(format!("<style>{many_above}</style>{}", many("<p class=a>x</p>")));
        cases.push(format!("<style>p{{display:none}}</style>{}", many("<p>x<b>")));
        cases.push(format!("<style>.a{{display:none}}</style>{}", many("<td class=a>x")));
        cases.push(format!("<p style=\"a:{}\">x", many("((((")));
        cases.push(many("<div id=appendonsend></div>"));
        cases.push(format!("<p>FYI</p>{}", many("<div id=divRplyFwdMsg></div>")));
        cases.push(format!("{}Begin forwarded message:", many("<blockquote type=cite>")));
        let sheet = format!("<style>{}</style>", ".a{display:none}".repeat(100));
        cases.push(format!("{}{}", sheet.repeat(300), "<p>x</p>".repeat(30_000)));
        cases.push("<td colspan=999999999 rowspan=0>x".repeat(5_000));
        for html in cases {
            let start = Instant::now();
            to_text(&html, true);
            let head: String = html.chars().take(40).collect();
            // Without optimization; with it, a tenth of this.
            assert!(start.elapsed() < Duration::from_secs(4), "{head} took {:?}", start.elapsed());
        }
    }
}
