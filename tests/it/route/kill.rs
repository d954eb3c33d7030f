//! Killed at points that nobody has chosen, and run to the end: every message exactly once, and its bytes. A quarter of
//! the messages is compressed, as Dovecot does.
//!
//! `sh tests/kills.sh` is the long form: 200 kills for each of moves, copies, headers and moves to
//! another file system.

use std::collections::BTreeMap;
use std::fs;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use super::*;

const MAILS: usize = 500;
/// The tests that share the kills.
const CASES: usize = 4;

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn is_compressed(at: usize) -> bool {
    at.is_multiple_of(4)
}

fn fill(home: &Home) {
    for at in 0..MAILS {
        let text =
            format!("{}number {at}\n{}", if at.is_multiple_of(2) { INVOICE } else { MEETING }, "word ".repeat(at % 90));
        let place = if at.is_multiple_of(3) { format!("new/{at}.a.h") } else { format!("cur/{at}.a.h:2,S") };
        home.put(&place, &text);
        if is_compressed(at) {
            home.zip(&place);
        }
    }
}

/// How often each text is in a tree, with whether it is compressed.
fn texts(root: &std::path::Path) -> BTreeMap<(bool, Vec<u8>), usize> {
    let mut counted = BTreeMap::new();
    for path in mails(root) {
        assert!(!path.contains("tmp/"), "{path} is half written");
        let bytes = fs::read(root.join(&path)).unwrap();
        let is_zipped = bytes.starts_with(&[0x1f, 0x8b]);
        let mail = if is_zipped { inflated(&bytes) } else { bytes };
        let text = without_headers(&mail);
        let size = path.split_once(",S=").map(|(_, size)| size.split(':').next().unwrap().parse().unwrap());
        assert!(size.unwrap_or(mail.len()) == mail.len(), "{path} lies about {} bytes", mail.len());
        assert_eq!(size.is_some(), is_zipped && text != mail, "{path}");
        *counted.entry((is_zipped, text)).or_default() += 1;
    }
    counted
}

/// The text of a mail but for lines of ours.
fn without_headers(mail: &[u8]) -> Vec<u8> {
    let lines = mail.split_inclusive(|&byte| byte == b'\n');
    lines.filter(|line| !line.starts_with(b"X-Mailsort: ")).flatten().copied().collect()
}

/// True where it was killed before it ended by itself.
fn kill(mut child: Child, after: Duration) -> bool {
    let started = Instant::now();
    while started.elapsed() < after {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        thread::sleep(Duration::from_micros(200));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    true
}

/// What nobody knows the end of, and how many acts there are of a state.
fn journal(home: &Home, tree: &str) -> (i64, i64) {
    let database = rusqlite::Connection::open(home.path(tree).join("mailsort-journal.sqlite")).unwrap();
    let count = |state: &str| {
        let query = "SELECT count(*) FROM acts WHERE state = ?1";
        database.query_row(query, [state], |row| row.get::<_, i64>(0)).unwrap()
    };
    (count("intended"), count("done"))
}

/// How a run is killed, and what there must be afterwards.
struct Case<'c> {
    rules: &'c str,
    /// Where folders are; in the maildir itself if none is named.
    other: Option<&'c str>,
    copies: bool,
    seed: u64,
}

/// Kills runs at random points until one has ended by itself, again and again, a quarter of the kills in all.
fn killed(case: &Case<'_>) {
    let kills =
        std::env::var("MAILSORT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(24).max(2 * CASES) / CASES;
    let mut random = Random(case.seed);
    let (mut done, mut midway) = (0, 0);
    // How long a run takes is found out by the first, which is not killed.
    let mut longest = None;
    while done < kills {
        let home = Home::new(case.rules);
        // A tree on another file system, reached by a link.
        let other = case.other.map(|folder| tempfile::tempdir_in(folder).unwrap());
        if let Some(other) = &other {
            std::os::unix::fs::symlink(other.path(), home.path("Other")).unwrap();
        }
        let tree = if other.is_some() { "Other" } else { "Maildir" };
        fill(&home);
        let before = texts(&home.path("Maildir"));
        assert_eq!((before.len(), before.keys().filter(|(is_zipped, _)| *is_zipped).count()), (MAILS, MAILS / 4));
        let filed =
            || mails(&home.path(tree)).iter().filter(|path| path.contains("ings/") || path.contains("ices/")).count();
        while let Some(longest) = longest.filter(|_| done < kills) {
            if !kill(home.route(&["--into", tree]).start(), Duration::from_micros(random.below(longest))) {
                break;
            }
            done += 1;
            midway += usize::from((1..MAILS).contains(&filed()));
        }
        let started = Instant::now();
        home.routed(&["--into", tree], 0);
        longest.get_or_insert(started.elapsed().as_micros() as u64);
        let mut after = texts(&home.path(tree));
        if case.copies {
            assert!(after.values().all(|count| *count == 2), "a mail and its copy");
            after.values_mut().for_each(|count| *count = 1);
        }
        assert!(after == before, "{} texts, {} before", after.len(), before.len());
        assert!(other.is_none() || home.mails().is_empty());
        assert_eq!((journal(&home, tree), filed()), ((0, MAILS as i64), MAILS), "the journal is clean");
    }
    assert!(midway > 0 || done < 6, "none of {done} kills was midway");
    eprintln!("{done} kills, of which {midway} were midway, and each time all was there once");
}

#[test]
fn moves_are_done_once() {
    killed(&Case { rules: BOTH, other: None, copies: false, seed: 1 });
}

#[test]
fn headers_are_written_once() {
    killed(&Case { rules: &format!("action = \"header\"\n{BOTH}"), other: None, copies: false, seed: 5 });
}

#[test]
fn copies_are_made_once() {
    killed(&Case { rules: &format!("action = \"copy\"\n{BOTH}"), other: None, copies: true, seed: 2 });
}

#[test]
fn moves_to_another_file_system_are_done_once() {
    if other_file_system().is_some() {
        killed(&Case { rules: BOTH, other: Some("/dev/shm"), copies: false, seed: 3 });
    }
}

#[test]
fn undoing_is_done_once() {
    let home = Home::new(BOTH);
    fill(&home);
    let before = home.mails();
    let undo = || mailsort(["route", "Maildir", "--undo", "1"]).in_folder(home.folder.path());
    home.routed(&[], 0);
    let mut random = Random(4);
    // How long it takes is found out once, with a run that is done again.
    let started = Instant::now();
    ended(undo(), 0);
    let longest = started.elapsed().as_micros() as u64;
    let mut midway = 0;
    for run in 2..10 {
        home.routed(&[], 0);
        let undo = || mailsort(["route", "Maildir", "--undo", "last"]).in_folder(home.folder.path());
        while kill(undo().start(), Duration::from_micros(random.below(longest))) {
            midway +=
                usize::from((1..MAILS).contains(&home.mails().iter().filter(|path| !path.starts_with('.')).count()));
        }
        assert_eq!(home.mails(), before, "{run}");
    }
    assert!(midway > 0, "no undo was killed midway");
    assert_eq!(journal(&home, "Maildir").0, 0);
}
