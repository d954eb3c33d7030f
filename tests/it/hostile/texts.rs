//! Text without words, without lines, or without end, in mails, rows and invitations.

use super::{A_MAIL, HEAD, one, records, repeat, scored};

const LONG: usize = 100 << 20;

#[test]
fn one_line_of_a_hundred_megabytes() {
    for (case, format, before, part, after) in [
        ("in a mail", "eml", HEAD.to_string() + "\n", "x", "\n"),
        ("in words", "eml", HEAD.to_string() + "\n", "word ", "\n"),
        ("as HTML in a mail", "eml", HEAD.to_string() + "Content-Type: text/html\n\n", "<p>word ", "\n"),
        ("as a page", "html", "<html><p>the invoice</p>".into(), "<p>word ", "\n"),
        ("as base64", "eml", HEAD.to_string() + "Content-Transfer-Encoding: base64\n\n", "d29yZCB3b3Jk", "\n"),
        ("as quoted-printable", "eml", HEAD.to_string() + "Content-Transfer-Encoding: quoted-printable\n\n", "=", "\n"),
        ("as a text", "text", "the invoice ".into(), "x", "\n"),
    ] {
        let found = records(&format!("100 MB {case}"), Some(format), A_MAIL, move |out| {
            out.write_all(before.as_bytes())?;
            repeat(out, part.as_bytes(), LONG)?;
            out.write_all(after.as_bytes())
        });
        assert_eq!(found.len(), 1, "{case}");
        assert!(found[0]["label"].is_string(), "{case}");
        assert_eq!(found[0]["truncated"], true, "{case}");
    }
    let found = records("100 MB as a row", Some("jsonl"), A_MAIL, |out| {
        out.write_all(b"{\"text\":\"")?;
        repeat(out, b"x", LONG)?;
        out.write_all(b"\"}\n{\"text\":\"the invoice\"}\n")
    });
    assert_eq!(found[0]["error"], "bad row: longer than 32 MiB");
    assert_eq!(found[1]["label"], "invoice");
}

#[test]
fn texts_of_one_thing() {
    for (case, part) in [
        ("letters", "x"),
        ("combining marks", "\u{301}"),
        ("right-to-left marks", "\u{202e}"),
        ("one emoji", "🎉"),
        ("emoji of three", "👨\u{200d}👩\u{200d}👧"),
        ("blanks of no width", "\u{200b}"),
        ("a character that becomes eighteen", "\u{fdfa}"),
        ("letters that are not known", "\u{13a0}"),
        ("Chinese", "会"),
        ("line breaks", "\n"),
        ("quote marks", ">\n"),
        ("dashes", "-"),
        ("attributions", "On 1 Jan 2024, A wrote:\n"),
        ("links", "http://a.b/?utm_source=c "),
        ("header fields", "From: x\n"),
    ] {
        one(&format!("32 MB of {case}"), Some("text"), part.repeat((32 << 20) / part.len()));
        scored(&format!("15 MB of {case} in a mail"), format!("{HEAD}\n{}", part.repeat((15 << 20) / part.len())));
        let line = part.trim_end().repeat((40 / part.len()).max(1)) + "\n";
        scored(&format!("lines of {case} in a mail"), format!("{HEAD}\n{}", line.repeat(300_000)));
    }
}

#[test]
fn encodings_of_bodies() {
    for (case, header, part) in [
        ("soft line breaks", "Content-Transfer-Encoding: quoted-printable", b"=\n".as_slice()),
        ("encoded bytes", "Content-Transfer-Encoding: quoted-printable", b"=E4"),
        ("Russian undeclared", "X: y", b"\xd2\xc1\xda "),
        ("Russian declared wrongly", "Content-Type: text/plain; charset=us-ascii", b"\xd2\xc1\xda "),
        ("escapes", "Content-Type: text/plain; charset=iso-2022-jp", b"\x1b$B\x1b(B"),
        ("UTF-7", "Content-Type: text/plain; charset=utf-7", b"+AGE-"),
        ("UTF-16", "Content-Type: text/plain; charset=utf-16", b"a\0"),
        ("uuencode", "X: y", b"begin 644 x\nMAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"),
        ("yEnc", "X: y", b"=ybegin line=128 size=9 name=x\n\xab\xac\xad\n"),
        ("armor", "X: y", b"-----BEGIN PGP MESSAGE-----\n"),
        ("NUL bytes", "X: y", b"\0"),
    ] {
        scored(case, [HEAD.as_bytes(), header.as_bytes(), b"\n\n", &part.repeat((30 << 20) / part.len())].concat());
    }
}

#[test]
fn invitations() {
    let mail = |calendar: String| format!("{HEAD}Content-Type: text/calendar\n\n{calendar}");
    for (case, calendar) in [
        ("folded lines", "BEGIN:VEVENT\nSUMMARY:invoice".to_string() + &"\n x".repeat(10_000_000)),
        ("100,000 events", "BEGIN:VEVENT\nEND:VEVENT\n".repeat(100_000)),
        ("events that never end", "BEGIN:VEVENT\nSUMMARY:x\n".repeat(1_000_000)),
        ("events in events", "BEGIN:VEVENT\n".repeat(2_000_000)),
        ("a time of digits", "BEGIN:VEVENT\nDTSTART:".to_string() + &"2".repeat(30_000_000)),
        ("backslashes", "BEGIN:VEVENT\nSUMMARY:".to_string() + &"\\".repeat(30_000_000)),
    ] {
        scored(case, mail(calendar));
    }
}

#[test]
fn rows() {
    let deep = |open: &str, close: &str, depth| {
        format!("{{\"text\":\"x\",\"a\":{}{}}}\n", open.repeat(depth), close.repeat(depth))
    };
    let good = "{\"text\":\"the invoice\"}\n";
    let rows =
        [deep("[", "]", 100_000), deep("[", "", 10_000_000), deep("{\"a\":", "1}", 100_000), good.into()].concat();
    let found = records("rows 100,000 deep", Some("jsonl"), A_MAIL, move |out| out.write_all(rows.as_bytes()));
    assert_eq!(found.len(), 4);
    // What is in a field that nobody reads may be as deep as it likes, if it ends.
    assert!(found[0]["label"].is_string());
    assert!(found[1..3].iter().all(|row| row["error"].as_str().is_some_and(|why| why.starts_with("bad row"))));
    assert_eq!(found[3]["label"], "invoice");
    for (case, row) in [
        ("escapes", format!("{{\"text\":\"the invoice {}\"}}\n", "\\u0041".repeat(5_000_000))),
        ("keys", format!("{{\"text\":\"the invoice\"{}}}\n", ",\"a\":1".repeat(4_000_000))),
        ("an id of digits", format!("{{\"text\":\"the invoice\",\"id\":{}}}\n", "9".repeat(30_000_000))),
        ("an id of a list", format!("{{\"text\":\"the invoice\",\"id\":[{}1]}}\n", "1,".repeat(10_000_000))),
    ] {
        one(case, Some("jsonl"), row);
    }
}
