//! What is said of bad input: the file, line or flag, and what to do.

use std::fs;
use std::path::Path;

use crate::mailsort::mailsort;

/// Runs in a folder that holds `files`, with the arguments split at blanks.
fn said(files: &[(&str, &[u8])], arguments: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let transcript = mailsort(arguments.split(' ')).in_folder(folder.path()).transcript();
    let transcript = transcript.replace(&*folder.path().to_string_lossy(), "FOLDER");
    // Scores belong to the model, and speed to the machine.
    let volatile = regex::Regex::new(r"\b[01]\.\d{4}\b|\d+\.\d\d s, \d+ documents/s").unwrap();
    volatile.replace_all(&transcript, "#").into_owned()
}

const MAIL: (&str, &[u8]) = ("a.eml", b"Subject: x\n\nhello there\n");
const LABELS: (&str, &[u8]) = ("l.txt", b"a\nb: described\n");

#[test]
fn labels_missing() {
    insta::assert_snapshot!(said(&[MAIL], "classify a.eml -l l.txt"));
    insta::assert_snapshot!(said(&[MAIL], "classify a.eml"));
}

#[test]
fn labels_empty_or_bad() {
    insta::assert_snapshot!(said(&[MAIL, ("l.txt", b"# none\n")], "classify a.eml -l l.txt"));
    insta::assert_snapshot!(said(&[MAIL, ("l.txt", b"a\nb\na: again\n")], "classify a.eml -l l.txt"));
    insta::assert_snapshot!(said(&[MAIL, ("l.txt", b"a\n\xb8\xba\xc3\xe6\n")], "classify a.eml -l l.txt"));
    insta::assert_snapshot!(said(&[MAIL, ("l.txt", b"a\n: nameless\n")], "classify a.eml -l l.txt"));
    insta::assert_snapshot!(said(
        &[MAIL, ("l.toml", b"[[label]]\nname = \"a\"\nthreshold = 7.0\n")],
        "classify a.eml -l l.toml"
    ));
    insta::assert_snapshot!(said(&[MAIL, ("l.toml", b"[[label]\nname = \"a\"\n")], "classify a.eml -l l.toml"));
    insta::assert_snapshot!(said(&[MAIL, ("l.toml", b"[[labels]]\nname = \"a\"\n")], "classify a.eml -l l.toml"));
    insta::assert_snapshot!(said(&[MAIL, ("l.txt", "a\n\u{13a0}\u{13a1}\n".as_bytes())], "classify a.eml -l l.txt"));
    insta::assert_snapshot!(said(&[MAIL, LABELS, ("x/l.txt", b"c\nd\n")], "classify a.eml -l l.txt -l x/l.txt"));
    insta::assert_snapshot!(said(&[MAIL], "classify a.eml --label one --label one"));
}

#[test]
fn inputs_missing_or_without_mail() {
    insta::assert_snapshot!(said(&[LABELS], "classify gone.mbox -l l.txt"));
    insta::assert_snapshot!(said(&[LABELS, ("d/.hidden", b"x")], "classify d -l l.txt"));
    insta::assert_snapshot!(said(&[LABELS], "classify -l l.txt"));
    insta::assert_snapshot!(said(&[LABELS], "classify --files-from gone.lst -l l.txt"));
    insta::assert_snapshot!(said(&[LABELS], "classify --files-from . -l l.txt"));
}

#[test]
fn an_empty_maildir_is_fine() {
    let files = [LABELS, ("m/cur/.keep", b"".as_slice()), ("m/new/.keep", b""), ("m/tmp/.keep", b"")];
    insta::assert_snapshot!(said(&files, "classify m -l l.txt"));
}

#[test]
fn outputs_that_cannot_be_written() {
    insta::assert_snapshot!(said(&[MAIL, LABELS], "classify a.eml -l l.txt -o no/such/out.csv"));
    insta::assert_snapshot!(said(&[MAIL, LABELS, ("d/x", b"")], "classify a.eml -l l.txt -o d"));
}

#[test]
fn nothing_that_is_read_is_ever_replaced() {
    let files = [MAIL, LABELS, ("d/b.eml", b"Subject: b\n\nbye\n".as_slice()), ("list", b"a.eml\nd/b.eml\n")];
    insta::assert_snapshot!(said(&files, "classify ./a.eml -l l.txt -o a.eml"));
    insta::assert_snapshot!(said(&files, "classify a.eml -l l.txt -o l.txt"));
    insta::assert_snapshot!(said(&files, "classify d -l l.txt -o d/b.eml"));
    insta::assert_snapshot!(said(&files, "classify --files-from list -l l.txt -o list"));
    insta::assert_snapshot!(said(&files, "classify --files-from list -l l.txt -o d/b.eml -f jsonl"));
}

#[test]
fn a_list_with_nul_bytes() {
    insta::assert_snapshot!(said(&[MAIL, LABELS, ("list", b"a.eml\0a.eml\0")], "classify --files-from list -l l.txt"));
}

#[test]
fn unknown_values() {
    insta::assert_snapshot!(said(&[MAIL, LABELS], "classify a.eml -l l.txt --format xml"));
    insta::assert_snapshot!(said(&[MAIL, LABELS], "classify a.eml -l l.txt --threshold 50"));
    insta::assert_snapshot!(said(&[MAIL, LABELS], "classify a.eml -l l.txt --threshold -0.5"));
    insta::assert_snapshot!(said(&[MAIL, LABELS], "classify a.eml -l l.txt --top-k 0"));
    insta::assert_snapshot!(said(&[MAIL, LABELS], "classify a.eml -l l.txt -k none"));
    insta::assert_snapshot!(said(&[MAIL, LABELS], "classify a.eml -l l.txt --lables x"));
}

#[test]
fn documents_without_a_verdict_change_the_status_and_nothing_else() {
    let files = [
        LABELS,
        ("1.eml", b"From: a@b\n\n\n".as_slice()),
        ("2.gz", b"\x1f\x8b\x08\x00broken"),
        ("3.jsonl", b"{\"text\": \"hello there\"}\n{\"txet\": 1}\nnot json\n"),
        ("4.txt", "\u{2603}\u{2602} \u{2600}".as_bytes()),
        ("5", b"\x7fELF\0\0"),
    ];
    insta::assert_snapshot!(said(&files, "classify 1.eml 2.gz 3.jsonl 4.txt 5 -l l.txt -v -k 1"));
    insta::assert_snapshot!(said(&files, "classify 1.eml -l l.txt -q -f csv"));
}

#[test]
fn labels_that_are_no_tags() {
    let labels = |text: &'static str| [MAIL, ("l.txt", text.as_bytes())];
    insta::assert_snapshot!(said(&labels("good\n-bad\n"), "classify a.eml -l l.txt -f notmuch -o out"));
    insta::assert_snapshot!(said(&labels("good\ndeleted\n"), "classify a.eml -l l.txt -f notmuch"));
    insta::assert_snapshot!(said(&labels("good\n-bad\n"), "classify a.eml -l l.txt -f notmuch --tag-prefix -x/"));
    insta::assert_snapshot!(said(&labels("good\n-bad\n"), "classify a.eml -l l.txt -f notmuch --tag-prefix x/"));
    let long = format!("good\n{}\n", "long ".repeat(41));
    let files = [MAIL, ("l.txt", long.as_bytes())];
    insta::assert_snapshot!(said(&files, "classify a.eml -l l.txt -f notmuch"));
}

#[test]
fn one_label_is_worth_a_warning() {
    insta::assert_snapshot!(said(&[MAIL], "classify a.eml --label only -k 1"));
}

/// What is foreign has no lines of its own in our messages, whatever its name says.
#[cfg(unix)]
#[test]
fn a_name_forges_no_line() {
    let forged = "nl/x\nmailsort: everything is fine\u{202e}";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.eml"), MAIL.1).unwrap();
    let label = format!("--label={forged}");
    let flag = format!("--{forged}");
    for arguments in [
        &["classify", forged, "--label=a", "--label=b"][..],
        &["classify", "a.eml", "-l", forged],
        &["classify", "a.eml", &label, "--label=b"],
        &["classify", "a.eml", "--label=a", "--label=b", "--model", forged],
        &["classify", "a.eml", "--label=a", "--label=b", "--output", forged],
        &["classify", "a.eml", "--classifier", forged],
        &["eval", forged],
        &["train", "a.eml", "--output", forged],
        &["classify", &flag],
        &["classify", "a.eml", "--threshold", forged],
    ] {
        let output = mailsort(arguments).in_folder(folder.path()).output();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains("\\n"), "{arguments:?}: {stderr}");
        let is_forged = |line: &str| line.starts_with("mailsort: everything") || line.contains('\u{202e}');
        assert!(!stderr.lines().any(is_forged), "{arguments:?}: {stderr}");
    }
}
