//! Whatever the bytes, the threads or the order, the contract holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mailsort::intake::sniff::SourceFormat;
use mailsort::intake::{self, Raw, Reading};
use mailsort::record::Origin;
use proptest::prelude::*;
use serde_json::Value;

use crate::mailsort::{command, mailsort, root, started};

const FORMATS: [SourceFormat; 4] = [SourceFormat::Mail, SourceFormat::Html, SourceFormat::Text, SourceFormat::Jsonl];

fn raw(format: SourceFormat, bytes: Vec<u8>) -> Raw {
    Raw { origin: Origin { source: "x".into(), index: 0, offset: 0 }, format, bytes, truncated: false }
}

/// Pieces that mail is made of, so that random mail reaches the corners of the parsers.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "Subject: x\n",
        "From: A <a@b>\n",
        "Content-Type: multipart/mixed; boundary=b\n",
        "\n",
        "\r\n",
        "--b\n",
        "--b--\n",
        "Content-Transfer-Encoding: base64\n",
        "Content-Type: text/html; charset=gb2312\n",
        "=?utf-8?q?=E4?=",
        "<div>",
        "</table>",
        "<style>",
        "<!--",
        "> quoted\n",
        "-- \nme\n",
        "On Monday Ann wrote:\n",
        "From b Sat Jan  3 01:05:34 1996\n",
        "{\"text\":",
        "\u{feff}",
        "BEGIN:VEVENT\n",
        "会议",
        "\u{202e}",
        "=",
        "&#x110000;",
        "message/rfc822",
        "\0",
    ]);
    prop_oneof![
        3 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(fragment(), 0..30).prop_map(|fragments| fragments.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_skipped(bytes in bytes(), format in prop::sample::select(FORMATS.to_vec())) {
        match intake::read(raw(format, bytes), &Reading::default()) {
            Ok(document) => prop_assert!(!document.text().trim().is_empty()),
            Err(skip) => prop_assert_ne!(skip.reason, mailsort::record::Reason::Panicked),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_files_give_one_record_each(files in prop::collection::vec(bytes(), 1..12)) {
        let folder = tempfile::tempdir().unwrap();
        for (at, bytes) in files.iter().enumerate() {
            std::fs::write(folder.path().join(format!("{at:02}.eml")), bytes).unwrap();
        }
        let records = mailsort(["classify", "--label", "a", "--label", "b"]).args([folder.path()]).records();
        prop_assert_eq!(records.len(), files.len());
        for (at, record) in records.iter().enumerate() {
            let expected = format!("{at:02}.eml");
            prop_assert!(record["source"].as_str().unwrap().ends_with(&expected));
            prop_assert_eq!(record["label"].is_null(), record["error"].is_string());
        }
    }

    #[test]
    fn csv_reads_back_to_what_json_says(subject in "[ -~\\t会é=+@\"',;]{1,40}", label in "[a-z=+@ \"',;-]{1,20}[a-z]") {
        let mail = format!("Subject: {subject}\n\nthe meeting is on friday\n");
        let run = |format: &str| mailsort(["classify", "-", "--label", &label, "--label", "other thing", "-f", format]).stdin(mail.clone());
        let json = run("jsonl").output();
        prop_assume!(json.status.success());
        let json: Value = serde_json::from_slice(&json.stdout).unwrap();
        let output = run("csv").output().stdout;
        let mut reader = csv::Reader::from_reader(output.as_slice());
        let header = reader.headers().unwrap().clone();
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        prop_assert_eq!(rows.len(), 1);
        let cell = |name: &str| rows[0].get(header.iter().position(|h| h == name).unwrap()).unwrap();
        let plain = |name: &str| cell(name).strip_prefix('\'').filter(|rest| !rest.is_empty()).unwrap_or(cell(name)).to_string();
        prop_assert!(!cell("subject").trim_start().starts_with(['=', '+', '-', '@']));
        prop_assert!(!cell("label").trim_start().starts_with(['=', '+', '-', '@']));
        let same_subject = json["subject"].as_str().is_none_or(|s| s == plain("subject") || s == cell("subject"));
        prop_assert!(same_subject, "{} and {}", json["subject"], cell("subject"));
        let json_label = json["label"].as_str().unwrap();
        prop_assert!(json_label == plain("label") || json_label == cell("label"));
        prop_assert_eq!(json["score"].as_f64().unwrap(), cell("score").parse::<f64>().unwrap());
        prop_assert_eq!(json["labels"][1]["score"].as_f64().unwrap(), cell("score_2").parse::<f64>().unwrap());
    }
}

/// Reads both forms with the libraries of another language and compares what they say of every document.
const OTHER_LIBRARIES: &str = r#"
import csv, json, sys
rows = list(csv.DictReader(open(sys.argv[1], encoding="utf-8-sig", newline="")))
records = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
assert len(rows) == len(records) > 25, (len(rows), len(records))
for row, record in zip(rows, records):
    for name in "source", "index", "id", "subject", "label":
        cell, value = row[name], "" if record[name] is None else str(record[name])
        assert cell in (value, "'" + value), (cell, value)
    for name, value in [("score", record["score"])] + [(f"score_{n + 1}", l["score"]) for n, l in enumerate(record["labels"])]:
        assert float(row[name]) == value, (name, row[name], value)
"#;

#[test]
fn other_libraries_read_the_same_values() {
    let folder = tempfile::tempdir().unwrap();
    let outputs = ["out.csv", "out.jsonl"].map(|name| folder.path().join(name));
    for output in &outputs {
        let run =
            mailsort(["classify", "samples/inbox.mbox", "samples/maildir", "samples/files", "-l", "labels/mail.txt"]);
        assert!(run.args(["-o".as_ref(), output.as_os_str()]).output().status.success());
    }
    let read = command("python3").args(["-c", OTHER_LIBRARIES]).args(&outputs).output();
    let Some(read) = started("python3", read) else { return };
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}

fn by_id(records: Vec<Value>) -> BTreeMap<String, String> {
    records
        .into_iter()
        .filter_map(|r| {
            Some((r["id"].as_str()?.to_string(), format!("{}{}{}", r["labels"], r["tokens"], r["truncated"])))
        })
        .collect()
}

#[test]
fn threads_order_and_company_change_no_score() {
    let run = |arguments: &[&str]| mailsort(["classify", "-l", "labels/mail.txt"]).args(arguments).output().stdout;
    let inputs = ["samples/inbox.mbox", "samples/maildir", "samples/files", "samples/chinese.mbox"];
    let one = run(&[&inputs[..], &["--threads", "1"]].concat());
    for threads in ["2", "7"] {
        assert_eq!(one, run(&[&inputs[..], &["--threads", threads]].concat()), "{threads} threads");
    }
    let records = |inputs: &[&str]| by_id(mailsort(["classify", "-l", "labels/mail.txt"]).args(inputs).records());
    let together = records(&inputs);
    assert!(together.len() > 25);
    let reversed: Vec<&str> = inputs.iter().rev().copied().collect();
    assert_eq!(together, records(&reversed));
    let mut alone = BTreeMap::new();
    for input in inputs {
        alone.extend(records(&[input]));
    }
    assert_eq!(together, alone);
}

#[test]
fn many_copies_score_as_one() {
    // More than one piece of work, so that piece borders fall into the middle.
    let one = std::fs::read(root().join("samples/inbox.mbox")).unwrap();
    let labels = ["classify", "-", "-l", "labels/mail.txt"];
    let single = by_id(mailsort(labels).stdin(one.clone()).records());
    let copies = mailsort(labels).stdin([one.as_slice(), b"\n"].concat().repeat(30)).records();
    assert_eq!(copies.len(), 30 * 14);
    assert!(copies.iter().enumerate().all(|(at, record)| record["index"] == at));
    for copy in copies.chunks(14) {
        assert_eq!(by_id(copy.to_vec()), single);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_mail_larger_than_memory_is_read_to_its_cap() {
    use std::io::Write;
    use std::process::Stdio;
    let program = env!("CARGO_BIN_EXE_mailsort");
    let limited = format!("ulimit -v 800000; exec {program} classify - --label a --label b --threads 2");
    let mut child = command("sh").args(["-c", &limited]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let block = format!("{}\n", "QUJD".repeat(18)).repeat(1 << 14);
        for subject in ["large", "small"] {
            write!(stdin, "From a Sat Jan  3 01:05:34 1996\nSubject: {subject}\n\nthe text\n\n").unwrap();
            // A gigabyte, more than the process may have.
            let blocks = if subject == "large" { (1 << 30) / block.len() } else { 0 };
            (0..blocks).for_each(|_| stdin.write_all(block.as_bytes()).unwrap());
        }
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let records: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen: Vec<_> =
        records.iter().map(|r| (r["subject"].as_str().unwrap(), r["truncated"].as_bool().unwrap())).collect();
    assert_eq!(seen, [("large", true), ("small", false)]);
}

/// What lies in a folder: the bytes of files, nothing for folders.
#[cfg(unix)]
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut contents(&path));
        }
        found.insert(path.clone(), fs::read(&path).unwrap_or_default());
    }
    found
}

#[cfg(unix)]
#[test]
fn nothing_is_written_that_was_not_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    for folder in ["home", "tmp", "work", "work/mail", "work/mail/cur", "work/mail/new", "work/mail/tmp"] {
        fs::create_dir(at(folder)).unwrap();
    }
    for (from, to) in [
        ("samples/inbox.mbox", "inbox.mbox"),
        ("samples/labelled.jsonl", "labelled.jsonl"),
        ("labels/mail.txt", "labels.txt"),
        ("tests/documents/contract.pdf", "contract.pdf"),
        ("tests/documents/contract.docx", "contract.docx"),
    ] {
        fs::copy(root().join(from), at("work").join(to)).unwrap();
    }
    fs::write(at("work/mail/new/1.a.host"), "Subject: Your invoice\n\nPlease pay the bill.\n").unwrap();
    fs::write(at("work/rules.toml"), "labels = \"labels.txt\"\n[[rule]]\nlabel = \"invoice\"\nfolder = \"Bills\"\n")
        .unwrap();
    // All may be read by anybody. Only the place for temporary files may be written, which shall be empty afterwards.
    for path in contents(place.path()).into_keys().chain([place.path().to_path_buf()]) {
        let mode = if path.is_dir() { 0o555 } else { 0o444 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(at("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    let before = contents(place.path());
    for line in [
        "classify inbox.mbox mail contract.pdf contract.docx -l labels.txt",
        "classify inbox.mbox -l labels.txt --format table",
        "show inbox.mbox",
        "eval labelled.jsonl",
        "filter -l labels.txt",
        "route mail --rules rules.toml --dry-run",
        "models list",
        "models show builtin",
        "completions bash",
        "man classify",
    ] {
        let mut run = mailsort(line.split(' ')).in_folder(&at("work")).unprivileged().stdin("Subject: x\n\nthe bill\n");
        for name in ["HOME", "HF_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            run = run.env(name, at("home").to_str().unwrap());
        }
        let output = run.env("TMPDIR", at("tmp").to_str().unwrap()).output();
        assert_eq!(output.status.code(), Some(0), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(contents(place.path()) == before, "{line}: {:?}", contents(place.path()).keys());
    }
    // So that whoever is not root can take it away.
    for path in before.into_keys().chain([place.path().to_path_buf()]).filter(|path| path.is_dir()) {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
