//! What the journal keeps, and what it refuses.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::*;

fn entry(run: i64) -> JournalEntry {
    let source = Path::new(OsStr::from_bytes(b"/m\xff\n")).to_path_buf();
    JournalEntry {
        run,
        label: "a".into(),
        score: 0.5,
        file: Some((1 << 63, 7)),
        ..JournalEntry::new(Operation::Copy, source, b"1.\xfe".to_vec())
    }
}

#[test]
fn entries_come_back_as_they_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file:j?mode=memory");
    let mut journal = Journal::open(&path, folder.path()).unwrap();
    let run = journal.begin(None).unwrap();
    let mut entries = [entry(run), JournalEntry { key: Some([1; 32]), last: false, ..entry(run) }];
    journal.intend(&mut entries).unwrap();
    drop(journal);
    let mut journal = Journal::open(&path, folder.path()).unwrap();
    assert_eq!(journal.unfinished().unwrap(), entries);
    assert!(!journal.is_done(&[1; 32]).unwrap());
    for entry in &mut entries {
        (entry.state, entry.sha, entry.status, entry.detail) =
            (EntryState::Done, Some([2; 32]), Some(3), Some("x".into()));
    }
    journal.conclude(&entries).unwrap();
    entries.reverse();
    assert_eq!((journal.unfinished().unwrap(), journal.done_by(run).unwrap()), (vec![], entries.to_vec()));
    assert!(journal.is_done(&[1; 32]).unwrap());
    // Of two entries for one mail only the last counts it.
    let counters = journal.counters().unwrap();
    let of = |name: &str, label: &str| counters.get(&(name.to_string(), label.to_string())).copied();
    assert_eq!((of("mailsort_mails_total", "a"), of("mailsort_actions_total", "copy")), (Some(1.0), Some(2.0)));
}

#[test]
fn undoing_marks_what_was_undone() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("j"), folder.path()).unwrap();
    let run = journal.begin(None).unwrap();
    let mut entries = [JournalEntry { key: Some([1; 32]), ..entry(run) }];
    journal.intend(&mut entries).unwrap();
    entries[0].state = EntryState::Done;
    journal.conclude(&entries).unwrap();
    assert_eq!(journal.last_run().unwrap(), Some(run));
    let undoing = journal.begin(Some(run)).unwrap();
    let mut back = [JournalEntry { operation: Operation::Remove, undoes: Some(entries[0].id), ..entry(undoing) }];
    journal.intend(&mut back).unwrap();
    back[0].state = EntryState::Done;
    journal.conclude(&back).unwrap();
    assert_eq!((journal.last_run().unwrap(), journal.done_by(run).unwrap()), (None, vec![]));
    assert!(!journal.is_done(&[1; 32]).unwrap(), "it may be done again");
    assert_eq!((journal.run(undoing).unwrap(), journal.run(9).unwrap()), (Some(Some(run)), None));
}

#[test]
fn databases_of_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE mine (x)").unwrap();
    drop(other);
    let said = |path: &Path| format!("{:#}", Journal::open(path, folder.path()).err().unwrap());
    assert!(said(&path).contains("of another program"), "{}", said(&path));
    let path = folder.path().join("newer");
    drop(Journal::open(&path, folder.path()).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
    assert!(said(&path).contains("made by a newer mailsort"), "{}", said(&path));
    assert!(said(folder.path()).contains("is not a file"));
    assert!(Journal::open_to_read(&folder.path().join("gone")).is_err());
}

#[test]
fn a_database_of_others_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE mine (x); INSERT INTO mine VALUES (1)").unwrap();
    drop(other);
    let before = std::fs::read(&path).unwrap();
    assert!(Journal::open(&path, folder.path()).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(!folder.path().join("other.db-journal").exists());
}

/// A journal with one finished and one unfinished entry about a message outside of the tree.
fn with_entries(root: &Path) -> (PathBuf, i64) {
    let path = root.join("j");
    let mut journal = Journal::open(&path, root).unwrap();
    let run = journal.begin(None).unwrap();
    let inside = |operation: Operation| JournalEntry {
        folder: root.join("in"),
        base: b"2.b".to_vec(),
        source: root.to_path_buf(),
        operation,
        ..entry(run)
    };
    let mut entries = [inside(Operation::Move), entry(run), entry(run)];
    journal.intend(&mut entries).unwrap();
    entries[1].state = EntryState::Done;
    journal.conclude(&entries[1..2]).unwrap();
    (path, run)
}

#[test]
fn a_journal_moves_with_its_tree_and_serves_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (root, moved) = (folder.path().join("a"), folder.path().join("b"));
    std::fs::create_dir(&root).unwrap();
    let (_, run) = with_entries(&root);
    std::fs::rename(&root, &moved).unwrap();
    let journal = Journal::open(&moved.join("j"), &moved).unwrap();
    let unfinished = journal.unfinished().unwrap();
    assert_eq!((&unfinished[0].folder, &unfinished[0].source), (&moved.join("in"), &moved));
    assert_eq!((unfinished.len(), journal.done_by(run).unwrap().len()), (2, 1));
    drop(journal);
    // A copy knows that it is one while the other is there, and of no place outside when that is gone.
    let copy = folder.path().join("c");
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(moved.join("j"), copy.join("j")).unwrap();
    let said = format!("{:#}", Journal::open(&copy.join("j"), &copy).err().unwrap());
    assert!(said.contains("it belongs to the tree") && said.contains("/b"), "{said}");
    std::fs::remove_dir_all(&moved).unwrap();
    let journal = Journal::open(&copy.join("j"), &copy).unwrap();
    let unfinished = journal.unfinished().unwrap();
    assert_eq!((unfinished.len(), &unfinished[0].folder), (1, &copy.join("in")));
    assert_eq!(journal.done_by(run).unwrap(), []);
}

#[test]
fn what_leads_elsewhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (column, value) in [("base", "/etc/passwd"), ("name", "../x"), ("folder", "../../x"), ("source", "a/../../b")] {
        let root = folder.path().join(column);
        std::fs::create_dir(&root).unwrap();
        let (path, _) = with_entries(&root);
        let database = Connection::open(&path).unwrap();
        database.execute(&format!("UPDATE acts SET {column} = ?1"), [value.as_bytes()]).unwrap();
        let said = format!("{:#}", Journal::open(&path, &root).unwrap().unfinished().unwrap_err());
        assert!(said.contains("move it away"), "{said}");
    }
}

#[test]
fn a_run_in_vain_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("j"), folder.path()).unwrap();
    for state in [EntryState::Failed, EntryState::Gone, EntryState::Forgotten, EntryState::Done] {
        let run = journal.begin(None).unwrap();
        let mut entries = [entry(run)];
        journal.intend(&mut entries).unwrap();
        entries[0].state = state;
        journal.conclude(&entries).unwrap();
        assert_eq!(journal.end(run, 0, 1).unwrap(), state == EntryState::Done);
    }
    assert_eq!(journal.runs().unwrap().len(), 1);
}

#[test]
fn what_is_concluded_twice_is_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("j"), folder.path()).unwrap();
    let run = journal.begin(None).unwrap();
    let mut entries = [entry(run)];
    journal.intend(&mut entries).unwrap();
    entries[0].state = EntryState::Done;
    journal.conclude(&entries).unwrap();
    journal.conclude(&entries).unwrap();
    assert_eq!(journal.counters().unwrap().values().copied().collect::<Vec<_>>(), [1.0, 1.0]);
}
