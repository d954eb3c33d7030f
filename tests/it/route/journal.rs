//! A journal of an earlier version: opened, recovered, continued and undone.

use std::fs;

use super::*;

/// The names that this version gave to the copy and to the message with a header.
const COPY: &str = "1795929569.M248667P8583Q0.vm";
pub(crate) const REWRITTEN: &str = "1795929571.M377554P8591Q0.vm";

/// The tree that `journal.sql` is of.
pub(crate) fn old_tree() -> Home {
    let home = Home::new(&BOTH.replace("\"Meetings\"", "\"Meetings\"\naction = \"copy\""));
    let message = |id: &str, subject: &str| format!("Message-ID: <{id}@example.org>\nSubject: {subject}");
    let marked =
        message("3.c.h", INVOICE).replacen("\n\n", "\nX-Mailsort: invoice; score=0.9999; model=builtin\n\n", 1);
    for (path, text) in [
        (".Invoices/new/1.a.h", message("1.a.h", INVOICE)),
        ("new/2.b.h", message("2.b.h", MEETING)),
        (&format!(".Meetings/new/{COPY}"), message("2.b.h", MEETING)),
        (&format!("new/{REWRITTEN}"), marked),
        (".Invoices/new/4.d.h", message("4.d.h", INVOICE)),
    ] {
        let path = home.path("Maildir").join(path);
        for own in ["cur", "new", "tmp"] {
            fs::create_dir_all(path.parent().unwrap().with_file_name(own)).unwrap();
        }
        fs::write(&path, text).unwrap();
        age(&path);
    }
    let journal = rusqlite::Connection::open(home.path("Maildir/mailsort-journal.sqlite")).unwrap();
    journal.execute_batch(include_str!("journal.sql")).unwrap();
    // Runs can be undone for half a year.
    journal.execute_batch("UPDATE runs SET started = unixepoch(), ended = unixepoch()").unwrap();
    home
}

#[test]
fn a_journal_of_the_version_before_is_continued_and_undone() {
    let home = old_tree();
    let undo = |run: &str| ended(mailsort(["route", "Maildir", "--undo", run]).in_folder(home.folder.path()), 0);
    let actions: Vec<String> = plan(home.route(&[])).iter().map(|plan| plan["action"].to_string()).collect();
    assert_eq!(actions, ["\"move\"", "\"done\""], "the copy is known by its key");
    let said = home.routed(&["--metrics", "metrics.prom"], 0);
    assert!(
        said.contains("1 of its operations were done, 0 were not") && said.contains("2 messages: 1 moved (run 3)"),
        "{said}"
    );
    let metrics = fs::read_to_string(home.path("metrics.prom")).unwrap();
    assert!(metrics.contains("mailsort_actions_total{action=\"move\"} 3"), "{metrics}");
    assert!(undo("3").contains("1 moved back"));
    assert!(undo("2").contains("1 moved back"), "the header is taken out again");
    assert!(undo("1").contains("2 moved back, 1 copy or link removed"));
    assert_eq!(home.mails(), ["new/1.a.h", "new/2.b.h", "new/3.c.h", "new/4.d.h"]);
    let text = fs::read_to_string(home.path("Maildir/new/3.c.h")).unwrap();
    assert_eq!(text, format!("Message-ID: <3.c.h@example.org>\nSubject: {INVOICE}"));
}
