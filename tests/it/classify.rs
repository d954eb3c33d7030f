//! `mailsort classify` from end to end.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::mailsort::{Run, command, mailsort, root};

/// Snapshots hold status, stdout and stderr. Scores belong to the model; `golden` holds those.
fn snapshot(name: &str, run: Run) {
    insta::with_settings!({filters => vec![(r"\b[01]\.\d{4}\b", "#.####"), (r#""tokens":\d+"#, "\"tokens\":#")]}, {
        insta::assert_snapshot!(name, run.transcript());
    });
}

const INVOICE: &str = "Message-ID: <1@example.org>\nFrom: Shop <shop@example.org>\nSubject: Your invoice\n\n\
    Please find attached the invoice for your order. Please pay the amount due by Friday.\n";
const MEETING: &str = "Message-ID: <2@example.org>\nSubject: =HYPERLINK(\"x\")\n\n\
    Can we meet on Thursday at ten in the meeting room to discuss the agenda?\n";

fn labels() -> [&'static str; 4] {
    ["--label", "invoice: a bill to pay", "--label", "meeting: a date to meet and discuss"]
}

fn mbox() -> String {
    format!(
        "From a@b Sat Jan  3 01:05:34 1996\n{INVOICE}\nFrom a@b Sat Jan  3 01:05:34 1996\n{MEETING}\n\nFrom - \nX-Empty: 1\n\n"
    )
}

#[test]
fn json_lines() {
    snapshot("json_lines", mailsort(["classify", "-"]).args(labels()).stdin(mbox()));
}

#[test]
fn csv() {
    snapshot("csv", mailsort(["classify", "-", "--format", "csv"]).args(labels()).stdin(mbox()));
}

#[test]
fn several_sets_stand_under_their_names() {
    let run = mailsort(["classify", "-", "-l", "labels/priority.toml", "-k", "1"]).args(labels()).stdin(INVOICE);
    snapshot("several_sets_jsonl", run);
    let run = mailsort(["classify", "-", "-f", "csv", "-l", "labels/priority.toml", "-k", "1"]).args(labels());
    snapshot("several_sets_csv", run.stdin(INVOICE));
}

#[test]
fn thresholds_and_raw_scores() {
    // Labels that are near each other, so that no score is 1.
    let near = ["--label", "invoice", "--label", "bill", "--label", "receipt"];
    let record = |flags: &[&str]| mailsort(["classify", "-"]).args(near).args(flags).stdin(INVOICE).records().remove(0);
    let plain = record(&[]);
    assert!(plain["label"].is_string());
    let unsure = record(&["--threshold", "1"]);
    assert!(unsure["label"].is_null());
    assert_eq!(unsure["score"], plain["score"], "the best score is told all the same");
    assert_eq!(unsure["labels"], plain["labels"]);
    let raw = record(&["--raw-scores"]);
    assert!(raw["labels"][1]["score"].as_f64().unwrap() < raw["score"].as_f64().unwrap());
    assert_ne!(raw["score"], plain["score"]);
    assert!(record(&["--raw-scores", "--threshold", "0.99"])["label"].is_null());
}

#[test]
fn every_kind_of_input_is_told_from_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    zipped.write_all(mbox().as_bytes()).unwrap();
    write("a-mbox", mbox().as_bytes());
    write("b-mail", INVOICE.as_bytes());
    write("c.eml", INVOICE.as_bytes());
    write("d-gzip", &zipped.finish().unwrap());
    write("e-page", b"<!doctype html><title>t</title><p>Please pay this invoice</p>");
    write("f-rows", b"{\"text\":\"pay the invoice\",\"id\":\"r1\"}\n\n{\"text\":\"let us meet\",\"subject\":\"s\"}\n");
    write("g.txt", b"a plain note about an invoice");
    write("h-maildir/cur/1.x:2,S", INVOICE.as_bytes());
    write("h-maildir/new/2.x", MEETING.as_bytes());
    write("i-image.png", b"\x89PNG\r\n\x1a\n\0\0");
    let records = mailsort(["classify", "."]).args(labels()).in_folder(folder.path()).records();
    let seen: Vec<String> = records
        .iter()
        .map(|r| format!("{} {} {}", r["source"].as_str().unwrap(), r["index"], r["error"].as_str().unwrap_or("-")))
        .collect();
    let expected = [
        "./a-mbox 0 -",
        "./a-mbox 1 -",
        "./a-mbox 2 no text",
        "./b-mail 0 -",
        "./c.eml 0 -",
        "./d-gzip 0 -",
        "./d-gzip 1 -",
        "./d-gzip 2 no text",
        "./e-page 0 -",
        "./f-rows 0 -",
        "./f-rows 1 -",
        "./g.txt 0 -",
        "./h-maildir/cur/1.x:2,S 0 -",
        "./h-maildir/new/2.x 0 -",
        "./i-image.png 0 not text",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn names_come_from_a_list() {
    let by_line = "samples/files/clause.txt\nsamples/gone.eml\r\n\nsamples/files/notes.md\n";
    let records = mailsort(["classify", "--files-from", "-"]).args(labels()).stdin(by_line).records();
    let sources: Vec<_> = records.iter().map(|r| r["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["samples/files/clause.txt", "samples/gone.eml", "samples/files/notes.md"]);
    assert_eq!(records[1]["error"], "unreadable: No such file or directory");
    let by_nul = "samples/files/clause.txt\0samples/files/notes.md\0";
    let records = mailsort(["classify", "--files-from", "-", "-0"]).args(labels()).stdin(by_nul).records();
    assert_eq!(records.len(), 2);
}

#[test]
fn output_to_a_file_appears_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.jsonl");
    let run = |more: &[&str]| {
        mailsort(["classify", "samples/inbox.mbox", "-o"]).args([&path]).args(labels()).args(more).output()
    };
    let output = run(&[]);
    assert!(output.status.success() && output.stdout.is_empty());
    let to_file = fs::read(&path).unwrap();
    let to_stdout = mailsort(["classify", "samples/inbox.mbox"]).args(labels()).output().stdout;
    assert_eq!(to_file, to_stdout);
    // A run that cannot even start leaves the old file alone.
    let failed = mailsort(["classify", "gone.mbox", "-o"]).args([&path]).args(labels()).output();
    assert_eq!(failed.status.code(), Some(2));
    assert_eq!(fs::read(&path).unwrap(), to_stdout);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn cleaning_can_be_turned_off() {
    let mail = "Subject: Re: lunch\n\nYes, let us meet at noon.\n\nOn Mon, 1 Jan 2024 at 10:00, Ann wrote:\n> Shall we meet?\n> I have the invoice with me.\n";
    let tokens = |flags: &[&str]| {
        let record = mailsort(["classify", "-"]).args(labels()).args(flags).stdin(mail).records().remove(0);
        record["tokens"].as_u64().unwrap()
    };
    assert!(tokens(&[]) < tokens(&["--keep-quotes"]));
    assert!(tokens(&["--keep-quotes"]) <= tokens(&["--no-clean"]));
    assert_eq!(tokens(&["--max-tokens", "3"]), 3);
}

#[test]
fn progress_is_silent_unless_wanted() {
    let stderr =
        |flags: &[&str]| mailsort(["classify", "samples/inbox.mbox"]).args(labels()).args(flags).output().stderr;
    assert!(stderr(&[]).is_empty());
    let lines = String::from_utf8(stderr(&["--progress", "always", "-q"])).unwrap();
    assert!(lines.starts_with("mailsort: 14 documents, ") && lines.ends_with("100 % of the input\n"), "{lines}");
    let spoken = String::from_utf8(stderr(&["-v"])).unwrap();
    assert!(spoken.contains("14 documents in ") && spoken.contains("documents/s"), "{spoken}");
}

#[test]
fn a_closed_pipe_is_no_error() {
    use std::process::Stdio;
    for format in ["jsonl", "csv", "tsv", "table", "notmuch"] {
        let mut child = command(env!("CARGO_BIN_EXE_mailsort"))
            .args(["classify", "-", "--format", format])
            .args(labels())
            .current_dir(root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        // The input stays open: nobody must wait for its end to notice that nobody listens.
        let mut stdin = child.stdin.take().unwrap();
        let _ = stdin.write_all("{\"text\":\"pay the invoice\"}\n".repeat(20_000).as_bytes());
        let mut stderr = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut stderr).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{format}");
        assert_eq!(stderr, "", "{format}");
        drop(stdin);
    }
}

#[test]
fn records_of_a_slow_pipe_come_as_its_rows_come() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let mut child = command(env!("CARGO_BIN_EXE_mailsort"))
        .args(["classify", "-"])
        .args(labels())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut records = BufReader::new(child.stdout.take().unwrap()).lines();
    for row in 0..3 {
        // Each row is written only when the record of the one before it has been read.
        writeln!(stdin, "{{\"text\":\"pay the invoice\",\"id\":{row}}}").unwrap();
        assert!(records.next().unwrap().unwrap().contains(&format!("\"index\":{row},\"id\":\"{row}\"")));
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_ending_of_the_output_says_its_form() {
    let folder = tempfile::tempdir().unwrap();
    let first_line = |name: &str, flags: &[&str]| {
        let path = folder.path().join(name);
        let run = mailsort(["classify", "-", "-o"]).args([&path]).args(labels()).args(flags);
        assert!(run.stdin(INVOICE).output().status.success());
        fs::read_to_string(path).unwrap().lines().next().unwrap().to_string()
    };
    assert!(first_line("a.CSV", &[]).starts_with("source,index,"));
    assert!(first_line("a.tsv", &[]).starts_with("source\tindex\t"));
    assert!(first_line("a.csv", &["-f", "jsonl"]).starts_with('{'));
    assert!(first_line("a.jsonl", &[]).starts_with('{'));
    assert!(first_line("a", &[]).starts_with('{'));
    assert!(first_line("a.txt", &["-f", "jsonl"]).starts_with('{'));
}

#[test]
fn a_mail_that_would_fill_the_stack_ends_no_run() {
    let deep = "Content-Type: message/rfc822\n\n".repeat(50_000);
    let from = "From a@b Sat Jan  3 01:05:34 1996\n";
    let mbox = format!("{from}{INVOICE}\n{from}Subject: deep\n{deep}\n{from}{MEETING}");
    let records = mailsort(["classify", "-"]).args(labels()).stdin(mbox).records();
    let subjects: Vec<_> = records.iter().map(|r| r["subject"].as_str()).collect();
    assert_eq!(subjects, [Some("Your invoice"), Some("deep"), Some("=HYPERLINK(\"x\")")]);
}
