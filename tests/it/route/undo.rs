//! What a run has done, put back.

use std::fs;

use super::*;

fn undo(home: &Home, run: &str) -> Run {
    mailsort(["route", "Maildir", "--undo", run]).in_folder(home.folder.path())
}

#[test]
fn moves_go_back_with_the_flags_of_now() {
    let home = Home::new(ONE);
    home.put("new/1.a.h", INVOICE);
    home.put("cur/2.b.h,S=5,U=7:2,F", INVOICE);
    home.put("new/3.c.h", INVOICE);
    home.routed(&[], 0);
    let folder = home.path("Maildir/.Money.Invoices");
    fs::rename(folder.join("new/1.a.h"), folder.join("cur/1.a.h:2,S")).unwrap();
    fs::remove_file(folder.join("new/3.c.h")).unwrap();
    let said = ended(undo(&home, "last"), 0);
    assert!(said.contains("undid run 1: 2 moved back") && said.contains("1 no longer where"), "{said}");
    assert_eq!(home.mails(), ["cur/1.a.h:2,S", "cur/2.b.h,S=5:2,F"]);
    // Again: what was put back stays, and nothing is said to be back twice.
    assert!(ended(undo(&home, "1"), 0).contains("0 moved back"));
    assert!(ended(undo(&home, "last"), 2).contains("no run in"));
    assert_eq!(home.mails(), ["cur/1.a.h:2,S", "cur/2.b.h,S=5:2,F"]);
    // And it can be routed again.
    assert!(home.routed(&[], 0).contains("2 moved"));
    let runs = mailsort(["route", "Maildir", "--runs"]).in_folder(home.folder.path()).output();
    let runs = String::from_utf8(runs.stdout).unwrap();
    assert!(runs.contains("move 2, undone 2") && runs.contains("back 2 (undid run 1)"), "{runs}");
}

#[test]
fn copies_go_only_while_their_original_is_there() {
    for action in ["copy", "link"] {
        let home = Home::new(&format!("action = \"{action}\"\n{ONE}"));
        for name in ["1.a.h", "2.b.h", "3.c.h"] {
            home.put(&format!("new/{name}"), &format!("{INVOICE}{name}\n"));
        }
        home.routed(&[], 0);
        let folder = home.path("Maildir/.Money.Invoices/new");
        let copy_of = |name: &str| {
            let has = |path: &PathBuf| fs::read_to_string(path).unwrap().contains(name);
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).find(has).unwrap()
        };
        fs::remove_file(home.path("Maildir/new/1.a.h")).unwrap();
        let changed = copy_of("2.b.h");
        fs::remove_file(&changed).unwrap();
        fs::write(&changed, "other").unwrap();
        let said = ended(undo(&home, "last"), 1);
        assert!(said.contains("1 copy or link removed"), "{said}");
        assert!(
            said.contains("no longer there, so it is kept") && said.contains("was changed, so it is kept"),
            "{said}"
        );
        assert_eq!(home.mails().len(), 4, "{:?}", home.mails());
        // What is gone again may be made again.
        assert!(home.routed(&[], 0).contains("1 "));
    }
}

#[test]
fn copies_of_a_mailbox_go_while_it_holds_them() {
    let home = Home::new(BOTH);
    let mail = |body: &str| format!("From a@b Sat Jan  3 01:05:34 1996\nSubject: {body}\n");
    fs::write(home.path("all.mbox"), [mail(INVOICE), mail(MEETING)].concat()).unwrap();
    let route = |flags: &[&str]| mailsort(["route", "--into", "Sorted"]).args(flags).in_folder(home.folder.path());
    ended(route(&["all.mbox", "--rules", "rules.toml"]), 0);
    fs::write(home.path("all.mbox"), mail(INVOICE)).unwrap();
    let said = ended(route(&["--undo", "last"]), 1);
    assert!(said.contains("1 copy or link removed") && said.contains("no longer holds it"), "{said}");
    assert_eq!(mails(&home.path("Sorted")).len(), 1);
}

#[test]
fn what_cannot_be_undone_is_named() {
    let home = Home::new("labels = \"labels.txt\"\n[[rule]]\nlabel = \"invoice\"\nexec = [\"true\"]\n");
    assert!(ended(undo(&home, "last"), 2).contains("nothing was sorted here yet"));
    home.put("new/1.a.h", INVOICE);
    home.routed(&[], 0);
    assert!(ended(undo(&home, "last"), 0).contains("1 message was given to a command, which cannot be undone"));
    assert!(ended(undo(&home, "last"), 2).contains("can be undone"));
    assert!(ended(undo(&home, "7"), 2).contains("there is no run 7"));
    assert!(ended(undo(&home, "2"), 2).contains("run 2 is the undo of run 1"));
    assert!(home.routed(&[], 0).contains("1 given to a command"), "as if it had not been done");
}
