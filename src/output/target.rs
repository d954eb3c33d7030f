//! Where records go: standard output, or a file that appears only when it is complete.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

/// An output being written.
pub enum Target {
    /// Standard output.
    Stdout(BufWriter<Stdout>),
    /// A new file beside its final name.
    Beside(BufWriter<NamedTempFile>, PathBuf),
    /// A device or pipe, which cannot be replaced.
    Direct(BufWriter<File>),
}

impl Target {
    /// Opens standard output, or the file at `path`.
    ///
    /// # Errors
    /// When the file or its folder cannot be written.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok(Self::Stdout(BufWriter::new(io::stdout())));
        };
        let context = || format!("cannot write the output {}", path.display());
        let existing = std::fs::metadata(path).ok();
        if existing.as_ref().is_some_and(|m| m.is_dir()) {
            return Err(anyhow::anyhow!("it is a folder; name a file in it")).with_context(context);
        }
        if existing.as_ref().is_some_and(|m| m.is_file() && m.permissions().readonly()) {
            return Err(anyhow::anyhow!("it is read-only")).with_context(context);
        }
        if existing.as_ref().is_some_and(|m| !m.is_file()) {
            return Ok(Self::Direct(BufWriter::new(File::create(path).with_context(context)?)));
        }
        // A link is followed, so that the file it points to is replaced and not the link.
        let path = if existing.is_some() { path.canonicalize().with_context(context)? } else { path.to_path_buf() };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".mailsort-").suffix(".part");
        permissions(&mut builder, existing.as_ref());
        let file = builder.tempfile_in(folder).with_context(context)?;
        Ok(Self::Beside(BufWriter::new(file), path))
    }

    /// True when a person looks on.
    pub(super) fn is_terminal(&self) -> bool {
        match self {
            Self::Stdout(out) => out.get_ref().is_terminal(),
            Self::Direct(out) => out.get_ref().is_terminal(),
            Self::Beside(..) => false,
        }
    }

    /// Completes the output: flushes, and gives a file its name.
    ///
    /// # Errors
    /// When the last bytes cannot be written or the file cannot be renamed.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::Stdout(mut out) => out.flush(),
            Self::Direct(mut out) => out.flush(),
            Self::Beside(out, path) => {
                let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
                file.as_file().sync_all()?;
                file.persist(path).map(drop).map_err(|failed| failed.error)
            }
        }
    }
}

/// A replaced file keeps its mode; a new one gets what the user's umask leaves, not a temporary file's private mode.
#[cfg(unix)]
fn permissions(builder: &mut tempfile::Builder<'_, '_>, existing: Option<&std::fs::Metadata>) {
    use std::os::unix::fs::PermissionsExt;
    let mode = existing.map_or(0o666, |metadata| metadata.permissions().mode());
    builder.permissions(std::fs::Permissions::from_mode(mode));
}

#[cfg(not(unix))]
fn permissions(_: &mut tempfile::Builder<'_, '_>, _: Option<&std::fs::Metadata>) {}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::Direct(out) => out.write(bytes),
            Self::Beside(out, _) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::Direct(out) => out.flush(),
            Self::Beside(out, _) => out.flush(),
        }
    }
}
