//! Markdown and the HTML inside it: what a reader would not see
//!
//! This is no parser of Markdown. It drops what markup adds to a text and keeps the rest, and plain text that uses the
//! same characters for something else passes unharmed.

use std::ops::Range;

use unicode_normalization::char::canonical_combining_class;

use unicode_normalization::UnicodeNormalization;

/// Longest tag or link that is looked for, in bytes. It bounds the look ahead from each bracket; comments have their own
/// bound, the last `-->`.
const LONGEST_TAG: usize = 600;

/// Elements that stand in Markdown. `<Buyer>` and `<EUR 500 or >EUR 900` are text.
#[rustfmt::skip]
const ELEMENTS: &[&str] = &[
    "a", "abbr", "b", "big", "blockquote", "body", "br", "center", "cite", "code", "col", "colgroup", "dd", "del",
    "details", "div", "dl", "dt", "em", "font", "h1", "h2", "h3", "h4", "h5", "h6", "head", "hr", "html", "i", "img",
    "ins", "kbd", "li", "ol", "p", "pre", "s", "small", "span", "strike", "strong", "style",
    "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul",
];

/// A line of the input.
#[derive(Debug, Clone)]
pub(super) struct RawLine<'a> {
    pub text: &'a str,
    pub start: usize,
    /// Without the end of the line.
    pub end: usize,
}

/// How a line was marked up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LineStyle {
    pub indent: usize,
    pub heading: u8,
    pub bullet: bool,
    pub bold: bool,
}

/// The lines of a text; comments count as empty lines. Front matter is text, because it may hold a price or a term.
pub(super) fn lines(raw: &str) -> Vec<RawLine<'_>> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut until = 0;
    // What opens behind the last end of a comment is no comment. Without this bound each would be looked for to the end.
    let last_close = raw.rfind("-->").unwrap_or(0);
    for piece in raw.split_inclusive('\n') {
        let end = start + piece.trim_end_matches(['\n', '\r']).len();
        let mut from = start.max(until.min(end));
        // A comment at the start of what is left. Comments after text are dropped with the tags.
        while let Some(rest) = raw.get(from..end)
            && rest.trim_start().starts_with("<!--")
        {
            let open = from + (rest.len() - rest.trim_start().len());
            let Some(close) = raw.get(open..).filter(|_| open < last_close).and_then(|rest| rest.find("-->")) else {
                break;
            };
            until = open + close + "-->".len();
            from = until.min(end);
        }
        lines.push(RawLine { text: &raw[from..end], start: from, end });
        start += piece.len();
    }
    lines
}

/// True for a line that only draws: a thematic break, the underline of a heading or of a row of a table.
pub(super) fn is_rule(line: &str) -> bool {
    line.len() >= 3 && line.chars().all(|c| matches!(c, '-' | '=' | '|' | ':' | ' ' | '*' | '+'))
}

/// Writes what is visible of a line and tells its style.
pub(super) fn write_visible(line: &RawLine<'_>, write: &mut impl FnMut(&str, Range<usize>)) -> LineStyle {
    let mut style = LineStyle::default();
    let text = line.text;
    let mut at = indent(text, 0, &mut style.indent);
    at = strip_prefix(text, at, &mut style);
    let body = text[at..].trim_end();
    style.bold = body.len() > 4 && body.starts_with("**") && body.ends_with("**");
    let mut kept = at;
    let mut link_ends: Vec<(usize, usize)> = Vec::new();
    let bytes = text.as_bytes();
    let (body_start, last_comment) = (at, text.rfind("-->").unwrap_or(0));
    while at < text.len() {
        let skip = match bytes[at] {
            b'<' if at >= last_comment && text[at..].starts_with("<!--") => 0,
            b'<' => tag(&text[at..]),
            b'*' | b'_' => emphasis(text, at),
            b'`' => 1,
            b'#' => inner_heading(text, body_start..at, &mut style),
            b'\\' if bytes.get(at + 1).is_some_and(u8::is_ascii_punctuation) => 1,
            b'[' => link(text, at, &mut link_ends),
            b'!' if bytes.get(at + 1) == Some(&b'[') && link(text, at + 1, &mut Vec::new()) > 0 => 1,
            b']' if link_ends.last().is_some_and(|(close, _)| *close == at) => {
                link_ends.pop().map_or(1, |(_, end)| end - at)
            }
            b'&' => {
                if let Some((character, length)) = entity(&text[at..]) {
                    fold(&text[kept..at], line.start + kept, write);
                    write(character, line.start + at..line.start + at + length);
                    at += length;
                    kept = at;
                    continue;
                }
                0
            }
            _ => 0,
        };
        if skip > 0 {
            fold(&text[kept..at], line.start + kept, write);
            at += skip;
            kept = at;
            // The character behind a backslash is text, whatever it is.
            if skip == 1 && bytes[at - 1] == b'\\' {
                at += 1;
            }
        } else {
            // A run of marks that is text is text as a whole; looking at it from each of its marks takes too long.
            at += if matches!(bytes[at], b'*' | b'_' | b'#') { run(text, at) } else { 1 };
            while at < text.len() && !text.is_char_boundary(at) {
                at += 1;
            }
        }
    }
    fold(&text[kept.min(text.len())..], line.start + kept, write);
    style
}

/// Counts the columns of blanks from `at` on.
fn indent(text: &str, at: usize, columns: &mut usize) -> usize {
    let mut end = at;
    for c in text[at..].chars() {
        match c {
            ' ' => *columns += 1,
            '\t' => *columns += 4,
            '\u{3000}' => *columns += 2,
            _ => break,
        }
        end += c.len_utf8();
    }
    end
}

/// Skips the marks of quotes, headings and bullets at the start of a line.
fn strip_prefix(text: &str, mut at: usize, style: &mut LineStyle) -> usize {
    while let Some(rest) = text.get(at..) {
        if rest.starts_with("> ") {
            at += 2;
            continue;
        }
        let hashes = rest.bytes().take_while(|b| *b == b'#').count();
        if (1..=6).contains(&hashes) && rest[hashes..].starts_with([' ', '\t']) {
            style.heading = hashes as u8;
            at += hashes;
            continue;
        }
        let mut characters = rest.chars();
        let first = characters.next();
        if !style.bullet && matches!(first, Some('-' | '*' | '+' | '•' | '·' | '–' | '●' | '▪')) {
            let length = first.map_or(0, char::len_utf8);
            let is_sign = matches!(first, Some('-' | '+' | '–')) && begins_with_amount(&rest[length..]);
            if rest[length..].starts_with([' ', '\t']) && !is_sign {
                style.bullet = true;
                at += length;
                continue;
            }
        }
        let mut ignored = 0;
        let next = indent(text, at, &mut ignored);
        if next == at {
            break;
        }
        at = next;
    }
    at
}

/// True for a number behind a sign, as in `- 5 %`; but `- 1. Fees` is an item of a list.
fn begins_with_amount(rest: &str) -> bool {
    let number = rest.trim_start();
    let behind = number.trim_start_matches(|c: char| c.is_ascii_digit());
    let ended = behind.strip_prefix(['.', ')', '、']);
    let is_marker = ended.is_some_and(|ended| !ended.starts_with(|c: char| c.is_ascii_digit()));
    behind.len() < number.len() && !is_marker
}

/// The length of the tag or comment that a text begins with, 0 if it begins with none. `<Seller Name>` and the address
/// in `<https://…>` are text.
pub(super) fn tag(rest: &str) -> usize {
    if rest.starts_with("<!--") {
        return rest.find("-->").map_or(0, |at| at + 3);
    }
    let name = rest.get(1..).unwrap_or_default();
    let name = name.strip_prefix('/').unwrap_or(name);
    let word = name.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let (name, inner) = name.split_at(word);
    let is_case = |is: fn(&u8) -> bool| name.bytes().all(|b| b.is_ascii_digit() || is(&b));
    let is_one_case = is_case(u8::is_ascii_lowercase) || is_case(u8::is_ascii_uppercase);
    if !is_one_case || !ELEMENTS.contains(&name.to_ascii_lowercase().as_str()) {
        return 0;
    }
    let Some(end) = inner.bytes().take(LONGEST_TAG).position(|b| b == b'>') else { return 0 };
    let inner = inner[..end].trim_matches(['/', ' ']);
    // Words behind the name are attributes: `<a fee of EUR 5>` is text.
    let is_tag = inner.is_empty() || inner.contains('=') && !inner.contains('<');
    if is_tag { rest.len() - rest[1..].trim_start_matches('/').len() + word + end + 1 } else { 0 }
}

/// The length of a run of the mark at `at`.
fn run(text: &str, at: usize) -> usize {
    let mark = text.as_bytes()[at];
    text[at..].bytes().take_while(|b| *b == mark).count()
}

/// The length of a run of emphasis marks: they touch a word on one side only.
fn emphasis(text: &str, at: usize) -> usize {
    let mark = text.as_bytes()[at];
    let length = run(text, at);
    let before = text[..at].chars().next_back();
    let after = text[at + length..].chars().next();
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric());
    let is_blank = |c: Option<char>| c.is_none_or(char::is_whitespace);
    let emphasises = if mark == b'_' {
        length <= 2 && is_word(before) != is_word(after)
    } else {
        // "5*3" and "5 * 3" are products.
        length <= 3 && !(is_blank(before) && is_blank(after)) && !(length == 1 && is_word(before) && is_word(after))
    };
    if emphasises { length } else { 0 }
}

/// A heading inside an item, as in `1. ## Service`; `before` is the line up to the mark.
fn inner_heading(text: &str, before: Range<usize>, style: &mut LineStyle) -> usize {
    if before.len() > 16 {
        return 0;
    }
    let (at, before) = (before.end, text[before].trim());
    let hashes = run(text, at);
    let marker_only = !before.is_empty() && before.len() <= 8 && before.ends_with(['.', ')', '、']);
    if hashes <= 6 && marker_only && text[at + hashes..].starts_with(' ') {
        style.heading = hashes as u8;
        return hashes + 1;
    }
    0
}

/// The length of the bracket that opens a link. The address is skipped when its closing bracket is reached.
fn link(text: &str, at: usize, ends: &mut Vec<(usize, usize)>) -> usize {
    let window = &text.as_bytes()[at..text.len().min(at + LONGEST_TAG)];
    let Some(close) = window.iter().position(|b| *b == b']') else { return 0 };
    if window.get(close + 1) != Some(&b'(') {
        return 0;
    }
    let Some(end) = window[close..].iter().position(|b| *b == b')') else { return 0 };
    ends.push((at + close, at + close + end + 1));
    1
}

/// The character of an entity and the length of its name.
fn entity(rest: &str) -> Option<(&'static str, usize)> {
    const ENTITIES: [(&str, &str); 9] = [
        ("&amp;", "&"),
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&sect;", "§"),
        ("&ldquo;", "\""),
        ("&rdquo;", "\""),
    ];
    ENTITIES.iter().find(|(name, _)| rest.starts_with(name)).map(|(name, character)| (*character, name.len()))
}

/// Folds the characters of `text` and hands each with its bytes to `write`.
fn fold(text: &str, offset: usize, write: &mut impl FnMut(&str, Range<usize>)) {
    let mut buffer = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, first)) = characters.next() {
        let mut end = at + first.len_utf8();
        if first.is_ascii() && characters.peek().is_none_or(|(_, c)| c.is_ascii()) {
            match first {
                '`' => write("'", offset + at..offset + end),
                '\t' | '\u{b}' | '\u{c}' => write(" ", offset + at..offset + end),
                c if c.is_ascii_control() => {}
                _ => write(&text[at..end], offset + at..offset + end),
            }
            continue;
        }
        while let Some(&(mark, c)) = characters.peek() {
            if canonical_combining_class(c) == 0 {
                break;
            }
            end = mark + c.len_utf8();
            characters.next();
        }
        buffer.clear();
        fold_cluster(text[..at].chars().next_back(), first, &text[at..end], &mut buffer);
        if !buffer.is_empty() {
            write(&buffer, offset + at..offset + end);
        }
    }
}

/// Folds a character with its accents; `before` is the character before it.
pub(super) fn fold_cluster(before: Option<char>, first: char, cluster: &str, out: &mut String) {
    match first {
        // 2½ is 2.5. Compatibility normalisation would make 21⁄2 of it.
        '½' | '¼' | '¾' => {
            out.push_str(if before.is_some_and(|c| c.is_ascii_digit()) { "." } else { "0." });
            out.push_str(match first {
                '½' => "5",
                '¼' => "25",
                _ => "75",
            });
        }
        '⅐'..='⅞' => {
            out.push(' ');
            out.extend(cluster.nfkc().map(|c| if c == '⁄' { '/' } else { c }));
        }
        // m² is a unit; 10² and the mark of a footnote are not 102 and a digit.
        '¹' | '²' | '³' | '⁰' | '⁴'..='⁻' if before != Some('m') => {
            out.push('^');
            out.extend(cluster.nfkc());
        }
        '“' | '”' | '„' | '‟' | '«' | '»' | '「' | '」' | '『' | '』' | '〝' | '〞' => out.push('"'),
        '‘' | '’' | '‚' | '‛' | '´' | '`' => out.push('\''),
        '–' | '—' | '―' | '−' | '‐' | '‑' | '‒' => out.push('-'),
        '【' | '〖' => out.push('['),
        '】' | '〗' => out.push(']'),
        '〔' => out.push('('),
        '〕' => out.push(')'),
        // Marks of a list. Compatibility normalisation would turn them into bare numbers.
        '①'..='⑳' => out.push(first),
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{202a}'..='\u{202e}' => {}
        c if c.is_control() && !c.is_whitespace() => {}
        c if c.is_whitespace() => out.push(' '),
        _ => out.extend(cluster.nfkc()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, visible: &str) {
        let mut seen = String::new();
        for line in lines(raw) {
            write_visible(&line, &mut |text, _| seen.push_str(text));
        }
        assert_eq!(seen, visible, "{raw}");
    }

    #[test]
    fn what_a_reader_sees() {
        for (raw, visible) in [
            ("**Bold** and *thin* and __x__", "Bold and thin and x"),
            ("5*3 and 5 * 3", "5*3 and 5 * 3"),
            ("Signed: __________", "Signed: __________"),
            ("see [Terms](https://x.org/a_(b)) now", "see Terms) now"),
            ("[blank] and [A](#a) | [B](#b)", "[blank] and A | B"),
            ("a &amp; b &copy;", "a & b &copy;"),
            ("<span id=\"1\">**\"Term\"**</span></span> means", "\"Term\" means"),
            ("if a < b and c > d", "if a < b and c > d"),
            ("at <https://x.org/> now", "at <https://x.org/> now"),
            ("1\\. one", "1. one"),
            ("---\nprice: EUR 500\n---\nText", "---price: EUR 500---Text"),
            ("<Seller Name>, <amount>, <a fee of EUR 5>", "<Seller Name>, <amount>, <a fee of EUR 5>"),
            ("if <EUR 500 or >EUR 900<br/>x", "if <EUR 500 or >EUR 900x"),
            ("<!-- a", "<!-- a"),
            ("2½% of ⅓, ½ of 10² kg, 80 m² for EUR 500¹", "2.5% of  1/3, 0.5 of 10^2 kg, 80 m2 for EUR 500^1"),
            ("- 5 %", "- 5 %"),
            ("- 1. Fees", "1. Fees"),
            ("- 5、费用", "5、费用"),
            ("<!-- a\nb --> Text", "Text"),
            ("3. ## Service", "3. Service"),
            ("snake_case_name", "snake_case_name"),
        ] {
            check(raw, visible);
        }
    }

    #[test]
    fn long_lines_are_read_in_one_pass() {
        for mark in ["*", "_", "# ", "<!-- ", "<", "[", "(", "a*"] {
            let text = format!("x {} y", mark.repeat(100_000));
            let started = std::time::Instant::now();
            lines(&text).iter().for_each(|line| _ = write_visible(line, &mut |_, _| {}));
            assert!(started.elapsed().as_secs() < 5, "{mark}");
        }
    }

    #[test]
    fn line_styles() {
        for (raw, heading, bullet, indent) in
            [("## A", 2, false, 0), ("  - x", 0, true, 2), ("\t1. x", 0, false, 4), ("> # Q", 1, false, 0)]
        {
            let style = write_visible(&RawLine { text: raw, start: 0, end: raw.len() }, &mut |_, _| {});
            assert_eq!((style.heading, style.bullet, style.indent), (heading, bullet, indent), "{raw}");
        }
    }
}
