//! Every mail of ../shared/data/mail yields exactly one record, and archives yield the number that stands here.

use std::path::Path;
use std::time::{Duration, Instant};

use mailsort::intake::{self, Options, Raw, Reading, Source};
use mailsort::record::{Intake, Reason, Skip};

use crate::mailsort::{mailsort, shared};

/// Counted in two ways. `grep -c '^From .* [0-9][0-9]:[0-9][0-9]:[0-9][0-9] [0-9]\{4\}'` finds 372, 280 and 178 lines.
/// Python's `mailbox.mbox`, which splits at every line that begins `From `, finds 375, 283 and 181 messages: in each
/// file three such lines are not followed by `From: `. Those of 2010 and 2019 are prose (`From R-help`, `From what I
/// can tell`, `From your reply`, ...). Those of 2001 are mails whose envelope is broken over two lines, before the
/// date.
const LISTS: &[(&str, usize)] =
    &[("r-devel-2001-January.mbox", 375), ("r-devel-2010-October.mbox", 280), ("r-devel-2019-March.mbox", 178)];

/// The files below a folder that are not hidden.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let visible = entries.filter(|entry| {
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        // An empty file is an empty mailbox.
        let is_empty = || std::fs::metadata(&path).unwrap().len() == 0;
        path.is_dir() || !(name.starts_with('.') || name.ends_with(".json") || is_empty())
    });
    visible.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

#[test]
fn one_record_each() {
    for folder in ["mail/easy_ham", "mail/hard_ham", "mail/spam", "mail/newsgroups"] {
        let Some(path) = shared(folder) else { return };
        let records = mailsort(["classify", "-l", "labels/mail.txt"]).args([&path]).records();
        assert_eq!(records.len(), files(&path), "{folder}");
        let failed: Vec<_> = records.iter().filter(|record| !record["error"].is_null()).collect();
        assert!(failed.len() * 100 <= records.len(), "{folder}: {failed:?}");
    }
}

#[test]
fn torture_gives_one_record_each() {
    for folder in ["mail/torture", "mail/maildirs"] {
        let Some(path) = shared(folder) else { return };
        let mut records = mailsort(["classify", "-l", "labels/mail.txt"]).args([&path]).records();
        assert!(records.iter().all(|record| record["error"] != "parser failed"), "{folder}");
        // The expectations of other programs, which are arrays of many rows.
        records.retain(|record| !record["source"].as_str().unwrap().ends_with(".json"));
        assert_eq!(records.len(), files(&path), "{folder}");
    }
}

/// A folder, a label file, labels, and the least number of messages that get one of them: a little less than what
/// docs/labels.md says.
const BARS: &[(&str, &str, &[&str], usize)] = &[
    ("easy_ham", "labels/mail.toml", &["discussion"], 400),
    ("hard_ham", "labels/mail.toml", &["newsletter", "advertising"], 110),
];

/// What docs/labels.md says of the shipped labels on the ham and spam of SpamAssassin.
#[test]
fn shipped_labels_on_lists_and_newsletters() {
    let count = |folder: &str, labels: &str, wanted: &[&str]| {
        let path = shared(&format!("mail/{folder}"))?;
        let records = mailsort(["classify", "-l", labels]).args([path]).records();
        Some(records.iter().filter(|record| wanted.iter().any(|label| record["label"] == *label)).count())
    };
    for (folder, labels, wanted, least) in BARS {
        let Some(found) = count(folder, labels, wanted) else { return };
        assert!(found >= *least, "{folder} with {labels}: {found} {wanted:?}");
    }
}

#[test]
fn archives_are_split_where_mails_begin() {
    for (name, count) in LISTS {
        let Some(path) = shared(&format!("mail/lists/{name}")) else { return };
        assert_eq!(mailsort(["classify", "-l", "labels/mail.txt"]).args([path]).records().len(), *count, "{name}");
    }
}

/// What the program promises of every mail, whatever is in it.
const A_MAIL: Duration = Duration::from_secs(1);

/// Reads one document as the command does.
fn read(raw: Result<Raw, Skip>) -> Intake {
    raw.and_then(|raw| intake::read(raw, &Reading::default()))
}

#[test]
fn each_alone_takes_less_than_a_second() {
    let Some(folder) = shared("mail") else { return };
    let options = Options { recursive: true, ..Options::default() };
    let mut count = 0;
    let mut slow = Vec::new();
    for raw in Source::new(std::iter::once(folder), options) {
        count += 1;
        // A mail that is slow because the machine is busy elsewhere is not slow three times.
        let quickest = (0..3).find_map(|_| {
            let raw = raw.as_ref().map_err(Clone::clone).map(copy);
            let started = Instant::now();
            let read = read(raw);
            let panicked = read.is_err_and(|skip| skip.reason == Reason::Panicked);
            (started.elapsed() < A_MAIL).then_some(panicked)
        });
        if quickest != Some(false) {
            slow.push(raw.map_or_else(|skip| skip.origin, |raw| raw.origin));
        }
    }
    assert!(count > 2000, "{count} documents");
    assert!(slow.is_empty(), "slow, or their parser panicked: {slow:#?}");
}

fn copy(raw: &Raw) -> Raw {
    Raw { origin: raw.origin.clone(), format: raw.format, bytes: raw.bytes.clone(), truncated: raw.truncated }
}
