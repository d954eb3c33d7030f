//! What is made of every state that a stopped run can leave.

use std::fs;
use std::path::Path;

use super::*;
use crate::delivery::journal::FileId;

/// A source and a destination, a journal, and one act whose end nobody knows.
struct Stopped {
    folder: tempfile::TempDir,
    kind: Kind,
    file: Option<FileId>,
}

impl Stopped {
    fn new(kind: Kind, files: &[(&str, &str)]) -> Self {
        let stopped = Self { folder: tempfile::tempdir().unwrap(), kind, file: None };
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

    fn worker(&self) -> Worker {
        let root = self.folder.path();
        let journal = Journal::open(&root.join("journal"), root).unwrap();
        Worker::new(journal, Tree::new(root, None).unwrap())
    }

    fn act(&self, run: i64) -> Act {
        let at = |name: &str| self.folder.path().join(name);
        let new = Act::new(self.kind, at("a"), b"1.x".to_vec());
        let (key, file) = (Some([7; 32]), self.file);
        Act { run, folder: at("b"), base: b"1.x,S=3".to_vec(), key, file, label: "l".into(), ..new }
    }

    /// Settles it: what came of it, and the files that are there then.
    fn settled(&self) -> (State, Vec<String>) {
        let mut worker = self.worker();
        let run = worker.journal.begin(None).unwrap();
        worker.journal.intend(&mut [self.act(run)]).unwrap();
        // Another process does it.
        drop(worker);
        let mut worker = self.worker();
        let settled = worker.settle().unwrap();
        assert_eq!((settled.done + settled.forgotten, worker.journal.unfinished().unwrap()), (1, vec![]));
        assert_eq!(worker.journal.is_done(&[7; 32]).unwrap(), settled.done == 1);
        assert_eq!(worker.settle().unwrap(), Settled::default(), "a second time there is nothing");
        let state = worker.journal.runs().unwrap()[0].acts.keys().next().map(|(_, state)| state.to_string()).unwrap();
        let states = [State::Done, State::Forgotten, State::Gone];
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
        (&[("a/new/1.x", "1")][..], State::Forgotten, &["a/new/1.x"][..]),
        (&[("a/cur/1.x:2,F", "1"), ("b/tmp/1.x,S=3", "")], State::Forgotten, &["a/cur/1.x:2,F"]),
        (&[("a/new/1.x", "1"), ("b/new/1.x,S=3", "1")], State::Done, &["b/new/1.x,S=3"]),
        (&[("a/cur/1.x:2,F", "1"), ("b/new/1.x,S=3", "1")], State::Done, &["b/new/1.x,S=3"]),
        (&[("a/new/1.x", "1"), ("b/new/1.x,S=3", "2")], State::Forgotten, &["a/new/1.x", "b/new/1.x,S=3"]),
        (&[("b/new/1.x,S=3", "1")], State::Done, &["b/new/1.x,S=3"]),
        (&[("b/cur/1.x,S=3:2,S", "1")], State::Done, &["b/cur/1.x,S=3:2,S"]),
        (&[], State::Gone, &[]),
        (&[("b/tmp/1.x,S=3", "")], State::Gone, &[]),
    ] {
        for kind in [Kind::Move, Kind::Back] {
            let after: Vec<String> = after.iter().map(|name| name.to_string()).collect();
            assert_eq!(Stopped::new(kind, before).settled(), (state, after), "{before:?}");
        }
    }
}

#[test]
fn one_file_with_two_names_is_moved_to_the_end() {
    let stopped = Stopped::new(Kind::Move, &[("a/new/1.x", "1")]);
    let at = |name: &str| stopped.folder.path().join(name);
    fs::hard_link(at("a/new/1.x"), at("b/new/1.x,S=3")).unwrap();
    assert_eq!(stopped.settled(), (State::Done, vec!["b/new/1.x,S=3".into()]));
}

#[test]
fn another_message_of_the_same_name_is_left_alone() {
    // The rename was done, and what still has the name is another message, of the same bytes.
    let mut stopped = Stopped::new(Kind::Move, &[("a/new/1.x", "1"), ("a/cur/1.x:2,S", "1")]);
    let at = |stopped: &Stopped, name: &str| stopped.folder.path().join(name);
    stopped.file = Some(files::id(&at(&stopped, "a/new/1.x")).unwrap());
    fs::rename(at(&stopped, "a/new/1.x"), at(&stopped, "b/new/1.x,S=3")).unwrap();
    assert_eq!(stopped.settled(), (State::Done, vec!["a/cur/1.x:2,S".into(), "b/new/1.x,S=3".into()]));
    // Nothing was done, and both are there.
    let mut stopped = Stopped::new(Kind::Move, &[("a/new/1.x", "1"), ("a/cur/1.x:2,S", "1")]);
    stopped.file = Some(files::id(&at(&stopped, "a/new/1.x")).unwrap());
    assert_eq!(stopped.settled(), (State::Forgotten, vec!["a/cur/1.x:2,S".into(), "a/new/1.x".into()]));
}

#[test]
fn what_is_deleted_meanwhile_is_not_taken_for_its_twin() {
    let mut stopped = Stopped::new(Kind::Move, &[("a/new/1.x", "1"), ("a/cur/1.x:2,S", "twin")]);
    let new = stopped.folder.path().join("a/new/1.x");
    stopped.file = Some(files::id(&new).unwrap());
    let mut act = stopped.act(1);
    fs::remove_file(&new).unwrap();
    stopped.worker().act(&mut act, Details { listed: Some(&new), ..Details::default() });
    assert_eq!((act.state, files_of(&stopped)), (State::Gone, vec!["a/cur/1.x:2,S".into()]));
}

fn files_of(stopped: &Stopped) -> Vec<String> {
    found(stopped.folder.path())
}

#[test]
fn every_state_of_other_acts_is_settled() {
    let (original, copy) = (("a/new/1.x", "1"), ("b/new/1.x,S=3", "1"));
    for (kind, before, state, after) in [
        (Kind::Copy, &[original][..], State::Forgotten, &["a/new/1.x"][..]),
        (Kind::Copy, &[original, ("b/tmp/1.x,S=3", "")], State::Forgotten, &["a/new/1.x"]),
        (Kind::Copy, &[original, copy], State::Done, &["a/new/1.x", "b/new/1.x,S=3"]),
        (Kind::Copy, &[copy], State::Done, &["b/new/1.x,S=3"]),
        (Kind::Link, &[original], State::Forgotten, &["a/new/1.x"]),
        (Kind::Link, &[original, copy], State::Done, &["a/new/1.x", "b/new/1.x,S=3"]),
        (Kind::Header, &[original], State::Forgotten, &["a/new/1.x"]),
        (Kind::Header, &[original, ("b/tmp/1.x,S=3", "")], State::Forgotten, &["a/new/1.x"]),
        (Kind::Header, &[original, ("b/new/1.x,S=3", "H")], State::Done, &["b/new/1.x,S=3"]),
        (Kind::Header, &[("b/cur/1.x,S=3:2,S", "H")], State::Done, &["b/cur/1.x,S=3:2,S"]),
        (Kind::Header, &[], State::Gone, &[]),
        (Kind::Remove, &[original], State::Forgotten, &["a/new/1.x"]),
        (Kind::Remove, &[], State::Done, &[]),
        (Kind::Exec, &[original], State::Forgotten, &["a/new/1.x"]),
        (Kind::Tag, &[original], State::Forgotten, &["a/new/1.x"]),
    ] {
        let after: Vec<String> = after.iter().map(|name| name.to_string()).collect();
        assert_eq!(Stopped::new(kind, before).settled(), (state, after), "{kind:?} {before:?}");
    }
}
