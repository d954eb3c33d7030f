//! Shortens long links and tracking links to their host

use super::lines::LONGEST;

/// Longer links, in bytes, are shortened
const READABLE: usize = 100;

/// Parts of links that track clicks and openings
#[rustfmt::skip]
const TRACKING: &[&str] = &[
    "utm_", "/wf/open", "/wf/click", "/ls/click", "/track", "click?", "/click/", "upn=", "mc_eid=", "mc_cid=",
    "fbclid=", "gclid=",
    "/unsubscribe", "/unsub", "trk=", "/e/c/", "/cl0/", "redirect=", "redir?", "/r.php", "elqtrack",
    "mkt_tok=", "vero_id=", "_hsenc=",
];

/// Replaces such links by their host; also returns the replaced links
pub(super) fn shorten(text: &str) -> (String, Vec<String>) {
    let mut shortened = String::with_capacity(text.len());
    let mut links = Vec::new();
    let mut done = 0;
    let mut judged = 0;
    for (at, _) in text.match_indices("://") {
        // A `://` inside a link was handled with that link.
        let Some(start) = scheme(&text[..at]).filter(|&start| start >= judged) else {
            continue;
        };
        let from = at + "://".len();
        judged = from + text[from..].find(ends_link).unwrap_or(text.len() - from);
        let end = start + text[start..judged].trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '_']).len();
        let Some(rest) = text.get(from..end) else {
            continue;
        };
        let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let host = host.rsplit('@').next().unwrap_or(host);
        // A host without letters or digits would tell no more than the link.
        if !host.chars().any(char::is_alphanumeric) || is_readable(&text[start..end], path) {
            continue;
        }
        shortened.push_str(&text[done..start]);
        shortened.push_str(host);
        links.push(text[start..end].chars().take(LONGEST).collect());
        done = end;
    }
    shortened.push_str(&text[done..]);
    (shortened, links)
}

/// Where the `http` or `https` starts at the end of this text
fn scheme(before: &str) -> Option<usize> {
    ["https", "http"].iter().find_map(|scheme| {
        let start = before.len().checked_sub(scheme.len())?;
        before.get(start..).filter(|word| word.eq_ignore_ascii_case(scheme)).map(|_| start)
    })
}

fn ends_link(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '<' | '>'
                | '"'
                | '\''
                | '('
                | ')'
                | '['
                | ']'
                | '{'
                | '}'
                | '|'
                | '\\'
                | '^'
                | '`'
                | '，'
                | '。'
                | '、'
                | '；'
                | '）'
                | '】'
                | '》'
        )
}

fn is_readable(link: &str, path: &str) -> bool {
    let query = path.find('?').map_or(0, |at| path.len() - at);
    link.len() <= READABLE && query <= 48 && (query == 0 && link.len() <= 60 || !is_tracking(path))
}

fn is_tracking(rest: &str) -> bool {
    let rest = rest.to_ascii_lowercase();
    TRACKING.iter().any(|mark| rest.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_for_machines_are_shortened() {
        let long = format!("see https://click.example.com/{} now", "x".repeat(200));
        for (text, expected) in [
            ("https://example.com/a/b.html", "https://example.com/a/b.html"),
            ("go to http://user@t.example.com/ls/click?upn=abc.", "go to t.example.com."),
            (long.as_str(), "see click.example.com now"),
            ("[a](https://example.com/?utm_source=x)", "[a](example.com)"),
            ("no link: x://y", "no link: x://y"),
        ] {
            assert_eq!(shorten(text).0, expected);
        }
        assert_eq!(shorten(&long).1.len(), 1);
    }

    #[test]
    fn a_link_to_nowhere_stays() {
        for text in ["http://-/?utm_source=x", "http://x@/?utm_source=x", "https:///track?utm_source=x"] {
            assert_eq!(shorten(text), (text.to_string(), Vec::new()));
        }
    }
}
