//! The file in which an output grows beside its final name.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::folder_of;
use crate::platform;

const ENDING: &str = ".mailsort-part";

/// Where the output at `path` grows; `None` when that names no file.
pub(super) fn path(path: &Path, run: u32) -> Option<PathBuf> {
    let mut part = beginning(path)?;
    part.push(format!("{run:08x}{ENDING}"));
    Some(path.with_file_name(part))
}

/// `.NAME.`, with which the names of all parts of an output begin.
fn beginning(path: &Path) -> Option<OsString> {
    let mut beginning = OsString::from(".");
    beginning.push(path.file_name()?);
    beginning.push(".");
    Some(beginning)
}

/// Removes what runs of other kinds have left of the same output. With `keep`, for a run that would have gone on with
/// it, refuses instead.
///
/// # Errors
/// When there is one and it shall be kept, or a run still writes to it.
pub(super) fn clear_others(path: &Path, own: &Path, keep: bool) -> Result<()> {
    let Some(beginning) = beginning(path) else {
        return Ok(());
    };
    let folder = folder_of(path);
    for entry in fs::read_dir(folder)?.flatten() {
        let other = path.with_file_name(entry.file_name());
        if other == own
            || !is_part(&entry.file_name(), &beginning)
            || !entry.file_type().is_ok_and(|kind| kind.is_file())
        {
            continue;
        }
        lock(&OpenOptions::new().read(true).write(true).open(&other)?)?;
        if keep {
            bail!(
                "a run with other labels, other flags, another model or device, or another version of mailsort was \
                 stopped and has left {}; run without --resume to write the output anew",
                other.display()
            );
        }
        fs::remove_file(&other)?;
    }
    Ok(())
}

fn is_part(name: &OsStr, beginning: &OsStr) -> bool {
    let rest = name.as_encoded_bytes().strip_prefix(beginning.as_encoded_bytes());
    let run = rest.and_then(|rest| rest.strip_suffix(ENDING.as_bytes()));
    run.is_some_and(|run| run.len() == 8 && run.iter().all(u8::is_ascii_hexdigit))
}

/// Opens the part, new or left by a run that was stopped, and locks it.
pub(super) fn open(part: &Path, existing: Option<&fs::Metadata>) -> Result<File> {
    loop {
        let found = fs::symlink_metadata(part).ok();
        // A link laid there by somebody else must not be followed.
        if found.as_ref().is_some_and(|found| !found.is_file()) {
            bail!("{} is in the way", part.display());
        }
        let race = if found.is_some() { io::ErrorKind::NotFound } else { io::ErrorKind::AlreadyExists };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(found.is_none());
        let file = match options.open(part) {
            // Made or completed by another run between our two looks at it.
            Err(error) if error.kind() == race => continue,
            opened => opened?,
        };
        lock(&file)?;
        // The run that held the lock until now may have completed its output, and so renamed the part.
        if is_at(&file, part) {
            if let Some(existing) = existing {
                file.set_permissions(existing.permissions())?;
            }
            return Ok(file);
        }
    }
}

/// Locks a file for the time it is open.
pub(super) fn lock(file: &File) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => bail!("another run is writing it"),
        // Some network file systems know no locks; then it goes without.
        Err(TryLockError::Error(_)) => Ok(()),
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(own), Ok(there)) => platform::is_same_file(&own, &there).unwrap_or(true),
        _ => false,
    }
}
