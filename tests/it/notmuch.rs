//! What the real notmuch makes of `--format notmuch`.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::mailsort::{command, mailsort, started};

/// A maildir with a notmuch database in a folder of its own.
struct Database {
    folder: tempfile::TempDir,
}

impl Database {
    /// Indexes mails, each a subject and the lines of its header, all read already, which notmuch calls not `unread`;
    /// `None` if the test lacks notmuch.
    fn new(mails: &[(&str, &[u8])]) -> Option<Self> {
        let database = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["cur", "new", "tmp"] {
            fs::create_dir_all(database.maildir().join(name)).unwrap();
        }
        for (at, (subject, header)) in mails.iter().enumerate() {
            let start = format!("From: a@example.org\nSubject: {subject}\nDate: Mon, 01 Jan 2024 00:00:00 +0000\n");
            let mail = [start.as_bytes(), header, b"\nthe invoice is due on friday\n"].concat();
            fs::write(database.maildir().join(format!("cur/{at}.host:2,S")), mail).unwrap();
        }
        let path = database.maildir();
        let config = format!(
            "[database]\npath={}\n[user]\nname=x\nprimary_email=x@example.org\n[new]\ntags=\n[search]\nexclude_tags=\n",
            path.display()
        );
        fs::write(database.config(), config).unwrap();
        let output = started("notmuch", database.command(&["new", "--quiet"]).output())?;
        assert!(output.status.success(), "{output:?}");
        Some(database)
    }

    fn maildir(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command("notmuch");
        command.args(arguments).env("NOTMUCH_CONFIG", self.config()).env_remove("NOTMUCH_DATABASE");
        // It looks for hooks in these, and fails where it cannot look.
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(name, self.folder.path());
        }
        command
    }

    /// Hands the lines to `notmuch tag --batch`, which must not complain.
    fn tag(&self, lines: &[u8]) {
        let mut command = self.command(&["tag", "--batch"]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
    }

    /// The tags of the mails of a subject.
    fn tags(&self, subject: &str) -> BTreeSet<String> {
        let search = format!("subject:{subject}");
        let output = self.command(&["search", "--output=tags", "--format=text0", &search]).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let tags = String::from_utf8(output.stdout).unwrap();
        tags.split('\0').filter(|tag| !tag.is_empty()).map(str::to_string).collect()
    }

    fn files(&self) -> BTreeSet<PathBuf> {
        fs::read_dir(self.maildir().join("cur")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn classified(maildir: &Path, labels: &[&str], more: &[&str]) -> Vec<u8> {
    let labels = labels.iter().map(|label| format!("--label={label}"));
    let output = mailsort(["classify", "-f", "notmuch"]).args([maildir]).args(labels).args(more).output();
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", said(&output));
    output.stdout
}

fn set(tags: &[&str]) -> BTreeSet<String> {
    tags.iter().map(ToString::to_string).collect()
}

/// Subjects are single words, so that notmuch finds each mail by its subject.
const MAILS: &[(&str, &[u8])] = &[
    ("plain", b"Message-ID: <plain@example.org>\n"),
    ("quote", b"Message-ID: <q\"uo\"\"te@example.org>\n"),
    ("starts", b"Message-ID: <\"start@example.org>\n"),
    ("blank", b"Message-ID: <with a blank@example.org>\n"),
    ("parens", b"Message-ID: <pa(ren)s)@example.org>\n"),
    ("injected", b"Message-ID: <x\" or * or id:\"plain@example.org>\n"),
    ("regex", b"Message-ID: </.*/>\n"),
    ("percent", b"Message-ID: <a%20b@example.org>\n"),
    ("backslash", b"Message-ID: <a\\\"b\\@example.org>\n"),
    ("umlaut", "Message-ID: <grüße@example.org>\n".as_bytes()),
    ("chinese", "Message-ID: <会议@example.org>\n".as_bytes()),
    ("folded", b"Message-ID:\n <folded@example.org>\n"),
];

#[test]
fn every_id_gets_its_tag_and_no_other_mail_does() {
    let Some(database) = Database::new(MAILS) else {
        return;
    };
    for (at, (subject, _)) in MAILS.iter().enumerate() {
        // One mail at a time, so that a tag on another is seen.
        let lines = classified(&database.maildir(), &["invoice", "meeting"], &["--tag-prefix", &format!("{at}/")]);
        let line = lines.split(|&b| b == b'\n').nth(database.position(at)).unwrap();
        database.tag(line);
        let tag = set(&[&format!("{at}/invoice")]);
        assert_eq!(database.tags(subject), tag, "{subject}: {}", String::from_utf8_lossy(line));
    }
    let all = classified(&database.maildir(), &["invoice", "meeting"], &[]);
    let files = database.files();
    database.tag(&all);
    for (at, (subject, _)) in MAILS.iter().enumerate() {
        assert_eq!(database.tags(subject), set(&["invoice", &format!("{at}/invoice")]));
    }
    assert_eq!(database.files(), files, "no maildir flag was changed");
}

impl Database {
    /// Where the record of the mail stands: names come in their order, 10 before 2.
    fn position(&self, at: usize) -> usize {
        let name = self.maildir().join(format!("cur/{at}.host:2,S"));
        self.files().iter().position(|file| *file == name).unwrap()
    }
}

#[test]
fn hostile_labels_become_tags_as_they_are() {
    let labels = [
        "the invoice",
        "the \"invoice\"",
        "50% invoice (paid)",
        "Rechnung für Bücher",
        "发票和账单",
        "*invoice* or *",
        "#invoice",
        "+invoice +x -- *",
        "in\\voice",
        "invoice 👍",
    ];
    for label in labels {
        let Some(database) = Database::new(&MAILS[..1]) else {
            return;
        };
        // Which of the two it is, the model may choose.
        let labels = [label, &format!("{label} *2*")];
        let lines = classified(&database.maildir(), &labels, &[]);
        database.tag(&lines);
        let tags = database.tags("plain");
        assert!(labels.iter().any(|label| tags == set(&[label])), "{tags:?}: {}", String::from_utf8_lossy(&lines));
    }
}

#[test]
fn sets_prefixes_and_mails_without_a_tag() {
    let mails: &[(&str, &[u8])] = &[
        ("plain", b"Message-ID: <plain@example.org>\n"),
        ("nothing", b"X-Note: no id\n"),
        ("empty", b"Message-ID: <>\n"),
        ("empty", b"Message-ID: < >\n"),
    ];
    let Some(database) = Database::new(mails) else {
        return;
    };
    fs::write(database.maildir().join("cur/9.host:2,S"), b"\x89PNG\r\n\x1a\n\0\0").unwrap();
    let more = ["-l", "labels/priority.toml", "--tag-prefix", "x"];
    let lines = classified(&database.maildir(), &["-invoice", "-meeting"], &more);
    assert_eq!(lines.iter().filter(|&&byte| byte == b'\n').count(), 5, "{}", String::from_utf8_lossy(&lines));
    database.tag(&lines);
    let tags = database.tags("plain");
    assert!(tags.contains("x-invoice") && tags.len() == 2, "{tags:?}");
    assert!(database.tags("nothing").is_empty() && database.tags("empty").is_empty());
    // A threshold that nothing reaches.
    let lines = classified(&database.maildir(), &["invoice", "bill"], &["--raw-scores", "-t", "1"]);
    assert!(lines.split(|&b| b == b'\n').all(|line| line.is_empty() || line.starts_with(b"# ")));
    database.tag(&lines);
    assert_eq!(database.tags("plain"), tags);
}

#[test]
fn the_limits_are_those_of_notmuch() {
    let long = |bytes: usize| format!("Message-ID: <{}@example.org>\n", "x".repeat(bytes - "@example.org".len()));
    let (longest, too_long) = (long(189), long(190));
    let mails = [("longest", longest.as_bytes()), ("beyond", too_long.as_bytes())];
    let Some(database) = Database::new(&mails) else {
        return;
    };
    let label = "invoice ".repeat(25);
    let label = label.trim_end().to_string() + "!";
    assert_eq!(label.len(), 200);
    let lines = classified(&database.maildir(), &[&label, "holidays"], &[]);
    database.tag(&lines);
    assert_eq!(database.tags("longest"), set(&[&label]));
    assert!(database.tags("beyond").is_empty());
    // Were the limit too low, notmuch would know the longer one by its own name too.
    let known = database.command(&["count", &format!("id:{}", &too_long[13..203])]).output().unwrap();
    assert_eq!(known.stdout, b"0\n");
}
