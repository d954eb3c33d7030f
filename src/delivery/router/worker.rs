//! Does what the journal says is about to be done.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use sha2::{Digest, Sha256};

use crate::delivery::files::{self, Content, Sha};
use crate::delivery::finder::Finder;
use crate::delivery::header::{self, Field};
use crate::delivery::journal::{Act, Journal, Kind, State};
use crate::delivery::mailbox;
use crate::delivery::tree::Tree;
use crate::maildir::{Name, unique_name};

/// How often a message is looked for that is renamed again and again.
const TRIES: usize = 20;
const RESTLESS: &str = "it is renamed all the time";

/// A longer message gets no header: all of it is held while it is written.
const LONGEST_MARKED: u64 = 256 << 20;

/// A journal, and the hands that do what it says.
pub(super) struct Worker {
    pub(super) journal: Journal,
    pub(super) tree: Tree,
    pub(super) finder: Finder,
    /// Folders in which names have changed.
    touched: BTreeSet<PathBuf>,
    /// Folders of the tree that are on the disk.
    synced: BTreeSet<PathBuf>,
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
        Self { journal, tree, finder: Finder::default(), touched: BTreeSet::new(), synced: BTreeSet::new() }
    }

    /// Does an act that is about files, and notes what came of it. What is neither done nor as it was before stays intended,
    /// for the next run to settle.
    pub(super) fn act(&mut self, act: &mut Act, details: Details<'_>) {
        let done = self.check(&act.folder).and_then(|()| match act.kind {
            Kind::Copy if details.bytes.is_some() => self.write(act, details),
            Kind::Remove => self.with_message(act, None, |_, _, found| fs::remove_file(found).map(|()| State::Done)),
            _ => self.with_message(act, details.listed, |worker, act, from| worker.transfer(act, from, details)),
        });
        act.state = done.unwrap_or_else(|error| {
            act.detail = Some(why(&error, act));
            // The next run takes away what could not be taken away now.
            let is_left =
                !act.folder.as_os_str().is_empty() && !act.base.is_empty() && tmp(act).symlink_metadata().is_ok();
            if is_left { State::Intended } else { State::Failed }
        });
    }

    /// Refuses a folder of the tree that somebody has made a link out of it.
    pub(super) fn check(&self, folder: &Path) -> io::Result<()> {
        if folder.starts_with(self.tree.root()) {
            self.tree.check_maildir(folder).map_err(io::Error::other)
        } else {
            Ok(())
        }
    }

    /// Does something with the message of an act, wherever it is now: at `listed`, or where it was renamed to.
    fn with_message(
        &mut self,
        act: &mut Act,
        listed: Option<&Path>,
        mut attempt: impl FnMut(&mut Self, &mut Act, &Path) -> io::Result<State>,
    ) -> io::Result<State> {
        let mut path = match listed {
            Some(listed) => Some(listed.to_path_buf()),
            None => self.finder.find(&act.source, &act.name)?,
        };
        for _ in 0..TRIES {
            let Some(from) = path else {
                return Ok(State::Gone);
            };
            match attempt(self, act, &from) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => path = again(&mut self.finder, act, &from)?,
                done => {
                    self.touched.extend(from.parent().map(Path::to_path_buf));
                    return done;
                }
            }
        }
        Err(io::Error::other(RESTLESS))
    }

    /// Moves, copies, links or rewrites the message at `from`.
    fn transfer(&mut self, act: &mut Act, from: &Path, details: Details<'_>) -> io::Result<State> {
        if !from.symlink_metadata()?.is_file() {
            return Err(io::Error::other("it is a link or a folder and no message"));
        }
        let to = act.folder.join(destination(from, &act.base, details.seen));
        self.touched.extend(to.parent().map(Path::to_path_buf));
        match self.transfer_to(act, from, &to, details) {
            // It is there, so its folder is not.
            Err(error) if error.kind() == io::ErrorKind::NotFound && from.symlink_metadata().is_ok() => {
                self.tree.make(&act.folder).map_err(io::Error::other)?;
                self.transfer_to(act, from, &to, details)
            }
            done => done,
        }
    }

    fn transfer_to(&mut self, act: &mut Act, from: &Path, to: &Path, details: Details<'_>) -> io::Result<State> {
        match act.kind {
            Kind::Copy => act.sha = Some(files::copy(Content::File(from), &tmp(act), to)?),
            Kind::Link => fs::hard_link(from, to)?,
            Kind::Header => {
                let before = from.symlink_metadata()?;
                act.sha = Some(rewrite(from, to, act, details.fields)?);
                return self.leave(act, (from, &before), to, details.seen);
            }
            _ => match files::rename(from, to) {
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    // It is there, on the disk and under its name, before it goes here.
                    let before = from.symlink_metadata()?;
                    act.sha = Some(files::copy(Content::File(from), &tmp(act), to)?);
                    return self.leave(act, (from, &before), to, details.seen);
                }
                renamed => renamed?,
            },
        }
        Ok(State::Done)
    }

    /// Removes a message that was written elsewhere, where its flags follow it. Where it cannot be removed, what was written
    /// is.
    fn leave(&mut self, act: &mut Act, source: (&Path, &Metadata), to: &Path, seen: bool) -> io::Result<State> {
        let (from, before) = source;
        let (mut from, mut to) = (from.to_path_buf(), to.to_path_buf());
        let file = (before.dev(), before.ino());
        let mut left = self.sync(to.parent().unwrap_or(&to));
        for _ in 0..TRIES {
            left = left.and_then(|()| files::remove(&from, before));
            match &left {
                Ok(()) => return Ok(State::Done),
                Err(error) if error.kind() != io::ErrorKind::NotFound => break,
                Err(_) => {}
            }
            // Its flags were changed meanwhile, and so its name.
            self.finder.forget();
            let Some(now) = self.finder.file(&act.source, unique_name(OsStr::from_bytes(&act.name)), Some(file))?
            else {
                // It was deleted, or taken elsewhere, or another has its name: what was written goes too.
                fs::remove_file(&to)?;
                return Ok(State::Gone);
            };
            let renamed = act.folder.join(destination(&now, &act.base, seen));
            if renamed != to && files::rename(&to, &renamed).is_ok() {
                to = renamed;
            }
            (from, left) = (now, Ok(()));
        }
        let error = left.err().unwrap_or_else(|| io::Error::other(RESTLESS));
        match fs::remove_file(&to) {
            Ok(()) => Err(io::Error::other(format!("it cannot be taken away from where it is: {error}"))),
            Err(_) => {
                act.detail =
                    Some(format!("it is in {} too, and can be taken away from neither: {error}", act.folder.display()));
                Ok(State::Intended)
            }
        }
    }

    /// Writes a mail of a mailbox to a maildir, with the flags that it has there.
    fn write(&mut self, act: &mut Act, details: Details<'_>) -> io::Result<State> {
        let bytes = details.bytes.unwrap_or_default();
        let mut flags = mailbox::flags(bytes);
        if details.seen && !flags.contains(&b'S') {
            flags.push(b'S');
            flags.sort_unstable();
        }
        let info = if flags.is_empty() { Vec::new() } else { [b":2,".as_slice(), &flags].concat() };
        let to = act.folder.join(if flags.is_empty() { "new" } else { "cur" });
        let name = [&act.base[..], &info].concat();
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

    /// Makes sure that names are on the disk, and writes down what came of the acts.
    pub(super) fn conclude(&mut self, acts: &[Act]) -> Result<()> {
        for folder in std::mem::take(&mut self.touched) {
            match self.sync(&folder) {
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

    /// Makes sure that the names in a folder are on the disk, and once that those of the folders above it are.
    fn sync(&mut self, folder: &Path) -> io::Result<()> {
        files::sync(folder)?;
        for above in folder.ancestors().skip(1) {
            if !above.starts_with(self.tree.root()) || !self.synced.insert(above.to_path_buf()) {
                break;
            }
            files::sync(above)?;
        }
        Ok(())
    }
}

/// Where the message of an act is that is not at `missing` any more; another of the same name is none.
fn again(finder: &mut Finder, act: &Act, missing: &Path) -> io::Result<Option<PathBuf>> {
    let found = finder.again(&act.source, &act.name, missing)?;
    // What is gone again is looked for again.
    let is_it = |path: &PathBuf| match (act.file, files::id(path)) {
        (Some(file), Ok(found)) => found == file,
        _ => true,
    };
    Ok(found.filter(is_it))
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

/// True for a message that has these headers of ours and no others.
pub(super) fn is_marked(file: &File, fields: &[Field]) -> io::Result<bool> {
    let bytes = whole(file)?;
    Ok(header::marked(&bytes, fields).concat() == bytes)
}

fn whole(mut file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(LONGEST_MARKED + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_MARKED {
        return Err(io::Error::other(format!("it is longer than {} MiB, so it gets no header", LONGEST_MARKED >> 20)));
    }
    Ok(bytes)
}

/// Writes a message anew, with headers of ours or without them. Returns the hash of what was written.
fn rewrite(from: &Path, to: &Path, act: &Act, fields: &[Field]) -> io::Result<Sha> {
    let file = File::open(from)?;
    let bytes = whole(&file)?;
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
            Err(error) if error.kind() == io::ErrorKind::NotFound => path = again(finder, act, &now)?,
            opened => return opened.map(Some),
        }
    }
    Err(io::Error::other(RESTLESS))
}

fn why(error: &io::Error, act: &Act) -> String {
    let what = match act.kind {
        Kind::Remove => return format!("it cannot be removed from {}: {error}", act.source.display()),
        Kind::Link => "linked to",
        Kind::Copy => "copied to",
        Kind::Header => "written anew in",
        Kind::Back => "moved back to",
        _ => "moved to",
    };
    let error = match error.kind() {
        io::ErrorKind::CrossesDevices if act.kind == Kind::Link => {
            "a link cannot lead to another file system; let the rule copy".into()
        }
        io::ErrorKind::AlreadyExists => "another message has its name there".into(),
        _ => error.to_string(),
    };
    format!("it cannot be {what} {}: {error}", act.folder.display())
}
