//! Which mail goes where, under which name.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::*;

#[test]
fn mail_moves_with_its_flags_and_new_stays_new() {
    let home = Home::new(ONE);
    home.put("new/1.a.h", INVOICE);
    home.put("cur/2.b.h,S=99,U=7:2,SRF", INVOICE);
    home.put("cur/3.c.h:2,S", MEETING);
    let before = fs::read(home.path("Maildir/new/1.a.h")).unwrap();
    let said = home.routed(&[], 0);
    assert!(said.contains("3 messages: 2 moved (run 1)"), "{said}");
    let folder = ".Money.Invoices";
    assert_eq!(
        home.mails(),
        [format!("{folder}/cur/2.b.h,S=99:2,FRS"), format!("{folder}/new/1.a.h"), "cur/3.c.h:2,S".into()]
    );
    assert_eq!(fs::read(home.path("Maildir").join(folder).join("new/1.a.h")).unwrap(), before);
    assert!(home.path("Maildir").join(folder).join("maildirfolder").is_file());
    let journal = fs::metadata(home.path("Maildir/mailsort-journal.sqlite")).unwrap();
    assert_eq!(journal.mode() & 0o777, 0o600);
    // A second run has nothing to do, and leaves no run behind.
    assert!(home.routed(&[], 0).contains("1 message: nothing to do"));
    let runs = mailsort(["route", "--runs", "--format", "jsonl", "--into", "Maildir"]).in_folder(home.folder.path());
    let runs = runs.records();
    assert_eq!((runs.len(), &runs[0]["actions"]["move"]), (1, &Value::from(2)));
    // And classify reads the tree as before.
    assert_eq!(mailsort(["classify", "Maildir", "-l", "labels.txt"]).in_folder(home.folder.path()).records().len(), 1);
}

#[test]
fn plain_trees_have_plain_folders() {
    let home = Home::new(&format!("layout = \"plain\"\n{}", ONE.replace("Invoices", "für Ämter")));
    home.put("new/1.a.h", INVOICE);
    home.routed(&["--quiet"], 0);
    assert_eq!(home.mails(), ["Money/für Ämter/new/1.a.h"]);
    let home = Home::new(&ONE.replace("Invoices", "für Ämter & 日本語"));
    home.put("new/1.a.h", INVOICE);
    assert_eq!(home.routed(&["--quiet"], 0), "");
    assert_eq!(home.mails(), [".Money.f&APw-r &AMQ-mter &- &ZeVnLIqe-/new/1.a.h"]);
}

#[test]
fn a_folder_is_found_in_the_spelling_that_it_has() {
    let rules = ONE.replace("Money/Invoices", "发票/für");
    for (there, expected) in [
        (".发票.für", ".发票.für"),
        (".&U9F5aA-.f&APw-r", ".&U9F5aA-.f&APw-r"),
        (".发票.fu\u{308}r", ".发票.fu\u{308}r"),
        (".&U9F5aA-", ".&U9F5aA-.f&APw-r"),
        (".发票", ".发票.für"),
        (".Other", ".&U9F5aA-.f&APw-r"),
        ("&U9F5aA-/für", "&U9F5aA-/für"),
        ("&U9F5aA-", "&U9F5aA-/f&APw-r"),
        ("Other", "发票/für"),
    ] {
        let home = Home::new(&rules);
        for maildir in Path::new(there).ancestors() {
            let maildir = home.path("Maildir").join(maildir);
            ["cur", "new", "tmp"].iter().for_each(|own| fs::create_dir_all(maildir.join(own)).unwrap());
        }
        home.put("new/1.a.h", INVOICE);
        home.routed(&[], 0);
        assert_eq!(home.mails(), [format!("{expected}/new/1.a.h")], "{there}");
    }
    // With two of a name, neither is guessed.
    let home = Home::new(&rules);
    for there in [".发票.für", ".&U9F5aA-.f&APw-r"] {
        ["cur", "new", "tmp"].iter().for_each(|own| {
            fs::create_dir_all(home.path("Maildir").join(there).join(own)).unwrap();
        });
    }
    home.put("new/1.a.h", INVOICE);
    let said = home.routed(&[], 2);
    assert!(
        said.contains(".发票.für") && said.contains(".&U9F5aA-.f&APw-r") && said.contains("two spellings"),
        "{said}"
    );
    assert_eq!(home.mails(), ["new/1.a.h"]);
}

#[test]
fn a_rule_may_mark_as_seen() {
    let home = Home::new(&format!("keep-unread = false\n{ONE}"));
    home.put("new/1.a.h", INVOICE);
    home.put("cur/2.b.h:2,F", INVOICE);
    home.routed(&[], 0);
    assert_eq!(home.mails(), [".Money.Invoices/cur/1.a.h:2,S", ".Money.Invoices/cur/2.b.h:2,FS"]);
}

#[test]
fn what_is_unsure_stays_or_goes() {
    let home = Home::new(&format!("threshold = 1.0\n{BOTH}"));
    home.put("new/1.a.h", INVOICE);
    fs::write(home.path("Maildir/new/2.b.h"), "Subject: \n\n").unwrap();
    let said = home.routed(&[], 1);
    assert!(said.contains("2 messages: 1 unsure, 1 with an error"), "{said}");
    assert_eq!(home.mails(), ["new/1.a.h", "new/2.b.h"]);
    home.rules(&format!("threshold = 1.0\non-unsure = {{ folder = \"Look\" }}\n{BOTH}"));
    home.routed(&[], 1);
    assert_eq!(home.mails(), [".Look/new/1.a.h", "new/2.b.h"]);
    home.rules(&format!("threshold = 1.0\non-unsure = {{ folder = \"Look\", errors = true }}\n{BOTH}"));
    home.routed(&[], 1);
    assert_eq!(home.mails(), [".Look/new/1.a.h", ".Look/new/2.b.h"]);
}

#[test]
fn copies_links_and_tags_are_made_once() {
    for action in ["copy", "link"] {
        let home = Home::new(&format!("action = \"{action}\"\n{ONE}"));
        home.put("new/1.a.h", INVOICE);
        home.put("cur/2.b.h:2,S", INVOICE);
        home.routed(&[], 0);
        let mails = home.mails();
        assert_eq!(
            (mails.len(), &mails[2..]),
            (4, &["cur/2.b.h:2,S".to_string(), "new/1.a.h".into()][..]),
            "{mails:?}"
        );
        assert!(mails[0].starts_with(".Money.Invoices/cur/") && mails[0].ends_with(":2,S"), "{mails:?}");
        let of = |name: &str| fs::metadata(home.path("Maildir").join(name)).unwrap();
        assert_eq!(of(&mails[1]).ino() == of("new/1.a.h").ino(), action == "link");
        let read = |name: &str| fs::read(home.path("Maildir").join(name)).unwrap();
        assert_eq!(read(&mails[1]), read("new/1.a.h"));
        // Also when it was read and so renamed meanwhile, or the copy was deleted.
        fs::rename(home.path("Maildir/new/1.a.h"), home.path("Maildir/cur/1.a.h:2,S")).unwrap();
        fs::remove_file(home.path("Maildir").join(&mails[0])).unwrap();
        assert!(home.routed(&[], 0).contains("nothing to do"));
        assert_eq!(home.mails().len(), 3);
    }
}

#[test]
fn tags_are_lines_for_notmuch() {
    let home = Home::new("labels = \"labels.txt\"\naction = \"tag\"\n[[rule]]\nlabel = \"invoice\"\n");
    home.put("new/1.a.h", INVOICE);
    home.put("new/2.b.h", MEETING);
    fs::write(home.path("Maildir/new/3.c.h"), format!("Subject: {INVOICE}")).unwrap();
    let output = home.route(&[]).output();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "+invoice -- id:\"new1ah@x\"\n");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && stderr.contains("no Message-ID"), "{stderr}");
    assert_eq!(home.route(&["--quiet"]).output().stdout, b"");
    assert_eq!(home.mails().len(), 3);
    home.rules("labels = \"labels.txt\"\naction = \"tag\"\n[[rule]]\nlabel = \"unread\"\n");
    fs::write(home.path("labels.txt"), "unread\ninvoice\n").unwrap();
    assert!(home.routed(&[], 2).contains("would be a tag that notmuch acts upon"));
}

#[test]
fn a_mailbox_is_split_and_stays() {
    let home = Home::new(BOTH);
    let mail = |body: &str| format!("From a@b Sat Jan  3 01:05:34 1996\nSubject: {body}>From here\n\n");
    let mailbox = [mail(INVOICE), mail(INVOICE), mail(INVOICE), mail(MEETING)].concat();
    fs::write(home.path("empty"), "").unwrap();
    let empty = mailsort(["route", "empty", "--into", "Sorted", "--rules", "rules.toml"]).in_folder(home.folder.path());
    assert!(ended(empty, 0).contains("0 messages: nothing to do"));
    fs::write(home.path("all.mbox"), &mailbox).unwrap();
    let run =
        || mailsort(["route", "all.mbox", "--into", "Sorted", "--rules", "rules.toml"]).in_folder(home.folder.path());
    assert!(ended(run(), 0).contains("4 messages: 4 copied"));
    let sorted = mails(&home.path("Sorted"));
    assert_eq!(sorted.iter().filter(|path| path.starts_with("Invoices/new/")).count(), 3, "{sorted:?}");
    assert_eq!(sorted.iter().filter(|path| path.starts_with("Meetings/new/")).count(), 1, "{sorted:?}");
    let read = fs::read_to_string(home.path("Sorted").join(&sorted[0])).unwrap();
    assert_eq!(read, format!("Subject: {INVOICE}From here\n"));
    assert_eq!(fs::metadata(home.path("Sorted").join(&sorted[0])).unwrap().permissions().mode() & 0o777, 0o600);
    // A second run does nothing; another mail of the same bytes is another mail.
    assert!(ended(run(), 0).contains("nothing to do"));
    fs::write(home.path("all.mbox"), mailbox.clone() + &mail(INVOICE)).unwrap();
    assert!(ended(run(), 0).contains("5 messages: 1 copied"), "the one that was last before is no other mail now");
    assert_eq!(mails(&home.path("Sorted")).len(), 5);
    assert!(fs::read_to_string(home.path("all.mbox")).unwrap().starts_with(&mailbox));
}

#[test]
fn a_dry_run_writes_nothing() {
    let home = Home::new(&format!("on-unsure = {{ folder = \"Look\" }}\n{ONE}"));
    home.put("new/1.a.h", INVOICE);
    home.put("new/2.b.h", MEETING);
    let everything = |home: &Home| {
        let mut found = Vec::new();
        walk(home.folder.path(), &mut found);
        found.sort();
        found
    };
    let before = everything(&home);
    let table = home.route(&["--dry-run"]).output();
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(
        table.starts_with("mail ") && table.contains("  move  ") && table.contains("  Money/Invoices  "),
        "{table}"
    );
    let records = plan(home.route(&[]));
    assert_eq!((records.len(), &records[0]["action"], &records[1]["action"]), (2, &"move".into(), &"stay".into()));
    assert_eq!(records[0]["folder"], "Money/Invoices");
    let destination = records[0]["destination"].as_str().unwrap();
    assert!(Path::new(destination).ends_with("Maildir/.Money.Invoices"), "{destination}");
    assert_eq!((&records[0]["label"], &records[0]["source"]), (&"invoice".into(), &"Maildir/new/1.a.h".into()));
    assert_eq!(everything(&home), before);
    // What was done before is known.
    home.rules(&format!("action = \"copy\"\n{ONE}"));
    home.routed(&[], 0);
    let (before, journal) = (everything(&home), fs::read(home.path("Maildir/mailsort-journal.sqlite")).unwrap());
    assert_eq!(plan(home.route(&[]))[0]["action"], "done");
    assert_eq!(everything(&home), before);
    assert!(fs::read(home.path("Maildir/mailsort-journal.sqlite")).unwrap() == journal);
}

#[test]
fn the_first_rule_of_several_sets_wins() {
    let home = Home::new(
        "labels = [\"labels.txt\", \"who.txt\"]\n\
         [[rule]]\nset = \"who\"\nlabel = \"boss\"\nfolder = \"Boss\"\n[[rule]]\nlabel = \"invoice\"\nfolder = \"Money\"\n",
    );
    fs::write(home.path("who.txt"), "boss: the amount due is 20 Euro\nfriend: let us meet on Thursday\n").unwrap();
    home.put("new/1.a.h", INVOICE);
    let records = plan(home.route(&[]));
    assert_eq!((&records[0]["label"], &records[0]["set"]), (&"boss".into(), &"who".into()));
    home.routed(&[], 0);
    assert_eq!(home.mails(), [".Boss/new/1.a.h"]);
}

#[test]
fn mail_goes_to_another_file_system() {
    let home = Home::new(BOTH);
    let Some(other) = other_file_system() else { return };
    home.put("new/1.a.h", INVOICE);
    home.put("cur/2.b.h:2,S", MEETING);
    let into = other.path().to_str().unwrap();
    home.routed(&["--into", into], 0);
    assert_eq!(mails(other.path()), ["Invoices/new/1.a.h", "Meetings/cur/2.b.h:2,S"]);
    assert_eq!(home.mails(), Vec::<String>::new());
    let undo = mailsort(["route", "--undo", "last", "--into", into]).in_folder(home.folder.path());
    assert!(ended(undo, 0).contains("2 moved back"));
    assert_eq!(home.mails(), ["cur/2.b.h:2,S", "new/1.a.h"]);
    home.rules(&format!("action = \"link\"\n{BOTH}"));
    assert!(home.routed(&["--into", into], 1).contains("use `action = \"copy\"`"));
}

#[test]
fn flags_win_over_what_rules_name() {
    let home = Home::new(&ONE.replace("labels.txt", "gone.txt"));
    home.put("new/1.a.h", INVOICE);
    assert!(home.routed(&[], 2).contains("gone.txt"));
    home.routed(&["--labels", "labels.txt"], 0);
    assert_eq!(home.mails(), [".Money.Invoices/new/1.a.h"]);
    for (flags, why) in [
        (&["--label", "bill"][..], "there is no label \"invoice\"; there are: bill"),
        (&["--rules", "gone.toml"], "gone.toml"),
        (&["gone"], "gone"),
        (&["rules.toml"], "neither an mbox file nor a message"),
    ] {
        let output = mailsort(["route", "Maildir"]).args(flags).in_folder(home.folder.path());
        let output = if flags.contains(&"--rules") { output } else { output.args(["--rules", "rules.toml"]) };
        let output = if flags[0].ends_with("toml") { output.args(["--labels", "labels.txt"]) } else { output }.output();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() >= Some(1) && stderr.contains(why), "{flags:?}: {stderr}");
    }
}
