//! Headers that are endless, many, encoded in pieces, or full of parentheses.

use super::{A_MAIL, one, records, repeat, scored};

const LONG: usize = 100 << 20;

/// A mail whose subject decides, with `headers` behind it.
fn mail(headers: impl AsRef<str>) -> String {
    format!("Subject: the invoice\n{}\n\nhello\n", headers.as_ref())
}

#[test]
fn a_header_of_a_gigabyte() {
    // In a mailbox, where the next mail has to be found behind it.
    let envelope = b"From a Sat Jan  3 01:05:34 1996\n";
    for (case, part) in
        [("1 GB of header lines", b"X: yyyyyyyyyyy\n".as_slice()), ("1 GB of one header", b"yyyyyyyyyyyyyyyy")]
    {
        let found = records(case, None, 10, move |out| {
            out.write_all(envelope)?;
            out.write_all(b"Subject: the invoice\nX: ")?;
            repeat(out, part, 1 << 30)?;
            out.write_all(b"\n\nhello\n\n")?;
            out.write_all(envelope)?;
            out.write_all(b"Subject: meeting on friday\n\nhello\n")
        });
        let labels: Vec<_> = found.iter().map(|r| r["label"].as_str().unwrap_or("none").to_string()).collect();
        assert_eq!(labels, ["invoice", "meeting"], "{case}");
        assert!(found[0]["truncated"].as_bool().unwrap(), "{case}");
    }
    let found = records("100 MB of one header, alone", Some("eml"), A_MAIL, |out| {
        out.write_all(b"Subject: the invoice\nX: ")?;
        repeat(out, b"x", LONG)?;
        out.write_all(b"\n\nhello\n")
    });
    assert_eq!(found[0]["label"], "invoice");
}

#[test]
fn many_headers() {
    for line in ["X: y\n", "From: a@b\n", ":\n", " y\n", " \n", "Content-Type: text/plain; charset=x\n"] {
        scored(line, mail(line.repeat(10_000_000 / line.len().max(4) * 4)));
    }
    scored("Received", mail("Received: from a by b; Mon, 1 Jan 2024 10:00:00 +0000\n".repeat(600_000)));
    // Also in a file that is called a text and begins like a mail.
    one("only From:", Some("text"), "From: x\n".repeat(4_000_000));
    one("only From: as a mail", Some("eml"), "From: x\n".repeat(4_000_000));
}

#[test]
fn encoded_words() {
    for (case, subject) in [
        ("100,000 words", "=?utf-8?q?a=20b?=\n ".repeat(100_000)),
        ("100,000 words of base64", "=?utf-8?b?aGVsbG8=?= ".repeat(100_000)),
        ("words unclosed", "=?utf-8?q?".repeat(1_000_000)),
        ("words that close late", "=?utf-8?q?a".repeat(1_000_000) + "?="),
        ("marks", "=?".repeat(5_000_000)),
        ("half a mark", "=?a?".repeat(3_000_000)),
    ] {
        for name in ["Subject", "From", "X-Any"] {
            let record = one(case, Some("eml"), format!("{name}: invoice {subject}\n\nplease pay the invoice\n"));
            assert!(record["label"].is_string(), "{case} in {name}: {record:.500}");
        }
    }
    let eight_bit =
        [b"Subject: invoice ".as_slice(), &b"\xe4".repeat(10 << 20), b"\n\nplease pay the invoice\n"].concat();
    scored("8-bit bytes", eight_bit);
    for (case, word) in [("words", "invoice "), ("emoji", "🎉"), ("letters", "x")] {
        let subject = format!("invoice {}", word.repeat((10 << 20) / word.len()));
        scored(&format!("a subject of 10 MB of {case}"), format!("Subject: {subject}\n\nplease pay the invoice\n"));
    }
}

#[test]
fn parameters_in_pieces() {
    let pieces = |piece: &dyn Fn(usize) -> String| (0..100_000).map(piece).collect::<String>();
    for (case, parameters) in [
        ("100,000 continuations", pieces(&|n| format!(";\n name*{n}*=%41b"))),
        ("continuations backwards", pieces(&|n| format!(";\n name*{}*=%41b", 100_000 - n))),
        ("continuations unencoded", pieces(&|n| format!(";\n filename*{n}=\"ab\""))),
        ("the same continuation", pieces(&|_| ";\n filename*0*=utf-8''%41".into())),
        ("continuations of as many names", pieces(&|n| format!(";\n f{n}*0*=utf-8''%41; f{n}*1=x"))),
        ("gaps", "; filename*4000000000=x; filename*0=y; filename*99999999999999999999=z".into()),
        ("parameters", ";a=b".repeat(7_000_000)),
        ("quotes", "; a=\"".to_string() + &"\\\"".repeat(5_000_000)),
    ] {
        scored(case, mail(format!("Content-Type: text/plain{parameters}")));
        scored(case, mail(format!("Content-Disposition: attachment{parameters}")));
    }
    let part = format!(
        "--b\nContent-Disposition: attachment{}\n\nx\n",
        (0..1000).map(|n| format!(";\n f{n}*0=x; f{n}*1=y")).collect::<String>()
    );
    scored("in many parts", mail(format!("Content-Type: multipart/mixed; boundary=b\n\n{}", part.repeat(1000))));
}

#[test]
fn addresses_dates_and_ids() {
    let addresses = |count: usize| (0..count).map(|n| format!("Name {n} <a{n}@example.org>, ")).collect::<String>();
    let parentheses = "(".repeat(100_000) + "x" + &")".repeat(100_000);
    for (case, header) in [
        ("10,000 addresses", format!("From: {}", addresses(10_000))),
        ("500,000 addresses", format!("From: {}", addresses(500_000))),
        ("8,000,000 addresses", format!("From: {}", "a@b,".repeat(7_900_000))),
        ("10,000,000 groups", format!("From: {}", "a:;".repeat(10_000_000))),
        ("open groups", format!("From: {}", "g: ".repeat(1_000_000))),
        ("brackets", format!("From: {}", "<".repeat(5_000_000))),
        ("quotes", format!("From: {}", "\"".repeat(9_999_999))),
        ("comments in From", format!("From: {parentheses} <a@b>")),
        ("comments in Date", format!("Date: {parentheses} Mon, 1 Jan 2024 10:00:00 +0000")),
        ("comments unclosed", format!("From: a@b {}", "(".repeat(10_000_000))),
        ("comments behind a date", format!("Date: Mon, 1 Jan 2024 10:00:00 +0000 {}", "(".repeat(10_000_000))),
        ("comments in Received", format!("Received: from {}", "(".repeat(10_000_000))),
        ("a date of digits", format!("Date: {}", "9".repeat(10_000_000))),
        ("a Message-ID of brackets", format!("Message-ID: {}x{}", "<".repeat(5_000_000), ">".repeat(5_000_000))),
        ("a Message-ID of 10 MB", format!("Message-ID: <{}@b>", "a".repeat(10_000_000))),
        ("a List-Id of names", format!("List-Id: {}", "a <".repeat(3_000_000))),
        ("References", format!("References: {}", "<a>".repeat(10_000_000))),
    ] {
        scored(case, mail(header));
    }
}
