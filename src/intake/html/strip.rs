//! Tags taken off without building a tree: the fallback for HTML too deep or too long to render

use super::tokens::{Token, is_any, tokens};

/// Elements that stand on lines of their own
#[rustfmt::skip]
pub(super) const BLOCKS: &[&str] = &[
    "p", "div", "br", "tr", "td", "th", "li", "ul", "ol", "dl", "dt", "dd", "table", "h1", "h2", "h3", "h4",
    "h5", "h6", "hr", "pre", "blockquote", "center",
    "form", "section", "article", "header", "footer", "address", "body", "caption", "fieldset", "main", "nav",
    "option", "optgroup", "select",
];

/// The named character references that mail uses
#[rustfmt::skip]
const ENTITIES: &[(&str, &str)] = &[
    ("amp", "&"), ("lt", "<"), ("gt", ">"), ("quot", "\""), ("apos", "'"), ("nbsp", " "), ("copy", "©"),
    ("reg", "®"), ("trade", "™"), ("euro", "€"),
    ("pound", "£"), ("yen", "¥"), ("cent", "¢"), ("sect", "§"), ("para", "¶"), ("deg", "°"), ("plusmn", "±"),
    ("times", "×"), ("frac12", "½"), ("middot", "·"),
    ("bull", "•"), ("hellip", "…"), ("ndash", "–"), ("mdash", "—"), ("lsquo", "‘"), ("rsquo", "’"),
    ("ldquo", "“"), ("rdquo", "”"), ("sbquo", "‚"), ("bdquo", "„"),
    ("laquo", "«"), ("raquo", "»"), ("lsaquo", "‹"), ("rsaquo", "›"), ("iexcl", "¡"), ("iquest", "¿"),
    ("auml", "ä"), ("ouml", "ö"), ("uuml", "ü"), ("Auml", "Ä"),
    ("Ouml", "Ö"), ("Uuml", "Ü"), ("szlig", "ß"), ("agrave", "à"), ("aacute", "á"), ("acirc", "â"),
    ("atilde", "ã"), ("aring", "å"), ("aelig", "æ"), ("ccedil", "ç"),
    ("egrave", "è"), ("eacute", "é"), ("ecirc", "ê"), ("euml", "ë"), ("igrave", "ì"), ("iacute", "í"),
    ("icirc", "î"), ("iuml", "ï"), ("ntilde", "ñ"), ("ograve", "ò"),
    ("oacute", "ó"), ("ocirc", "ô"), ("otilde", "õ"), ("oslash", "ø"), ("ugrave", "ù"), ("uacute", "ú"),
    ("ucirc", "û"), ("Eacute", "É"), ("Agrave", "À"), ("Ccedil", "Ç"),
    ("zwnj", ""), ("zwj", ""), ("shy", ""), ("ensp", " "), ("emsp", " "), ("thinsp", " "), ("rarr", "→"),
    ("larr", "←"),
];

/// The text of HTML of any size and shape, in time linear in its length
pub(super) fn strip(html: &str) -> String {
    let mut text = String::new();
    for token in tokens(html) {
        append(&mut text, token);
    }
    text
}

/// The text of these tokens
pub(super) fn strip_tokens(tokens: &[Token<'_>]) -> String {
    let mut text = String::new();
    for &token in tokens {
        append(&mut text, token);
    }
    text
}

fn append(text: &mut String, token: Token<'_>) {
    match token {
        Token::Text(raw) => {
            for c in decode(raw) {
                let space = c.is_whitespace();
                if !space {
                    text.push(c);
                } else if !text.ends_with([' ', '\n']) && !text.is_empty() {
                    text.push(' ');
                }
            }
        }
        Token::Open(name, _) | Token::Close(name)
            if is_any(name, BLOCKS) && !text.is_empty() && !text.ends_with('\n') =>
        {
            text.push('\n')
        }
        _ => {}
    }
}

/// The characters of a text with references resolved; broken ones stay as they are
fn decode(raw: &str) -> impl Iterator<Item = char> + '_ {
    let mut rest = raw;
    let mut pending: std::str::Chars<'static> = "".chars();
    std::iter::from_fn(move || {
        if let Some(c) = pending.next() {
            return Some(c);
        }
        loop {
            let c = rest.chars().next()?;
            if c == '&'
                && let Some((decoded, length)) = reference(rest)
            {
                rest = &rest[length..];
                match decoded {
                    Decoded::Char(c) => return Some(c),
                    Decoded::Text(text) => {
                        pending = text.chars();
                        if let Some(c) = pending.next() {
                            return Some(c);
                        }
                        continue;
                    }
                }
            }
            rest = &rest[c.len_utf8()..];
            return Some(c);
        }
    })
}

enum Decoded {
    Char(char),
    Text(&'static str),
}

fn reference(text: &str) -> Option<(Decoded, usize)> {
    let name: &str = &text[1..];
    let length = name.bytes().take(12).take_while(|b| b.is_ascii_alphanumeric() || *b == b'#').count();
    let (name, ends) = (&name[..length], name.as_bytes().get(length) == Some(&b';'));
    let total = 1 + length + usize::from(ends);
    if let Some(figure) = name.strip_prefix('#') {
        let code = match figure.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => figure.parse().ok()?,
        };
        let c = char::from_u32(code).filter(|c| *c != '\0').unwrap_or('\u{fffd}');
        return Some((Decoded::Char(c), total));
    }
    let (_, decoded) = ENTITIES.iter().find(|(known, _)| *known == name)?;
    ends.then_some((Decoded::Text(decoded), total))
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
            ("<td>x<td>y", "x\ny"),
            ("<style>p{}</style><script>x</script>t", "t"),
            ("a&zwnj;b", "ab"),
        ] {
            assert_eq!(strip(html), expected, "{html}");
        }
    }
}
