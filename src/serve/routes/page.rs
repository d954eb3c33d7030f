//! `GET /`: the page. One file of HTML, which asks nobody but this server. It is put together from the files of `page/`,
//! the shipped label sets and some mails of `samples/`.

use std::sync::LazyLock;

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::HttpRoute;

pub(super) static ROUTE: HttpRoute =
    HttpRoute { method: Method::GET, paths: &["/"], handler: |filter| on(filter, page) };

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
/// One script, in this order: the last one starts the page.
const SCRIPT: &str = concat!(
    include_str!("page/words.js"),
    include_str!("page/classify.js"),
    include_str!("page/ask.js"),
    include_str!("page/compare.js"),
    include_str!("page/page.js")
);
/// Mails of `samples/`, to click.
const EXAMPLES: &str = include_str!("page/examples.json");
/// Where the page has its style, its script and its data.
const PLACES: [&str; 3] = ["/*STYLE*/", "/*SCRIPT*/", "/*DATA*/"];

/// The label sets that come with the program.
const SETS: [(&str, &str); 7] = [
    ("mail", include_str!("../../../labels/mail.txt")),
    ("mail.zh", include_str!("../../../labels/mail.zh.txt")),
    ("tickets", include_str!("../../../labels/tickets.toml")),
    ("priority", include_str!("../../../labels/priority.toml")),
    ("spam", include_str!("../../../labels/spam.txt")),
    ("contracts", include_str!("../../../labels/contracts.txt")),
    ("mail with headers", include_str!("../../../labels/mail.toml")),
];

/// The page and its policy.
static MADE: LazyLock<(String, String)> = LazyLock::new(|| {
    let sets: Vec<Value> = SETS.iter().map(|(name, text)| json!({ "name": name, "text": text })).collect();
    let examples: Value = serde_json::from_str(EXAMPLES).unwrap_or_default();
    // Within a script `<` could end it.
    let data = json!({ "sets": sets, "examples": examples }).to_string().replace('<', "\\u003c");
    let page = PLACES
        .iter()
        .zip([STYLE, SCRIPT, &data])
        .fold(PAGE.to_string(), |page, (place, part)| page.replacen(place, part, 1));
    (page, policy())
});

/// What a browser lets the page do: run its own script, ask this server, and nothing else.
fn policy() -> String {
    let hash = |part: &str| BASE64_STANDARD.encode(Sha256::digest(part));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src data:; base-uri \
         'none'; form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

async fn page() -> Response {
    let (text, policy) = &*MADE;
    let headers: [(HeaderName, &str); 4] = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::LabelSet;

    #[test]
    fn the_page_is_whole() {
        for place in PLACES.iter().chain(&["<script>", "<style>"]) {
            assert_eq!(PAGE.matches(place).count(), 1, "{place}");
        }
        let parts = [PAGE, STYLE, SCRIPT].concat();
        for far in ["http://", "https://", "src=", "@import", " url(", ":url(", " style=", "innerHTML"] {
            assert!(!parts.contains(far), "{far}");
        }
        // What would end the script or the style, or is another part's place.
        for end in ["</script", "</style", "<!--"].iter().chain(&PLACES) {
            assert!(!SCRIPT.contains(end) && !STYLE.contains(end), "{end}");
        }
        assert!(MADE.0.contains(STYLE) && MADE.0.contains(SCRIPT));
        for (name, text) in SETS {
            let ending = if text.contains("[[label]]") { "toml" } else { "txt" };
            assert!(LabelSet::parse(name.into(), text.as_bytes(), ending, None).is_ok(), "{name}");
        }
    }

    /// Every text of the interface is there in both languages.
    #[test]
    fn both_languages_say_the_same() {
        let keys = |language: &str| -> Vec<String> {
            let begin = SCRIPT.find(&format!("\n  {language}: {{")).unwrap();
            let body = &SCRIPT[begin..begin + SCRIPT[begin..].find("\n  },").unwrap()];
            let key = regex::Regex::new(r#"[{,]\s+(\w+): ["{]"#).unwrap();
            key.captures_iter(body).map(|found| found[1].to_string()).collect()
        };
        let (english, chinese) = (keys("en"), keys("zh"));
        assert!(english.len() > 50 && english == chinese, "{english:?} {chinese:?}");
        let used = regex::Regex::new(r#"data-t="(\w+)"|words\.(\w+)|say\("(\w+)""#).unwrap();
        let parts = [PAGE, SCRIPT].concat();
        for found in used.captures_iter(&parts) {
            let name = found.iter().skip(1).flatten().next().unwrap().as_str();
            assert!(english.iter().any(|key| key == name), "{name}");
        }
    }
}
