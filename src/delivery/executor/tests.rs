//! Recovery of every state that a stopped run can leave.

use std::fs;
use std::path::Path;

use super::*;
use crate::delivery::files::FileId;

/// A source and a destination maildir, a journal, and one unfinished entry.
struct Stopped {
    folder: tempfile::TempDir,
    operation: Operation,
    file: Option<FileId>,
}

impl Stopped {
    fn new(operation: Operation, files: &[(&str, &str)]) -> Self {
        let stopped = Self { folder: tempfile::tempdir().unwrap(), operation, file: None };
        for maildir in ["a", "b"] {
            for own in ["cur", "new", "tmp"] {
                fs::create_dir_all(stopped.folder.path().join(maildir).join(own)).unwrap();
            }
        }
        for (name, text) in files {
            fs::write(stopped.folder.path().join(name), text).unwrap();
        }
        stopped
    }

    fn executor(&self) -> Executor {
        let root = self.folder.path();
        let journal = Journal::open(&root.join("journal"), root).unwrap();
        Executor::new(journal, MaildirTree::new(root, None).unwrap())
    }

    fn entry(&self, run: i64) -> JournalEntry {
        let at = |name: &str| self.folder.path().join(name);
        let new = JournalEntry::new(self.operation, at("a"), b"1.x".to_vec());
        let (key, file) = (Some([7; 32]), self.file);
        JournalEntry { run, folder: at("b"), base: b"1.x,S=3".to_vec(), key, file, label: "l".into(), ..new }
    }

    /// Its state after recovery, and the files that are left.
    fn settled(&self) -> (EntryState, Vec<String>) {
        let mut executor = self.executor();
        let run = executor.journal.begin(None).unwrap();
        executor.journal.intend(&mut [self.entry(run)]).unwrap();
        // Another process recovers.
        drop(executor);
        let mut executor = self.executor();
        let settled = executor.recover().unwrap();
        assert_eq!((settled.done + settled.forgotten, executor.journal.unfinished().unwrap()), (1, vec![]));
        assert_eq!(executor.journal.is_done(&[7; 32]).unwrap(), settled.done == 1);
        assert_eq!(executor.recover().unwrap(), Recovery::default(), "a second time there is nothing");
        let state =
            executor.journal.runs().unwrap()[0].entries.keys().next().map(|(_, state)| state.to_string()).unwrap();
        let states = [EntryState::Done, EntryState::Forgotten, EntryState::Gone];
        (states.into_iter().find(|known| known.name() == state).unwrap(), found(self.folder.path()))
    }
}

fn found(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for maildir in ["a", "b"] {
        for own in ["cur", "new", "tmp"] {
            for entry in fs::read_dir(root.join(maildir).join(own)).unwrap() {
                found.push(format!("{maildir}/{own}/{}", entry.unwrap().file_name().to_string_lossy()));
            }
        }
    }
    found
}

#[test]
fn every_state_of_a_move_is_settled() {
    for (before, state, after) in [
        (&[("a/new/1.x", "1")][..], EntryState::Forgotten, &["a/new/1.x"][..]),
        (&[("a/cur/1.x:2,F", "1"), ("b/tmp/1.x,S=3", "")], EntryState::Forgotten, &["a/cur/1.x:2,F"]),
        (&[("a/new/1.x", "1"), ("b/new/1.x,S=3", "1")], EntryState::Done, &["b/new/1.x,S=3"]),
        (&[("a/cur/1.x:2,F", "1"), ("b/new/1.x,S=3", "1")], EntryState::Done, &["b/new/1.x,S=3"]),
        (&[("a/new/1.x", "1"), ("b/new/1.x,S=3", "2")], EntryState::Forgotten, &["a/new/1.x", "b/new/1.x,S=3"]),
        (&[("b/new/1.x,S=3", "1")], EntryState::Done, &["b/new/1.x,S=3"]),
        (&[("b/cur/1.x,S=3:2,S", "1")], EntryState::Done, &["b/cur/1.x,S=3:2,S"]),
        (&[], EntryState::Gone, &[]),
        (&[("b/tmp/1.x,S=3", "")], EntryState::Gone, &[]),
    ] {
        for operation in [Operation::Move, Operation::Back] {
            let after: Vec<String> = after.iter().map(|name| name.to_string()).collect();
            assert_eq!(Stopped::new(operation, before).settled(), (state, after), "{before:?}");
        }
    }
}

#[test]
fn one_file_with_two_names_is_moved_to_the_end() {
    let stopped = Stopped::new(Operation::Move, &[("a/new/1.x", "1")]);
    let at = |name: &str| stopped.folder.path().join(name);
    fs::hard_link(at("a/new/1.x"), at("b/new/1.x,S=3")).unwrap();
    assert_eq!(stopped.settled(), (EntryState::Done, vec!["b/new/1.x,S=3".into()]));
}

#[test]
fn another_message_of_the_same_name_is_left_alone() {
    // The rename was done, and what still has the name is another message, of the same bytes.
    let mut stopped = Stopped::new(Operation::Move, &[("a/new/1.x", "1"), ("a/cur/1.x:2,S", "1")]);
    let at = |stopped: &Stopped, name: &str| stopped.folder.path().join(name);
    stopped.file = Some(files::id(&at(&stopped, "a/new/1.x")).unwrap());
    fs::rename(at(&stopped, "a/new/1.x"), at(&stopped, "b/new/1.x,S=3")).unwrap();
    assert_eq!(stopped.settled(), (EntryState::Done, vec!["a/cur/1.x:2,S".into(), "b/new/1.x,S=3".into()]));
    // Nothing was done, and both are there.
    let mut stopped = Stopped::new(Operation::Move, &[("a/new/1.x", "1"), ("a/cur/1.x:2,S", "1")]);
    stopped.file = Some(files::id(&at(&stopped, "a/new/1.x")).unwrap());
    assert_eq!(stopped.settled(), (EntryState::Forgotten, vec!["a/cur/1.x:2,S".into(), "a/new/1.x".into()]));
}

#[test]
fn what_is_deleted_meanwhile_is_not_taken_for_its_twin() {
    let mut stopped = Stopped::new(Operation::Move, &[("a/new/1.x", "1"), ("a/cur/1.x:2,S", "twin")]);
    let new = stopped.folder.path().join("a/new/1.x");
    stopped.file = Some(files::id(&new).unwrap());
    let mut entry = stopped.entry(1);
    fs::remove_file(&new).unwrap();
    stopped.executor().execute(&mut entry, Payload { listed: Some(&new), ..Payload::default() });
    assert_eq!((entry.state, files_of(&stopped)), (EntryState::Gone, vec!["a/cur/1.x:2,S".into()]));
}

fn files_of(stopped: &Stopped) -> Vec<String> {
    found(stopped.folder.path())
}

#[test]
fn every_state_of_other_acts_is_settled() {
    let (original, copy) = (("a/new/1.x", "1"), ("b/new/1.x,S=3", "1"));
    for (operation, before, state, after) in [
        (Operation::Copy, &[original][..], EntryState::Forgotten, &["a/new/1.x"][..]),
        (Operation::Copy, &[original, ("b/tmp/1.x,S=3", "")], EntryState::Forgotten, &["a/new/1.x"]),
        (Operation::Copy, &[original, copy], EntryState::Done, &["a/new/1.x", "b/new/1.x,S=3"]),
        (Operation::Copy, &[copy], EntryState::Done, &["b/new/1.x,S=3"]),
        (Operation::Link, &[original], EntryState::Forgotten, &["a/new/1.x"]),
        (Operation::Link, &[original, copy], EntryState::Done, &["a/new/1.x", "b/new/1.x,S=3"]),
        (Operation::Header, &[original], EntryState::Forgotten, &["a/new/1.x"]),
        (Operation::Header, &[original, ("b/tmp/1.x,S=3", "")], EntryState::Forgotten, &["a/new/1.x"]),
        (Operation::Header, &[original, ("b/new/1.x,S=3", "H")], EntryState::Done, &["b/new/1.x,S=3"]),
        (Operation::Header, &[("b/cur/1.x,S=3:2,S", "H")], EntryState::Done, &["b/cur/1.x,S=3:2,S"]),
        (Operation::Header, &[], EntryState::Gone, &[]),
        (Operation::Remove, &[original], EntryState::Forgotten, &["a/new/1.x"]),
        (Operation::Remove, &[], EntryState::Done, &[]),
        (Operation::Exec, &[original], EntryState::Forgotten, &["a/new/1.x"]),
        (Operation::Tag, &[original], EntryState::Forgotten, &["a/new/1.x"]),
    ] {
        let after: Vec<String> = after.iter().map(|name| name.to_string()).collect();
        assert_eq!(Stopped::new(operation, before).settled(), (state, after), "{operation:?} {before:?}");
    }
}
