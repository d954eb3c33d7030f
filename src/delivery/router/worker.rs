//! Does what the journal says is about to be done.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use sha2::{Digest, Sha256};

use crate::delivery::files::{self, Content, Sha};
use crate::delivery::finder::Finder;
use crate::delivery::header::{self, Field};
use crate::delivery::journal::{Act, Journal, Kind, State};
use crate::delivery::tree::Tree;
use crate::maildir::Name;

/// How often a message is looked for that is renamed again and again.
const TRIES: usize = 20;

/// A longer message gets no header: all of it is held while it is written.
const LONGEST_MARKED: u64 = 256 << 20;

/// A journal, and the hands that do what it says.
pub(super) struct Worker {
    pub(super) journal: Journal,
    pub(super) tree: Tree,
    pub(super) finder: Finder,
    /// Folders in which names have changed.
    touched: BTreeSet<PathBuf>,
}

/// What an act needs to know beside the journal.
#[derive(Clone, Copy, Default)]
pub(super) struct Details<'d> {
    /// Where the message was seen last.
    pub(super) listed: Option<&'d Path>,
    /// The mail, if it is in no maildir.
    pub(super) bytes: Option<&'d [u8]>,
    /// True where it counts as seen from then on.
    pub(super) seen: bool,
    /// The headers that it gets, if it gets any.
    pub(super) fields: &'d [Field],
}

impl Worker {
    pub(super) fn new(journal: Journal, tree: Tree) -> Self {
        Self { journal, tree, finder: Finder::default(), touched: BTreeSet::new() }
    }

    /// Does an act that is about files, and notes what came of it.
    pub(super) fn act(&mut self, act: &mut Act, details: Details<'_>) {
        let done = match act.kind {
            Kind::Copy if details.bytes.is_some() => self.write(act, details),
            Kind::Remove => self.remove(act),
            _ => self.transfer(act, details),
        };
        act.state = done.unwrap_or_else(|error| {
            act.detail = Some(why(&error, act.kind));
            State::Failed
        });
    }

    /// Moves, copies or links a message of a maildir, wherever it is now.
    fn transfer(&mut self, act: &mut Act, details: Details<'_>) -> io::Result<State> {
        let mut path = match details.listed {
            Some(listed) => Some(listed.to_path_buf()),
            None => self.finder.find(&act.source, &act.name)?,
        };
        for _ in 0..TRIES {
            let Some(from) = path else {
                return Ok(State::Gone);
            };
            let to = act.folder.join(destination(&from, &act.base, details.seen));
            match self.transfer_from(&from, &to, act, details) {
                Ok(()) => {
                    self.touched.extend(from.parent().into_iter().chain(to.parent()).map(Path::to_path_buf));
                    return Ok(State::Done);
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_) if from.symlink_metadata().is_ok() => {
                    // It is there, so its folder is not.
                    self.tree.make(&act.folder).map_err(io::Error::other)?;
                    path = Some(from);
                }
                Err(_) => path = self.finder.again(&act.source, &act.name, &from)?,
            }
        }
        Err(io::Error::other("it is renamed all the time"))
    }

    fn transfer_from(&mut self, from: &Path, to: &Path, act: &mut Act, details: Details<'_>) -> io::Result<()> {
        if !from.symlink_metadata()?.is_file() {
            return Err(io::Error::other("it is a link or a folder and no message"));
        }
        match act.kind {
            Kind::Copy => act.sha = Some(files::copy(Content::File(from), &tmp(act), to)?),
            Kind::Link => fs::hard_link(from, to)?,
            Kind::Header => {
                act.sha = Some(rewrite(from, to, act, details.fields)?);
                self.leave(from, to, act, details.seen)?;
            }
            _ => match files::rename(from, to) {
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    // It is there, on the disk and under its name, before it goes here.
                    act.sha = Some(files::copy(Content::File(from), &tmp(act), to)?);
                    self.leave(from, to, act, details.seen)?;
                }
                renamed => renamed?,
            },
        }
        Ok(())
    }

    /// Removes a message that was written elsewhere, where its flags follow it.
    fn leave(&mut self, from: &Path, to: &Path, act: &Act, seen: bool) -> io::Result<()> {
        if let Some(folder) = to.parent() {
            files::sync(folder)?;
        }
        let (mut from, mut to) = (from.to_path_buf(), to.to_path_buf());
        loop {
            match fs::remove_file(&from) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => return removed,
            }
            // Its flags were changed meanwhile, and so its name.
            let Some(now) = self.finder.again(&act.source, &act.name, &from)? else {
                return Ok(());
            };
            let renamed = act.folder.join(destination(&now, &act.base, seen));
            if renamed != to && files::rename(&to, &renamed).is_ok() {
                to = renamed;
            }
            from = now;
        }
    }

    /// Writes a mail of a mailbox to a maildir.
    fn write(&mut self, act: &mut Act, details: Details<'_>) -> io::Result<State> {
        let bytes = details.bytes.unwrap_or_default();
        let to = act.folder.join(if details.seen { "cur" } else { "new" });
        let flags: &[u8] = if details.seen { b":2,S" } else { b"" };
        let name = [&act.base, flags].concat();
        let copy = || files::copy(Content::Bytes(bytes), &tmp(act), &to.join(OsStr::from_bytes(&name)));
        let written = match copy() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.tree.make(&act.folder).map_err(io::Error::other)?;
                copy()
            }
            written => written,
        };
        act.sha = Some(written?);
        self.touched.insert(to);
        Ok(State::Done)
    }

    /// Takes a copy or link away.
    fn remove(&mut self, act: &Act) -> io::Result<State> {
        let mut path = self.finder.find(&act.source, &act.name)?;
        for _ in 0..TRIES {
            let Some(found) = path else {
                return Ok(State::Gone);
            };
            match fs::remove_file(&found) {
                Ok(()) => {
                    self.touched.extend(found.parent().map(Path::to_path_buf));
                    return Ok(State::Done);
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_) => path = self.finder.again(&act.source, &act.name, &found)?,
            }
        }
        Err(io::Error::other("it is renamed all the time"))
    }

    /// Makes sure that names are on the disk, and writes down what came of the acts.
    pub(super) fn conclude(&mut self, acts: &[Act]) -> Result<()> {
        for folder in std::mem::take(&mut self.touched) {
            match files::sync(&folder) {
                // A folder may be gone by now, with all that was in it.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let shown = folder.display();
                    return Err(anyhow::Error::new(error).context(format!("cannot write the folder {shown}")));
                }
                _ => {}
            }
        }
        self.journal.conclude(acts)
    }
}

/// The name of a message in its new maildir, below that. New mail stays new, unless it shall count as seen.
fn destination(from: &Path, base: &[u8], seen: bool) -> PathBuf {
    let name = Name::new(from.file_name().unwrap_or_default());
    let is_new = from.parent().is_some_and(|folder| folder.ends_with("new"));
    let (folder, info) = match (is_new, seen) {
        (true, false) => ("new", name.info(b"", false)),
        (_, seen) => ("cur", name.info(if seen { b"S" } else { b"" }, true)),
    };
    Path::new(folder).join(OsStr::from_bytes(&[base, &info].concat()))
}

/// Writes a message anew, with headers of ours or without them. Returns the hash of what was written.
fn rewrite(from: &Path, to: &Path, act: &Act, fields: &[Field]) -> io::Result<Sha> {
    let file = File::open(from)?;
    let mut bytes = Vec::new();
    (&file).take(LONGEST_MARKED + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_MARKED {
        return Err(io::Error::other(format!("it is longer than {} MiB, so it gets no header", LONGEST_MARKED >> 20)));
    }
    let pieces = header::marked(&bytes, fields);
    if act.undoes.is_some() {
        let mut sha = Sha256::new();
        pieces.iter().for_each(|piece| sha.update(piece));
        if act.sha != Some(sha.finalize().into()) {
            let why = "it was changed, or had headers of our name before, so it is kept";
            return Err(io::Error::other(why));
        }
    }
    files::copy(Content::Pieces(&pieces, &file), &tmp(act), to)
}

/// Where a copy grows.
pub(super) fn tmp(act: &Act) -> PathBuf {
    act.folder.join("tmp").join(OsStr::from_bytes(&act.base))
}

/// Opens a message that may be renamed meanwhile; `None` when it is gone.
pub(super) fn open(finder: &mut Finder, act: &Act, listed: &Path) -> io::Result<Option<File>> {
    let mut path = Some(listed.to_path_buf());
    for _ in 0..TRIES {
        let Some(now) = path else {
            return Ok(None);
        };
        match File::open(&now) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                path = finder.again(&act.source, &act.name, &now)?;
            }
            opened => return opened.map(Some),
        }
    }
    Err(io::Error::other("it is renamed all the time"))
}

fn why(error: &io::Error, kind: Kind) -> String {
    match error.kind() {
        io::ErrorKind::CrossesDevices if kind == Kind::Link => {
            "a link cannot lead to another file system; let the rule copy".into()
        }
        io::ErrorKind::AlreadyExists => "another message has its name there".into(),
        _ => error.to_string(),
    }
}
