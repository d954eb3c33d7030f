//! What tells one local model from another when a file is replaced: all that its files hold.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rayon::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::names::{CONFIG, INDEX, MODULES, OPTIONAL, TOKENIZER};
use super::{read_described, weights};
use crate::platform;

/// Bytes that one thread hashes at a time: a file's fingerprint is the hash of their hashes.
const CHUNK: u64 = 8 << 20;

/// A short name for what the files of a model hold: their lengths and all their bytes. Where they lie does not count,
/// nor when they were changed, nor what a single file is called.
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
    let mut open = platform::open_file(file)?;
    open.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    open.take(length).read_to_end(&mut bytes)?;
    Ok(Sha256::digest(&bytes).into())
}

/// The files that a model is read from, by name. What else lies beside them is none of it, such as a classifier that
/// was trained on it and written there.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let described = [CONFIG, TOKENIZER, INDEX].into_iter().chain(OPTIONAL).map(|name| path.join(name));
    let described = described.chain(steps(path).map(|step| path.join(step).join(CONFIG)));
    let mut files = weights::files(path)?;
    files.extend(described.filter(|file| file.is_file()));
    files.sort();
    files.dedup();
    Ok(files)
}

/// The folders of the steps that an encoder was published with, of which one may describe the pooling.
fn steps(path: &Path) -> impl Iterator<Item = String> + use<> {
    let modules = read_described(&path.join(MODULES)).unwrap_or_default();
    // A list that does not read is refused where it is followed.
    let modules: Vec<Value> = serde_json::from_slice(&modules).unwrap_or_default();
    let inside = |step: &String| !step.is_empty() && !step.contains(['/', '\\']) && step != "..";
    modules.into_iter().filter_map(|module| module["path"].as_str().map(String::from)).filter(inside)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::super::names::{POOLING, WEIGHTS};
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

    #[test]
    fn only_what_is_opened_counts() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
            fingerprint(folder.path()).unwrap()
        };
        let one = write(WEIGHTS, "all");
        for foreign in ["clf.json", "notes.txt", "openvino/config.json", "other.safetensors", "vocab.json"] {
            assert_eq!(write(foreign, "{}"), one, "{foreign}");
        }
        let mut seen = vec![one];
        let modules = r#"[{"path": "pool", "type": "a.Pooling"}, {"path": "../x"}]"#;
        let own =
            [CONFIG, TOKENIZER, "sentence_bert_config.json", POOLING, "pool/config.json"].map(|name| (name, "{}"));
        for (name, text) in [(MODULES, modules)].into_iter().chain(own) {
            let changed = write(name, text);
            assert!(!seen.contains(&changed), "{name}");
            seen.push(changed);
        }
        // Where an index names shards, those are the weights.
        write("a.safetensors", "some");
        let sharded = write(INDEX, r#"{"weight_map": {"w": "a.safetensors"}}"#);
        assert_eq!(write(WEIGHTS, "others"), sharded);
        assert_ne!(write("a.safetensors", "more"), sharded);
    }
}
