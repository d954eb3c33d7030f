//! What a stopped run has left: by what is at the source and at the destination, it is done or it is not.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::worker::{Worker, tmp};
use crate::delivery::files;
use crate::delivery::journal::{Act, Kind, State};
use crate::maildir::unique_name;

/// What was found out about acts of which nobody knew the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// They had been done.
    pub done: u64,
    /// They had not, and are decided anew.
    pub forgotten: u64,
    /// Those of which that cannot be found out, and why. Their mails are left alone until it can.
    pub left: Vec<String>,
}

impl Worker {
    /// Settles what is unfinished. To be done before anything else, and by nobody else meanwhile.
    pub(super) fn settle(&mut self) -> Result<Settled> {
        let mut acts = self.journal.unfinished()?;
        let mut settled = Settled::default();
        for act in &mut acts {
            match self.check(&act.folder).and_then(|()| self.state_of(act)) {
                Ok(State::Done) => (act.state, settled.done) = (State::Done, settled.done + 1),
                Ok(state) => (act.state, settled.forgotten) = (state, settled.forgotten + 1),
                Err(error) => {
                    let name = String::from_utf8_lossy(&act.name).into_owned();
                    settled.left.push(format!(
                        "{name} in {}: what a stopped run has left cannot be settled: {error}",
                        act.source.display()
                    ));
                }
            }
        }
        acts.retain(|act| act.state != State::Intended);
        self.conclude(&acts)?;
        self.finder.forget();
        Ok(settled)
    }

    fn state_of(&mut self, act: &mut Act) -> io::Result<State> {
        match act.kind {
            Kind::Move | Kind::Back => self.state_of_move(act),
            Kind::Header => self.state_of_rewriting(act),
            Kind::Copy | Kind::Link => match self.written(act)? {
                Some(copy) => {
                    if act.kind == Kind::Copy {
                        act.sha = Some(files::sha(&copy)?);
                    }
                    Ok(State::Done)
                }
                None => clear_tmp(act),
            },
            Kind::Remove => Ok(match self.source(act)? {
                Some(_) => State::Forgotten,
                None => State::Done,
            }),
            // Nothing of these can be seen. A tag that is put twice is one; a command that was in the midst runs again.
            Kind::Tag | Kind::Exec => Ok(State::Forgotten),
        }
    }

    /// The message where it was.
    fn source(&mut self, act: &Act) -> io::Result<Option<PathBuf>> {
        self.finder.file(&act.source, unique_name(OsStr::from_bytes(&act.name)), act.file)
    }

    /// The message where it goes, whatever file it is.
    fn written(&mut self, act: &Act) -> io::Result<Option<PathBuf>> {
        self.finder.file(&act.folder, unique_name(OsStr::from_bytes(&act.base)), None)
    }

    fn state_of_move(&mut self, act: &Act) -> io::Result<State> {
        match (self.source(act)?, self.written(act)?) {
            (None, Some(_)) => Ok(State::Done),
            (None, None) => clear_tmp(act).map(|_| State::Gone),
            (Some(_), None) => clear_tmp(act),
            // It was moved to another file system, but for the last step.
            (Some(source), Some(moved)) if files::are_same(&source, &moved)? => {
                leave(&moved, &source)?;
                Ok(State::Done)
            }
            // Another message has that name.
            (Some(_), Some(_)) => Ok(State::Forgotten),
        }
    }

    /// A message that was written anew has its name once it is whole.
    fn state_of_rewriting(&mut self, act: &mut Act) -> io::Result<State> {
        let source = self.source(act)?;
        let Some(written) = self.written(act)? else {
            return clear_tmp(act).map(|state| if source.is_none() { State::Gone } else { state });
        };
        let sha = files::sha(&written)?;
        // What undoes has the name that the message had before, which another may have by now.
        if act.sha.is_some_and(|expected| expected != sha) {
            return clear_tmp(act);
        }
        act.sha = Some(sha);
        if let Some(source) = source {
            leave(&written, &source)?;
        }
        Ok(State::Done)
    }
}

/// Removes what stands elsewhere under `written`, once that is on the disk.
fn leave(written: &Path, source: &Path) -> io::Result<()> {
    if let Some(folder) = written.parent() {
        files::sync(folder)?;
    }
    fs::remove_file(source)
}

/// Removes what a copy was to become.
fn clear_tmp(act: &Act) -> io::Result<State> {
    match fs::remove_file(tmp(act)) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Err(error),
        _ => Ok(State::Forgotten),
    }
}
