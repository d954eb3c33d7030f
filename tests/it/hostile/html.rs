//! HTML that is deep, endless, unclosed or confusing.

use super::{HEAD, scored};

const MANY: usize = 50_000;

fn html(body: impl AsRef<str>) -> String {
    format!("{HEAD}Content-Type: text/html; charset=utf-8\n\n{}", body.as_ref())
}

#[test]
fn elements_nested_fifty_thousand_deep() {
    for tag in [
        "div",
        "li",
        "font",
        "table",
        "b",
        "blockquote",
        "span style=\"color:red\"",
        "blockquote type=cite",
        "div class=gmail_quote",
        "div style='display:none'",
        "div id=appendonsend",
    ] {
        let open = format!("<{tag}>x").repeat(MANY);
        let name = tag.split(' ').next().unwrap_or(tag);
        scored(&format!("<{tag}> unclosed"), html(&open));
        scored(&format!("<{tag}> closed"), html(format!("{open}{}", format!("</{name}>").repeat(MANY))));
    }
    // Just under the depth that a tree may have, over and over.
    let hill = format!("{}{}", "<div>x".repeat(198), "</div>".repeat(198));
    scored("198 deep, 250 times", html(hill.repeat(250)));
    scored(
        "60 tables deep, 100 times",
        html(["<table><tr><td>a<td>".repeat(60), "</table>".repeat(60)].concat().repeat(100)),
    );
}

#[test]
fn elements_in_disorder() {
    let names = ["div", "li", "font", "table", "b", "blockquote", "span style='a:b'", "tr", "td", "p", "a", "ul"];
    let open = |at: usize| format!("<{} class=c{at} id=i{at}>x", names[at % names.len()]);
    scored("mixed and unclosed", html((0..MANY).map(open).collect::<String>()));
    let crossed = |at: usize| format!("<{}>x</{}>", names[at % names.len()], names[(at * 7 + 3) % names.len()]);
    scored("mixed and crossed", html((0..MANY).map(crossed).collect::<String>()));
    scored("formatting reopened", html("<b>".repeat(190) + &"<p>x".repeat(MANY)));
    scored("adoption", html("<a><b><i><u><p>x</a></b></i></u>".repeat(6000)));
    scored("text in a table", html("<table>".to_string() + &"x<div>y".repeat(9000)));
    scored("wide spans", html("<table>".to_string() + &"<tr><td colspan=1000000 rowspan=1000000>x".repeat(5000)));
    for raw in
        ["<plaintext>", "<textarea>", "<title>x", "<svg></svg>", "<svg><math><mtext><p>x<style><![CDATA[</style>"]
    {
        scored(raw, html(raw.repeat(MANY)));
    }
}

#[test]
fn style_sheets_without_end() {
    let page = |css: &str, body: &str| html(format!("<style>{css}</style>{body}"));
    let hello = "<p>hello</p>";
    for (case, css) in [
        ("4 MB of rules", ".a{color:red} ".repeat(300_000)),
        ("90,000 hiding rules", (0..90_000).map(|n| format!(".a{n}{{display:none}}")).collect()),
        ("@import", "@import url(http://x/y.css);".repeat(60_000)),
        ("@media 10,000 deep", "@media x{".repeat(10_000) + "a{display:none}" + &"}".repeat(10_000)),
        ("@media unclosed", "@media x{".repeat(200_000)),
        ("comments unclosed", "/* ".repeat(600_000)),
        ("comments", "/**/;-->a{x:y}".repeat(130_000)),
        ("a string unclosed", "a{content:\"".to_string() + &"x".repeat(1_000_000)),
        ("closing braces", "}".repeat(1_000_000)),
        ("braces", "{".repeat(400_000) + &"}".repeat(400_000)),
        ("a selector of 100 kB", "a ".repeat(50_000) + "{display:none}"),
        ("a list of selectors", "a,".repeat(500_000) + "b{display:none}"),
    ] {
        scored(case, page(&css, hello));
    }
    let elements = "<p class=b>x</p>".repeat(10_000);
    scored("10,000 star rules, 10,000 elements", page(&"*{display:none}* *{display:none}".repeat(5000), &elements));
    scored("hiding rules, 1,000 elements", page(&"div .a{display:none}".repeat(49), &"<div>x".repeat(190).repeat(5)));
    scored("100,000 sheets", html("<style>a{}</style>".repeat(100_000) + hello));
}

#[test]
fn markup_of_one_kind() {
    for (part, times) in [
        ("<", 2_000_000),
        ("<a ", 600_000),
        ("</", 1_000_000),
        ("<!", 1_000_000),
        ("<!-- ", 400_000),
        ("<!-- x -->", 190_000),
        ("<!--[if mso]><table><tr><td><![endif]--><p>x</p><![if !mso]>y<![endif]>", 25_000),
        ("<a b=\"", 200_000),
        ("<a b='\"", 200_000),
        ("&amp;", 1_000_000),
        ("&", 1_900_000),
        ("&#x110000;&bogus;&#;", 90_000),
        ("<br>", 400_000),
        ("<img alt='a picture of b'>", 35_000),
        ("e\u{301}", 600_000),
        ("会", 600_000),
    ] {
        scored(part, html(part.repeat(times)));
    }
    scored("an attribute of 1 MB", html(format!("<div title=\"{}\">hello", "x".repeat(1_000_000))));
    scored("a class list of 1 MB", html(format!("<div class=\"{}\">hello", "x ".repeat(500_000))));
    scored("600,000 attributes", html(format!("<div {}>hello", "class=a id=b style=c ".repeat(200_000))));
    scored("a tag's name of 1 MB", html(format!("<{}>hello", "x".repeat(1_000_000))));
    scored("NUL bytes", html("\0".repeat(1_000_000) + "<p>hello\0</p>"));
    scored("preformatted lines", html("<pre>".to_string() + &"x\n".repeat(900_000)));
}
