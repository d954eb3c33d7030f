//! What the journal keeps, and what it refuses.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::*;

fn act(run: i64) -> Act {
    let source = Path::new(OsStr::from_bytes(b"/m\xff\n")).to_path_buf();
    Act { run, label: "a".into(), score: 0.5, ..Act::new(Kind::Copy, source, b"1.\xfe".to_vec()) }
}

#[test]
fn acts_come_back_as_they_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file:j?mode=memory");
    let mut journal = Journal::open(&path).unwrap();
    let run = journal.begin(None).unwrap();
    let mut acts = [act(run), Act { key: Some([1; 32]), last: false, ..act(run) }];
    journal.intend(&mut acts).unwrap();
    drop(journal);
    let mut journal = Journal::open(&path).unwrap();
    assert_eq!(journal.unfinished().unwrap(), acts);
    assert!(!journal.is_done(&[1; 32]).unwrap());
    for act in &mut acts {
        (act.state, act.sha, act.status, act.detail) = (State::Done, Some([2; 32]), Some(3), Some("x".into()));
    }
    journal.conclude(&acts).unwrap();
    acts.reverse();
    assert_eq!((journal.unfinished().unwrap(), journal.done_by(run).unwrap()), (vec![], acts.to_vec()));
    assert!(journal.is_done(&[1; 32]).unwrap());
    // Of two acts for one mail only the last counts it.
    let counters = journal.counters().unwrap();
    let of = |name: &str, label: &str| counters.get(&(name.to_string(), label.to_string())).copied();
    assert_eq!((of("mailsort_mails_total", "a"), of("mailsort_actions_total", "copy")), (Some(1.0), Some(2.0)));
}

#[test]
fn undoing_marks_what_was_undone() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("j")).unwrap();
    let run = journal.begin(None).unwrap();
    let mut acts = [Act { key: Some([1; 32]), ..act(run) }];
    journal.intend(&mut acts).unwrap();
    acts[0].state = State::Done;
    journal.conclude(&acts).unwrap();
    assert_eq!(journal.last_run().unwrap(), Some(run));
    let undoing = journal.begin(Some(run)).unwrap();
    let mut back = [Act { kind: Kind::Remove, undoes: Some(acts[0].id), ..act(undoing) }];
    journal.intend(&mut back).unwrap();
    back[0].state = State::Done;
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
    let said = |path: &Path| format!("{:#}", Journal::open(path).err().unwrap());
    assert!(said(&path).contains("of another program"), "{}", said(&path));
    let path = folder.path().join("newer");
    drop(Journal::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
    assert!(said(&path).contains("made by a newer mailsort"), "{}", said(&path));
    assert!(said(folder.path()).contains("is no file"));
    assert!(Journal::open_to_read(&folder.path().join("gone")).is_err());
}
