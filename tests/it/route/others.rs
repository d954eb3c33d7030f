//! Others at work in the same maildir: another run, and mail programs that deliver, read and delete.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use super::*;
use crate::mailsort::until;

/// So many mails, half of them of each label.
const MANY: usize = 300;

fn body(at: usize) -> String {
    format!("{}number {at}\n", if at.is_multiple_of(2) { INVOICE } else { MEETING })
}

#[test]
fn a_second_run_waits_or_ends() {
    let command = "touch begun; until [ -e end ]; do sleep 0.01; done";
    let home = Home::new(&format!("labels = \"labels.txt\"\n[[rule]]\nlabel = \"invoice\"\nexec = \"{command}\"\n"));
    home.put("new/1.a.h", INVOICE);
    let first = home.route(&[]).start();
    until(|| home.path("begun").exists(), || "no command runs".into());
    let said = home.routed(&[], 75);
    assert!(said.contains(&format!("process {} holds the journal", first.id())), "{said}");
    let second = home.route(&["--wait", "120"]).start();
    fs::write(home.path("end"), "").unwrap();
    assert!(first.wait_with_output().unwrap().status.success());
    let waited = second.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&waited.stderr);
    assert!(waited.status.success() && said.contains("nothing to do"), "{said}");
}

#[test]
fn runs_one_after_the_other_do_each_mail_once() {
    let home = Home::new(BOTH);
    (0..MANY).for_each(|at| home.put(&format!("new/{at}.a.h"), &body(at)));
    let runs: Vec<_> = (0..4).map(|_| home.route(&["--wait", "120"]).start()).collect();
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let mails = home.mails();
    assert_eq!(mails.len(), MANY);
    assert!(mails.iter().all(|path| path.starts_with(".Invoices/new") || path.starts_with(".Meetings/new")));
}

/// Renames, deletes and delivers in a maildir as mail programs do, until the child has ended. Returns what was deleted
/// and what was delivered.
fn disturb(home: &Home, child: &mut std::process::Child) -> (BTreeSet<usize>, usize) {
    let (mut deleted, mut delivered, mut seed) = (BTreeSet::new(), 0, 7_usize);
    let maildir = home.path("Maildir");
    while child.try_wait().unwrap().is_none() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (seed >> 33) % MANY;
        match seed % 8 {
            0 => {
                let gone = [format!("new/{at}.a.h"), format!("cur/{at}.a.h:2,S"), format!("cur/{at}.a.h:2,FS")];
                if gone.iter().any(|name| fs::remove_file(maildir.join(name)).is_ok()) {
                    deleted.insert(at);
                }
            }
            1 => {
                fs::write(maildir.join("tmp/x"), format!("Subject: {}", body(MANY + delivered))).unwrap();
                fs::rename(maildir.join("tmp/x"), maildir.join(format!("new/{}.a.h", MANY + delivered))).unwrap();
                delivered += 1;
            }
            2..5 => drop(fs::rename(maildir.join(format!("new/{at}.a.h")), maildir.join(format!("cur/{at}.a.h:2,S")))),
            _ => {
                drop(fs::rename(maildir.join(format!("cur/{at}.a.h:2,S")), maildir.join(format!("cur/{at}.a.h:2,FS"))));
            }
        }
        thread::sleep(Duration::from_micros(300));
    }
    (deleted, delivered)
}

#[test]
fn mail_programs_may_rename_delete_and_deliver_meanwhile() {
    let home = Home::new(BOTH);
    (0..MANY).for_each(|at| home.put(&format!("new/{at}.a.h"), &body(at)));
    let mut child = home.route(&[]).start();
    let (deleted, delivered) = disturb(&home, &mut child);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    home.routed(&[], 0);
    let mails = home.mails();
    let number = |path: &String| path.rsplit('/').next().unwrap().split('.').next().unwrap().parse::<usize>().unwrap();
    let found: BTreeSet<usize> = mails.iter().map(number).collect();
    assert_eq!(found.len(), mails.len(), "none is there twice");
    // Whoever deletes may be later than the move, and then deletes nothing.
    let expected: BTreeSet<usize> = (0..MANY + delivered).filter(|at| !deleted.contains(at)).collect();
    assert_eq!(found, expected);
    for path in &mails {
        let text = fs::read_to_string(home.path("Maildir").join(path)).unwrap();
        assert!(text.ends_with(&body(number(path))), "{path}");
        let folder = if number(path).is_multiple_of(2) { ".Invoices/" } else { ".Meetings/" };
        assert!(path.starts_with(folder), "{path}");
    }
}

#[test]
fn a_signal_ends_it_after_what_is_in_hand() {
    let home = Home::new(
        "labels = \"labels.txt\"\n[[rule]]\nlabel = \"invoice\"\nexec = [\"sleep\", \"0.3\"]\nfolder = \"Done\"\n",
    );
    (0..20).for_each(|at| home.put(&format!("new/{at}.a.h"), INVOICE));
    let child = home.route(&[]).start();
    until(|| home.mails().iter().any(|path| path.starts_with(".Done/")), || "no mail is moved".into());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(home.mails().len(), 20);
    assert!(home.mails().iter().any(|path| path.starts_with("new/")), "it was not stopped");
}
