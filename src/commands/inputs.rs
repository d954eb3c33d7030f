//! The paths that a run reads: from the command line, checked at once, or streamed from a list of names.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, bail};

use crate::cli::Input;
use crate::intake::{self, Files, Found, Options};

/// An iterator over input paths.
pub(super) type Paths = Box<dyn Iterator<Item = PathBuf> + Send>;

/// Why a list of inputs could not be read to its end; empty when it could, or there was none.
pub(super) type BrokenList = Arc<OnceLock<io::Error>>;

/// Makes the iterator over inputs. Those on the command line must be there; a name in a list may be gone by the time
/// it is read, and then becomes an error record.
///
/// # Errors
/// When an input on the command line or the list cannot be opened.
pub(super) fn paths(input: &Input, options: &Options) -> Result<(Paths, BrokenList)> {
    let broken = BrokenList::default();
    let Some(list) = &input.files_from else {
        for path in &input.inputs {
            intake::check(path, options)?;
        }
        return Ok((Box::new(input.inputs.clone().into_iter()), broken));
    };
    let reader: Box<dyn BufRead + Send> = if list.as_os_str() == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(list).with_context(|| format!("cannot read the list of inputs {}", list.display()))?;
        Box::new(BufReader::new(file))
    };
    let by_nul = input.null;
    let names = reader.split(if by_nul { 0 } else { b'\n' });
    let noted = broken.clone();
    let whole = names.map_while(move |name| name.map_err(|error| noted.set(error)).ok());
    Ok((Box::new(whole.filter_map(move |name| path(&name, by_nul))), broken))
}

/// Refuses an output that is one of the inputs: completing it would replace the mail.
///
/// # Errors
/// When `output` names the same file as an input of the command line.
pub(super) fn spare(input: &Input, output: &Path) -> Result<()> {
    let Ok(output) = output.canonicalize() else {
        return Ok(());
    };
    match input.inputs.iter().find(|path| path.is_file() && path.canonicalize().is_ok_and(|path| path == output)) {
        Some(path) => bail!("the output {} is an input too and would replace it; name another file", path.display()),
        None => Ok(()),
    }
}

fn path(name: &[u8], by_nul: bool) -> Option<PathBuf> {
    let name = name.strip_suffix(b"\r").filter(|_| !by_nul).unwrap_or(name);
    (!name.is_empty()).then(|| bytes_to_path(name))
}

#[cfg(unix)]
fn bytes_to_path(name: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(name))
}

#[cfg(not(unix))]
fn bytes_to_path(name: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(name).into_owned())
}

/// The size of all inputs together, for the progress display; `None` where it cannot be known.
pub(super) fn total_bytes(input: &Input, options: &Options) -> Option<u64> {
    if input.files_from.is_some() {
        return None;
    }
    let size = |path: &Path| std::fs::metadata(path).ok().filter(|m| m.is_file()).map(|m| m.len());
    let mut total = 0;
    for path in &input.inputs {
        if !path.is_dir() {
            total += size(path)?;
            continue;
        }
        for found in Files::new(path, options.recursive) {
            if let Found::File(path) | Found::Message(path) = found {
                total += size(&path).unwrap_or(0);
            }
        }
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_list() {
        assert_eq!(path(b"a b.eml\r", false), Some("a b.eml".into()));
        assert_eq!(path(b"a b.eml\r", true), Some("a b.eml\r".into()));
        assert_eq!(path(b"", false), None);
    }
}
