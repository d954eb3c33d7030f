//! `mailsort filter` through the real program: the mail comes out whatever happens, and nobody but us writes our
//! header.

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use mailsort::header::{Field, marked};

use crate::mailsort::{Run, mailsort, shared};

const LABELS: [&str; 4] = ["--label", "invoice: a bill to pay", "--label", "meeting: a date to meet and talk"];
const INVOICE: &str = "Subject: Your invoice\n\nPlease pay the bill that is attached.\n";

fn filter(arguments: &[&str]) -> Run {
    mailsort(["filter"]).args(arguments)
}

/// Status, stdout and stderr.
fn passed(run: Run, mail: &[u8]) -> (Option<i32>, Vec<u8>, String) {
    let output = run.stdin(mail).output();
    (output.status.code(), output.stdout, String::from_utf8(output.stderr).unwrap())
}

/// The mail that comes out, without the lines that were put in.
fn unmarked(mail: &[u8]) -> (Vec<u8>, usize) {
    let mut lines: Vec<&[u8]> = mail.split_inclusive(|&byte| byte == b'\n').collect();
    let before = lines.len();
    lines.retain(|line| !line.starts_with(b"X-Mailsort"));
    (lines.concat(), before - lines.len())
}

#[test]
fn one_line_is_put_in_and_no_byte_changed() {
    let many: String = (0..10_000).map(|n| format!("X-Header-{n}: pay the invoice\n")).collect();
    let mails: [Vec<u8>; 9] = [
        INVOICE.into(),
        INVOICE.replace('\n', "\r\n").into(),
        "Subject: pay the invoice".into(),
        "Subject: pay the invoice\n".into(),
        "please pay the invoice\n".into(),
        "\nplease pay the invoice\n".into(),
        b"Subject: pay\0 the invoice\n\nplease \0 pay\n\0".into(),
        (many + "\nplease pay the invoice\n").into(),
        b"From a@b Sat Jan  3 01:05:34 1996\nSubject: \xff\xfe pay the invoice\n\n\xff bill to pay".into(),
    ];
    for mail in mails {
        let (status, out, stderr) = passed(filter(&LABELS), &mail);
        assert_eq!((status, stderr.as_str()), (Some(0), ""));
        let shown = String::from_utf8_lossy(&out).into_owned();
        assert_eq!(unmarked(&out), (mail, 1), "{shown}");
        assert!(shown.contains("X-Mailsort: invoice; score="), "{shown}");
    }
}

#[test]
fn a_mail_that_cannot_be_scored_passes_or_waits() {
    let long = format!("Subject: pay\nX-Mailsort: forged\n\n{}", "the invoice\n".repeat(200_000));
    // A wrong set-up is so for every mail, and is always said.
    let cases: [(&[&str], &str, &str, bool); 8] = [
        (&["--labels", "gone.txt"], INVOICE, "gone.txt", true),
        (&["--label", "a", "--model", "./gone"], INVOICE, "./gone", true),
        (&[&LABELS[..], &["--max-size", "1M"]].concat(), &long, "longer than --max-size", false),
        (&[&LABELS[..], &["--timeout", "0.001"]].concat(), &long[..900_000], "--timeout", false),
        (&LABELS, "Subject: \n\n", "no text", false),
        (&[&LABELS[..], &["--threshold", "2"]].concat(), INVOICE, "no probability", true),
        (&[], INVOICE, "nothing says what to sort into", true),
        (&["--socket", "gone.sock"], INVOICE, "gone.sock", true),
    ];
    for (flags, mail, why, is_said) in cases {
        if flags.contains(&"--socket") && cfg!(not(unix)) {
            continue;
        }
        let (status, out, stderr) = passed(filter(flags), mail.as_bytes());
        assert_eq!((status, stderr.contains(why)), (Some(0), is_said), "{flags:?} {stderr}");
        assert_eq!(stderr.lines().count(), usize::from(is_said), "{stderr}");
        assert!(out == mail.replace("X-Mailsort: forged\n", "").as_bytes(), "{flags:?}");
        let (status, _, stderr) = passed(filter(flags).args(["-v"]), mail.as_bytes());
        assert!(status == Some(0) && stderr.contains(why), "{flags:?} {stderr}");
        let (status, out, stderr) = passed(filter(flags).args(["--fail-closed"]), mail.as_bytes());
        assert_eq!((status, out, stderr.is_empty()), (Some(75), Vec::new(), !is_said), "{flags:?}");
    }
}

#[test]
fn a_forged_header_goes_from_a_mail_of_any_size() {
    let head = format!("X-Filler: {}\n", "x".repeat(70)).repeat(30_000);
    let forged = "x-mailsort : forged\n folded\n";
    let tail = format!("\nX-Mailsort: text\n{}", "the body\n".repeat(300_000));
    // A limit inside the name, the value and the body.
    for limit in [head.len() + 5, head.len() + 18, head.len() + forged.len() + 1000] {
        let mail = format!("{head}{forged}{tail}");
        let run = filter(&LABELS).args(["--max-size".to_string(), limit.to_string()]);
        let (status, out, stderr) = passed(run, mail.as_bytes());
        assert_eq!((status, stderr.as_str()), (Some(0), ""));
        assert!(out == format!("{head}{tail}").as_bytes(), "{limit}");
    }
    let (_, out, _) = passed(filter(&LABELS).args(["--max-size", "5"]), b"\n\nX-Mailsort: forged\nSubject: \n\n");
    assert_eq!(out, b"\n\nSubject: \n\n", "not scored");
    let (_, out, _) = passed(filter(&LABELS), b" X-Mailsort: contract\nSubject: x\n\nplease pay the invoice\n");
    let out = String::from_utf8(out).unwrap();
    assert!(out.starts_with(" X-Mailsort: contract\nSubject: x\nX-Mailsort: invoice; score="), "{out}");
}

fn gzip(mail: &[u8]) -> Vec<u8> {
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    zipped.write_all(mail).unwrap();
    zipped.finish().unwrap()
}

fn inflated(zipped: &[u8]) -> Vec<u8> {
    let mut mail = Vec::new();
    GzDecoder::new(zipped).read_to_end(&mut mail).unwrap();
    mail
}

#[test]
fn a_compressed_message_is_scored_and_compressed_again() {
    let zipped = gzip(INVOICE.as_bytes());
    let (status, out, said) = passed(filter(&LABELS).args(["--verbose"]), &zipped);
    assert_eq!((status, said.as_str()), (Some(0), ""));
    assert_eq!(unmarked(&inflated(&out)), (INVOICE.as_bytes().to_vec(), 1));
    assert_eq!(passed(filter(&LABELS).args(["--print-label"]), &zipped).1, b"invoice\n");
    // One without text comes out as it came in, but for a forged header.
    let (_, out, _) = passed(filter(&LABELS), &gzip(b"Subject: \n\n"));
    assert_eq!(out, gzip(b"Subject: \n\n"));
    let (_, out, _) = passed(filter(&LABELS), &gzip(b"X-Mailsort: forged\nSubject: \n\n"));
    assert_eq!(inflated(&out), b"Subject: \n\n");
}

#[test]
fn a_compressed_message_that_is_not_read_comes_out_as_it_came_in() {
    let zipped = gzip(INVOICE.as_bytes());
    let long = gzip(&INVOICE.as_bytes().repeat(9000));
    let zstd = b"\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00\x99\xe9\xd8\x51";
    let damaged = &zipped[..zipped.len() - 9];
    for (message, why) in [(&zstd[..], "zstd"), (damaged, "damaged gzip"), (&long, "longer than 100000 bytes")] {
        let (status, out, said) = passed(filter(&LABELS).args(["--verbose", "--max-size", "100000"]), message);
        assert_eq!((status, &out[..]), (Some(0), message));
        assert!(said.contains(why), "{said}");
        let (status, out, _) = passed(filter(&LABELS).args(["--fail-closed", "--max-size", "100000"]), message);
        assert_eq!((status, &out), (Some(75), &Vec::new()));
    }
}

#[test]
fn answers_by_status_and_by_label() {
    let ask = |arguments: &[&str], mail: &str| {
        let (status, out, stderr) = passed(filter(&LABELS).args(arguments), mail.as_bytes());
        assert_eq!(stderr, "", "{arguments:?}");
        (status.unwrap(), String::from_utf8(out).unwrap())
    };
    assert_eq!(ask(&["--is", "invoice"], INVOICE), (0, String::new()));
    assert_eq!(ask(&["--is", "meeting"], INVOICE), (1, String::new()));
    assert_eq!(ask(&["--is", "invoice", "--threshold", "1"], INVOICE), (1, String::new()));
    assert_eq!(ask(&["--is", "invoice"], "Subject: \n\n"), (1, String::new()));
    assert_eq!(ask(&["--is", "invoice", "--fail-closed"], "Subject: \n\n"), (75, String::new()));
    assert_eq!(ask(&["--print-label"], INVOICE), (0, "invoice\n".into()));
    assert_eq!(ask(&["--print-label", "--threshold", "1"], INVOICE), (0, "\n".into()));
    assert_eq!(ask(&["--print-label"], "Subject: \n\n"), (0, "\n".into()));
    let odd = passed(filter(&LABELS).args(["--is", "invoices"]), INVOICE.as_bytes());
    assert!(odd.0 == Some(2) && odd.2.contains("no such label"), "{}", odd.2);
}

#[test]
fn what_is_not_sure_bears_another_name() {
    let (_, out, _) = passed(filter(&LABELS).args(["--threshold", "1"]), INVOICE.as_bytes());
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("\nX-Mailsort-Unsure: invoice; score=") && !out.contains("\nX-Mailsort: "), "{out}");
}

#[test]
fn each_set_has_a_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("queue.txt"), "invoice\nmeeting\n").unwrap();
    fs::write(folder.path().join("wer;da.txt"), "Bürger: citizen\nfirma: company that pays an invoice\n").unwrap();
    let run = filter(&["--labels", "queue.txt", "--labels", "wer;da.txt"]).in_folder(folder.path());
    let (status, out, _) = passed(run, INVOICE.as_bytes());
    let out = String::from_utf8(out).unwrap();
    assert_eq!((status, unmarked(out.as_bytes())), (Some(0), (INVOICE.as_bytes().to_vec(), 2)), "{out}");
    assert!(out.contains("; model=builtin; set=queue\n") && out.contains("; set==?UTF-8?B?d2VyO2Rh?=\n"), "{out}");
}

#[test]
fn no_label_injects_a_header() {
    let folder = tempfile::tempdir().unwrap();
    let toml = "[[label]]\nname = \"invoice\\u2028Bcc: x; score=1\"\ndescription = \"bill to pay\"\n[[label]]\nname = \"会议\"\n";
    fs::write(folder.path().join("l.toml"), toml).unwrap();
    let (_, out, _) = passed(filter(&["--labels", "l.toml"]).in_folder(folder.path()), INVOICE.as_bytes());
    let out = String::from_utf8(out).unwrap();
    assert!(out.is_ascii() && out.contains("X-Mailsort: =?UTF-8?B?"), "{out}");
    assert_eq!(unmarked(out.as_bytes()), (INVOICE.as_bytes().to_vec(), 1));
    for name in ["a\\r\\nBcc: x", "a\\u0000"] {
        fs::write(folder.path().join("l.toml"), format!("[[label]]\nname = \"{name}\"\n")).unwrap();
        let (status, out, stderr) =
            passed(filter(&["--labels", "l.toml", "-v"]).in_folder(folder.path()), INVOICE.as_bytes());
        assert!(status == Some(0) && out == INVOICE.as_bytes() && stderr.contains("control character"), "{stderr}");
    }
}

/// All mails of the shared folder, or nothing where it is absent.
fn real_mails() -> Vec<PathBuf> {
    let mut found = Vec::new();
    if let Some(folder) = shared("mail") {
        mails(folder, &mut found);
        assert!(found.len() > 50, "{} mails are too few", found.len());
    }
    found.sort();
    found
}

/// All files of a folder and its folders.
fn mails(folder: PathBuf, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => mails(entry.path(), found),
            false => found.push(entry.path()),
        }
    }
}

#[test]
fn real_mail_comes_out_as_it_was() {
    let found = real_mails();
    // A process each, so a few; the next test looks at all of them.
    for path in found.iter().step_by(found.len().div_ceil(60).max(1)) {
        let mail = fs::read(path).unwrap();
        if mail.len() > 1 << 20 {
            continue;
        }
        let (status, out, stderr) = passed(filter(&LABELS), &mail);
        assert_eq!((status, stderr.as_str()), (Some(0), ""), "{}", path.display());
        assert!(unmarked(&out).0 == mail, "{}", path.display());
    }
}

#[test]
fn every_real_mail_keeps_its_bytes() {
    let field = [Field::verdict("invoice", true, 0.9132, "builtin", None)];
    let line = b"X-Mailsort: invoice; score=0.9132; model=builtin";
    for path in real_mails() {
        let with_lf = fs::read(&path).unwrap();
        let with_crlf = with_lf.split(|&byte| byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]);
        for mail in [with_lf, with_crlf] {
            let marked = marked(&mail, &field).concat();
            let lines = marked.split_inclusive(|&byte| byte == b'\n');
            let (ours, others): (Vec<&[u8]>, Vec<&[u8]>) = lines.partition(|one| one.starts_with(line));
            assert!(ours.len() == 1 && others.concat() == mail, "{}", path.display());
        }
    }
}
