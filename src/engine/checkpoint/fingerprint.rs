//! What tells one local model from another when a file is replaced, without reading gigabytes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Files up to this size are read to the end.
const WHOLE: u64 = 64 << 20;
/// Pieces of a larger file that are looked at, spread evenly over it.
const PIECES: u64 = 1024;
/// Bytes of each.
const PIECE: u64 = 4096;

/// A short name for what the files of a model hold: their lengths and bytes, of large ones bytes from all over them and
/// the time of their last change. Where they lie does not count, nor what a single file is called.
///
/// # Errors
/// When a file cannot be read.
pub fn fingerprint(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    for file in files(path)? {
        let named = || format!("cannot read {}", file.display());
        let mut open = File::open(&file).with_context(named)?;
        let metadata = open.metadata().with_context(named)?;
        let length = metadata.len();
        if file != path {
            hasher.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        }
        hasher.update(length.to_le_bytes());
        let mut bytes = Vec::new();
        if length <= WHOLE {
            open.read_to_end(&mut bytes).with_context(named)?;
            hasher.update(&bytes);
            continue;
        }
        let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        hasher.update(changed.unwrap_or_default().as_nanos().to_le_bytes());
        let step = length / PIECES;
        for start in (0..length).step_by(step as usize) {
            bytes.clear();
            open.seek(SeekFrom::Start(start)).with_context(named)?;
            open.by_ref().take(PIECE).read_to_end(&mut bytes).with_context(named)?;
            hasher.update(&bytes);
        }
    }
    Ok(hasher.finalize().iter().take(10).map(|byte| format!("{byte:02x}")).collect())
}

/// The files that a model is read from, by name.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let named = || format!("cannot read the folder {}", path.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(named)? {
        let file = entry.with_context(named)?.path();
        if file.is_dir() {
            // Pooling of encoders is described there.
            let inner = file.join("config.json");
            files.extend(inner.is_file().then_some(inner));
        } else if file.extension().is_some_and(|ending| ending == "safetensors" || ending == "json") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_has_another_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        std::fs::write(&file, vec![7; 100_000]).unwrap();
        let before = fingerprint(folder.path()).unwrap();
        assert_eq!(fingerprint(folder.path()).unwrap(), before);
        std::fs::write(&file, vec![8; 100_000]).unwrap();
        assert_ne!(fingerprint(folder.path()).unwrap(), before);
        std::fs::write(&file, vec![7; 100_001]).unwrap();
        assert_ne!(fingerprint(folder.path()).unwrap(), before);
        let moved = folder.path().join("other.gguf");
        std::fs::copy(&file, &moved).unwrap();
        assert_eq!(fingerprint(&moved).unwrap(), fingerprint(&file).unwrap());
        std::fs::remove_file(moved).unwrap();
        let mut one = vec![7; 100_000];
        one[50_001] = 8;
        std::fs::write(&file, one).unwrap();
        assert_ne!(fingerprint(folder.path()).unwrap(), before);
    }
}
