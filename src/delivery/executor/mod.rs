//! Carries out the operations in the journal. Their results are written afterwards; what a crash leaves in between,
//! `recovery` settles.

mod commands;
mod recovery;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use sha2::{Digest, Sha256};

use crate::delivery::exec::Exec;
use crate::delivery::files::{self, Content, Sha};
use crate::delivery::finder::Finder;
use crate::delivery::journal::{EntryState, Journal, JournalEntry, Operation};
use crate::delivery::mailbox;
use crate::delivery::tree::MaildirTree;
use crate::header::{self, Field, Stored};
use crate::maildir::{Name, unique_name};

pub use commands::Tagger;
pub(super) use commands::tag;
pub use recovery::Recovery;

/// Number of times a message is looked for that mail programs rename meanwhile.
const TRIES: usize = 20;
const KEEPS_MOVING: &str = "it keeps being renamed";

/// Longest message that gets a header: all of it is in memory while it is rewritten.
const LONGEST_REWRITTEN: u64 = 256 << 20;

/// A journal and the maildir tree in which its operations are carried out.
pub struct Executor {
    pub(super) journal: Journal,
    pub(super) tree: MaildirTree,
    pub(super) finder: Finder,
    /// Folders whose names have changed since the last sync.
    touched: BTreeSet<PathBuf>,
    /// Folders of the tree that are known to be on the disk.
    synced: BTreeSet<PathBuf>,
    /// Number of failures in a row of each command.
    failures: HashMap<Exec, u32>,
}

/// What an operation needs besides its journal entry.
#[derive(Clone, Copy, Default)]
pub(super) struct Payload<'d> {
    /// The message's file, where it was seen last.
    pub(super) listed: Option<&'d Path>,
    /// The message, if it is in no maildir.
    pub(super) bytes: Option<&'d [u8]>,
    /// True to mark the message as seen.
    pub(super) seen: bool,
    /// Header fields to write.
    pub(super) fields: &'d [Field],
}

impl Executor {
    /// An executor for the tree that the journal belongs to.
    pub fn new(journal: Journal, tree: MaildirTree) -> Self {
        let (finder, touched, synced, failures) = Default::default();
        Self { journal, tree, finder, touched, synced, failures }
    }

    /// The journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Carries out a file operation and sets its state. One that is neither done nor undone stays intended, for
    /// recovery by the next run.
    pub(super) fn execute(&mut self, entry: &mut JournalEntry, details: Payload<'_>) {
        let done = self.check(&entry.folder).and_then(|()| match entry.operation {
            Operation::Copy if details.bytes.is_some() => self.write(entry, details),
            Operation::Remove => {
                self.with_message(entry, None, |_, _, found| fs::remove_file(found).map(|()| EntryState::Done))
            }
            _ => self
                .with_message(entry, details.listed, |executor, entry, from| executor.transfer(entry, from, details)),
        });
        entry.state = done.unwrap_or_else(|error| {
            entry.detail = Some(message_of(&error, entry));
            // Recovery will remove the temporary file that could not be removed now.
            let is_left =
                !entry.folder.as_os_str().is_empty() && !entry.base.is_empty() && tmp(entry).symlink_metadata().is_ok();
            if is_left { EntryState::Intended } else { EntryState::Failed }
        });
    }

    /// Refuses a folder of the tree that has been replaced by a link leading out of it.
    pub(super) fn check(&self, folder: &Path) -> io::Result<()> {
        if folder.starts_with(self.tree.root()) {
            self.tree.check_maildir(folder).map_err(io::Error::other)
        } else {
            Ok(())
        }
    }

    /// Runs `attempt` on the message's current path: `listed`, or what it was renamed to.
    fn with_message(
        &mut self,
        entry: &mut JournalEntry,
        listed: Option<&Path>,
        mut attempt: impl FnMut(&mut Self, &mut JournalEntry, &Path) -> io::Result<EntryState>,
    ) -> io::Result<EntryState> {
        let mut path = match listed {
            Some(listed) => Some(listed.to_path_buf()),
            None => self.finder.find(&entry.source, &entry.name)?,
        };
        for _ in 0..TRIES {
            let Some(from) = path else {
                return Ok(EntryState::Gone);
            };
            match attempt(self, entry, &from) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => path = again(&mut self.finder, entry, &from)?,
                done => {
                    self.touched.extend(from.parent().map(Path::to_path_buf));
                    return done;
                }
            }
        }
        Err(io::Error::other(KEEPS_MOVING))
    }

    /// Moves, copies, links or rewrites the message at `from`.
    fn transfer(&mut self, entry: &mut JournalEntry, from: &Path, details: Payload<'_>) -> io::Result<EntryState> {
        if !from.symlink_metadata()?.is_file() {
            return Err(io::Error::other("it is a link or a folder, not a message"));
        }
        let to = entry.folder.join(destination(from, &entry.base, details.seen));
        self.touched.extend(to.parent().map(Path::to_path_buf));
        match self.transfer_to(entry, from, &to, details) {
            // The message exists, so it is the folder that is missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && from.symlink_metadata().is_ok() => {
                self.tree.create(&entry.folder).map_err(io::Error::other)?;
                self.transfer_to(entry, from, &to, details)
            }
            done => done,
        }
    }

    fn transfer_to(
        &mut self,
        entry: &mut JournalEntry,
        from: &Path,
        to: &Path,
        details: Payload<'_>,
    ) -> io::Result<EntryState> {
        match entry.operation {
            Operation::Copy => entry.sha = Some(files::copy(Content::File(from), &tmp(entry), to)?),
            Operation::Link => fs::hard_link(from, to)?,
            Operation::Header => {
                let before = from.symlink_metadata()?;
                entry.sha = Some(rewrite(from, to, entry, details.fields)?);
                return self.remove_original(entry, (from, &before), to, details.seen);
            }
            _ => match files::rename(from, to) {
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    // The copy must be on the disk under its name before the original is removed.
                    let before = from.symlink_metadata()?;
                    entry.sha = Some(files::copy(Content::File(from), &tmp(entry), to)?);
                    return self.remove_original(entry, (from, &before), to, details.seen);
                }
                renamed => renamed?,
            },
        }
        Ok(EntryState::Done)
    }

    /// Removes the original of a message that was written to `to`. Flags changed meanwhile are copied. When the
    /// original cannot be removed, the new file is.
    fn remove_original(
        &mut self,
        entry: &mut JournalEntry,
        source: (&Path, &Metadata),
        to: &Path,
        seen: bool,
    ) -> io::Result<EntryState> {
        let (from, before) = source;
        let (mut from, mut to) = (from.to_path_buf(), to.to_path_buf());
        let file = (before.dev(), before.ino());
        let mut left = self.sync(to.parent().unwrap_or(&to));
        for _ in 0..TRIES {
            left = left.and_then(|()| files::remove(&from, before));
            match &left {
                Ok(()) => return Ok(EntryState::Done),
                Err(error) if error.kind() != io::ErrorKind::NotFound => break,
                Err(_) => {}
            }
            // A mail program has changed its flags and thereby its name.
            self.finder.forget();
            let Some(now) = self.finder.file(&entry.source, unique_name(OsStr::from_bytes(&entry.name)), Some(file))?
            else {
                // It was deleted or moved, or another message has its name: the new file goes too.
                fs::remove_file(&to)?;
                return Ok(EntryState::Gone);
            };
            let renamed = entry.folder.join(destination(&now, &entry.base, seen));
            if renamed != to && files::rename(&to, &renamed).is_ok() {
                to = renamed;
            }
            (from, left) = (now, Ok(()));
        }
        let error = left.err().unwrap_or_else(|| io::Error::other(KEEPS_MOVING));
        match fs::remove_file(&to) {
            Ok(()) => Err(io::Error::other(format!("its original cannot be removed: {error}"))),
            Err(_) => {
                entry.detail =
                    Some(format!("it is also in {}, and neither can be removed: {error}", entry.folder.display()));
                Ok(EntryState::Intended)
            }
        }
    }

    /// Writes a message of an mbox file to a maildir, with the flags from its `Status` fields.
    fn write(&mut self, entry: &mut JournalEntry, details: Payload<'_>) -> io::Result<EntryState> {
        let bytes = details.bytes.unwrap_or_default();
        let mut flags = mailbox::flags(bytes);
        if details.seen && !flags.contains(&b'S') {
            flags.push(b'S');
            flags.sort_unstable();
        }
        let info = if flags.is_empty() { Vec::new() } else { [b":2,".as_slice(), &flags].concat() };
        let to = entry.folder.join(if flags.is_empty() { "new" } else { "cur" });
        let name = [&entry.base[..], &info].concat();
        let copy = || files::copy(Content::Bytes(bytes), &tmp(entry), &to.join(OsStr::from_bytes(&name)));
        let written = match copy() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.tree.create(&entry.folder).map_err(io::Error::other)?;
                copy()
            }
            written => written,
        };
        entry.sha = Some(written?);
        self.touched.insert(to);
        Ok(EntryState::Done)
    }

    /// Syncs the folders that have changed, then writes the results to the journal.
    pub(super) fn conclude(&mut self, entries: &[JournalEntry]) -> Result<()> {
        for folder in std::mem::take(&mut self.touched) {
            match self.sync(&folder) {
                // Somebody may have removed the folder meanwhile.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let shown = folder.display();
                    return Err(anyhow::Error::new(error).context(format!("cannot write the folder {shown}")));
                }
                _ => {}
            }
        }
        self.journal.conclude(entries)
    }

    /// Syncs a folder, and the first time also the folders above it in the tree.
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

/// Finds an entry's message that is no longer at `missing`; ignores another message of the same name.
fn again(finder: &mut Finder, entry: &JournalEntry, missing: &Path) -> io::Result<Option<PathBuf>> {
    let found = finder.again(&entry.source, &entry.name, missing)?;
    // A file that cannot be looked at was renamed again; the caller will search again.
    let is_it = |path: &PathBuf| match (entry.file, files::id(path)) {
        (Some(file), Ok(found)) => found == file,
        _ => true,
    };
    Ok(found.filter(is_it))
}

/// Path of a message in its new maildir, relative to it. A new message stays new unless it is marked as seen.
fn destination(from: &Path, base: &[u8], seen: bool) -> PathBuf {
    let name = Name::new(from.file_name().unwrap_or_default());
    let is_new = from.parent().is_some_and(|folder| folder.ends_with("new"));
    let (folder, info) = match (is_new, seen) {
        (true, false) => ("new", name.info(b"", false)),
        (_, seen) => ("cur", name.info(if seen { b"S" } else { b"" }, true)),
    };
    Path::new(folder).join(OsStr::from_bytes(&[base, &info].concat()))
}

/// Hash of a message, inflated: to compress it again makes other bytes of it.
pub(super) fn mail_sha(file: &File) -> io::Result<Sha> {
    Ok(Sha256::digest(read_all(file)?.mail()).into())
}

/// What a rewrite will make of a message.
pub(super) struct Foreseen {
    /// Hash of the message before it.
    pub(super) sha_before: Sha,
    /// The field that the name needs: to Dovecot `,S=` is the size of a compressed message when inflated, which it
    /// cannot tell otherwise. A plain message needs none.
    pub(super) size: Vec<u8>,
    /// True when the message has exactly these X-Mailsort fields.
    pub(super) is_same: bool,
}

/// Reads a message that will be rewritten with X-Mailsort fields.
pub(super) fn foresee(file: &File, fields: &[Field]) -> io::Result<Foreseen> {
    let stored = read_all(file)?;
    let mail = header::marked(stored.mail(), fields).concat();
    let size = if stored.is_compressed() { format!(",S={}", mail.len()).into_bytes() } else { Vec::new() };
    Ok(Foreseen { sha_before: Sha256::digest(stored.mail()).into(), size, is_same: mail == stored.mail() })
}

fn read_all(mut file: &File) -> io::Result<Stored<'static>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(LONGEST_REWRITTEN + 1).read_to_end(&mut bytes)?;
    Stored::new(bytes, LONGEST_REWRITTEN).map_err(|error| io::Error::other(format!("{error}, so it gets no header")))
}

/// Rewrites a message with X-Mailsort fields or, when undoing, without them. Returns the hash of the message.
fn rewrite(from: &Path, to: &Path, entry: &JournalEntry, fields: &[Field]) -> io::Result<Sha> {
    let file = File::open(from)?;
    let stored = read_all(&file)?;
    let pieces = header::marked(stored.mail(), fields);
    let mut sha = Sha256::new();
    pieces.iter().for_each(|piece| sha.update(piece));
    let sha: Sha = sha.finalize().into();
    if entry.undoes.is_some() && entry.sha != Some(sha) {
        let why = "it was changed, or had X-Mailsort headers before, so it is kept";
        return Err(io::Error::other(why));
    }
    files::copy(Content::Pieces(&stored.with(pieces)?, &file), &tmp(entry), to)?;
    Ok(sha)
}

/// Temporary path of a copy in progress.
pub(super) fn tmp(entry: &JournalEntry) -> PathBuf {
    entry.folder.join("tmp").join(OsStr::from_bytes(&entry.base))
}

/// Opens a message that mail programs may rename meanwhile; `None` when it is gone.
pub(super) fn open(finder: &mut Finder, entry: &JournalEntry, listed: &Path) -> io::Result<Option<File>> {
    let mut path = Some(listed.to_path_buf());
    for _ in 0..TRIES {
        let Some(now) = path else {
            return Ok(None);
        };
        match File::open(&now) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => path = again(finder, entry, &now)?,
            opened => return opened.map(Some),
        }
    }
    Err(io::Error::other(KEEPS_MOVING))
}

fn message_of(error: &io::Error, entry: &JournalEntry) -> String {
    let what = match entry.operation {
        Operation::Remove => return format!("it cannot be removed from {}: {error}", entry.source.display()),
        Operation::Link => "linked to",
        Operation::Copy => "copied to",
        Operation::Header => "rewritten in",
        Operation::Back => "moved back to",
        _ => "moved to",
    };
    let error = match error.kind() {
        io::ErrorKind::CrossesDevices if entry.operation == Operation::Link => {
            "a hard link cannot cross file systems; use `action = \"copy\"`".into()
        }
        io::ErrorKind::AlreadyExists => "another message has its name there".into(),
        _ => error.to_string(),
    };
    format!("it cannot be {what} {}: {error}", entry.folder.display())
}
