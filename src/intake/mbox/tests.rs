//! Where one message ends and the next begins.

use super::*;

fn split(input: &str) -> Vec<(u64, String)> {
    split_capped(input, 1 << 20).into_iter().map(|(offset, text, _)| (offset, text)).collect()
}

fn split_capped(input: &str, cap: usize) -> Vec<(u64, String, bool)> {
    // A tiny buffer, so that every look ahead is a look at the stream.
    let mut mbox = Mbox::new(io::BufReader::with_capacity(7, Slow(input.as_bytes())), cap);
    let mut out = Vec::new();
    while let Some(m) = mbox.next_message().unwrap() {
        out.push((m.offset, String::from_utf8(m.bytes).unwrap(), m.truncated));
    }
    out
}

struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(7);
        self.0.read(&mut buffer[..length])
    }
}

/// The subjects of a mailbox, and checks that offsets point at its separators.
fn subjects(input: &str) -> Vec<String> {
    let subject = |text: &str| text.lines().find_map(|line| line.strip_prefix("Subject: ")).map(String::from);
    let messages = split(input);
    for (offset, _) in &messages {
        assert!(input[*offset as usize..].starts_with("From "), "{offset} in {input}");
    }
    messages.iter().map(|(_, text)| subject(text).unwrap_or_default()).collect()
}

/// One message as mboxcl2 holds it, whose length is said to be longer than it is.
fn with_length(subject: &str, body: &str, more: i64) -> String {
    let length = body.len() as i64 + more;
    format!("From a@b Sat Jan  3 01:05:34 1996\nSubject: {subject}\nContent-Length: {length}\n\n{body}\n")
}

const ATTACHED: &str =
    "see:\n\nFrom c@d Sun Jan  4 01:05:34 1996\nSubject: inner\n\nx\n\nFrom d\nTo: e\nDate: f\n\ny\n";

#[test]
fn separators_and_offsets() {
    let input = "From a@b Sat Jan  3 01:05:34 1996\nSubject: 1\n\none\n\nFrom - \nSubject: 2\n\ntwo\n";
    assert_eq!(split(input), [(0, "Subject: 1\n\none\n".into()), (51, "Subject: 2\n\ntwo\n".into())]);
    let broken = "From a@b\" \n <a@b  Sat Jan  3 01:05:34 1996\nSubject: 1\n\none\n\n";
    assert_eq!(split(&broken.repeat(2)).len(), 2);
    assert_eq!(split(&broken.repeat(2))[1], (broken.len() as u64, "Subject: 1\n\none\n".into()));
}

#[test]
fn a_mail_stays_the_same_when_another_comes_behind_it() {
    for ending in ["\n", "\r\n"] {
        let mail = |n: u8| format!("From a@b Sat Jan  3 01:05:34 1996\nSubject: {n}\n\nx\n\n").replace('\n', ending);
        assert_eq!(split(&mail(1))[0], split(&(mail(1) + &mail(2)))[0]);
    }
}

#[test]
fn prose_is_no_separator() {
    let prose = "From a@b x\nSubject: 1\n\nFrom here on: prose\nFrom Monday on\n\nFrom that day\nwe met\n";
    assert_eq!(split(prose).len(), 1);
    let header_like = "From a@b x\nSubject: 1\n\nsee\n\nFrom here on\nNote: prose\n\nFrom now on\nP.S.: more\n";
    assert_eq!(split(header_like).len(), 1);
    let unblanked = "From a Sat Jan  3 01:05:34 1996\nA: 1\n\nx\nFrom b at c  Sun Jan  4 01:05:34 1996\nA: 2\n\ny\n";
    assert_eq!(split(unblanked).len(), 2);
    let quoting = "From a x\nTo: 1\n\nhe wrote\nFrom b x\nTo: me\nDate: now\n";
    assert_eq!(split(quoting).len(), 1, "no blank line and no date");
}

#[test]
fn quoted_from_lines_lose_one_mark() {
    let input = "From a x\nTo: 1\n\n>From me\n>>From you\n> From\n";
    assert_eq!(split(input)[0].1, "To: 1\n\nFrom me\n>From you\n> From\n");
}

#[test]
fn crlf_empty_and_headless() {
    assert_eq!(split(""), []);
    assert_eq!(split("\n\r\n\nFrom a x\nTo: 1\n\nx\n"), [(4, "To: 1\n\nx\n".into())]);
    assert_eq!(split("\u{feff}\nFrom a x\nTo: 1\n\nx\n"), [(4, "To: 1\n\nx\n".into())]);
    let crlf = "From a@x\r\nTo: 1\r\n\r\none\r\n\r\nFrom b@x\r\nTo: 2\r\n\r\n";
    assert_eq!(split(crlf), [(0, "To: 1\r\n\r\none\r\n".into()), (26, "To: 2\r\n".into())]);
    assert_eq!(split("From \n"), [(0, String::new())]);
    assert_eq!(split("From a\nFrom b\nFrom c\n").len(), 1, "only separators");
    assert_eq!(split("the end of a mail\n\nFrom a@b\nTo: c\n\nx\n").len(), 2);
}

#[test]
fn the_last_mail_may_be_cut_off() {
    let whole = "From a@b Sat Jan  3 01:05:34 1996\nSubject: 1\n\none\n\n";
    let second = "From b@c Sat Jan  3 01:05:34 1996\nSubject: 2\n\ntwo\n";
    for end in 0..second.len() {
        let messages = split(&format!("{whole}{}", &second[..end]));
        let expected = 1 + usize::from(end >= second.find(" 1996").unwrap() - 3);
        assert_eq!(messages.len(), expected, "{:?}", &second[..end]);
    }
    // Such a mail may also stand in the middle, where the disk was full for a while.
    assert_eq!(split(&format!("{whole}{}\n{whole}", &second[..44])).len(), 3);
}

#[test]
fn right_lengths_hold_what_looks_like_mails() {
    let input = [with_length("1", ATTACHED, 0), with_length("2", "x\n", 0), with_length("3", ATTACHED, 0)].concat();
    assert_eq!(subjects(&input), ["1", "2", "3"]);
    assert_eq!(split(&input)[0].1.split_once("\n\n").unwrap().1, ATTACHED);
    // Some programs count the blank line, some count no final line break, some write no blank line.
    for more in [-1, 1] {
        let input = [with_length("1", ATTACHED, more), with_length("2", ATTACHED, more)].concat();
        assert_eq!(subjects(&input), ["1", "2"], "{more}");
    }
    let input = [with_length("1", ATTACHED, 0).trim_end(), "\n", &with_length("2", ATTACHED, 0)].concat();
    assert_eq!(subjects(&input), ["1", "2"]);
}

#[test]
fn right_lengths_of_crlf_files() {
    let crlf = ATTACHED.replace('\n', "\r\n");
    let mail = |subject| with_length(subject, "#", crlf.len() as i64 - 1).replace('\n', "\r\n").replace('#', &crlf);
    let input = [mail("1"), mail("2"), mail("3")].concat();
    assert_eq!(subjects(&input), ["1", "2", "3"]);
    // Converted afterwards, so that no length is right.
    let input = [with_length("1", "x\ny\n", 0), with_length("2", "x\n", 0)].concat().replace('\n', "\r\n");
    assert_eq!(subjects(&input), ["1", "2"]);
}

#[test]
fn wrong_lengths_neither_lose_nor_merge_mails() {
    let plain = |subject: &str| format!("From a@b Sat Jan  3 01:05:34 1996\nSubject: {subject}\n\nx\n\n");
    let rest = [with_length("2", "y\n", 0), with_length("3", "z\n", 0)].concat();
    // Every length there is but those that end where a mail ends.
    let boundaries = [2, rest.len() as i64 / 2 + 3, rest.len() as i64 + 3];
    for length in -3..=rest.len() as i64 + 9 {
        if boundaries.iter().all(|boundary| (length - boundary).abs() > 2) {
            assert_eq!(subjects(&(with_length("1", "x\n", length - 2) + &rest)), ["1", "2", "3"], "{length}");
        }
        // And all of them where the other mails have no lengths: there are none in such a mailbox.
        let before = plain("0") + &with_length("1", "x\n", length - 2) + &plain("2") + &plain("3");
        assert_eq!(subjects(&before), ["0", "1", "2", "3"], "{length}");
        let first = with_length("1", "x\n", length - 2) + &plain("2") + &plain("3") + &plain("4");
        assert_eq!(subjects(&first)[..1], ["1"], "{length}");
    }
    for length in ["1000000000000000000000000000000", "18446744073709551615", "9223372036854775807", "x", "-0"] {
        let input = with_length("1", "x\n", 0).replace("Length: 2", &format!("Length: {length}")) + &rest;
        assert_eq!(subjects(&input), ["1", "2", "3"], "{length}");
    }
}

#[test]
fn a_length_is_looked_for_only_so_far() {
    let far = with_length("1", &(ATTACHED.to_string() + &"x\n".repeat(9 << 20)), 0) + &with_length("2", "y\n", 0);
    let mut mbox = Mbox::new(far.as_bytes(), 1 << 20);
    let mut count = 0;
    while mbox.next_message().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 4, "the mails of the attachment are taken for mails, and none is lost");
}

#[test]
fn mmdf() {
    let mail =
        |subject: &str| format!("\u{1}\u{1}\u{1}\u{1}\nSubject: {subject}\n\nFrom a\n>From b\n\u{1}\u{1}\u{1}\u{1}\n");
    let input = mail("1") + &mail("2");
    let body = "\n\nFrom a\n>From b\n";
    assert_eq!(split(&input), [(5, format!("Subject: 1{body}")), (42, format!("Subject: 2{body}"))]);
    assert_eq!(split(&input.replace('\n', "\r\n")).len(), 2);
    assert_eq!(split("\u{1}\u{1}\u{1}\u{1}\n\u{1}\u{1}\u{1}\u{1}\n"), []);
}

#[test]
fn beginnings() {
    for (head, expected) in [
        ("From a@b x\nSubject: x\n\n", true),
        ("\u{feff}\r\n\nFrom a@b x\nSubject: x\n\n", true),
        ("\u{1}\u{1}\u{1}\u{1}\nSubject: x\n", true),
        ("From the beginning\nNote: x\n\n", false),
        ("From : a@b\nSubject: x\n\n", false),
        ("", false),
    ] {
        assert_eq!(begins(head.as_bytes()), expected, "{head:?}");
    }
}

#[test]
fn a_delivery_agents_line_is_no_header() {
    assert_eq!(without_from_line(b"From a@b\nTo: c\n"), b"To: c\n");
    assert_eq!(without_from_line(b">From a@b\nTo: c\n"), b"To: c\n");
    assert_eq!(without_from_line(b"From : a@b\nTo: c\n"), b"From : a@b\nTo: c\n");
    assert_eq!(without_from_line(b"From a@b"), b"From a@b");
}

#[test]
fn a_long_message_is_cut_and_the_next_found() {
    let input = format!("From a x\nTo: 1\n\n{}\n{}\n\nFrom b@x\nTo: 2\n\ntwo\n", "x".repeat(3000), "y\n".repeat(900));
    let messages = split_capped(&input, 2000);
    assert_eq!(messages.len(), 2);
    assert_eq!((messages[0].1.len(), messages[0].2), (2000, true));
    assert_eq!((messages[1].1.as_str(), messages[1].2), ("To: 2\n\ntwo\n", false));
}
