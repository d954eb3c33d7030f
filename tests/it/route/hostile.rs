//! Names of folders, labels and files that somebody has made to do harm.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;

#[test]
fn folders_that_lead_elsewhere_are_refused_before_anything_is_done() {
    let long = "x".repeat(300);
    for folder in [
        "../out",
        "/tmp/out",
        "a/../../out",
        "a//b",
        "cur",
        "a/tmp",
        ".",
        "a.b",
        "",
        "a\\nb",
        "a\\r\\nBcc: x",
        "\\u001b[2J",
        &long,
    ] {
        let home = Home::new(&ONE.replace("Money/Invoices", folder));
        home.put("new/1.a.h", INVOICE);
        let said = home.routed(&[], 2);
        assert!(said.contains("rules.toml") && said.contains("line 2") && !said.contains('\u{1b}'), "{folder}: {said}");
        assert_eq!(home.mails(), ["new/1.a.h"]);
        assert!(!home.path("Maildir/mailsort-journal.sqlite").exists());
    }
}

#[test]
fn links_do_not_lead_out_of_the_tree() {
    let home = Home::new(ONE);
    home.put("new/1.a.h", INVOICE);
    fs::create_dir(home.path("out")).unwrap();
    symlink(home.path("out"), home.path("Maildir/.Money.Invoices")).unwrap();
    assert!(home.routed(&[], 2).contains("a link that leads out of the tree"));
    assert!(fs::read_dir(home.path("out")).unwrap().next().is_none());
    // A message that is a link would lead nowhere elsewhere.
    fs::remove_file(home.path("Maildir/.Money.Invoices")).unwrap();
    fs::rename(home.path("Maildir/new/1.a.h"), home.path("mail")).unwrap();
    symlink("../../mail", home.path("Maildir/new/1.a.h")).unwrap();
    assert!(home.routed(&[], 1).contains("it is a link"));
    // Nor is a journal or a lock opened that is one.
    let home = Home::new(ONE);
    fs::write(home.path("victim"), "").unwrap();
    symlink(home.path("victim"), home.path("Maildir/mailsort-journal.sqlite")).unwrap();
    home.routed(&[], 2);
    assert_eq!(fs::read(home.path("victim")).unwrap(), b"");
}

#[test]
fn folders_that_begin_with_a_dash_or_hold_words_of_shells_are_names() {
    let home = Home::new(&ONE.replace("Money/Invoices", "-rf/$(touch owned) `x` ; *"));
    home.put("new/1.a.h", INVOICE);
    home.routed(&[], 0);
    assert_eq!(home.mails(), [".-rf.$(touch owned) `x` ; */new/1.a.h"]);
    assert!(!home.path("owned").exists());
}

#[test]
fn labels_are_only_labels() {
    let home = Home::new("");
    let name = format!("../../x {} ; $(touch owned)", "l".repeat(300));
    fs::write(home.path("labels.txt"), format!("{name}: a bill, please pay the amount due\nmeeting: let us meet\n"))
        .unwrap();
    home.rules(&format!("labels = \"labels.txt\"\n[[rule]]\nlabel = \"{name}\"\nfolder = \"Fine\"\n"));
    home.put("new/1.a.h", INVOICE);
    home.routed(&["-v"], 0);
    assert_eq!(home.mails(), [".Fine/new/1.a.h"]);
}

#[test]
fn names_of_messages_may_hold_any_bytes() {
    let home = Home::new(ONE);
    let mail = format!("Subject: {INVOICE}");
    let long = [b"9.".as_slice(), &b"y".repeat(245), b":2,S"].concat();
    let names: [&[u8]; 5] = [b"1.\xff\xfe.h:2,S", b"2.a\nb.h", b"-rf", b"3.\x1b[2J.h:2,", &long];
    for name in names {
        fs::write(home.path("Maildir/cur").join(OsStr::from_bytes(name)), &mail).unwrap();
    }
    let said = home.routed(&["-v"], 0);
    assert!(said.contains("5 moved") && !said.contains('\u{1b}'), "{said}");
    let moved = home.path("Maildir/.Money.Invoices/cur");
    for kept in [b"1.\xff\xfe.h:2,S".as_slice(), b"2.a\nb.h:2,", b"-rf:2,", b"3.\x1b[2J.h:2,"] {
        assert_eq!(fs::read_to_string(moved.join(OsStr::from_bytes(kept))).unwrap(), mail);
    }
    assert_eq!(fs::read_dir(&moved).unwrap().count(), 5);
    let undo = mailsort(["route", "Maildir", "--undo", "last"]).in_folder(home.folder.path());
    assert!(ended(undo, 0).contains("5 moved back"));
    let mut back: Vec<_> =
        fs::read_dir(home.path("Maildir/cur")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    back.sort();
    assert!(back.contains(&OsStr::from_bytes(b"1.\xff\xfe.h:2,S").to_os_string()) && back.len() == 5, "{back:?}");
}

#[test]
fn what_is_no_journal_is_left_alone() {
    let home = Home::new(ONE);
    home.put("new/1.a.h", INVOICE);
    for (name, bytes) in [("text", b"no database, but some text that is longer".as_slice()), ("folder", b"")] {
        if name == "folder" {
            fs::create_dir(home.path(name)).unwrap()
        } else {
            fs::write(home.path(name), bytes).unwrap()
        }
        let said = home.routed(&["--journal", name], 2);
        assert!(said.contains("journal"), "{said}");
        assert!(name == "folder" || fs::read(home.path(name)).unwrap() == bytes);
    }
    assert_eq!(home.mails(), ["new/1.a.h"]);
}
