//! `mailsort eval` from end to end: every form of samples and of reports, bars, baselines and comparisons.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::mailsort::{Run, command, mailsort, root, shared, started};

pub const LABELS: [&str; 4] = ["--label", "invoice: a bill to pay", "--label", "meeting: a date to meet and talk"];
const INVOICE: &str = "Please pay the attached invoice, the amount is due on Friday";
const MEETING: &str = "Can we meet on Thursday at ten and talk about the agenda?";

/// A folder with files in it.
pub fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    folder_of(files.iter().map(|(name, text)| (*name, text.as_bytes())))
}

/// The same of any bytes.
pub fn folder_of<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

pub fn rows(rows: &[(&str, &str)]) -> String {
    rows.iter().map(|(text, label)| serde_json::json!({"text": text, "label": label}).to_string() + "\n").collect()
}

/// Three right, one wrong.
pub fn samples() -> String {
    rows(&[
        (INVOICE, "invoice"),
        (MEETING, "meeting"),
        ("pay the invoice", "invoice"),
        ("an invoice to pay", "meeting"),
    ])
}

pub fn eval(folder: &Path, arguments: &[&str]) -> Run {
    mailsort(["eval"]).args(arguments).args(LABELS).in_folder(folder)
}

pub struct Ended {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

pub fn ended(run: Run) -> Ended {
    let output = run.output();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { status: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub fn json(run: Run) -> Value {
    let Ended { status, stdout, stderr } = ended(run.args(["--format", "json"]));
    assert!(status < 2, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn every_form_of_samples_is_judged_the_same() {
    let mbox = format!(
        "From a Sat Jan  3 01:05:34 1996\nMessage-ID: <1@x>\n\n{INVOICE}\n\nFrom a Sat Jan  3 01:05:34 1996\nMessage-ID: <2@x>\n\n{MEETING}\n"
    );
    let folder = folder(&[
        ("rows.jsonl", &rows(&[(INVOICE, "invoice"), (MEETING, "meeting")])),
        ("table.csv", &format!("text,label,more\n\"{INVOICE}\",invoice,x\n\"{MEETING}\",meeting,y\n")),
        ("table.tsv", &format!("label\ttext\ninvoice\t{INVOICE}\nmeeting\t{MEETING}\n")),
        (
            "paths.jsonl",
            "{\"path\":\"filed/invoice/1.txt\",\"label\":\"invoice\"}\n{\"path\":\"filed/meeting/2.txt\",\"label\":\"meeting\"}\n",
        ),
        ("filed/invoice/1.txt", INVOICE),
        ("filed/meeting/2.txt", MEETING),
        ("mail/invoice/cur/1.a:2,S", &format!("\n{INVOICE}")),
        ("mail/invoice/new/.keep", ""),
        ("mail/.meeting/cur/1.a:2,S", &format!("\n{MEETING}")),
        ("mail/.meeting/new/.keep", ""),
        ("mail/Trash/cur/1.a:2,S", "\nwhatever it was"),
        ("mail/Trash/new/.keep", ""),
        ("box", &mbox),
    ]);
    let records = mailsort(["classify", "box"]).args(LABELS).in_folder(folder.path()).output().stdout;
    fs::write(folder.path().join("records.jsonl"), records).unwrap();
    let zipped = Command::new("gzip").arg("-k").arg(folder.path().join("rows.jsonl")).status();
    let gzip: &[&[&str]] = if zipped.is_ok_and(|status| status.success()) { &[&["rows.jsonl.gz"]] } else { &[] };
    let forms: &[&[&str]] = &[
        &["rows.jsonl"],
        &["table.csv"],
        &["table.tsv"],
        &["paths.jsonl"],
        &["filed"],
        &["mail", "--exclude", "Trash"],
        &["--maildir", "mail", "--exclude", "T*"],
        &["records.jsonl"],
    ];
    for form in forms.iter().chain(gzip) {
        let report = json(eval(folder.path(), form));
        let truths: Vec<&Value> =
            report["predictions"].as_array().unwrap().iter().map(|said| &said["truth"][0]).collect();
        assert_eq!(
            (&report["samples"], &report["accuracy"]),
            (&Value::from(2), &Value::from(1.0)),
            "{form:?} {truths:?}"
        );
    }
    let piped = json(eval(folder.path(), &["-"]).stdin(rows(&[(INVOICE, "invoice"), (MEETING, "meeting")])));
    assert_eq!((&piped["samples"], &piped["predictions"][1]["source"]), (&Value::from(2), &Value::from("-")));
    let said = ended(eval(folder.path(), &["mail", "--skip-unknown"])).stderr;
    assert!(said.contains("Trash counts as a label; --exclude") && said.contains("1 samples are left out"), "{said}");
}

#[test]
fn figures_count_what_is_wrong_and_what_has_no_verdict() {
    let text = samples()
        + "{\"text\":\"\",\"label\":\"meeting\"}\n{\"text\":\"x\"}\n{\"text\":\"pay it\",\"labels\":[\"meeting\",\"invoice\"]}\n";
    let folder = folder(&[("s.jsonl", &text)]);
    let report = json(eval(folder.path(), &["s.jsonl"]));
    assert_eq!((&report["format"], &report["version"]), (&"mailsort-evaluation".into(), &1.into()));
    let count = |name: &str| report[name].as_u64().unwrap();
    assert_eq!((count("samples"), count("right"), count("answered"), count("without_verdict")), (6, 4, 5, 1));
    assert_eq!(report["predictions"][4]["error"], "no text");
    assert_eq!(report["predictions"][3]["index"], 3);
    assert_eq!(report["labels"][0]["support"], 3);
    let cells = report["confusion"].as_array().unwrap();
    assert!(cells.contains(&serde_json::json!({"truth": "meeting", "predicted": null, "count": 1})), "{cells:?}");
    assert!(!report.to_string().contains("attached"), "no text in it");
    let Ended { status, stdout, stderr } = ended(eval(folder.path(), &["s.jsonl"]));
    assert_eq!(status, 1, "a sample has no verdict");
    assert!(
        stderr.contains("s.jsonl [5]: without a label") && stderr.contains("1 of 6 documents got no verdict"),
        "{stderr}"
    );
    assert!(stdout.contains("accuracy      0.6667  4 of 6 right"), "{stdout}");
    // What a threshold holds back counts as wrong, and is no error.
    let held = json(eval(folder.path(), &["s.jsonl", "--threshold", "1"]));
    assert!(held["answered"].as_u64().unwrap() < 5 && held["predictions"][3]["best"].is_string());
}

#[test]
fn without_a_label_file_the_samples_name_the_labels() {
    let folder = folder(&[("s.jsonl", &samples()), ("one.jsonl", &rows(&[("x", "a"), ("y", "a")]))]);
    let run = |name: &str| mailsort(["eval", name, "--format", "json"]).in_folder(folder.path());
    let report: Value = serde_json::from_str(&ended(run("s.jsonl")).stdout).unwrap();
    assert_eq!(report["label_set"], "of the samples");
    assert_eq!(report["labels"].as_array().unwrap().len(), 2);
    let Ended { status, stderr, .. } = ended(run("one.jsonl"));
    assert!(status == 2 && stderr.contains("all samples have one label"), "{stderr}");
}

#[test]
fn missed_bars_are_named_and_fail() {
    let folder = folder(&[("s.jsonl", &samples())]);
    let bars =
        ["s.jsonl", "--min-accuracy", "0.9", "--min-macro-f1", "0.1", "--min-f1", "meeting=0.99", "--max-ece", "1"];
    let Ended { status, stdout, stderr } = ended(eval(folder.path(), &bars));
    assert_eq!(status, 1);
    assert!(stderr.contains("missed: accuracy is 0.7500, asked was at least 0.9\n"), "{stderr}");
    assert!(stderr.contains("missed: F1 of meeting is 0.6667, asked was at least 0.99\n"), "{stderr}");
    assert_eq!((stderr.matches("missed").count(), stdout.matches("MISSED").count()), (2, 2), "{stdout}");
    let met = ended(eval(folder.path(), &["s.jsonl", "--min-accuracy", "0.75", "--min-f1", "meeting=0.6"]));
    assert_eq!((met.status, met.stderr.as_str()), (0, ""));
    let unknown = ended(eval(folder.path(), &["s.jsonl", "--min-f1", "bill=0.6"]));
    assert!(unknown.status == 2 && unknown.stderr.contains("it has \"invoice\", \"meeting\""), "{}", unknown.stderr);
}

#[test]
fn samples_that_cannot_be_used_fail_whatever_the_others_are() {
    let broken = samples() + "{\"text\":\n" + &rows(&[("a text", "")]);
    let csv =
        "text,label\npay the invoice,invoice\na date to meet,meeting\n\"let us meet,meeting\npay the invoice,invoice\n";
    let folder = folder(&[("broken.jsonl", &broken), ("unclosed.csv", csv), ("s.jsonl", &samples())]);
    for (name, left) in [("broken.jsonl", 2), ("unclosed.csv", 1)] {
        let Ended { status, stdout, stderr } = ended(eval(folder.path(), &[name]));
        assert_eq!(status, 1, "{name}: {stderr}");
        let expected = format!("missed: samples left out is {left}, asked was none\n");
        assert_eq!(stderr.contains("a quotation mark of line 4 is not closed"), name == "unclosed.csv", "{stderr}");
        assert!(stderr.contains(&expected) && stdout.contains("samples left out"), "{name}: {stderr}{stdout}");
    }
    let Ended { status, stderr, .. } = ended(eval(folder.path(), &["s.jsonl", "--output", "gone/x.json"]));
    assert!(status == 2 && stderr.contains("cannot write the output gone/x.json"), "{stderr}");
}

#[test]
fn wrong_use_is_said() {
    let folder = folder(&[
        ("s.jsonl", &samples()),
        ("none.jsonl", "{\"text\":\"x\"}\n"),
        ("odd.jsonl", &rows(&[("x", "other")])),
    ]);
    let fails = |arguments: &[&str], expected: &str| {
        let Ended { status, stdout, stderr } = ended(eval(folder.path(), arguments));
        assert_eq!((status, stdout.as_str()), (2, ""), "{arguments:?} {stderr}");
        assert!(stderr.contains(expected), "{arguments:?} {stderr}");
    };
    fails(&[], "no samples are given");
    fails(&["gone.jsonl"], "cannot read the samples gone.jsonl");
    fails(
        &["none.jsonl"],
        "none.jsonl holds no labelled sample that can be used; the first: none.jsonl [0]: without a label",
    );
    fails(&["odd.jsonl"], "not in the label set \"label\": \"other\" (1); add them to it");
    fails(&["odd.jsonl", "--skip-unknown"], "no sample has a label of the label set");
    fails(
        &["s.jsonl", "--baseline", "s.jsonl"],
        "s.jsonl is not a report that `mailsort eval --format json` has written",
    );
    fails(&["s.jsonl", "--output", "s.jsonl"], "is read by this run");
    fails(&["s.jsonl", "--min-accuracy", "90"], "not a number from 0 to 1");
    fails(&["s.jsonl", "--tolerance", "0.1"], "--baseline <FILE>");
    fails(&["s.jsonl", "--dims", "64"], "--dims has no meaning for the built-in model");
}

#[test]
fn every_format_by_its_name_and_its_ending() {
    let hostile = "<img src=x onerror=alert(1)>";
    let text = samples() + &rows(&[(&format!("an invoice {hostile} </pre><script>"), "meeting")]);
    let folder = folder(&[("s.jsonl", &text)]);
    let formats = [("json", "json"), ("html", "html"), ("markdown", "md"), ("junit", "xml"), ("text", "txt")];
    let written = formats.map(|(format, ending)| {
        let out = format!("out.{ending}");
        let run = ended(eval(folder.path(), &["s.jsonl", "--output", &out, "--min-accuracy", "1"]));
        assert_eq!((run.status, run.stdout.as_str()), (1, ""));
        let by_ending = fs::read_to_string(folder.path().join(out)).unwrap();
        let by_name = ended(eval(folder.path(), &["s.jsonl", "--format", format, "--min-accuracy", "1"])).stdout;
        assert_eq!(by_ending.lines().count(), by_name.lines().count(), "{format}");
        by_ending
    });
    let [json, html, markdown, junit, _] = &written;
    serde_json::from_str::<Value>(json).unwrap();
    assert!(html.contains("&lt;img src=x") && !html.contains("<img") && !html.contains("<script"), "{html}");
    let without = ended(eval(folder.path(), &["s.jsonl", "--format", "html", "--no-texts"])).stdout;
    assert!(!without.contains("&lt;img") && without.contains("Worst mistakes"));
    assert!(markdown.contains("| accuracy | at least 1 | 0.6000 | MISSED |"), "{markdown}");
    assert!(
        junit.contains("<testcase classname=\"mailsort.eval\" name=\"accuracy\">") && junit.contains("<failure "),
        "{junit}"
    );
    let mut python = command("python3");
    python.args(["-c", "import sys,xml.dom.minidom as m; m.parse(sys.argv[1])"]).arg(folder.path().join("out.xml"));
    let Some(status) = started("python3", python.status()) else { return };
    assert!(status.success());
}

#[test]
fn thresholds_go_into_a_label_file() {
    let folder = folder(&[("s.jsonl", &samples())]);
    let text = ended(eval(folder.path(), &["s.jsonl", "--target-precision", "0.9"])).stdout;
    let snippet = text.split("for a label file\n\n").nth(1).unwrap().split("\nSpeed:").next().unwrap();
    fs::write(folder.path().join("labels.toml"), snippet).unwrap();
    let run = mailsort(["classify", "-", "--labels", "labels.toml"]).in_folder(folder.path());
    let output = run.stdin("Subject: x\n\npay the invoice\n").output();
    assert_eq!(output.status.code(), Some(0), "{snippet} {}", String::from_utf8_lossy(&output.stderr));
}

/// Writes a report as JSON and gives its path.
pub fn report(folder: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let run = ended(mailsort(["eval"]).args(arguments).args(["--output", name]).in_folder(folder));
    assert!(run.status < 2, "{}", run.stderr);
    folder.join(name)
}

const WORSE: [&str; 4] = ["--label", "invoice: talk", "--label", "meeting: pay the invoice bill"];

#[test]
fn a_baseline_holds_what_was_reached() {
    // Six samples that the worse labels get wrong: enough for McNemar's test at 0.05, as 2 / 2^6 is below it.
    let text: String = (0..6).map(|n| rows(&[(&format!("pay the invoice number {n}"), "invoice")])).collect();
    let few = text.lines().take(3).map(|line| line.to_string() + "\n").collect::<String>();
    let meetings = rows(&[(MEETING, "meeting")]);
    let folder =
        folder(&[("s.jsonl", &(text + &meetings)), ("few.jsonl", &(few + &meetings)), ("other.jsonl", &samples())]);
    report(folder.path(), "base.json", &[&["s.jsonl"][..], &LABELS[..]].concat());
    let same = ended(eval(folder.path(), &["s.jsonl", "--baseline", "base.json"]));
    assert_eq!((same.status, same.stderr.as_str()), (0, ""));
    let worse = |samples: &str, flags: &[&str]| {
        let run = mailsort(["eval", samples, "--baseline", "base.json"]).args(flags).args(WORSE);
        ended(run.in_folder(folder.path()))
    };
    let dropped = worse("s.jsonl", &[]);
    assert!(
        dropped.status == 1 && dropped.stderr.contains("missed: accuracy against the baseline is "),
        "{}",
        dropped.stderr
    );
    assert_eq!(worse("s.jsonl", &["--tolerance", "1"]).status, 0);
    let certain = worse("s.jsonl", &["--significance", "0.05"]);
    assert!(certain.status == 1 && certain.stderr.contains("6 lost, 0 won"), "{}", certain.stderr);
    let chance = worse("few.jsonl", &["--significance", "0.05"]);
    assert_eq!(chance.status, 0, "{}", chance.stderr);
    assert!(
        chance.stderr.contains("4 are in both and compared, 3 only in the baseline, 0 only here"),
        "{}",
        chance.stderr
    );
    let other = ended(eval(folder.path(), &["other.jsonl", "--baseline", "base.json"]));
    assert!(other.status == 0 && other.stderr.contains("1 are in both"), "{}", other.stderr);
}

#[test]
fn two_reports_side_by_side() {
    let folder = folder(&[
        ("s.jsonl", &samples()),
        ("t.jsonl", &rows(&[("unlike all others", "meeting"), ("x y z", "invoice")])),
    ]);
    report(folder.path(), "a.json", &[&["s.jsonl"][..], &LABELS[..]].concat());
    report(folder.path(), "b.json", &[&["s.jsonl"][..], &WORSE[..]].concat());
    report(folder.path(), "c.json", &[&["t.jsonl"][..], &LABELS[..]].concat());
    let compare = |arguments: &[&str]| ended(mailsort(["eval", "--compare"]).args(arguments).in_folder(folder.path()));
    let text = compare(&["a.json", "b.json"]);
    assert_eq!((text.status, text.stderr.as_str()), (0, ""));
    assert!(
        text.stdout.contains("s.jsonl [0]")
            && text.stdout.contains("worse")
            && text.stdout.contains("4 samples are in both"),
        "{}",
        text.stdout
    );
    let found: Value = serde_json::from_str(&compare(&["a.json", "b.json", "--format", "json"]).stdout).unwrap();
    assert_eq!((&found["format"], &found["matched"]), (&"mailsort-comparison".into(), &4.into()));
    for format in ["markdown", "html"] {
        assert!(compare(&["a.json", "b.json", "--format", format]).stdout.contains("Mails whose label changed"));
    }
    assert_eq!(compare(&["a.json", "b.json", "--format", "junit"]).status, 2);
    let strangers = compare(&["a.json", "c.json"]);
    assert!(strangers.status == 2 && strangers.stderr.contains("no sample in common"), "{}", strangers.stderr);
}

#[test]
fn threads_change_no_figure() {
    // More than are scored one by one, so that most are scored together.
    let labelled = fs::read_to_string(root().join("samples/labelled.jsonl")).unwrap();
    let again = |line: &str, turn: usize| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        row["text"] = format!("{} {turn}", row["text"].as_str().unwrap()).into();
        row.to_string() + "\n"
    };
    let rows: String = (0..20).flat_map(|turn| labelled.lines().map(move |line| again(line, turn))).collect();
    let folder = folder(&[("many.jsonl", &rows)]);
    let labels = root().join("labels/tickets.toml");
    let of = |threads: &str| {
        let run = mailsort(["eval", "many.jsonl", "--threads", threads, "--labels"]).args([&labels]);
        let mut report = json(run.in_folder(folder.path()));
        let timing = report.as_object_mut().unwrap().remove("timing").unwrap();
        assert!(timing["timed"].as_u64().unwrap() * 2 < report["samples"].as_u64().unwrap(), "{timing}");
        report
    };
    assert_eq!(of("1"), of("3"));
}

#[test]
fn real_sets() {
    let sets = [("banking77", 0.5), ("newsgroups20", 0.45), ("sib200_train_dev", 0.5), ("thucnews_titles_dev", 0.3)];
    let found: Vec<_> = sets
        .iter()
        .filter_map(|(name, least)| Some((name, least, shared(&format!("labelled/{name}.jsonl"))?)))
        .collect();
    // None is no fault of ours, but some without the others is a name that changed.
    assert!(found.is_empty() || found.len() == sets.len());
    for (name, least, path) in found {
        let folder = tempfile::tempdir().unwrap();
        let text = fs::read_to_string(path).unwrap();
        let some: Vec<&str> = text.lines().step_by(17).collect();
        fs::write(folder.path().join("s.jsonl"), some.join("\n")).unwrap();
        let report = json(mailsort(["eval", "s.jsonl"]).in_folder(folder.path()));
        assert_eq!(report["samples"].as_u64().unwrap() as usize, some.len(), "{name}");
        assert!(report["accuracy"].as_f64().unwrap() > *least, "{name}: {}", report["accuracy"]);
    }
}
