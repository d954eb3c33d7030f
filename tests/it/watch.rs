//! `mailsort watch` through the real program.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use crate::mailsort::{PATIENCE, Run, mailsort, until};
use crate::route::journal::{REWRITTEN, old_tree};
use crate::route::{BOTH, Home, INVOICE, MEETING, ended, mails};

/// A home whose maildir is watched.
struct Watched {
    home: Home,
    child: Option<Child>,
}

impl Watched {
    fn new(rules: &str, flags: &[&str]) -> Self {
        let mut watched = Self { home: Home::new(rules), child: None };
        watched.start(flags);
        watched
    }

    /// Starts it, and waits until it has looked at what is there, as systemd does.
    fn start(&mut self, flags: &[&str]) {
        let path = self.home.path("notify.sock");
        drop(fs::remove_file(&path));
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        self.child = Some(self.run(flags).env("NOTIFY_SOCKET", path.to_str().unwrap()).start());
        let mut told = [0; 16];
        let length = socket.recv(&mut told).unwrap();
        assert_eq!(&told[..length], b"READY=1");
    }

    fn run(&self, flags: &[&str]) -> Run {
        mailsort(["watch", "Maildir", "--rescan", "3600"]).args(flags).in_folder(self.home.folder.path())
    }

    fn signal(&mut self, signal: Signal) -> (Option<i32>, String) {
        let child = self.child.take().unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Ends it as systemd does, and returns what was said.
    fn stop(&mut self) -> String {
        let (status, said) = self.signal(Signal::TERM);
        assert_eq!(status, Some(0), "{said}");
        said
    }

    /// Delivers a mail as a server does.
    fn deliver(&self, name: &str, mail: &str) {
        let tmp = format!("tmp/{name}");
        self.home.put(&tmp, mail);
        fs::rename(self.home.path("Maildir").join(&tmp), self.home.path("Maildir/new").join(name)).unwrap();
    }

    /// Waits until the mails of the maildir and its folders are these.
    fn expect(&self, wanted: &[&str]) {
        let mut wanted: Vec<String> = wanted.iter().map(|path| path.to_string()).collect();
        wanted.sort();
        until(|| self.home.mails() == wanted, || format!("{:?} instead of {wanted:?}", self.home.mails()));
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

const RULES: &[&str] = &["--rules", "rules.toml"];
const LABELS: &[&str] = &["--labels", "labels.txt"];

#[test]
fn mail_is_filed_by_the_scores_of_a_server() {
    let fake = crate::endpoint::any_reranker();
    let url = fake.url();
    let flags = [RULES, &["--endpoint", &url]].concat();
    let mut watched = Watched::new(BOTH, &flags);
    watched.deliver("1.a.h", INVOICE);
    watched.deliver("2.a.h", MEETING);
    watched.expect(&[".Invoices/new/1.a.h", ".Meetings/new/2.a.h"]);
    watched.stop();
    watched.home.put("new/3.a.h", MEETING);
    let routed = mailsort(["route", "Maildir"]).args(&flags).in_folder(watched.home.folder.path());
    ended(routed, 0);
    watched.expect(&[".Invoices/new/1.a.h", ".Meetings/new/2.a.h", ".Meetings/new/3.a.h"]);
    // The built-in model would file them too.
    let asked = fake.asked();
    let is_mail =
        |subject: &str| asked.iter().any(|one| one.body["query"].as_str().is_some_and(|query| query.contains(subject)));
    assert!(is_mail("Your invoice") && is_mail("Our meeting"), "{asked:?}");
}

#[test]
fn mail_is_sorted_as_it_arrives_and_after_a_restart() {
    let mut watched = Watched::new(&format!("threshold = 0.9\n{BOTH}"), RULES);
    watched.deliver("1.a.h", INVOICE);
    watched.expect(&[".Invoices/new/1.a.h"]);
    // Neither the one nor the other. It was looked at when the next one is filed.
    watched.deliver("3.a.h", "Hello\n\nThe weather was fine.\n");
    watched.deliver("2.a.h", MEETING);
    watched.expect(&[".Invoices/new/1.a.h", ".Meetings/new/2.a.h", "new/3.a.h"]);
    let said = watched.stop();
    assert!(said.contains("1 moved"), "{said}");
    watched.deliver("4.a.h", INVOICE);
    watched.start(&[RULES, &["-v"]].concat());
    watched.expect(&[".Invoices/new/1.a.h", ".Invoices/new/4.a.h", ".Meetings/new/2.a.h", "new/3.a.h"]);
    let said = watched.stop();
    assert!(said.contains("1 message: 1 moved") && !said.contains("unsure"), "3.a.h is not looked at again: {said}");
    // All of it was one run, or two, and can be put back.
    let undo =
        |run: &str| ended(mailsort(["route", "Maildir", "--undo", run]).in_folder(watched.home.folder.path()), 0);
    undo("2");
    undo("1");
    watched.expect(&["new/1.a.h", "new/2.a.h", "new/3.a.h", "new/4.a.h"]);
    // And is left alone from then on.
    watched.start(RULES);
    watched.deliver("5.a.h", INVOICE);
    watched.expect(&["new/1.a.h", "new/2.a.h", "new/3.a.h", "new/4.a.h", ".Invoices/new/5.a.h"]);
}

#[test]
fn what_is_there_stays_if_only_new_mail_is_wanted() {
    let mut watched = Watched { home: Home::new(BOTH), child: None };
    watched.home.put("cur/1.a.h:2,S", INVOICE);
    watched.home.put("new/2.a.h", INVOICE);
    let flags = [RULES, &["--new-only"]].concat();
    watched.start(&flags);
    watched.deliver("3.a.h", INVOICE);
    until(|| !watched.home.mails().contains(&"new/3.a.h".into()), || "3.a.h is left".into());
    watched.stop();
    watched.deliver("4.a.h", INVOICE);
    watched.start(&flags);
    watched.expect(&["cur/1.a.h:2,S", "new/2.a.h", ".Invoices/new/3.a.h", ".Invoices/new/4.a.h"]);
}

#[test]
fn without_rules_mail_gets_headers_in_its_place() {
    let mut watched = Watched { home: Home::new(BOTH), child: None };
    let maildir = watched.home.path("Maildir");
    watched.home.put("cur/1.a.h,S=123,U=7:2,FS", INVOICE);
    let first = maildir.join("cur/1.a.h,S=123,U=7:2,FS");
    let bytes = fs::read(&first).unwrap();
    fs::set_permissions(&first, fs::Permissions::from_mode(0o640)).unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(&first).unwrap().set_modified(then).unwrap();
    watched.start(LABELS);
    let marked = |home: &Home, folder: &str| {
        let of = |path: &String| path.starts_with(folder) && is_marked(&maildir.join(path));
        home.mails().iter().filter(|path| of(path)).count()
    };
    until(|| marked(&watched.home, "cur/") == 1, || format!("{:?}", watched.home.mails()));
    watched.deliver("2.a.h", &format!("Forged\nX-Mailsort: meeting; score=1.0000; model=mine\n\n{INVOICE}"));
    until(|| marked(&watched.home, "new/") == 1, || format!("{:?}", watched.home.mails()));
    // The old file goes last.
    until(|| watched.home.mails().len() == 2, || format!("{:?}", watched.home.mails()));
    let [kept, forged] = &watched.home.mails()[..] else { panic!("{:?}", watched.home.mails()) };
    assert!(kept.ends_with(":2,FS") && !kept.contains("U=7") && !kept.contains("S=123"), "{kept}");
    let metadata = fs::metadata(maildir.join(kept)).unwrap();
    assert_eq!((metadata.mode() & 0o777, metadata.modified().unwrap()), (0o640, then));
    let text = fs::read_to_string(maildir.join(kept)).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').filter(|line| !line.starts_with("X-Mailsort")).collect();
    assert_eq!((lines.concat().into_bytes(), text.matches("X-Mailsort: invoice; score=").count()), (bytes.clone(), 1));
    let text = fs::read_to_string(maildir.join(forged)).unwrap();
    assert!(!text.contains("model=mine") && text.contains("; model=builtin\n"), "{text}");
    // It is done once.
    let before = watched.home.mails();
    watched.stop();
    watched.start(LABELS);
    // What was there is looked at before what arrives.
    watched.deliver("3.a.h", INVOICE);
    until(|| marked(&watched.home, "new/") == 2, || format!("{:?}", watched.home.mails()));
    watched.stop();
    let after = watched.home.mails();
    assert!(before.iter().all(|path| after.contains(path)), "{before:?} {after:?}");
    // What it was is there again, but where what was taken out is gone for good.
    let undo = mailsort(["route", "Maildir", "--undo", "1"]).in_folder(watched.home.folder.path());
    let said = ended(undo, 1);
    assert!(said.contains("1 moved back") && said.contains("had X-Mailsort headers before"), "{said}");
    assert_eq!(fs::read(maildir.join("cur/1.a.h:2,FS")).unwrap(), bytes);
    assert!(maildir.join(forged).exists());
}

fn is_marked(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.contains("; model=builtin\n"))
}

#[test]
fn a_mail_that_is_written_slowly_is_waited_for() {
    for (flags, rules) in [(LABELS, BOTH.to_string()), (RULES, format!("action = \"copy\"\n{BOTH}"))] {
        let watched = Watched::new(&rules, flags);
        let path = watched.home.path("Maildir/new/1.a.h");
        let mut file = fs::File::create(&path).unwrap();
        let mail = format!("Message-ID: <1@x>\nSubject: {INVOICE}");
        for piece in mail.as_bytes().chunks(mail.len().div_ceil(3)) {
            file.write_all(piece).unwrap();
            thread::sleep(Duration::from_millis(900));
        }
        drop(file);
        let texts = || -> Vec<String> {
            let maildir = watched.home.path("Maildir");
            watched.home.mails().iter().filter_map(|path| fs::read_to_string(maildir.join(path)).ok()).collect()
        };
        let is_growing = || watched.home.mails().iter().any(|path| path.contains("tmp/"));
        let is_done = || !is_growing() && (!path.exists() || texts().len() == 2);
        until(is_done, || format!("{:?}", texts()));
        assert!(texts().iter().all(|text| text.ends_with("20 Euro.\n")), "{:?}", texts());
    }
}

#[test]
fn folders_may_be_renamed() {
    let watched = Watched::new(BOTH, RULES);
    let (maildir, away) = (watched.home.path("Maildir"), watched.home.path("away"));
    watched.deliver("1.a.h", INVOICE);
    watched.expect(&[".Invoices/new/1.a.h"]);
    // The folder that mail goes to.
    fs::rename(maildir.join(".Invoices"), maildir.join(".Bills")).unwrap();
    watched.deliver("2.a.h", INVOICE);
    watched.expect(&[".Bills/new/1.a.h", ".Invoices/new/2.a.h"]);
    // The maildir itself, away and back, with mail that came in meanwhile.
    fs::rename(&maildir, &away).unwrap();
    thread::sleep(Duration::from_millis(100));
    fs::write(away.join("new/3.a.h"), format!("Subject: {INVOICE}")).unwrap();
    fs::rename(&away, &maildir).unwrap();
    watched.expect(&[".Bills/new/1.a.h", ".Invoices/new/2.a.h", ".Invoices/new/3.a.h"]);
    // Its folder of new mail.
    fs::rename(maildir.join("new"), maildir.join("old")).unwrap();
    fs::create_dir(maildir.join("new")).unwrap();
    watched.deliver("4.a.h", INVOICE);
    until(|| maildir.join(".Invoices/new/4.a.h").exists(), || format!("{:?}", watched.home.mails()));
}

#[test]
fn a_maildir_that_is_renamed_while_mail_arrives_is_followed() {
    let mut watched = Watched::new(BOTH, RULES);
    let (maildir, away) = (watched.home.path("Maildir"), watched.home.path("away"));
    for round in 0..10 {
        (0..10).for_each(|at| watched.deliver(&format!("{round}_{at}.a.h"), INVOICE));
        fs::rename(&maildir, &away).unwrap();
        thread::sleep(Duration::from_millis(30));
        // Where the rename met the making of a folder, that was made in the old place.
        drop(fs::remove_dir_all(&maildir));
        fs::rename(&away, &maildir).unwrap();
    }
    let count = || fs::read_dir(maildir.join(".Invoices/new")).map_or(0, Iterator::count);
    until(|| count() == 100, || format!("{} of 100: {:?}", count(), watched.home.mails()));
    watched.stop();
}

#[test]
fn a_mail_that_is_renamed_while_it_waits_is_given_to_a_command_once() {
    let rules = "labels = \"labels.txt\"\n[[rule]]\nlabel = \"invoice\"\nexec = \"echo $MAILSORT_ID >> log; until [ -e end ]; do sleep 0.01; done\"\n";
    let watched = Watched::new(rules, RULES);
    watched.deliver("1.a.h", INVOICE);
    until(|| watched.home.path("log").exists(), || "no command runs".into());
    watched.deliver("2.b.h", INVOICE);
    let at = |name: &str| watched.home.path("Maildir").join(name);
    for (from, to) in
        [("new/2.b.h", "cur/2.b.h:2,"), ("cur/2.b.h:2,", "cur/2.b.h:2,S"), ("cur/2.b.h:2,S", "cur/2.b.h:2,RS")]
    {
        fs::rename(at(from), at(to)).unwrap();
        thread::sleep(Duration::from_millis(20));
    }
    fs::write(watched.home.path("end"), "").unwrap();
    let log = || fs::read_to_string(watched.home.path("log")).unwrap();
    until(|| log().lines().count() >= 2, log);
    // Mail is given to commands in the order in which it came: what comes next comes behind all of the second.
    watched.deliver("3.c.h", INVOICE);
    until(|| log().contains("<tmp3ch@x>"), log);
    assert_eq!(log(), "<tmp1ah@x>\n<tmp2bh@x>\n<tmp3ch@x>\n");
}

#[test]
fn two_that_know_nothing_of_each_other_do_not_write_for_ever() {
    let mut first = Watched::new(BOTH, &[LABELS, &["--journal", "one"]].concat());
    let second = first.run(&[LABELS, &["--journal", "two"]].concat()).start();
    for at in 0..10 {
        first.deliver(&format!("{at}.a.h"), INVOICE);
    }
    let mut second = Watched { home: Home::new(BOTH), child: Some(second) };
    let maildir = first.home.path("Maildir");
    let are_marked =
        || first.home.mails().len() == 10 && first.home.mails().iter().all(|path| is_marked(&maildir.join(path)));
    until(are_marked, || format!("{:?}", first.home.mails()));
    thread::sleep(Duration::from_millis(500));
    let before = first.home.mails();
    thread::sleep(Duration::from_millis(700));
    assert_eq!(first.home.mails(), before);
    first.stop();
    second.stop();
}

/// So many mails come in at once.
const BURST: usize = 10_000;

#[test]
fn a_burst_is_sorted_whole() {
    let watched = Watched::new(BOTH, RULES);
    let name = |at: usize| format!("{at}.a.h");
    for at in 0..BURST {
        watched.deliver(&name(at), if at.is_multiple_of(2) { INVOICE } else { MEETING });
    }
    let maildir = watched.home.path("Maildir");
    let count = |folder: &str| fs::read_dir(maildir.join(folder)).map_or(0, Iterator::count);
    until(|| count("new") == 0, || format!("{} are left", count("new")));
    until(|| count(".Invoices/new") + count(".Meetings/new") == BURST, || "some are nowhere".into());
    assert_eq!(count(".Invoices/new"), BURST / 2);
    let found = (0..BURST).filter(|at| {
        let folder = if at.is_multiple_of(2) { ".Invoices/new" } else { ".Meetings/new" };
        maildir.join(folder).join(name(*at)).exists()
    });
    assert_eq!(found.count(), BURST);
}

#[test]
fn killed_and_started_again_it_does_each_mail_once() {
    for rules in [BOTH.to_string(), format!("action = \"header\"\n{BOTH}")] {
        let mut watched = Watched::new(&rules, RULES);
        let mut before = BTreeMap::new();
        for at in 0..300_u32 {
            let mail = format!("{}number {at}\n", if at.is_multiple_of(2) { INVOICE } else { MEETING });
            watched.deliver(&format!("{at}.a.h"), &mail);
            before.insert(format!("Message-ID: <tmp{at}ah@x>\nSubject: {mail}"), 1);
            if at % 40 == 39 {
                thread::sleep(Duration::from_millis(u64::from(at * 7 % 40)));
                watched.signal(Signal::KILL);
                watched.start(RULES);
            }
        }
        let filed = || mails(&watched.home.path("Maildir")).iter().filter(|path| path.starts_with('.')).count();
        until(|| filed() == 300, || format!("{} are filed", filed()));
        watched.stop();
        let mut after = BTreeMap::new();
        for path in watched.home.mails() {
            let text = fs::read_to_string(watched.home.path("Maildir").join(path)).unwrap();
            let lines: Vec<&str> = text.split_inclusive('\n').filter(|line| !line.starts_with("X-Mailsort")).collect();
            *after.entry(lines.concat()).or_insert(0) += 1;
        }
        assert!(after == before, "{} texts, {} before", after.len(), before.len());
    }
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let home = Home::new(BOTH);
    fs::write(home.path("inbox.mbox"), "From a@b Thu Jan  1 00:00:00 1970\nSubject: x\n\nx\n").unwrap();
    for (source, said) in [("inbox.mbox", "is not a maildir"), ("nowhere", "No such file"), (".", "is not a maildir")] {
        let run = mailsort(["watch", source, "--into", "Maildir"]).args(RULES).in_folder(home.folder.path());
        let stderr = ended(run, 2);
        assert!(stderr.contains(said), "{stderr}");
    }
}

#[test]
fn a_journal_of_the_version_before_knows_what_was_looked_at() {
    let mut watched = Watched { home: old_tree(), child: None };
    watched.start(&["--rules", "rules.toml"]);
    watched.deliver("5.e.h", INVOICE);
    let copy = watched.home.mails().into_iter().find(|path| path.starts_with(".Meetings")).unwrap();
    let inbox = ["new/2.b.h".to_string(), format!("new/{REWRITTEN}")];
    let filed = ["1.a.h", "4.d.h", "5.e.h"].map(|name| format!(".Invoices/new/{name}"));
    let wanted: Vec<&str> = inbox.iter().chain(&filed).chain([&copy]).map(String::as_str).collect();
    watched.expect(&wanted);
    watched.stop();
}
