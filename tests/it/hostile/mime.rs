//! Messages of many parts, of deep ones, and of boundaries that lead astray.

use super::{HEAD, one, scored};

/// A multipart of `count` parts.
fn parts(count: usize, boundary: &str, part: &str) -> String {
    let part = format!("--{boundary}\n{part}");
    format!("{HEAD}Content-Type: multipart/mixed; boundary=\"{boundary}\"\n\n{}--{boundary}--\n", part.repeat(count))
}

#[test]
fn many_parts() {
    for count in [10_000, 100_000] {
        scored(&format!("{count} parts"), parts(count, "b", "Content-Type: text/plain\n\nhello\n"));
    }
    scored("3,000,000 empty parts", parts(3_000_000, "b", ""));
    scored("300,000 pages", parts(300_000, "b", "Content-Type: text/html\n\n<p>hello</p>\n"));
    let page = format!("Content-Type: text/html\n\n{}\n", "<p>a".repeat(19_000));
    scored("300 pages that each just fit", parts(300, "b", &page));
    let attached = page.replace('\n', "\nContent-Disposition: attachment; filename=x.html\n").replacen("\n\n", "\n", 1);
    scored("300 attached pages", parts(300, "b", &attached));
    scored("100,000 attachments", parts(100_000, "b", "Content-Disposition: attachment; filename=x.pdf\n\nx\n"));
    scored("100,000 invitations", parts(100_000, "b", "Content-Type: text/calendar\n\nBEGIN:VEVENT\nEND:VEVENT\n"));
    scored("100,000 messages", parts(100_000, "b", "Content-Type: message/rfc822\n\nSubject: x\n\nhi\n"));
}

#[test]
fn deep_parts() {
    let deep = |depth: usize, name: &dyn Fn(usize) -> String| {
        let open = |at| format!("Content-Type: multipart/mixed; boundary=\"{0}\"\n\n--{0}\n", name(at));
        let close = |at| format!("--{}--\n", name(at));
        let opened: String = (0..depth).map(open).collect();
        format!("{HEAD}{opened}\nhello\n{}", (0..depth).rev().map(close).collect::<String>())
    };
    scored("multiparts 10,000 deep", deep(10_000, &|at| format!("b{at}")));
    scored("multiparts 100,000 deep", deep(100_000, &|at| format!("b{at}")));
    scored("multiparts with one boundary", deep(100_000, &|_| "b".into()));
    scored("boundaries that begin alike", deep(1500, &|at| "x".repeat(at + 1)));
}

#[test]
fn odd_boundaries() {
    scored("an empty boundary", parts(10_000, "", "\nhello\n"));
    scored("a boundary of 1 MB", parts(10, &"x".repeat(1_000_000), "\nhello\n"));
    scored("boundaries in one line", parts(1, "b", &"--b".repeat(5_000_000)));
    let nowhere = "Content-Type: multipart/mixed; boundary=nowhere\n\n";
    scored("boundaries that are nowhere", parts(400_000, "b", nowhere));
    for dashes in [69, 500_000] {
        let head = format!("{HEAD}Content-Type: multipart/mixed; boundary=\"{}x\"\n\n", "-".repeat(dashes));
        scored("a boundary nearly everywhere", head + &"-".repeat(20 << 20));
    }
}

const MESSAGE: &str = "Content-Type: message/rfc822\n";

#[test]
fn messages_in_messages() {
    let nested = |depth: usize| {
        let levels: String = (0..depth).map(|at| format!("Subject: level {at}\n{MESSAGE}\n")).collect();
        format!("{levels}Subject: innermost\n\nplease pay the invoice\n")
    };
    let tokens = |record: serde_json::Value| record["tokens"].as_u64().unwrap();
    // As deep as is promised all subjects count, and what lies deeper costs nothing.
    let (four, hundred) =
        (tokens(one("4 messages deep", Some("eml"), nested(4))), tokens(one("100", Some("eml"), nested(100))));
    assert!(four >= 8 && hundred >= 5, "{four} and {hundred} tokens");
    for depth in [999, 1_000, 100_000] {
        assert_eq!(one("messages in messages", Some("eml"), nested(depth))["subject"], "level 0", "{depth}");
    }
    scored("999 deep over 30 MB", format!("{HEAD}{MESSAGE}\n{}{}", nested(998), "word ".repeat(6_000_000)));
}

#[test]
fn messages_in_disguise() {
    let deep = format!("{MESSAGE}\n").repeat(100_000);
    for (case, disguised) in [
        ("folded", deep.replace("message/", "message\n /")),
        ("behind comments", deep.replace("message/", "(x)message(y)/(z)")),
        ("in pieces", deep.replace("Content-Type:", "Con tent - Type :")),
        ("message/global", deep.replace("rfc822", "global")),
        (
            "digests",
            (0..100_000).map(|n| format!("Content-Type: multipart/digest; boundary=b{n}\n\n--b{n}\n\n")).collect(),
        ),
    ] {
        scored(case, format!("{HEAD}{disguised}"));
    }
    let quoted = deep.replace("message", "=6Dessage");
    scored("quoted-printable", format!("{HEAD}{MESSAGE}Content-Transfer-Encoding: quoted-printable\n\n{quoted}"));
    scored("base64", format!("{HEAD}{MESSAGE}Content-Transfer-Encoding: base64\n\n{}", base64(deep.as_bytes())));
}

/// In lines, padded with blanks.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len() * 4 / 3);
    for line in bytes.chunks(57) {
        for three in line.chunks(3) {
            let at = |n: usize| u32::from(*three.get(n).unwrap_or(&b' '));
            let bits = at(0) << 16 | at(1) << 8 | at(2);
            text.extend([18, 12, 6, 0].map(|shift| char::from(DIGITS[(bits >> shift & 63) as usize])));
        }
        text.push('\n');
    }
    text
}

#[test]
fn gzip_that_nobody_unpacks() {
    use std::io::Read;
    let mut zipped = Vec::new();
    flate2::read::GzEncoder::new(std::io::repeat(b'w').take(64 << 20), flate2::Compression::fast())
        .read_to_end(&mut zipped)
        .unwrap();
    let encoded = format!("Content-Transfer-Encoding: base64\n\n{}", base64(&zipped));
    scored("gzip as an attachment", parts(1, "b", &format!("Content-Type: application/gzip\n{encoded}")));
    scored("gzip as text", format!("{HEAD}{encoded}"));
    // What no mail carries as it is may be called no text, but it is one document.
    one("gzip as it is", Some("eml"), [HEAD.as_bytes(), b"\n", &zipped].concat());
}
