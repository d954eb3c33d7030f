//! The cache that the hub's own programs share: `models--OWNER--NAME` with `blobs`, `refs` and `snapshots`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use serde_json::Value;

use super::names::{is_commit, is_gguf};
use crate::engine::checkpoint::names::{CONFIG, INDEX, MODULES, POOLING, TOKENIZER, WEIGHTS};
use crate::engine::checkpoint::{read_described, shards};
use crate::platform;

/// Bytes of a file that names a commit, at most.
const LONGEST_REF: u64 = 4096;

/// The branch that is meant where none is named.
pub(super) const MAIN: &str = "main";

/// A repository's folder in the cache.
pub(super) struct Folder {
    root: PathBuf,
    layout: CacheRepo,
    revision: String,
}

/// A state of a repository in the cache.
pub(super) struct Snapshot {
    /// The commit.
    pub(super) commit: String,
    /// The folder that holds its files.
    pub(super) path: PathBuf,
}

impl Folder {
    /// The folder of a repository at a branch, tag or commit. Nothing need be there.
    pub(super) fn new(cache: &Path, repository: &str, revision: Option<&str>) -> Self {
        let revision = revision.unwrap_or(MAIN).to_string();
        let repo = Repo::with_revision(repository.into(), RepoType::Model, revision.clone());
        let root = cache.join(repo.folder_name());
        Self { root, layout: Cache::new(cache.into()).repo(repo), revision }
    }

    /// Where the file of this hash lies, or will.
    pub(super) fn blob(&self, hash: &str) -> PathBuf {
        self.layout.blob_path(hash)
    }

    /// The snapshot of a commit, whether it is there or not.
    pub(super) fn snapshot(&self, commit: &str) -> Snapshot {
        Snapshot { commit: commit.into(), path: self.layout.pointer_path(commit) }
    }

    /// The snapshot of the revision, as far as the cache knows of it.
    pub(super) fn current(&self) -> Option<Snapshot> {
        let commit = if is_commit(&self.revision) {
            self.revision.clone()
        } else {
            let named = platform::read_file(&self.root.join("refs").join(&self.revision), LONGEST_REF).ok()?;
            String::from_utf8(named).ok()?.trim().to_string()
        };
        let snapshot = is_commit(&commit).then(|| self.snapshot(&commit))?;
        snapshot.path.is_dir().then_some(snapshot)
    }

    /// Remembers that the revision means this commit.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn point_to(&self, commit: &str) -> Result<()> {
        if self.revision == commit {
            return Ok(());
        }
        let path = self.root.join("refs").join(&self.revision);
        // Another process may read it at any time, so it appears as a whole; hf-hub would write it in place.
        write_whole(&path, commit.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Remembers that a commit has no such file, as the hub's own programs do.
    pub(super) fn note_absent(&self, commit: &str, file: &str) {
        let path = self.marker(commit, file);
        // Without the note it is asked for again: nothing worse.
        let _ = path.parent().map(fs::create_dir_all);
        let _ = fs::write(path, b"");
    }

    fn marker(&self, commit: &str, file: &str) -> PathBuf {
        self.root.join(".no_exist").join(commit).join(file)
    }

    /// What a model of the snapshot still lacks: the first file that is known to be needed.
    pub(super) fn lacks(&self, snapshot: &Snapshot) -> Option<String> {
        let there = |name: &str| snapshot.path.join(name).exists();
        if let Some(name) = [CONFIG, TOKENIZER].into_iter().find(|name| !there(name)) {
            return Some(name.into());
        }
        if self.names_pooling(snapshot) && !there(POOLING) && !self.marker(&snapshot.commit, POOLING).exists() {
            return Some(POOLING.into());
        }
        if !there(INDEX) {
            return (!there(WEIGHTS)).then(|| WEIGHTS.into());
        }
        match shards(&snapshot.path.join(INDEX)) {
            Ok(shards) => shards.into_iter().find(|name| !there(name)),
            Err(_) => Some(INDEX.into()),
        }
    }

    /// True when nobody has asked yet whether an encoder's makers say how its vectors are made. Programs that make none
    /// leave such snapshots.
    pub(super) fn may_lack_pooling(&self, snapshot: &Snapshot) -> bool {
        let known = snapshot.path.join(MODULES).exists() || self.marker(&snapshot.commit, MODULES).exists();
        let config = json(&snapshot.path.join(CONFIG));
        let head = config["architectures"][0].as_str().unwrap_or_default();
        !known && config["model_type"] != "qwen3" && !head.ends_with("ForSequenceClassification")
    }

    /// True when the list of modules has one in the folder of the pooling.
    fn names_pooling(&self, snapshot: &Snapshot) -> bool {
        let modules = json(&snapshot.path.join(MODULES));
        let folder = POOLING.split('/').next();
        modules.as_array().is_some_and(|modules| modules.iter().any(|module| module["path"].as_str() == folder))
    }

    /// The GGUF files of a snapshot.
    pub(super) fn ggufs(snapshot: &Snapshot) -> Vec<String> {
        let mut found = Vec::new();
        files_below(&snapshot.path, "", 4, &mut found);
        found.retain(|name| is_gguf(name));
        found.sort();
        found
    }
}

/// What a file says; null where it is missing or no JSON.
fn json(path: &Path) -> Value {
    let text = read_described(path).ok();
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn files_below(folder: &Path, prefix: &str, deep: usize, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let path = entry.path();
        if path.is_file() {
            found.push(name);
        } else if deep > 0 && path.is_dir() {
            files_below(&path, &format!("{name}/"), deep - 1, found);
        }
    }
}

impl Snapshot {
    /// Makes a file of the cache visible under its name.
    ///
    /// # Errors
    /// When it cannot be.
    pub(super) fn show(&self, blob: &Path, name: &str) -> Result<()> {
        let path = self.path.join(name);
        let shown = || format!("cannot write {}", path.display());
        let parent = path.parent().context("a file has a folder")?;
        fs::create_dir_all(parent).with_context(shown)?;
        if path.exists() {
            return Ok(());
        }
        // A link to a file that was removed is in the way.
        let _ = fs::remove_file(&path);
        // From `snapshots/COMMIT/NAME` up to the repository's folder.
        let up = "../".repeat(2 + name.matches('/').count());
        let file = blob.file_name().unwrap_or_default();
        let link = Path::new(&up).join("blobs").join(file);
        match platform::link_file(&link, blob, &path) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            done => done.with_context(shown),
        }
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let mut file = tempfile::NamedTempFile::new_in(parent)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// A repository that the cache holds something of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    /// `OWNER/NAME`, or `OWNER/NAME/FILE.gguf`.
    pub id: String,
    /// The commit.
    pub commit: String,
    /// The folder or GGUF file.
    pub path: PathBuf,
}

/// All models of the cache that look whole: folders with safetensors, and GGUF files.
pub(super) fn all(cache: &Path) -> Vec<Cached> {
    let mut found = Vec::new();
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(repository) = name.strip_prefix("models--").map(|name| name.replace("--", "/")) else {
            continue;
        };
        let snapshots = fs::read_dir(entry.path().join("snapshots"));
        for commit in snapshots.into_iter().flatten().flatten() {
            let commit = commit.file_name().to_string_lossy().into_owned();
            if is_commit(&commit) {
                found.extend(models_of(cache, &repository, &commit));
            }
        }
    }
    found.sort_by(|a, b| (&a.id, &a.commit).cmp(&(&b.id, &b.commit)));
    found
}

fn models_of(cache: &Path, repository: &str, commit: &str) -> Vec<Cached> {
    let folder = Folder::new(cache, repository, Some(commit));
    let snapshot = folder.snapshot(commit);
    let cached = |id: String, path: PathBuf| Cached { id, commit: commit.into(), path };
    if folder.lacks(&snapshot).is_none() {
        return vec![cached(repository.into(), snapshot.path)];
    }
    let ggufs = Folder::ggufs(&snapshot);
    ggufs.into_iter().map(|file| cached(format!("{repository}/{file}"), snapshot.path.join(&file))).collect()
}
