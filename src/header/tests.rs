//! Fields inserted and removed, in messages of every shape.

use proptest::prelude::*;

use super::*;

fn field() -> Field {
    Field::verdict("bills", true, 0.9132, "builtin", None)
}

fn mark(mail: &[u8]) -> Vec<u8> {
    marked(mail, &[field()]).concat()
}

/// True when the mail has got one field and nothing else but perhaps a blank line behind it, or a line end before it.
fn holds_only_more(mail: &[u8], marked: &[u8]) -> bool {
    let ours = field().line("");
    let at = marked.windows(ours.len()).position(|bytes| bytes == ours).unwrap();
    let (before, behind) = (&marked[..at], &marked[at + ours.len()..]);
    let ending = if behind.starts_with(b"\r\n") { &b"\r\n"[..] } else { b"\n" };
    let once = behind.strip_prefix(ending).unwrap_or(behind);
    let twice = once.strip_prefix(ending).unwrap_or(once);
    let pairs = [(before, once), (before, twice), (before.strip_suffix(b"\n").unwrap_or(before), behind)];
    pairs.iter().any(|(before, behind)| [*before, *behind].concat() == mail)
}

#[test]
fn a_line_stands_at_the_end_of_the_block() {
    let line = "X-Mailsort: bills; score=0.9132; model=builtin";
    let check = |mail: &str, expected: &str| {
        let expected = expected.replace('%', line);
        assert_eq!(String::from_utf8(mark(mail.as_bytes())).unwrap(), expected);
        assert_eq!(String::from_utf8(marked(expected.as_bytes(), &[]).concat()).unwrap(), mail);
    };
    check("Subject: x\n\nbody\n", "Subject: x\n%\n\nbody\n");
    check("Subject: x\r\nTo: y\r\n\r\nbody", "Subject: x\r\nTo: y\r\n%\r\n\r\nbody");
    check("From a@b Mon\nSubject: x\n\n", "From a@b Mon\nSubject: x\n%\n\n");
    check("From a@b Mon\n>From c remote\nTo: y\n\nz", "From a@b Mon\n>From c remote\nTo: y\n%\n\nz");
    check("\u{feff}To: y\nSubject: x\n\nbody", "\u{feff}To: y\nSubject: x\n%\n\nbody");
    // Without a body, and without a line break at the end.
    check("Subject: x\n", "Subject: x\n%\n");
    check("Subject: x", "%\nSubject: x");
    check("To: y\r\nSubject: x\r\n folded", "To: y\r\n%\r\nSubject: x\r\n folded");
    // Without headers.
    check("\nbody\n", "%\n\nbody\n");
    check("\r\nbody\r\n", "%\r\n\r\nbody\r\n");
    check("Hello there\nSubject: x\n\ny", "%\nHello there\nSubject: x\n\ny");
    check("", "%\n");
    // Before what is no header, where readers of mail differ on whether the block goes on.
    check("To: y\nwhat is this\nSubject: x\n\nz", "To: y\n%\nwhat is this\nSubject: x\n\nz");
    check("To: y\n\u{0}\n\nz", "To: y\n%\n\u{0}\n\nz");
    check("To: y\nCc : x\nSubject: x\n\nz", "To: y\n%\nCc : x\nSubject: x\n\nz");
    // Not before what some readers take for its continuation.
    check(" To: x\nTo: y\n\nz", " To: x\nTo: y\n%\n\nz");
    check("To: y\nCc: x\n\u{c}prose\n\nz", "To: y\n%\nCc: x\n\u{c}prose\n\nz");
    check("To: y\rCc: x\r\rbody\r", "%\nTo: y\rCc: x\r\rbody\r");
}

#[test]
fn a_line_that_begins_like_a_continuation_is_kept_apart() {
    let line = "X-Mailsort: bills; score=0.9132; model=builtin";
    let check = |mail: &str, expected: &str| {
        let expected = expected.replace('%', line);
        assert_eq!(String::from_utf8(mark(mail.as_bytes())).unwrap(), expected);
        assert_eq!(String::from_utf8(mark(expected.as_bytes())).unwrap(), expected, "a second time");
    };
    check("\u{c}prose\n\nz", "%\n\n\u{c}prose\n\nz");
    check("\u{b}prose\r\n", "%\r\n\r\n\u{b}prose\r\n");
    check("\rprose\n", "%\n\n\rprose\n");
    assert_eq!(mark(b" prose"), format!(" prose\n{line}").as_bytes());
}

#[test]
fn what_is_compressed_stays() {
    for bytes in [&b"\x1f\x8b\x08\0 a: b\n\n"[..], b"\x28\xb5\x2f\xfd a: b\n\n", b"\xfd7zXZ\0 a: b\n\n"] {
        assert_eq!((compression(bytes).is_some(), mark(bytes)), (true, bytes.to_vec()));
    }
    for bytes in [&b"BZh: a\n\nSubject: 1AY&SY\n"[..], b"Dovecot-LZ4: a\n\n", b"\x1f\x8b"] {
        assert_eq!(compression(bytes), None);
    }
}

#[test]
fn what_bears_our_name_goes() {
    let check = |mail: &str, expected: &str| {
        assert_eq!(String::from_utf8(marked(mail.as_bytes(), &[]).concat()).unwrap(), expected, "{mail:?}");
    };
    check("X-Mailsort: forged\nTo: y\n\nX-Mailsort: text\n", "To: y\n\nX-Mailsort: text\n");
    check("To: y\r\nx-MAILSORT-Unsure : forged\r\n folded\r\n\tonce more\r\n\r\nz", "To: y\r\n\r\nz");
    check("To: y\nX-Mailsort: forged", "To: y\n");
    check("\u{feff}X-Mailsort: forged\nTo: y\n\n", "\u{feff}To: y\n\n");
    check("To: y\nno header\nX-Mailsort: forged\nCc: z\n\n", "To: y\nno header\nCc: z\n\n");
    check("To: y\rX-Mailsort: forged\rCc: z\n\n", "To: y\rCc: z\n\n");
    check("To: y\rX-Mailsort: forged\r folded\r\n folded\r\n\r\nz", "To: y\r\n\r\nz");
    check("X-Mailsort: forged\rCc: z\n folded\n\n", "Cc: z\n folded\n\n");
    check("To: y\r\rX-Mailsort: text\rx\n\n", "To: y\r\rX-Mailsort: text\rx\n\n");
    check("To: y\rX-Mailsort: forged", "To: y\r");
    check("X-Mailsort\u{0}: forged\nX-MailsortX-Mailsort\n : forged\nTo: y\n", "To: y\n");
    // Behind what ends the block to some programs only.
    check("\n\r\n\nX-Mailsort: forged\nTo: y\n\nX-Mailsort: text\n", "\n\r\n\nTo: y\n\nX-Mailsort: text\n");
    check("To: y\n\r\nX-Mailsort: forged\n\nX-Mailsort: text\n", "To: y\n\r\n\nX-Mailsort: text\n");
    check("To: y\r\n\r\nX-Mailsort: text\r\n", "To: y\r\n\r\nX-Mailsort: text\r\n");
    check("From a\n\u{c}\n>From b\nX-Mailsort: forged\n\n", "From a\n\u{c}\n>From b\n\n");
    check("X-Other: X-Mailsort: no\n\n", "X-Other: X-Mailsort: no\n\n");
    // To all programs the first blank line behind our field ends the block.
    assert!(mark(b"\nX-Mailsort: text\n").ends_with(b"\n\nX-Mailsort: text\n"));
    let both = mark(b"X-Mailsort: forged\nTo: y\nX-Mailsort: forged\n\nz");
    assert_eq!(both, b"To: y\nX-Mailsort: bills; score=0.9132; model=builtin\n\nz");
    assert_eq!(mark(b"X-Mailsort: forged"), b"X-Mailsort: bills; score=0.9132; model=builtin\n");
    assert_eq!(mark(b"no header\nX-Mailsort: a\n\n"), b"X-Mailsort: bills; score=0.9132; model=builtin\nno header\n\n");
}

#[test]
fn a_label_is_words_and_nothing_else() {
    assert_eq!(words("account access", 100), "account access");
    assert_eq!(words("a\r\nBcc: all", 100), "=?UTF-8?B?YQ0KQmNjOiBhbGw=?=");
    assert_eq!(words("Rechnung für", 100), "=?UTF-8?B?UmVjaG51bmcgZsO8cg==?=");
    for odd in ["a;b", "=?UTF-8?Q?x?=", " a", "a ", "", "\u{7f}", "会议\u{2028}", "a\"b"] {
        assert!(
            words(odd, 100).bytes().all(|byte| matches!(byte, 0x20..=0x7e)) && !words(odd, 100).contains(';'),
            "{odd:?}"
        );
    }
    for long in ["x".repeat(3000), "会".repeat(300), "\u{1f600}".repeat(999)] {
        let field = Field::verdict(&long, true, 1.0, &long, Some(&long));
        assert_eq!(field.line("\r\n").iter().filter(|&&byte| byte == b'\n').count(), 1);
        assert!(words(&long, LONGEST_LABEL).split(' ').all(|word| word.len() <= 75) && field.line("\r\n").len() <= 998);
    }
}

#[test]
fn a_stream_is_read_in_any_pieces() {
    let mail = b"\xef\xbb\xbfTo: y\r\nX-Mailsort: forged\rX-MAILSORT : a\r\n folded\r\r\nX-Mail: z\r\nX-Mailsort: b\r\n\r\nX-Mailsort: c\r";
    let whole = marked(mail, &[]).concat();
    for at in 0..=mail.len() {
        let mut out = Vec::new();
        let mut stream = std::io::Read::chain(&mail[..at], &mail[at..]);
        copy_without_ours(&mut stream, &mut out).unwrap();
        assert_eq!(out, whole, "{at}");
    }
    // However long the header is.
    let many = "X-Other: x\r\n".repeat(200_000);
    let mut out = Vec::new();
    let long = format!("{many}x-mailsort: forged\r\n\tfolded\r\n{many}\r\nX-Mailsort: text\r\n");
    copy_without_ours(&mut long.as_bytes(), &mut out).unwrap();
    assert!(out == format!("{many}{many}\r\nX-Mailsort: text\r\n").as_bytes());
}

proptest! {
    #[test]
    fn nothing_but_a_field_is_put_in(mail in "(([A-Z][a-z-]{0,5}: ?[a-z\r]{0,5}|[ \t\u{c}]x|\u{0}|Hi|>From x)(\n|\r\n)){0,6}[a\r\n: ]{0,5}") {
        let once = mark(mail.as_bytes());
        prop_assert!(holds_only_more(mail.as_bytes(), &once), "{:?} {:?}", mail, String::from_utf8_lossy(&once));
        prop_assert!(once.last() != Some(&b'\n') || mark(&once) == once, "{:?}", mail);
    }

    #[test]
    fn no_line_is_forged(mail in "((X-|x-)?[Mm]ailsort ?(: a|-U: b)?|To: y|[ \t]z|\r)(\n|\r\n|\r){0,2}") {
        let marked = marked(mail.as_bytes(), &[]).concat();
        let block: Vec<&[u8]> = marked.split(|byte| matches!(byte, b'\n' | b'\r')).collect();
        let is_ours = |line: &&[u8]| line.get(..10).is_some_and(|begin| begin.eq_ignore_ascii_case(b"x-mailsort"));
        prop_assert!(!block.iter().any(is_ours), "{:?}", mail);
    }
}
