//! Fields inserted and removed, in messages of every shape.

use proptest::prelude::*;

use super::*;

fn field() -> Field {
    Field::verdict("bills", true, 0.9132, "builtin", None)
}

fn mark(mail: &[u8]) -> Vec<u8> {
    marked(mail, &[field()]).concat()
}

/// Removes the inserted lines, independently of the code under test.
fn unmark(mail: &[u8]) -> Vec<u8> {
    let ours = field().line("");
    let lines = mail.split_inclusive(|&byte| byte == b'\n');
    lines.filter(|line| !line.starts_with(&ours)).collect::<Vec<_>>().concat()
}

#[test]
fn a_line_stands_at_the_end_of_the_block() {
    let line = "X-Mailsort: bills; score=0.9132; model=builtin";
    let check = |mail: &str, expected: &str| {
        let expected = expected.replace('%', line);
        assert_eq!(String::from_utf8(mark(mail.as_bytes())).unwrap(), expected);
        assert_eq!(String::from_utf8(unmark(expected.as_bytes())).unwrap(), mail);
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
    check(" begins with a blank\nTo: x\n\n", "%\n begins with a blank\nTo: x\n\n");
    check("", "%\n");
    // Before what is no header, where readers of mail differ on whether the block goes on.
    check("To: y\nwhat is this\nSubject: x\n\nz", "To: y\n%\nwhat is this\nSubject: x\n\nz");
    check("To: y\n\u{0}\n\nz", "To: y\n%\n\u{0}\n\nz");
}

#[test]
fn what_is_compressed_stays() {
    let check = |bytes: &[u8], expected: Option<&str>| {
        assert_eq!(compression(bytes), expected, "{bytes:?}");
        assert_eq!(mark(bytes) == bytes, expected.is_some());
    };
    check(b"\x1f\x8b\x08\0 a: b\n\n", Some("gzip"));
    check(b"\x28\xb5\x2f\xfd a: b\n\n", Some("zstd"));
    check(b"\xfd7zXZ\0 a: b\n\n", Some("xz"));
    check(b"BZh91AY&SY a: b\n\n", Some("bzip2"));
    check(b"\x04\x22\x4d\x18 a: b\n\n", Some("lz4"));
    check(b"Dovecot-LZ4\r\x2a\x9b\xc5 a: b\n\n", Some("lz4"));
    check(b"BZh: a\n\nSubject: 1AY&SY\n", None);
    check(b"Dovecot-LZ4: a\n\n", None);
    check(b"\x1f\x8b", None);
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
    check("To: y\rX-Mailsort: forged\rCc: z\n\n", "To: y\r\rCc: z\n\n");
    check("X-Other: X-Mailsort: no\n\n", "X-Other: X-Mailsort: no\n\n");
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

proptest! {
    #[test]
    fn taking_out_what_was_put_in_gives_the_mail(mail in "(([A-Z][a-z-]{0,5}: ?[a-z\r]{0,5}|[ \t]x|\u{0}|Hi|>From x)(\n|\r\n)){0,6}[a\r\n: ]{0,5}") {
        prop_assert_eq!(unmark(&mark(mail.as_bytes())), mail.as_bytes());
    }

    #[test]
    fn no_line_is_forged(mail in "((X-|x-)?[Mm]ailsort ?(: a|-U: b)?|To: y|[ \t]z|\r)(\n|\r\n|\r){0,2}") {
        let marked = marked(mail.as_bytes(), &[]).concat();
        let block: Vec<&[u8]> = marked.split(|byte| matches!(byte, b'\n' | b'\r')).collect();
        prop_assert!(!block.iter().any(|line| is_ours(line)), "{:?}", mail);
    }
}
