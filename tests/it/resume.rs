//! A run that was killed, stopped or torn and is resumed gives the bytes of one that was not.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::mailsort::{Run, command, mailsort, root, until, until_it_computes};

/// An mbox long enough to be killed in, and a few files around it.
fn inputs(folder: &Path, copies: usize) -> Vec<PathBuf> {
    let inbox = fs::read(root().join("samples/inbox.mbox")).unwrap();
    let many = folder.join("many.mbox");
    fs::write(&many, [inbox.as_slice(), b"\n"].concat().repeat(copies)).unwrap();
    vec![root().join("samples/maildir"), many, root().join("samples/files")]
}

fn classify(inputs: &[PathBuf], output: &Path) -> Run {
    mailsort(["classify", "-l", "labels/mail.txt", "-o"]).args([output]).args(inputs)
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// The file in which an output grows, if it is there.
fn part_of(output: &Path) -> Option<PathBuf> {
    let beginning = format!(".{}.", output.file_name().unwrap().to_string_lossy());
    let entries = fs::read_dir(output.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    entries.into_iter().find(|path| name(path).starts_with(&beginning) && name(path).ends_with(".mailsort-part"))
}

fn written(output: &Path) -> u64 {
    part_of(output).and_then(|part| fs::metadata(part).ok()).map_or(0, |metadata| metadata.len())
}

#[test]
fn killed_at_thirty_points_and_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = inputs(folder.path(), 40);
    let mut random = Random(7);
    for format in ["jsonl", "csv"] {
        let whole = folder.path().join(format!("whole.{format}"));
        assert!(classify(&inputs, &whole).output().status.success());
        let expected = fs::read(&whole).unwrap();
        let mut kills = 0;
        while kills < 15 {
            let output = folder.path().join(format!("{kills}.{format}"));
            // Every other one is killed a second time, while it goes on after the first.
            for _ in 0..=kills % 2 {
                kills += usize::from(kill_at(&inputs, &output, random.below(expected.len() * 9 / 10)));
            }
            let resumed = classify(&inputs, &output).args(["--resume"]).output();
            assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
            assert!(fs::read(&output).unwrap() == expected, "other bytes after kill {kills}");
            assert!(part_of(&output).is_none());
            fs::remove_file(&output).unwrap();
        }
    }
}

/// Runs until so many bytes are written, and kills. False when the run was quicker.
fn kill_at(inputs: &[PathBuf], output: &Path, bytes: usize) -> bool {
    let mut child = command(env!("CARGO_BIN_EXE_mailsort"))
        .args(["classify", "--quiet", "--resume", "-l", "labels/mail.txt", "-o"])
        .arg(output)
        .args(inputs)
        .current_dir(root())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while written(output) < bytes as u64 && child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_micros(200));
    }
    let _ = child.kill();
    let is_killed = child.wait().unwrap().code().is_none();
    assert_ne!(is_killed, output.exists(), "an output appears when it is complete");
    is_killed
}

#[test]
fn torn_at_any_byte_and_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = inputs(folder.path(), 2);
    let mut random = Random(11);
    for (verb, format) in [("classify", "jsonl"), ("classify", "csv"), ("classify", "tsv"), ("show", "jsonl")] {
        let run = |output: &Path| {
            let labels: &[&str] = if verb == "show" { &["--removed"] } else { &["-l", "labels/mail.txt"] };
            mailsort([verb, "-o"]).args([output]).args(labels).args(&inputs)
        };
        let output = folder.path().join(format!("{verb}.{format}"));
        assert!(run(&output).output().status.success());
        let expected = fs::read(&output).unwrap();
        let border = expected.iter().rposition(|&b| b == b'\n').unwrap();
        for at in [0, 1, 5, border, border + 1].into_iter().chain((0..7).map(|_| random.below(expected.len()))) {
            fs::write(&output, &expected[..at]).unwrap();
            let resumed = run(&output).args(["--resume"]).output();
            assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
            assert!(fs::read(&output).unwrap() == expected, "{verb} {format} torn at {at}");
        }
    }
}

#[test]
fn what_is_not_of_this_run_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.jsonl");
    let run = |arguments: &[&str], mails: &[&str]| {
        mailsort(["classify", "--resume", "-o"]).args([&output]).args(arguments).args(mails).output()
    };
    let labels = ["-l", "labels/mail.txt"];
    let mails = ["samples/inbox.mbox", "samples/chinese.mbox"];
    assert!(run(&labels, &mails).status.success());
    let before = fs::read(&output).unwrap();
    let refused = |arguments: &[&str], mails: &[&str], why: &str| {
        let refusal = run(arguments, mails);
        let said = String::from_utf8(refusal.stderr).unwrap();
        assert_eq!(refusal.status.code(), Some(2), "{said}");
        assert!(said.contains(why) && said.contains("out.jsonl"), "{said}");
        assert!(fs::read(&output).unwrap() == before, "{why}");
    };
    refused(&["-l", "labels/tickets.toml"], &mails, "line 1 would now come out in another way");
    refused(&labels, &["samples/chinese.mbox"], "line 1 is about samples/inbox.mbox [0]");
    refused(&labels, &["samples/inbox.mbox"], "is beyond the last document");
    refused(&["-l", "labels/mail.txt", "-f", "csv"], &mails, "it does not begin like");
    refused(&["-l", "labels/mail.txt", "--no-clean"], &mails, "would now come out in another way");
    // More input is what resuming is for.
    assert!(run(&labels, &[mails[0], mails[1], "samples/maildir"]).status.success());
    let after = fs::read(&output).unwrap();
    assert!(after.starts_with(&before) && after.len() > before.len());
    for foreign in ["my notes", "my notes\n", "{\"a\":1}\n"] {
        fs::write(&output, foreign).unwrap();
        assert_eq!(run(&labels, &mails).status.code(), Some(2), "{foreign:?}");
        assert_eq!(fs::read_to_string(&output).unwrap(), foreign);
    }
}

#[test]
fn a_part_of_other_flags_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = inputs(folder.path(), 40);
    let output = folder.path().join("out.jsonl");
    while !kill_at(&inputs, &output, 2000) {
        fs::remove_file(&output).unwrap();
    }
    let part = part_of(&output).unwrap();
    let before = fs::read(&part).unwrap();
    // A threshold that no record written so far need show.
    let other = || classify(&inputs, &output).args(["-t", "0.01"]);
    let refused = other().args(["--resume"]).output();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("other flags, another model or device, or"));
    assert!(fs::read(&part).unwrap() == before);
    assert!(other().output().status.success());
    assert!(part_of(&output).is_none(), "what nobody goes on with is cleared away");
}

#[cfg(unix)]
#[test]
fn what_cannot_be_gone_on_with_is_said_and_cleared_away() {
    use std::io::Read;
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.table");
    let mut child = command(env!("CARGO_BIN_EXE_mailsort"))
        .args(["classify", "-", "--label", "a", "--label", "b", "-f", "table", "-o"])
        .arg(&output)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mail = b"From a Sat Jan  3 01:05:34 1996\nSubject: hello there\n\nwe meet on friday\n\n".repeat(3);
    child.stdin.as_mut().unwrap().write_all(&mail).unwrap();
    // The line of a message: the head of the table is written before signals are heard.
    let is_scored = || part_of(&output).is_some_and(|part| fs::read_to_string(part).unwrap().contains("hello there"));
    until(is_scored, || "nothing is written".into());
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(said.contains("--resume cannot go on after this format"), "{said}");
    assert!(part_of(&output).is_none() && !output.exists());
}

#[test]
fn errors_written_before_count() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.jsonl");
    let mails = folder.path().join("mails.mbox");
    let mail = "From a Sat Jan  3 01:05:34 1996\nSubject: hello there\n\nwe meet on friday\n\n";
    let empty = "From a Sat Jan  3 01:05:34 1996\nFrom: b\n\n\n";
    fs::write(&mails, [mail, empty, mail, mail].concat()).unwrap();
    let run = || classify(std::slice::from_ref(&mails), &output).args(["--resume"]).output();
    assert_eq!(run().status.code(), Some(1));
    let again = run();
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8(again.stderr).unwrap().contains("1 of 4 documents got no verdict"));
    // One that would get a verdict now, but stands there without one.
    fs::write(&mails, mail.repeat(3)).unwrap();
    fs::remove_file(&output).unwrap();
    assert_eq!(run().status.code(), Some(0));
    let whole = fs::read_to_string(&output).unwrap();
    let failed = failed_record(&mails, 0) + whole.split_once('\n').unwrap().1;
    fs::write(&output, &failed).unwrap();
    let again = run();
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8(again.stderr).unwrap().contains("1 of 3 documents got no verdict (1 written before)"));
    assert_eq!(fs::read_to_string(&output).unwrap(), failed);
}

/// What stands in an output where the model failed.
fn failed_record(mails: &Path, index: u64) -> String {
    let source = serde_json::to_string(mails).unwrap();
    let rest = r#""id":null,"error":"model failed: the device is lost""#;
    format!("{{\"source\":{source},\"index\":{index},{rest}}}\n")
}

#[cfg(unix)]
#[test]
fn one_run_at_a_time_writes_an_output() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.jsonl");
    let mut first = command(env!("CARGO_BIN_EXE_mailsort"))
        .args(["classify", "-", "--label", "a", "--label", "b", "-o"])
        .arg(&output)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    until(|| part_of(&output).is_some(), || "nothing is written".into());
    let second = mailsort(["classify", "samples/inbox.mbox", "--label", "a", "--label", "b", "-o"]).args([&output]);
    let second = second.output();
    assert_eq!(second.status.code(), Some(2));
    assert!(String::from_utf8(second.stderr).unwrap().contains("another run is writing it"));
    first.stdin.take().unwrap().write_all(b"Subject: hello there\n\nwe meet on friday\n").unwrap();
    assert!(first.wait().unwrap().success());
}

#[cfg(unix)]
#[test]
fn ctrl_c_finishes_what_is_in_hand_and_says_how_to_go_on() {
    use std::io::Read;
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.jsonl");
    let inbox = fs::read(root().join("samples/inbox.mbox")).unwrap();
    let many = [inbox.as_slice(), b"\n"].concat().repeat(20);
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let mut child = command(env!("CARGO_BIN_EXE_mailsort"))
            .args(["classify", "-", "-l", "labels/mail.txt", "-o"])
            .arg(&output)
            .current_dir(root())
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It waits for more when the signal comes.
        child.stdin.as_mut().unwrap().write_all(&many).unwrap();
        until(|| written(&output) > 0, || "nothing is written".into());
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(status), "{said}");
        assert!(said.contains("mailsort: stopped after") && said.contains("--resume goes on"), "{said}");
        let before = fs::read(part_of(&output).unwrap()).unwrap();
        assert!(before.ends_with(b"\n") && !output.exists());
        let resumed = mailsort(["classify", "-", "-l", "labels/mail.txt", "--resume", "-o"]).args([&output]);
        assert!(resumed.stdin(many.clone()).output().status.success());
        let whole = fs::read(&output).unwrap();
        assert!(whole.starts_with(&before) && whole.iter().filter(|&&b| b == b'\n').count() == 280);
        fs::remove_file(&output).unwrap();
    }
}

/// A mail for a mailbox.
fn entry(words: &str) -> String {
    format!("From a Sat Jan  3 01:05:34 1996\nSubject: hello there\n\n{words}\n\n")
}

#[cfg(target_os = "linux")]
#[test]
fn a_second_ctrl_c_ends_a_slow_run_at_once() {
    use std::io::{BufRead, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.jsonl");
    let model =
        ["classify", "-", "-l", "labels/mail.txt", "--model", "tests/models/tiny-reranker", "--max-tokens", "20000"];
    let mut child = command(env!("CARGO_BIN_EXE_mailsort"))
        .args(model)
        .args(["--device", "cpu", "-o"])
        .arg(&output)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    // One mail that is done, and then some that take long.
    stdin.write_all((entry("we meet on friday") + &entry("x")).as_bytes()).unwrap();
    until(|| written(&output) > 0, || "nothing is written".into());
    stdin.write_all(entry(&"where is my parcel ".repeat(10_000)).repeat(17).as_bytes()).unwrap();
    until_it_computes(&child);
    let pid = child.id().to_string();
    let interrupt = || assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    interrupt();
    let said = lines.next().unwrap().unwrap();
    assert!(
        said.contains("when the current batch is scored (16 messages at most); Ctrl-C again stops at once"),
        "{said}"
    );
    assert!(child.try_wait().unwrap().is_none(), "it was too fast to be stopped twice");
    let started = Instant::now();
    interrupt();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(lines.next().transpose().unwrap(), None);
    // What was written is whole, and can be gone on with.
    let before = fs::read_to_string(part_of(&output).unwrap()).unwrap();
    assert!(before.ends_with('\n') && !output.exists());
    let mails = entry("we meet on friday") + &entry("x");
    let resumed = mailsort(model).args(["--device", "cpu", "--resume", "-o"]).args([&output]).stdin(mails).output();
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    assert!(fs::read_to_string(&output).unwrap().starts_with(&before));
}

#[test]
fn a_last_record_on_which_the_model_failed_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (mails, output) = (folder.path().join("mails.mbox"), folder.path().join("out.jsonl"));
    fs::write(&mails, entry("please pay the invoice").repeat(5)).unwrap();
    let run = || {
        let run = mailsort(["classify", "--label", "meeting", "--label", "invoice", "--device", "cpu", "-o"]);
        run.args([&output, &mails]).args(["--model", "tests/models/tiny-bert"])
    };
    assert!(run().output().status.success());
    let whole = fs::read_to_string(&output).unwrap();
    let mut lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let failed = failed_record(&mails, 3);
    lines[3] = &failed;
    // Behind it nothing was written, or a line was torn.
    for torn in ["", "{\"source\":"] {
        fs::write(&output, lines[..4].concat() + torn).unwrap();
        let resumed = run().args(["--resume"]).output();
        assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
        assert_eq!(fs::read_to_string(&output).unwrap(), whole);
    }
}

#[test]
fn of_a_slow_run_the_first_and_the_last_record_are_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mails, output) = (folder.path().join("mails.mbox"), folder.path().join("out.jsonl"));
    fs::write(&mails, entry("please pay the invoice").repeat(70)).unwrap();
    for (model, number, is_seen) in [("builtin", 64, true), ("slow", 64, false), ("slow", 1, true), ("slow", 70, true)]
    {
        let run = || {
            let run = mailsort(["classify", "--label", "meeting", "--label", "invoice", "-o"]).args([&output, &mails]);
            if model == "slow" { run.args(["--device", "cpu", "--model", "tests/models/tiny-bert"]) } else { run }
        };
        assert!(run().output().status.success());
        let whole = fs::read_to_string(&output).unwrap();
        // As if another run had given this score.
        let mut lines: Vec<String> = whole.lines().map(String::from).collect();
        lines[number - 1] = lines[number - 1].replacen("\"score\":0.", "\"score\":9.", 1);
        fs::write(&output, lines.join("\n") + "\n").unwrap();
        let resumed = run().args(["--resume"]).output();
        assert_eq!(resumed.status.success(), !is_seen, "{model}, record {number}");
    }
}
