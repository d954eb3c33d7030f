//! What tells one local model from another when a file is replaced: all that its files hold.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Bytes that one thread hashes at a time: a file's fingerprint is the hash of their hashes.
const CHUNK: u64 = 8 << 20;

/// A short name for what the files of a model hold: their lengths and all their bytes. Where they lie does not count, nor
/// when they were changed, nor what a single file is called.
///
/// # Errors
/// When a file cannot be read.
pub fn fingerprint(path: &Path) -> Result<String> {
    in_chunks(path, CHUNK)
}

fn in_chunks(path: &Path, chunk: u64) -> Result<String> {
    let mut hasher = Sha256::new();
    for file in files(path)? {
        let named = || format!("cannot read {}", file.display());
        let length = file.metadata().with_context(named)?.len();
        if file != path {
            hasher.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        }
        hasher.update(length.to_le_bytes());
        let hashes = (0..length.div_ceil(chunk)).into_par_iter().map(|at| hash(&file, at * chunk, chunk));
        for hash in hashes.collect::<Result<Vec<_>>>().with_context(named)? {
            hasher.update(hash);
        }
    }
    Ok(hasher.finalize().iter().take(10).map(|byte| format!("{byte:02x}")).collect())
}

/// The hash of so many bytes of a file, or of those that are left.
fn hash(file: &Path, start: u64, length: u64) -> Result<[u8; 32]> {
    let mut open = File::open(file)?;
    open.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    open.take(length).read_to_end(&mut bytes)?;
    Ok(Sha256::digest(&bytes).into())
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
    fn every_byte_of_every_chunk_counts_and_no_date() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        let bytes: Vec<u8> = (0..1000).map(|at| (at * at % 251) as u8).collect();
        std::fs::write(&file, &bytes).unwrap();
        for chunk in [1, 64, 999, 1000, 1001] {
            let of = |path: &Path| in_chunks(path, chunk).unwrap();
            let before = of(&file);
            let copy = folder.path().join("copy");
            std::fs::write(&copy, &bytes).unwrap();
            File::options().write(true).open(&copy).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
            assert_eq!(of(&copy), before, "a copy is the same, whenever it was made");
            for at in [0, 63, 64, 500, 998, 999] {
                let mut other = bytes.clone();
                other[at] ^= 1;
                std::fs::write(&copy, other).unwrap();
                assert_ne!(of(&copy), before, "byte {at} in chunks of {chunk}");
            }
            std::fs::write(&copy, [&bytes[..], &[0]].concat()).unwrap();
            assert_ne!(of(&copy), before);
        }
    }

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
