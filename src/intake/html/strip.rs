//! Removes tags without building a tree: the fallback for HTML that is too deep or too long to render.

use html5ever::{LocalName, local_name};

use super::tokens::{Element, Token, each};

/// Elements on lines of their own.
#[rustfmt::skip]
fn is_block(name: &LocalName) -> bool {
    matches!(
        *name,
        local_name!("p") | local_name!("div") | local_name!("br") | local_name!("tr") | local_name!("td")
            | local_name!("th") | local_name!("li") | local_name!("ul") | local_name!("ol") | local_name!("dl")
            | local_name!("dt") | local_name!("dd") | local_name!("table") | local_name!("h1") | local_name!("h2")
            | local_name!("h3") | local_name!("h4") | local_name!("h5") | local_name!("h6") | local_name!("hr")
            | local_name!("pre") | local_name!("blockquote") | local_name!("center") | local_name!("form")
            | local_name!("section") | local_name!("article") | local_name!("header") | local_name!("footer")
            | local_name!("address") | local_name!("body") | local_name!("caption") | local_name!("fieldset")
            | local_name!("main") | local_name!("nav") | local_name!("option")
    )
}

/// Characters without width. Next to white space they are padding; inside a word they matter.
const PADDING: [char; 3] = ['\u{ad}', '\u{200c}', '\u{200d}'];

/// The text of HTML of any size, in linear time.
pub(super) fn strip(html: &str) -> String {
    let mut text = String::new();
    each(html, |token| append(&mut text, &token));
    text
}

/// The text of these tokens.
pub(super) fn strip_tokens<'t>(tokens: impl IntoIterator<Item = &'t Token>) -> String {
    let mut text = String::new();
    tokens.into_iter().for_each(|token| append(&mut text, token));
    text
}

fn append(text: &mut String, token: &Token) {
    match token {
        Token::Text(more) => more.chars().for_each(|c| push(text, c)),
        Token::Open(Element { name, .. }) | Token::Close(name) if is_block(name) => end_with(text, '\n', &['\n']),
        _ => {}
    }
}

/// Adds a character; runs of white space become one space.
fn push(text: &mut String, c: char) {
    if c.is_whitespace() {
        end_with(text, ' ', &[' ', '\n']);
    } else if !PADDING.contains(&c) || !(text.is_empty() || text.ends_with([' ', '\n'])) {
        text.push(c);
    }
}

/// Adds `space` unless the text is empty or ends with one of `enough`.
fn end_with(text: &mut String, space: char, enough: &[char]) {
    text.truncate(text.trim_end_matches(PADDING).len());
    if !text.is_empty() && !text.ends_with(enough) {
        text.push(space);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_tags() {
        for (html, expected) in [
            ("<p>a</p><p>b  c</p>", "a\nb c\n"),
            ("a&nbsp;&amp;&#252;&#x4e2d;&bogus;&", "a &ü中&bogus;&"),
            ("a&#0;&#x110000;&#;b", "a\u{fffd}\u{fffd}&#;b"),
            ("&Zcaron;&hearts;&copy 1&notin;", "Ž♥© 1∉"),
            ("<td>x<td>y", "x\ny"),
            ("<style>p{}</style><script>x</script>t", "t"),
            ("a&zwnj;b&shy;c", "a\u{200c}b\u{ad}c"),
            ("a&zwnj;&nbsp;&zwnj; &zwj;b&zwnj;<p>&shy;c", "a b\nc"),
        ] {
            assert_eq!(strip(html), expected, "{html}");
        }
    }
}
