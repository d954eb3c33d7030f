//! What must not be touched: mails of trees that are copied, folders that become links, sources that may not be
//! written.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::time::{Duration, Instant};

use super::*;
use crate::mailsort::until;

#[test]
fn a_copied_tree_leaves_the_other_alone() {
    let home = Home::new(ONE);
    home.put("new/1.a.h", INVOICE);
    home.routed(&[], 0);
    let (first, copy) = (home.path("Maildir"), home.path("Backup"));
    copy_tree(&first, &copy);
    let undo = |tree: &str| mailsort(["route", tree, "--undo", "last"]).in_folder(home.folder.path());
    let said = ended(undo("Backup"), 2);
    assert!(said.contains("it belongs to the tree") && said.contains("remove it if it was copied"), "{said}");
    assert_eq!((mails(&first), mails(&copy)), (vec![".Money.Invoices/new/1.a.h".into()], mails(&first)));
    // Where only the copy is left, the journal is its own; and a renamed tree takes it along.
    fs::remove_dir_all(&first).unwrap();
    ended(undo("Backup"), 0);
    assert_eq!(mails(&copy), ["new/1.a.h"]);
    let sort = |tree: &str| mailsort(["route", tree, "--rules", "rules.toml"]).in_folder(home.folder.path());
    ended(sort("Backup"), 0);
    fs::rename(&copy, home.path("Moved")).unwrap();
    let said = ended(
        mailsort(["route", "--journal", "Moved/mailsort-journal.sqlite", "--undo", "last"])
            .in_folder(home.folder.path()),
        2,
    );
    assert!(said.contains("there is no folder") || said.contains("Backup"), "the journal is known by its tree: {said}");
    ended(undo("Moved"), 0);
    assert_eq!(mails(&home.path("Moved")), ["new/1.a.h"]);
}

#[test]
fn a_compressed_mail_gets_its_header_inside() {
    let home = Home::new(&format!("action = \"header\"\n{BOTH}"));
    home.put("cur/1.a.h,S=7,W=8:2,SZ", INVOICE);
    let mail = home.zip("cur/1.a.h,S=7,W=8:2,SZ");
    home.routed(&[], 0);
    let mails = home.mails();
    let marked = inflated(&fs::read(home.path("Maildir").join(&mails[0])).unwrap());
    // The name says how long the message is when inflated.
    assert!(mails.len() == 1 && mails[0].ends_with(&format!(",S={}:2,SZ", marked.len())), "{mails:?}");
    let line = b"X-Mailsort: invoice; score=";
    let (ours, others): (Vec<&[u8]>, Vec<&[u8]>) =
        marked.split_inclusive(|&byte| byte == b'\n').partition(|one| one.starts_with(line));
    assert_eq!((ours.len(), others.concat()), (1, mail.clone()));
    home.routed(&[], 0);
    assert_eq!(home.mails(), mails, "not twice");
    ended(mailsort(["route", "Maildir", "--undo", "last"]).in_folder(home.folder.path()), 0);
    let path = format!("cur/1.a.h,S={}:2,SZ", mail.len());
    assert_eq!(home.mails(), std::slice::from_ref(&path));
    assert_eq!(inflated(&fs::read(home.path("Maildir").join(path)).unwrap()), mail);
}

#[test]
fn a_compressed_mail_that_is_only_filed_keeps_its_bytes() {
    let home = Home::new(BOTH);
    home.put("new/1.a.h,S=7", INVOICE);
    home.zip("new/1.a.h,S=7");
    let zipped = fs::read(home.path("Maildir/new/1.a.h,S=7")).unwrap();
    home.routed(&[], 0);
    assert_eq!(fs::read(home.path("Maildir/.Invoices/new/1.a.h,S=7")).unwrap(), zipped);
}

#[test]
fn a_mail_that_is_compressed_otherwise_or_damaged_is_left_alone() {
    let home = Home::new(&format!("action = \"header\"\n{BOTH}"));
    home.put("new/1.a.h", INVOICE);
    home.zip("new/1.a.h");
    let whole = fs::read(home.path("Maildir/new/1.a.h")).unwrap();
    let zstd = b"\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00\x99\xe9\xd8\x51";
    for (bytes, why) in [(&zstd[..], "it is compressed with zstd, which is not read"), (&whole[..whole.len() - 9], "")]
    {
        let path = home.path("Maildir/new/1.a.h");
        fs::write(&path, bytes).unwrap();
        age(&path);
        let said = home.routed(&[], 1);
        assert!(said.contains("1.a.h") && said.contains(why), "{said}");
        assert_eq!((home.mails(), fs::read(&path).unwrap()), (vec!["new/1.a.h".to_string()], bytes.to_vec()));
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => copy_tree(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

#[test]
fn a_source_that_may_not_be_written_keeps_its_mail_and_nothing_is_doubled() {
    let Some(other) = other_file_system() else { return };
    for rules in [BOTH.to_string(), format!("action = \"header\"\n{BOTH}")] {
        let home = Home::new(&rules);
        home.put("new/1.a.h", INVOICE);
        let open = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        open(home.folder.path(), 0o755);
        open(&home.path("Maildir/new"), 0o555);
        open(other.path(), 0o777);
        let root = other.path().join("tree").to_str().unwrap().to_string();
        for _ in 0..3 {
            let run = home.route(&["--into", &root]).unprivileged();
            let said = ended(run, 1);
            assert!(said.contains("original cannot be removed"), "{said}");
            assert_eq!((home.mails(), mails(Path::new(&root))), (vec!["new/1.a.h".into()], vec![]));
        }
        open(&home.path("Maildir/new"), 0o777);
        ended(home.route(&["--into", &root]).unprivileged(), 0);
        assert_eq!((home.mails().len(), mails(Path::new(&root)).len()), (0, 1));
        fs::remove_dir_all(&root).unwrap();
    }
}

#[test]
fn what_root_sorts_stays_its_owners() {
    if !rustix::process::geteuid().is_root() {
        return lacks("root", "only root can give files away");
    }
    const NOBODY: u32 = 65534;
    let home = Home::new(&format!("action = \"copy\"\n{ONE}[[rule]]\nlabel = \"meeting\"\naction = \"header\"\n"));
    home.put("new/1.a.h", INVOICE);
    home.put("new/2.b.h", MEETING);
    let mut all = vec![home.path("Maildir")];
    all.extend(["cur", "new", "tmp", "new/1.a.h", "new/2.b.h"].map(|name| home.path("Maildir").join(name)));
    all.iter().for_each(|path| chown(path, Some(NOBODY), Some(NOBODY)).unwrap());
    home.routed(&[], 0);
    let mut found = Vec::new();
    walk(&home.path("Maildir"), &mut found);
    assert_eq!(home.mails().len(), 3);
    found.extend(found.clone().iter().filter_map(|path| path.parent()).map(Path::to_path_buf));
    for path in found {
        assert_eq!(fs::metadata(&path).unwrap().uid(), NOBODY, "{}", path.display());
    }
}

#[test]
fn a_folder_that_becomes_a_link_is_not_followed() {
    let home = Home::new(BOTH);
    home.put("new/1.a.h", INVOICE);
    home.routed(&[], 0);
    fs::create_dir_all(home.path("out/new")).unwrap();
    fs::rename(home.path("Maildir/new"), home.path("kept")).unwrap();
    symlink(home.path("out/new"), home.path("Maildir/new")).unwrap();
    let undo = || mailsort(["route", "Maildir", "--undo", "1"]).in_folder(home.folder.path());
    let said = ended(undo(), 1);
    assert!(said.contains("a link that leads out of the tree"), "{said}");
    assert_eq!(fs::read_dir(home.path("out/new")).unwrap().count(), 0);
    fs::remove_file(home.path("Maildir/new")).unwrap();
    fs::rename(home.path("kept"), home.path("Maildir/new")).unwrap();
    ended(undo(), 0);
    assert_eq!(home.mails(), ["new/1.a.h"]);
}

#[test]
fn two_names_of_one_folder_are_one_folder() {
    let home = Home::new(&format!("action = \"copy\"\n{}", ONE.replace("Money/Invoices", "F")));
    home.put("new/1.a.h", INVOICE);
    symlink(".", home.path("Maildir/.F")).unwrap();
    home.routed(&[], 0);
    assert_eq!(home.mails(), ["new/1.a.h"]);
}

#[test]
fn figures_replace_no_more_than_a_file() {
    let home = Home::new(ONE);
    home.put("new/1.a.h", INVOICE);
    let listener = std::os::unix::net::UnixListener::bind(home.path("socket")).unwrap();
    let said = home.routed(&["--metrics", "socket"], 2);
    assert!(said.contains("it is there and no file"), "{said}");
    drop(listener);
    assert_eq!(home.mails(), ["new/1.a.h"]);
}

#[test]
fn a_mailbox_that_was_read_is_not_copied_again() {
    let home = Home::new(BOTH);
    let mbox = home.path("inbox");
    let mail =
        |notes: &str| format!("From a@b Thu Jan  1 00:00:00 1970\n{notes}Message-ID: <1@x>\nSubject: {INVOICE}\n");
    let route =
        || mailsort(["route", "inbox", "--into", "Maildir", "--rules", "rules.toml"]).in_folder(home.folder.path());
    fs::write(&mbox, mail("")).unwrap();
    ended(route(), 0);
    fs::write(&mbox, mail("Status: RO\nX-Status: AF\n")).unwrap();
    assert!(ended(route(), 0).contains("nothing to do"));
    assert_eq!(home.mails().len(), 1);
    // What is known of it when it is copied goes along.
    fs::write(&mbox, mail("Status: RO\nX-Status: AF\n").replace("20 Euro", "30 Euro")).unwrap();
    ended(route(), 0);
    assert!(
        home.mails().iter().any(|path| path.starts_with(".Invoices/cur/") && path.ends_with(":2,FRS")),
        "{:?}",
        home.mails()
    );
    fs::write(home.path("inbox.lock"), "").unwrap();
    let started = Instant::now();
    let said = ended(route(), 1);
    assert!(said.contains("is locked by another program") && started.elapsed() < Duration::from_secs(40), "{said}");
}

#[test]
fn a_tag_that_was_lost_can_be_written_again() {
    let home = Home::new("labels = \"labels.txt\"\naction = \"tag\"\n[[rule]]\nlabel = \"invoice\"\n");
    home.put("new/1.a.h", INVOICE);
    let tags = || String::from_utf8(home.route(&[]).output().stdout).unwrap();
    let first = tags();
    assert!(first.contains("+invoice"), "{first}");
    assert_eq!(tags(), "");
    let undo = mailsort(["route", "Maildir", "--undo", "last"]).in_folder(home.folder.path());
    assert!(ended(undo, 0).contains("1 tag is written again by the next run"));
    assert_eq!(tags(), first);
}

#[test]
fn a_signal_does_not_wait_for_another_try() {
    let home = Home::new(
        "labels = \"labels.txt\"\n[[rule]]\nlabel = \"invoice\"\nexec = [\"sh\", \"-c\", \"echo x >> tries; exit 1\"]\n",
    );
    home.put("new/1.a.h", INVOICE);
    let started = Instant::now();
    let child = home.route(&["--exec-wait", "60"]).start();
    // Its output is there before it has failed.
    until(|| home.path("tries").exists(), || "nothing is tried".into());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(fs::read_to_string(home.path("tries")).unwrap(), "x\n");
}

#[test]
fn what_is_down_is_not_waited_for_with_each_mail() {
    let home = Home::new(
        "labels = \"labels.txt\"\n[[rule]]\nlabel = \"invoice\"\nexec = [\"sh\", \"-c\", \"echo x >> tries; exit 1\"]\n",
    );
    (0..10).for_each(|at| home.put(&format!("new/{at}.a.h"), INVOICE));
    home.routed(&["--exec-retries", "2", "--exec-wait", "0.01"], 1);
    assert_eq!(fs::read_to_string(home.path("tries")).unwrap().lines().count(), 3 * 3 + 7);
    let runs = mailsort(["route", "Maildir", "--runs", "--format", "jsonl"]).in_folder(home.folder.path());
    assert_eq!(runs.records(), Vec::<Value>::new(), "what was done in vain is no run");
}
