//! Metrics, the dashboard that shows them, and samples for a person to label.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use super::{LABELS, Server};
use crate::mailsort::{command, mailsort, root, started};

/// A server of which every metric has a value.
fn used(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    let documents = json!(["Please pay the bill", "Shall we meet on Monday?", "", "word ".repeat(9000)]);
    let answer = server.post("/v1/classify", json!({"documents": documents}));
    assert_eq!(answer.status, 200);
    server.post("/v1/classify", json!({"text": "Please pay", "threshold": 1}));
    let id = answer.header("x-request-id").unwrap();
    for label in ["invoice", "meeting"] {
        server.post(
            "/v1/feedback",
            json!({"id": format!("{id}/{}", usize::from(label == "meeting")), "label": "invoice"}),
        );
    }
    server.get("/nowhere");
    server
}

/// The expressions of the dashboard, for a data source that knows no dashboard.
fn expressions() -> Vec<String> {
    let text = fs::read_to_string(root().join("examples/grafana/mailsort.json")).unwrap();
    let board: Value = serde_json::from_str(&text).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let expression =
        |target: &Value| target["expr"].as_str().unwrap().replace("$__rate_interval", "5m").replace("$__range", "1h");
    targets.map(expression).collect()
}

#[test]
fn the_dashboard_shows_metrics_that_exist() {
    let server = used(&[]);
    let text = server.get("/metrics").body;
    let there: BTreeSet<&str> =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['{', ' ']).next()).collect();
    let name = regex::Regex::new(r"mailsort_\w+").unwrap();
    let expressions = expressions();
    let shown: BTreeSet<&str> =
        expressions.iter().flat_map(|text| name.find_iter(text)).map(|found| found.as_str()).collect();
    assert!(shown.len() > 12, "{shown:?}");
    let missing: Vec<_> = shown.difference(&there).collect();
    assert!(missing.is_empty(), "{missing:?} are not in {text}");
    // What the page promises of answers: an edge at half a second.
    assert!(text.contains("mailsort_http_request_duration_seconds_bucket{le=\"0.5\""), "{text}");
}

#[test]
fn prometheus_reads_the_metrics_and_the_dashboard() {
    use std::io::Write;
    let server = used(&[]);
    let text = server.get("/metrics").body;
    let mut check = command("promtool");
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Some(mut child) = started("promtool", check.spawn()) else { return };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{} {text}", String::from_utf8_lossy(&output.stderr));
    let output =
        command("promtool").args(["check", "config"]).arg(root().join("examples/grafana/prometheus.yml")).output();
    assert!(output.as_ref().unwrap().status.success(), "{output:?}");
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.json");
    let named = |(at, expression): (usize, String)| json!({"record": format!("panel:{at}"), "expr": expression});
    let named: Vec<Value> = expressions().into_iter().enumerate().map(named).collect();
    fs::write(&rules, json!({"groups": [{"name": "dashboard", "rules": named}]}).to_string()).unwrap();
    let output = command("promtool").args(["check", "rules"]).arg(&rules).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_sample_is_judged_when_a_person_has_labelled_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (bare, full) = (file("bare.jsonl"), file("full.jsonl"));
    let texts = ["Please pay the bill", "Shall we meet on Monday?", "The bill is due", "A date to meet and talk"];
    for (path, flags) in [(&bare, &[][..]), (&full, &["--sample-texts"][..])] {
        let server = Server::start(&[&["--sample-to", path, "--sample-rate", "1"], flags].concat());
        server.post("/v1/classify", json!({"documents": texts}));
        // By other labels than those of the server nothing is sampled.
        server.post("/v1/classify", json!({"text": "x", "labels": ["a", "b"]}));
    }
    let lines = fs::read_to_string(&bare).unwrap();
    assert_eq!(lines.lines().count(), 4);
    assert!(!lines.contains("Monday") && lines.starts_with("{\"truth\":null,"), "{lines}");
    assert!(fs::read_to_string(&full).unwrap().contains("\"text\":\"Shall we meet on Monday?\""));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&bare).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let eval = |flags: &[&str]| {
        let output = mailsort(["eval", &bare, "--recorded"]).args(flags).output();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (status, _, stderr) = eval(&[]);
    assert!(status == Some(2) && stderr.contains("write the right label in place of null"), "{stderr}");
    // Three of four are labelled, one of them as the server did not.
    let truths = ["\"invoice\"", "\"meeting\"", "\"meeting\"", "null"];
    let labelled: Vec<String> = lines
        .lines()
        .zip(truths)
        .map(|(line, truth)| line.replace("\"truth\":null", &format!("\"truth\":{truth}")))
        .collect();
    fs::write(&bare, labelled.join("\n")).unwrap();
    let (status, stdout, stderr) = eval(&[]);
    assert!(status == Some(0) && stdout.contains("accuracy      0.6667  2 of 3 right"), "{stdout} {stderr}");
    assert!(stderr.contains("1 line has no `truth` yet"), "{stderr}");
    assert_eq!(eval(&["--min-accuracy", "0.9"]).0, Some(1));
    let (status, stdout, stderr) = eval(&LABELS);
    assert!(status == Some(0) && stdout.contains("0.6667"), "{stdout} {stderr}");
    let (status, _, stderr) = eval(&["--label", "a", "--label", "b"]);
    assert!(status == Some(2) && stderr.contains("has no label \"invoice\""), "{stderr}");
    fs::write(&bare, "{\"truth\":\"a\"}\n").unwrap();
    let (status, _, stderr) = eval(&[]);
    assert!(status == Some(2) && stderr.contains("line 1: no record of `serve --sample-to`"), "{stderr}");
}

#[test]
fn a_sample_of_several_sets_is_judged_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (sample, zone) = (path("sample.jsonl"), path("zone.txt"));
    fs::write(&zone, "money: bills, invoices\ntalk: meetings\n").unwrap();
    {
        let server = Server::start(&["--labels", &zone, "--sample-to", &sample, "--sample-rate", "1"]);
        server.post("/v1/classify", json!({"documents": ["Please pay the bill", "Shall we meet?"]}));
    }
    let text = fs::read_to_string(&sample).unwrap().replace("\"zone\":null", "\"zone\":\"money\"");
    fs::write(&sample, text).unwrap();
    let output = mailsort(["eval", &sample, "--recorded", "--set", "zone"]).output();
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 of 2 right"), "{output:?}");
    let output = mailsort(["eval", &sample, "--recorded"]).output();
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("--set names one of its label sets: label, zone"),
        "{output:?}"
    );
}

/// The examples of the page are mails of samples/.
#[test]
fn examples_of_the_page_are_samples() {
    let examples = fs::read_to_string(root().join("src/serve/routes/page/examples.json")).unwrap();
    let examples: Vec<Value> = serde_json::from_str(&examples).unwrap();
    assert!(examples.len() >= 4);
    for example in examples {
        let shown = mailsort(["show", example["source"].as_str().unwrap(), "--no-clean"]).output().stdout;
        let shown = String::from_utf8(shown).unwrap();
        let line = shown.lines().nth(example["index"].as_u64().unwrap() as usize).unwrap();
        let mail: Value = serde_json::from_str(line).unwrap();
        let word = |name: &str| mail[name].as_str().unwrap().trim().to_string();
        let text = format!("Subject: {}\nFrom: {}\n\n{}\n", word("subject"), word("from"), word("body"));
        assert_eq!(example["text"], text);
    }
}
