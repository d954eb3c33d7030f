//! `--format tsv` and `--format table`: no value breaks them, and no line is wider than its page.

use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::mailsort::{command, mailsort, root, started};

/// Scores belong to the model; `golden` holds those. The bar is as long as the score.
fn snapshot(name: &str, arguments: &str) {
    let run = mailsort(arguments.split(' '));
    insta::with_settings!({filters => vec![(r"\b[01]\.\d{4}\b", "#.####"), (r"█*[▏▎▍▌▋▊▉█] *", "BAR ")]}, {
        insta::assert_snapshot!(name, run.transcript());
    });
}

#[test]
fn formats_over_samples() {
    snapshot("tsv", "classify samples/inbox.mbox samples/maildir -l labels/mail.txt -f tsv -k 2");
    snapshot("tsv_sets", "classify samples/files -l labels/tickets.toml -l labels/priority.toml -f tsv -k 1");
    snapshot("table", "classify samples/inbox.mbox samples/maildir -l labels/mail.txt -f table");
    snapshot("table_zh", "classify samples/chinese.mbox -l labels/mail.zh.txt -f table -t 0.99");
    snapshot("table_sets", "classify samples/files -l labels/tickets.toml -l labels/priority.toml -f table");
    snapshot("table_color", "classify samples/files -l labels/mail.txt -f table --color always -t 0.9");
    snapshot(
        "notmuch",
        "classify samples/maildir samples/files -l labels/mail.txt -l labels/spam.txt -f notmuch -t 0.7",
    );
}

/// Rows that were made to break a form.
const HOSTILE: &[&str] = &[
    "=HYPERLINK(\"http://x\")",
    "\"quoted\"\tand\ttabs",
    "\u{1b}[2J\u{1b}]0;owned\u{7}",
    "evil\u{202e}txt.exe",
    "two\nlines\r\nor three\u{2028}four\u{85}five",
    "会议邀请：第三季度销售计划讨论会，请各部门负责人准时参加",
    "👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦🇩🇪🇨🇳👍🏽 family",
    "Z\u{300}\u{301}\u{302}\u{303}a\u{300}\u{301}l\u{302}g\u{303}o",
    "\u{200b}\u{feff}\u{200d}\u{200b}",
    "مرحبا بالعالم من البريد الإلكتروني لا",
    "ｆｕｌｌｗｉｄｔｈ　ｆｏｒｍｓ　ａｒｅ　ｗｉｄｅ",
    "# --help \\ %s $(id) `id` ';--",
];

fn rows(subjects: &[String]) -> String {
    let row = |subject: &String| json!({"text": "the meeting is on friday", "subject": subject, "id": subject});
    subjects.iter().map(|subject| format!("{}\n", row(subject))).collect()
}

/// The lines of a table of `input` at a width.
fn table(input: &str, width: usize, more: &[&str]) -> Vec<String> {
    let run = mailsort(["classify", "-", "-f", "table"]).args(more).env("COLUMNS", &width.to_string());
    let output = run.stdin(input).output();
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_string).collect()
}

fn assert_fits(lines: &[String], width: usize) {
    for line in lines {
        assert!(line.width() <= width, "{} of {width}: {line:?}", line.width());
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
    }
}

#[test]
fn no_line_of_a_table_is_wider_than_its_page() {
    let long = "\u{301}".repeat(100_000);
    let mut subjects: Vec<String> = HOSTILE.iter().map(ToString::to_string).collect();
    subjects.extend([format!("a{long}"), "会".repeat(5000), "\u{200b}".repeat(5000)]);
    let input = rows(&subjects) + "{\"txet\":1}\n";
    let one = ["--label", "a meeting of many people who talk", "--label", "会议邀请与会议纪要以及议程"];
    let sets = [&one[..], &["-l", "labels/priority.toml", "-l", "labels/mail.zh.txt", "-l", "labels/tickets.toml"]];
    let sets = sets.concat();
    for width in [1, 2, 7, 20, 40, 80, 200, 1000] {
        for flags in [&one[..], &sets] {
            let lines = table(&input, width, flags);
            assert_eq!(lines.len(), subjects.len() + 2, "a header, then a line a document");
            assert_fits(&lines, width);
            assert!(lines.iter().all(|line| line.len() < 100 * width), "bounded in bytes too");
        }
    }
    assert!(table(&input, 80, &one).last().unwrap().contains("error: bad row: no `text` field"));
}

#[test]
fn wide_characters_move_no_column() {
    let subjects: Vec<String> = HOSTILE.iter().map(ToString::to_string).collect();
    let lines = table(&rows(&subjects), 100, &["--label", "会议", "--label", "a longer label"]);
    let score = regex::Regex::new(r"\b[01]\.\d{4}\b").unwrap();
    let columns = |line: &String| line[..score.find(line).unwrap().start()].width();
    let starts: BTreeSet<_> = lines[1..].iter().map(columns).collect();
    assert_eq!(starts.len(), 1, "{lines:#?}");
}

#[test]
fn a_terminal_says_how_wide_it_is_and_whether_it_has_colours() {
    let script = r#"
import fcntl, os, pty, struct, sys, termios
columns, program, *arguments = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(columns), 0, 0))
    os.execv(program, [program, *arguments])
out = b""
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        break
    if not piece:
        break
    out += piece
sys.exit(1) if os.waitpid(child, 0)[1] else sys.stdout.buffer.write(out)
"#;
    let on_terminal = |columns: &str, vars: &[(&str, &str)], flags: &[&str]| -> Option<String> {
        let mut command = command("python3");
        command.args(["-c", script, columns, env!("CARGO_BIN_EXE_mailsort"), "classify", "samples/inbox.mbox"]);
        command.args(["-l", "labels/mail.txt", "--progress", "never"]).args(flags).current_dir(root());
        command.env_remove("NO_COLOR").env("TERM", "xterm").env("COLUMNS", "33").envs(vars.iter().copied());
        let output = started("python3", command.output())?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n"))
    };
    let Some(colored) = on_terminal("64", &[], &["-f", "table"]) else {
        return;
    };
    assert!(colored.contains("\u{1b}[1mmail\u{1b}[0m"), "{colored}");
    let plain = on_terminal("64", &[("NO_COLOR", "1")], &["-f", "table"]).unwrap();
    let widest = plain.lines().map(UnicodeWidthStr::width).max();
    assert!(!plain.contains('\u{1b}') && widest == Some(64), "{plain}");
    let same = |vars: &[(&str, &str)], flags: &[&str], as_one: &str| {
        assert_eq!(on_terminal("64", vars, &[&["-f", "table"], flags].concat()).unwrap(), as_one);
    };
    same(&[("TERM", "dumb")], &[], &plain);
    same(&[], &["--color", "never"], &plain);
    same(&[("NO_COLOR", "")], &[], &colored);
    same(&[("NO_COLOR", "1")], &["--color", "always"], &colored);
    // What a program reads stays what it is, also where a person looks on.
    assert!(on_terminal("64", &[], &[]).unwrap().lines().all(|line| line.starts_with("{\"source\"")));
    assert!(!on_terminal("64", &[], &["-f", "csv", "--color", "always"]).unwrap().contains('\u{1b}'));
}

/// Reads TSV as `cut` does, and as a spreadsheet that knows quoting does, and compares both with JSON Lines.
const READERS: &str = r#"
import csv, json, re, sys, unicodedata
text = open(sys.argv[1], encoding="utf-8", newline="").read()
assert text.endswith("\n")
as_cut = [line.split("\t") for line in text.split("\n")[:-1]]
as_lines = [line.split("\t") for line in text.splitlines()]
as_spreadsheet = list(csv.reader(open(sys.argv[1], encoding="utf-8", newline=""), dialect="excel-tab"))
assert as_cut == as_lines == as_spreadsheet
records = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
assert len(as_cut) == len(records) + 1, (len(as_cut), len(records))
header = as_cut[0]
assert header == "source index id subject label score error label_1 score_1 label_2 score_2".split()
flat = lambda value: "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in value)
for row, record in zip(as_cut[1:], records):
    assert len(row) == len(header), row
    row = dict(zip(header, row))
    for name in "source", "index", "id", "subject", "label", "error":
        cell, value = row[name], "" if record.get(name) is None else flat(str(record[name]))
        assert cell in (value, "'" + value), (cell, value)
        assert cell == "-" or not re.match(r"\s*[=+\-@\"＝＋－＠]", cell), cell
    assert row["score"] == ("" if record["score"] is None else "%.4f" % record["score"])
"#;

fn assert_readers_agree(folder: &std::path::Path, run: impl Fn(&str) -> Vec<u8>) {
    let paths = ["tsv", "jsonl"].map(|format| {
        let path = folder.join(format!("out.{format}"));
        fs::write(&path, run(format)).unwrap();
        path
    });
    let read = command("python3").args(["-c", READERS]).args(&paths).output();
    let Some(read) = started("python3", read) else { return };
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}

#[cfg(unix)]
#[test]
fn names_of_files_break_no_tsv() {
    let mail = b"Subject: \"a\tb\"\nMessage-ID: <\"@x>\n\nthe meeting is on friday\n";
    let inputs = tempfile::tempdir().unwrap();
    let names = ["tab\there", "line\nfeed", "carriage\rreturn", "\"quote", "=1+1", "-", "next\u{85}line", "\u{1b}[2J"];
    for name in names {
        fs::write(inputs.path().join(name), mail).unwrap();
    }
    let outputs = tempfile::tempdir().unwrap();
    let flags = ["--label", "meeting", "--label", "\"bill\" = invoice", "-k", "2"];
    let list = names.join("\0");
    let run = |format: &str| {
        let run = mailsort(["classify", "--files-from", "-", "-0", "-f", format]).args(flags);
        run.in_folder(inputs.path()).stdin(list.clone()).output().stdout
    };
    assert_eq!(run("jsonl").iter().filter(|&&byte| byte == b'\n').count(), names.len());
    assert_readers_agree(outputs.path(), run);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gives_a_row_each_in_every_format(
        subjects in prop::collection::vec(prop_oneof!["\\PC{0,60}", "(?s).{0,40}", "[\t\n\"'=+@ a-z-]{0,20}"], 1..60),
        label in "[a-z][a-z \"'=+@|,;%#会é👍-]{0,20}[a-z]",
        width in 1usize..220,
    ) {
        let input = rows(&subjects);
        let flags = ["--label", &label, "--label", "other thing", "-k", "2"];
        let run = |format: &str| mailsort(["classify", "-", "-f", format]).args(flags).stdin(input.clone()).output().stdout;
        let jsonl = run("jsonl");
        prop_assume!(!jsonl.is_empty());
        let records: Vec<Value> = jsonl.split(|&b| b == b'\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_slice(line).unwrap()).collect();
        prop_assert_eq!(records.len(), subjects.len());
        let folder = tempfile::tempdir().unwrap();
        assert_readers_agree(folder.path(), run);
        let lines = table(&input, width, &flags);
        prop_assert_eq!(lines.len(), subjects.len() + 1);
        assert_fits(&lines, width);
        let notmuch = String::from_utf8(run("notmuch")).unwrap();
        prop_assert_eq!(notmuch.lines().count(), subjects.len());
        let tag = regex::Regex::new(r#"^(\+[A-Za-z0-9@=.,_+%-]+ -- id:"([^"]|"")+"|# .*)$"#).unwrap();
        for line in notmuch.lines() {
            prop_assert!(tag.is_match(line), "{line:?}");
        }
    }
}
