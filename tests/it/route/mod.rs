//! `mailsort route` through the real program.

#![cfg(unix)]

mod commands;
mod figures;
mod hostile;
pub(crate) mod journal;
mod kill;
mod others;
mod safety;
mod sorting;
mod undo;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;
use tempfile::TempDir;

use crate::mailsort::{Run, mailsort};
use crate::requirements::lacks;

pub(crate) const INVOICE: &str = "Your invoice\n\nPlease pay the bill, the amount due is 20 Euro.\n";
pub(crate) const MEETING: &str = "Our meeting\n\nLet us meet and talk on Thursday, the agenda is attached.\n";

/// Two labels, and a rule for one of them or both.
const ONE: &str = "labels = \"labels.txt\"\n[[rule]]\nlabel = \"invoice\"\nfolder = \"Money/Invoices\"\n";
pub(crate) const BOTH: &str = "labels = \"labels.txt\"\n[[rule]]\nlabel = \"invoice\"\nfolder = \"Invoices\"\n\
    [[rule]]\nlabel = \"meeting\"\nfolder = \"Meetings\"\n";

/// A folder on another file system than temporary folders; `None` if the test lacks it.
fn other_file_system() -> Option<TempDir> {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let other = tempfile::tempdir_in("/dev/shm").ok();
    if other.as_ref().and_then(|other| device(other.path())) == device(&std::env::temp_dir()) {
        lacks("shm", "/dev/shm is no other file system than that of temporary folders");
        return None;
    }
    if other.is_none() {
        lacks("shm", "there is no /dev/shm");
    }
    other
}

/// A home with a maildir, labels and rules.
pub(crate) struct Home {
    pub(crate) folder: TempDir,
}

impl Home {
    pub(crate) fn new(rules: &str) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        for own in ["cur", "new", "tmp"] {
            fs::create_dir_all(home.path("Maildir").join(own)).unwrap();
        }
        let labels = "invoice: a bill, please pay the amount due\nmeeting: let us meet and talk, agenda\n";
        fs::write(home.path("labels.txt"), labels).unwrap();
        home.rules(rules);
        home
    }

    fn rules(&self, rules: &str) {
        fs::write(self.path("rules.toml"), rules).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a mail at a place in the maildir.
    pub(crate) fn put(&self, place: &str, mail: &str) {
        let path = self.path("Maildir").join(place);
        fs::write(&path, format!("Message-ID: <{}@x>\nSubject: {mail}", id(place))).unwrap();
        age(&path);
    }

    /// Compresses a mail in the maildir with gzip, as Dovecot does. Returns what it was.
    fn zip(&self, place: &str) -> Vec<u8> {
        let path = self.path("Maildir").join(place);
        let mail = fs::read(&path).unwrap();
        let mut zipped = GzEncoder::new(Vec::new(), Compression::best());
        zipped.write_all(&mail).unwrap();
        fs::write(&path, zipped.finish().unwrap()).unwrap();
        age(&path);
        mail
    }

    /// Routes the maildir.
    fn route(&self, flags: &[&str]) -> Run {
        mailsort(["route", "Maildir", "--rules", "rules.toml"]).args(flags).in_folder(self.folder.path())
    }

    /// Routes it, and wants this status; what is said on stderr comes back.
    fn routed(&self, flags: &[&str], status: i32) -> String {
        ended(self.route(flags), status)
    }

    /// The mails of the maildir and its folders, by their paths.
    pub(crate) fn mails(&self) -> Vec<String> {
        mails(&self.path("Maildir"))
    }
}

/// A message that is compressed with gzip, as it was before.
fn inflated(zipped: &[u8]) -> Vec<u8> {
    let mut mail = Vec::new();
    GzDecoder::new(zipped).read_to_end(&mut mail).unwrap();
    mail
}

/// Makes a message an hour old: a new one might still be written to, and is waited for.
fn age(path: &Path) {
    let then = SystemTime::now() - Duration::from_secs(3600);
    fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

fn id(place: &str) -> String {
    place.bytes().filter(u8::is_ascii_alphanumeric).map(char::from).collect()
}

/// Runs it to an end with this status, and returns stderr.
pub(crate) fn ended(run: Run, status: i32) -> String {
    let output = run.output();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{stderr}");
    stderr
}

/// The plan of a dry run, as records.
fn plan(run: Run) -> Vec<Value> {
    run.args(["--dry-run", "--format", "jsonl"]).records()
}

/// All files of a tree in `cur`, `new` and `tmp`, sorted.
pub(crate) fn mails(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    walk(root, &mut found);
    let shown = |path: &PathBuf| path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
    let is_mail = |path: &&PathBuf| ["cur", "new", "tmp"].iter().any(|own| path.parent().unwrap().ends_with(own));
    let mut mails: Vec<String> = found.iter().filter(is_mail).map(shown).collect();
    mails.sort();
    mails
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => walk(&entry.path(), found),
            false => found.push(entry.path()),
        }
    }
}
