//! Files of weights as memory, without reading them first.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use anyhow::{Context, Result};
use memmap2::Mmap;

/// A file whose pages are read when they are looked at.
#[derive(Debug)]
pub(super) struct Mapped(Mmap);

impl Mapped {
    /// Maps a whole file.
    ///
    /// # Errors
    /// When it cannot be opened or mapped; the message names it.
    #[allow(unsafe_code)]
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        // SAFETY: the bytes are only ever read as plain numbers, so that a file which another process changes gives other
        // numbers and nothing worse; one that is cut short meanwhile ends the process, as for every program that maps.
        let map = unsafe { Mmap::map(&file) };
        map.map(Self).with_context(|| format!("cannot map {} into memory", path.display()))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
