//! Labels and rules that ask for headers, through the real program.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::mailsort::{Run, mailsort};

const LABELS: &str = "
[[label]]
name = \"invoice\"
description = \"a bill, please pay the amount due\"
threshold = 0.9
headers = [{ Precedence = { not = [\"bulk\", \"list\"] } }, { X-Ticket = '/^INV-\\d+$/' }]

[[label]]
name = \"newsletter\"
description = \"weekly news for our readers\"
headers = { \"List-Id\" = \"*\", \"List-Post\" = { not = \"*\" } }

[[label]]
name = \"calendar\"
description = \"a date to meet\"
headers = { Content-Type = \"text/calendar*\" }
";

/// A text that only the first label fits.
const BILL: &str = "Please pay the bill. The amount due is 20 Euro.\n";

/// A folder with label files and messages.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    put("labels.toml", LABELS);
    put("plain.eml", &format!("Subject: Bill\n\n{BILL}"));
    put("news.eml", &format!("Subject: Bill\nlist-id: =?utf-8?q?N=C3=A9ws?=\n <n.example.org>\n\n{BILL}"));
    put("bulk.eml", &format!("Subject: Bill\nPrecedence: BULK\n\n{BILL}"));
    put("ticket.eml", "Subject: Weekly news\nX-Ticket: inv-12\n\nNews for our readers, stories of the week.\n");
    let calendar = "Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\nEND:VCALENDAR\n";
    put(
        "part.eml",
        &format!(
            "Subject: Bill\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n{BILL}\n--b\n{calendar}\n--b--\n"
        ),
    );
    let attached = format!("Content-Type: message/rfc822\n\nSubject: inner\nMIME-Version: 1.0\n{calendar}");
    put(
        "attached.eml",
        &format!(
            "Subject: Bill\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n{BILL}\n--b\n{attached}\n--b--\n"
        ),
    );
    put("rows.jsonl", &format!("{}\n", serde_json::json!({ "text": BILL, "id": "List-Id: x" })));
    folder
}

fn classify(folder: &TempDir, arguments: &[&str]) -> Run {
    mailsort(["classify"]).args(arguments).in_folder(folder.path())
}

/// The label and what decided, or what else the record says.
fn said(record: &Value) -> (Option<&str>, Option<&str>, f64) {
    (record["label"].as_str(), record["by"].as_str(), record["score"].as_f64().unwrap())
}

#[test]
fn headers_decide_where_they_match_and_nothing_else_changes() {
    let folder = folder();
    let record = |name: &str, flags: &[&str]| {
        classify(&folder, &[&[name, "-l", "labels.toml"], flags].concat()).records().remove(0)
    };
    for (name, expected, by) in [
        ("plain.eml", "invoice", None),
        ("news.eml", "newsletter", Some("header")),
        ("ticket.eml", "invoice", Some("header")),
        ("part.eml", "calendar", Some("header")),
        ("attached.eml", "invoice", None),
        ("rows.jsonl", "invoice", None),
    ] {
        let record = record(name, &[]);
        let (label, decided, score) = said(&record);
        assert_eq!((label, decided), (Some(expected), by), "{name}: {record}");
        let sum: f64 = record["labels"].as_array().unwrap().iter().map(|label| label["score"].as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 0.001, "{record}");
        assert!(by.is_none() || score == 1.0, "{record}");
    }
    let bulk = record("bulk.eml", &[]);
    assert_ne!(bulk["label"], "invoice");
    assert_eq!(bulk["labels"][2], serde_json::json!({ "label": "invoice", "score": 0.0 }), "{bulk}");
    let raw = record("news.eml", &["--raw-scores"]);
    assert_eq!(said(&raw), (Some("newsletter"), Some("header"), 1.0));
    let without = record("plain.eml", &["--raw-scores"]);
    assert_eq!(raw["labels"][1]["label"], without["labels"][0]["label"], "{raw} {without}");
}

#[test]
fn several_sets_and_other_formats_have_it_too() {
    let folder = folder();
    fs::write(folder.path().join("two.txt"), "good: fine\nbad: not fine\n").unwrap();
    let sets = classify(&folder, &["news.eml", "-l", "labels.toml", "-l", "two.txt"]).records().remove(0);
    assert_eq!(sets["sets"]["labels"]["by"], "header");
    assert!(sets["sets"]["two"].get("by").is_none() && sets.get("by").is_none(), "{sets}");
    let csv = classify(&folder, &["news.eml", "-l", "labels.toml", "--format", "csv"]).output();
    assert!(String::from_utf8(csv.stdout).unwrap().contains(",newsletter,1.0000,,newsletter,1.0000,"));
    let mail = fs::read(folder.path().join("news.eml")).unwrap();
    let filtered = mailsort(["filter", "-l", "labels.toml"]).in_folder(folder.path()).stdin(mail).output();
    let filtered = String::from_utf8(filtered.stdout).unwrap();
    assert!(filtered.contains("X-Mailsort: newsletter; score=1.0000; model=builtin\n"), "{filtered}");
}

#[test]
fn a_trained_classifier_takes_headers_from_the_label_file_beside_it() {
    let folder = folder();
    let row = |text: &str, label: &str| serde_json::json!({ "text": text, "label": label }).to_string() + "\n";
    let samples: String = (0..8)
        .flat_map(|n| {
            [row(&format!("please pay bill {n}"), "invoice"), row(&format!("news of week {n}"), "newsletter")]
        })
        .collect();
    fs::write(folder.path().join("samples.jsonl"), samples).unwrap();
    let trained = mailsort(["train", "samples.jsonl", "-o", "own.json"]).in_folder(folder.path()).output();
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    let (begin, _) = LABELS.split_once("\n[[label]]\nname = \"calendar\"").unwrap();
    fs::write(folder.path().join("beside.toml"), begin).unwrap();
    let record = |flags: &[&str]| {
        let fixed = ["news.eml", "--classifier", "own.json"];
        classify(&folder, &[&fixed, flags].concat()).records().remove(0)
    };
    assert_eq!(record(&[])["label"], "invoice");
    assert_eq!(said(&record(&["-l", "beside.toml"])), (Some("newsletter"), Some("header"), 1.0));
}

#[test]
fn patterns_that_cannot_be_used_are_named() {
    let folder = folder();
    let refused = |headers: &str, expected: &[&str]| {
        fs::write(folder.path().join("bad.toml"), format!("[[label]]\nname = \"a\"\nheaders = {headers}\n")).unwrap();
        let output = classify(&folder, &["plain.eml", "-l", "bad.toml"]).output();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(expected.iter().all(|part| stderr.contains(part)), "{stderr}");
    };
    refused("{ List-Id = '/(/' }", &["bad.toml", "line 1", "the label \"a\"", "\"List-Id\"", "\"/(/\""]);
    refused("{ List-Id = 7 }", &["bad.toml", "the label \"a\"", "\"List-Id\""]);
    refused("[]", &["bad.toml", "the label \"a\"", "no header"]);
}

#[cfg(unix)]
#[test]
fn rules_ask_for_headers_too() {
    let folder = folder();
    let new = folder.path().join("Maildir/new");
    for own in ["cur", "new", "tmp"] {
        fs::create_dir_all(folder.path().join("Maildir").join(own)).unwrap();
    }
    for name in ["plain", "bulk", "news"] {
        fs::copy(folder.path().join(format!("{name}.eml")), new.join(format!("1718000000.{name}.host"))).unwrap();
    }
    let rules = "labels = \"two.txt\"\n\
        [[rule]]\nlabel = \"bill\"\nwhen = { Precedence = \"bulk\" }\nfolder = \"Bulk\"\n\
        [[rule]]\nlabel = \"bill\"\nwhen = { \"List-Id\" = { not = \"*\" } }\nfolder = \"Money\"\n";
    fs::write(folder.path().join("two.txt"), "bill: a bill, please pay\nmeeting: a date to meet\n").unwrap();
    fs::write(folder.path().join("rules.toml"), rules).unwrap();
    let route = || mailsort(["route", "Maildir", "--rules", "rules.toml"]).in_folder(folder.path());
    let output = route().output();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let has = |path: &str| folder.path().join("Maildir").join(path).exists();
    assert!(has(".Bulk/new/1718000000.bulk.host") && has(".Money/new/1718000000.plain.host"));
    assert!(has("new/1718000000.news.host"), "no rule fits, so it stays");
    // Notepad's "Unicode".
    let utf16: Vec<u8> = format!("\u{feff}{rules}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(folder.path().join("rules.toml"), utf16).unwrap();
    assert!(route().output().status.success());
    fs::write(folder.path().join("rules.toml"), rules.replace("\"bulk\"", "\"/(/\"")).unwrap();
    let output = route().output();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && stderr.contains("rules.toml: line 2: \"bill\": when"), "{stderr}");
}
