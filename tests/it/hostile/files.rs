//! Loops, pipes, devices, names and masses of files; label files that are none.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use super::{A_MAIL, HEAD, Outcome, parsed, run};
use crate::mailsort::mailsort;

fn classify(case: &str, folder: &Path, arguments: &[&str], seconds: u32) -> Outcome {
    let started = Instant::now();
    let outcome = run(arguments, folder, seconds, |_| Ok(()));
    eprintln!("{:>6.2} s  {case}", started.elapsed().as_secs_f32());
    outcome
}

fn records(case: &str, folder: &Path, inputs: &[&str]) -> Vec<Value> {
    let arguments = [inputs, &["--label", "invoice", "--label", "meeting"]].concat();
    parsed(case, &classify(case, folder, &arguments, A_MAIL))
}

/// `source: error` or `source: label` of each record.
fn said(records: &[Value]) -> Vec<String> {
    let outcome = |r: &Value| r["error"].as_str().or(r["label"].as_str()).unwrap_or("nothing").to_string();
    records.iter().map(|r| format!("{}: {}", r["source"].as_str().unwrap(), outcome(r))).collect()
}

fn write(folder: &Path, name: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("{HEAD}\nhello\n")).unwrap();
}

#[cfg(unix)]
fn pipe(folder: &Path, name: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn links_in_circles() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "tree/a/1.eml");
    write(root, "tree/m/cur/1");
    fs::create_dir_all(root.join("tree/m/new")).unwrap();
    for (target, link) in [
        ("..", "tree/a/up"),
        ("y", "tree/x"),
        ("x", "tree/y"),
        ("self", "tree/self"),
        ("gone", "tree/dangling"),
        ("../..", "tree/m/cur/parent"),
        ("self", "tree/m/cur/self"),
        ("a/1.eml", "tree/z.eml"),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    let seen = said(&records("links in circles", root, &["tree"]));
    let expected = [
        "tree/a/1.eml: invoice",
        "tree/dangling: unreadable: No such file or directory",
        "tree/m/cur/1: invoice",
        "tree/m/cur/parent: unreadable: not a regular file",
        "tree/m/cur/self: unreadable: Too many levels of symbolic links",
        "tree/self: unreadable: Too many levels of symbolic links",
        "tree/x: unreadable: Too many levels of symbolic links",
        "tree/y: unreadable: Too many levels of symbolic links",
        "tree/z.eml: invoice",
    ];
    assert_eq!(seen.len(), expected.len(), "{seen:#?}");
    for (seen, expected) in seen.iter().zip(expected) {
        assert!(seen.starts_with(expected), "{seen} is not {expected}");
    }
    let alone = classify("a link to itself", root, &["tree/self", "--label", "a", "--label", "b"], A_MAIL);
    assert_eq!(alone.code, Some(2));
    assert!(alone.stderr.contains("tree/self"), "{}", alone.stderr);
}

#[cfg(unix)]
#[test]
fn pipes_and_devices() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    // Nobody writes to these: who opens one waits for ever.
    pipe(root, "tree/pipe.eml");
    pipe(root, "m/cur/1");
    fs::create_dir_all(root.join("m/new")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", root.join("tree/zero.mbox")).unwrap();
    let refused = "unreadable: not a regular file";
    let seen = said(&records("pipes and devices in folders", root, &["tree", "m"]));
    let expected = ["tree/pipe.eml", "tree/zero.mbox", "m/cur/1"].map(|name| format!("{name}: {refused}"));
    assert_eq!(seen, expected);
    for (device, format, expected) in [
        ("/dev/zero", None, "not text"),
        ("/dev/urandom", None, "not text"),
        ("/dev/zero", Some("text"), "not text"),
        ("/dev/null", None, "no text"),
    ] {
        let arguments: Vec<&str> =
            std::iter::once(device).chain(format.into_iter().flat_map(|format| ["--input-format", format])).collect();
        assert_eq!(said(&records(device, root, &arguments)), [format!("{device}: {expected}")]);
    }
    // A pipe that is named is meant: it is what a shell makes of `<(zcat archive.gz)`.
    pipe(root, "named");
    let writer = {
        let path = root.join("named");
        std::thread::spawn(move || fs::write(path, format!("{HEAD}\nhello\n")).unwrap())
    };
    assert_eq!(said(&records("a pipe that is named", root, &["named"])), ["named: invoice"]);
    writer.join().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.eml");
    let arguments = ["a.eml", "--label", "a", "--label", "b", "-o", "/dev/full"];
    let outcome = classify("/dev/full", folder.path(), &arguments, A_MAIL);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("No space left on device"), "{}", outcome.stderr);
    assert!(Path::new("/dev/full").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn odd_names_and_deep_folders() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let long = "x".repeat(255);
    write(root, &format!("names/{long}"));
    for name in [b"a\nb.eml".as_slice(), b"\x1b[2J", b"\xff\xfe", b"-", b"--label"] {
        fs::write(root.join("names").join(OsStr::from_bytes(name)), format!("{HEAD}\nhello\n")).unwrap();
    }
    write(root, "names/dir.eml/inside.eml");
    write(root, &format!("deep/{}a.eml", "d/".repeat(200)));
    let mut seen = said(&records("odd names", root, &["names"]));
    seen.sort();
    let mut expected = ["\\x1B[2J", "-", "--label", "a\\x0Ab.eml", "dir.eml/inside.eml", &long, "\\xFF\\xFE"]
        .map(|name| format!("names/{name}: invoice"));
    expected.sort();
    assert_eq!(seen, expected);
    assert_eq!(records("200 folders deep", root, &["deep"]).len(), 1);
    // A file that nobody may read.
    use std::os::unix::fs::PermissionsExt;
    let open = |name: &str, mode: u32| fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    write(root, "locked/a.eml");
    open("", 0o755);
    open("locked/a.eml", 0o000);
    let locked = mailsort(["classify", "locked", "--label=invoice", "--label=meeting"]).in_folder(root).unprivileged();
    assert_eq!(said(&locked.records()), ["locked/a.eml: unreadable: Permission denied"]);
}

#[test]
fn fifty_thousand_empty_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("many")).unwrap();
    for n in 0..50_000 {
        fs::File::create(folder.path().join(format!("many/{n}.eml"))).unwrap();
    }
    let found = records("50,000 empty files", folder.path(), &["many"]);
    assert_eq!(found.len(), 50_000);
    assert!(found.iter().all(|record| record["error"] == "no text"));
}

#[test]
fn lists_of_names() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("list"), "a".repeat(100 << 20)).unwrap();
    let refused = |list: &[&str]| {
        let arguments = [&["--label", "a", "--label", "b", "--files-from"], list].concat();
        let outcome = classify("a list without names", root, &arguments, A_MAIL);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("it holds no names of files"), "{}", outcome.stderr);
    };
    refused(&["list"]);
    if cfg!(target_os = "linux") {
        refused(&["/dev/zero"]);
        refused(&["/dev/zero", "-0"]);
        write(root, "a.eml");
        assert!(std::process::Command::new("mkfifo").arg(root.join("pipe")).status().unwrap().success());
        fs::write(root.join("special"), "pipe\n/dev/zero\na.eml\n").unwrap();
        let found = said(&records("pipes in a list", root, &["--files-from", "special"]));
        let not_regular = "unreadable: not a regular file";
        assert_eq!(
            found,
            [format!("pipe: {not_regular}"), format!("/dev/zero: {not_regular}"), "a.eml: invoice".into()]
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_that_never_ends() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["/dev/zero", "--input-format", "mbox", "--label", "a", "--label", "b"];
    let outcome = classify("/dev/zero as mbox", folder.path(), &arguments, A_MAIL);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("a device that never ends"), "{}", outcome.stderr);
}

#[test]
fn labels_without_end() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.eml");
    let labels = |case: &str, name: &str, text: String, seconds| {
        fs::write(folder.path().join(name), text).unwrap();
        classify(case, folder.path(), &["a.eml", "-l", name], seconds)
    };
    let top = |case: &str, outcome: &Outcome| parsed(case, outcome).remove(0)["label"].as_str().unwrap().to_string();
    // Labels that differ in digits alone are the same to the model.
    let digits: String = (0..100_000).map(|n| format!("{n}x\n")).collect();
    let outcome = labels("100,000 numbers", "digits.txt", format!("invoice\n{digits}"), 30);
    assert!(outcome.code == Some(2) && outcome.stderr.contains("\"0x\" and \"1x\""), "{}", outcome.stderr);
    let word = |n: u32| -> String { n.to_string().bytes().map(|digit| char::from(digit - b'0' + b'm')).collect() };
    let many: String = (0..100_000).map(|n| word(n) + "\n").collect();
    let case = "100,000 labels";
    assert_eq!(top(case, &labels(case, "many.txt", format!("invoice\n{many}"), 30)), "invoice");
    let toml: String = (0..10_000).map(|n| format!("[[label]]\nname = \"{}\"\n", word(n))).collect();
    let case = "10,000 labels of TOML";
    assert_eq!(top(case, &labels(case, "many.toml", format!("[[label]]\nname = \"invoice\"\n{toml}"), 10)), "invoice");
    let long = "word ".repeat(2 << 20);
    let case = "a description of 10 MB";
    assert_eq!(top(case, &labels(case, "long.txt", format!("invoice\nb: {long}\n"), A_MAIL)), "invoice");
    let case = "a name of 10 MB";
    assert_eq!(top(case, &labels(case, "name.txt", format!("invoice\n{long}\n"), A_MAIL)), "invoice");
    for (case, name, text, message) in [
        ("a line of 100 MB", "line.txt", "x".repeat(100 << 20), "longer than 64 MiB"),
        ("brackets of TOML", "deep.toml", "x=".to_string() + &"[".repeat(10 << 20), "deep.toml"),
    ] {
        let outcome = labels(case, name, text, A_MAIL);
        assert_eq!(outcome.code, Some(2), "{case}");
        assert!(outcome.stderr.contains(message), "{case}: {:.500}", outcome.stderr);
    }
    if cfg!(target_os = "linux") {
        let outcome = classify("/dev/zero as labels", folder.path(), &["a.eml", "-l", "/dev/zero"], A_MAIL);
        assert_eq!(outcome.code, Some(2));
        assert!(outcome.stderr.contains("no file and no pipe but a device"), "{}", outcome.stderr);
    }
}
