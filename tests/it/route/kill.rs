//! Killed at points that nobody has chosen, and run to the end: every message exactly once, and its bytes.
//!
//! `MAILSORT_KILLS=200 cargo test --test it -- route::kill` is the long form.

use std::collections::BTreeMap;
use std::fs;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use super::*;

const MAILS: usize = 500;
const BATCHES: usize = 3;

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn fill(home: &Home) {
    for at in 0..MAILS {
        let text = format!("{}number {at}\n{}", if at % 2 == 0 { INVOICE } else { MEETING }, "word ".repeat(at % 90));
        let place = if at % 3 == 0 { format!("new/{at}.a.h") } else { format!("cur/{at}.a.h:2,S") };
        home.put(&place, &text);
    }
}

/// How often each text is in a tree.
fn texts(root: &std::path::Path) -> BTreeMap<Vec<u8>, usize> {
    let mut counted = BTreeMap::new();
    for path in mails(root) {
        assert!(!path.contains("tmp/"), "{path} is half written");
        *counted.entry(fs::read(root.join(path)).unwrap()).or_default() += 1;
    }
    counted
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

/// Kills runs of `route` at random points until it has ended by itself, again and again, `kills` times in all.
fn killed(rules: &str, flags: &[&str], copies: bool, seed: u64) {
    let kills: usize =
        std::env::var("MAILSORT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(12) / BATCHES;
    let mut random = Random(seed);
    let (mut done, mut whole, mut settled) = (0, 0, 0);
    // How long a run takes is found out by the first, which is not killed.
    let mut longest = None;
    while done < kills {
        let home = Home::new(rules);
        fill(&home);
        let before = texts(&home.path("Maildir"));
        assert_eq!(before.len(), MAILS);
        while let Some(longest) = longest.filter(|_| done < kills) {
            let child = home.route(flags).start();
            if !kill(child, Duration::from_micros(random.below(longest))) {
                whole += 1;
                break;
            }
            done += 1;
        }
        let started = Instant::now();
        settled += usize::from(home.routed(flags, 0).contains("a run was stopped"));
        longest.get_or_insert(started.elapsed().as_micros() as u64);
        let tree = flags.iter().position(|flag| *flag == "--into").map_or("Maildir", |at| flags[at + 1]);
        let mut after = texts(&home.path(tree));
        if copies && tree == "Maildir" {
            assert!(after.values().all(|count| *count == 2), "a mail and its copy");
            after.values_mut().for_each(|count| *count = 1);
        }
        assert!(after == before, "{} texts, {} before", after.len(), before.len());
        let (intended, acts) = journal(&home, tree);
        assert_eq!((intended, acts), (0, MAILS as i64), "the journal is clean");
        let placed = mails(&home.path(tree));
        assert_eq!(placed.iter().filter(|path| path.contains("Invoices/")).count(), MAILS / 2);
    }
    eprintln!("{done} kills, {whole} runs that were quicker, {settled} settled after the last kill");
}

#[test]
fn moves_are_done_once() {
    killed(BOTH, &[], false, 1);
}

#[test]
fn copies_are_made_once() {
    killed(&format!("action = \"copy\"\n{BOTH}"), &[], true, 2);
}

#[test]
fn moves_to_another_file_system_are_done_once() {
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
        eprintln!("skipped: there is no /dev/shm");
        return;
    };
    drop(other);
    // Each home has a tree of its own there, by a link.
    let kills: usize =
        std::env::var("MAILSORT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(12) / BATCHES;
    let mut random = Random(3);
    let mut done = 0;
    let mut longest = None;
    while done < kills {
        let home = Home::new(BOTH);
        let other = tempfile::tempdir_in("/dev/shm").unwrap();
        std::os::unix::fs::symlink(other.path(), home.path("Other")).unwrap();
        fill(&home);
        let before = texts(&home.path("Maildir"));
        let flags = ["--into", "Other"];
        while let Some(longest) = longest.filter(|_| done < kills) {
            if !kill(home.route(&flags).start(), Duration::from_micros(random.below(longest))) {
                break;
            }
            done += 1;
        }
        let started = Instant::now();
        home.routed(&flags, 0);
        longest.get_or_insert(started.elapsed().as_micros() as u64);
        assert!(texts(other.path()) == before && home.mails().is_empty());
        assert_eq!(journal(&home, "Other"), (0, MAILS as i64));
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
    for _ in 0..6 {
        kill(undo().start(), Duration::from_micros(random.below(150_000)));
    }
    ended(undo(), 0);
    assert_eq!(home.mails(), before);
    assert_eq!(journal(&home, "Maildir").0, 0);
}
