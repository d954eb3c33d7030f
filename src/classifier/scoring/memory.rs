//! The entries of one model in a cache file.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Error, Result};

use crate::classifier::cache::{Cache, Key, ModelKey, Score, ScoreParts, TextHash, Vector, VectorParts};
use crate::engine::{Embedding, LabelText};

/// Version of prompts, pooling and truncation. It is part of every key; raise it when one of them changes.
const PROMPTS: &str = "2";

/// The entries of one model in a cache.
pub(in crate::classifier) struct Memory {
    cache: Arc<Cache>,
    model: Arc<ModelKey>,
    /// The last error, and what the run does about it.
    trouble: Mutex<Option<String>>,
    /// True when the cache is not used any more: the file is damaged or gone.
    unread: AtomicBool,
    /// True when the cache is only read: the disk is full, or the file read-only.
    unwritten: AtomicBool,
    /// Results that were found, and that were not.
    hits: AtomicU64,
    misses: AtomicU64,
}

/// The parts of a key that texts share.
#[derive(Clone, Copy)]
pub(super) struct KeyParts<'a> {
    pub(super) instruct: Option<&'a str>,
    pub(super) max_tokens: usize,
}

impl Memory {
    /// The results of `model` in `cache`.
    pub(in crate::classifier) fn new(cache: Arc<Cache>, model: ModelKey) -> Self {
        let (unread, unwritten) = (AtomicBool::new(false), AtomicBool::new(false));
        let (hits, misses) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { cache, model: Arc::new(model), trouble: Mutex::default(), unread, unwritten, hits, misses }
    }

    /// How many results were in the cache, and how many were not.
    pub(super) fn uses(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    fn count<T>(&self, found: &[Option<T>]) {
        let hits = found.iter().flatten().count();
        self.hits.fetch_add(hits as u64, Ordering::Relaxed);
        self.misses.fetch_add((found.len() - hits) as u64, Ordering::Relaxed);
    }

    /// What went wrong and what becomes of the cache, once.
    pub(in crate::classifier) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The key of a pair.
    pub(super) fn score_key(&self, parts: &KeyParts, label: &LabelText, text: TextHash) -> Key {
        let KeyParts { instruct, max_tokens } = *parts;
        // As in the prompt. A name with a colon is another label than a name with a description.
        let label = format!("{}\0{:?}", label.name, label.description);
        Key::score(&ScoreParts { model: &self.model, prompt: PROMPTS, instruct, label: &label, text, max_tokens })
    }

    /// The key of the vector of a mail.
    pub(super) fn vector_key(&self, parts: &KeyParts, text: &str, dims: usize) -> Key {
        let (KeyParts { instruct, max_tokens }, text) = (*parts, TextHash::of(text));
        Key::vector(&VectorParts { model: &self.model, prompt: PROMPTS, instruct, text, max_tokens, dims })
    }

    /// The scores that are known.
    pub(super) fn scores(&self, keys: &[Key]) -> Vec<Option<Score>> {
        let found = self.read(|cache| cache.scores(keys)).unwrap_or_else(|| vec![None; keys.len()]);
        self.count(&found);
        found
    }

    /// Keeps scores.
    pub(super) fn keep_scores(&self, scores: &[(Key, Score)]) {
        self.write(|cache| cache.put_scores(scores));
    }

    /// The vectors that are known.
    pub(super) fn vectors(&self, keys: &[Key]) -> Vec<Option<Embedding>> {
        let found = self.read(|cache| cache.vectors(keys)).unwrap_or_else(|| vec![None; keys.len()]);
        self.count(&found);
        let embedding = |vector: Vector| Embedding {
            vector: vector.values,
            tokens: vector.tokens as usize,
            truncated: vector.truncated,
        };
        found.into_iter().map(|vector| vector.map(embedding)).collect()
    }

    /// Keeps vectors.
    pub(super) fn keep_vectors(&self, vectors: Vec<(Key, Embedding)>) {
        let vector = |embedding: Embedding| Vector {
            values: embedding.vector,
            tokens: embedding.tokens as u32,
            truncated: embedding.truncated,
        };
        let vectors: Vec<(Key, Vector)> = vectors.into_iter().map(|(key, made)| (key, vector(made))).collect();
        self.write(|cache| cache.put_vectors(&vectors));
    }

    fn read<T>(&self, action: impl FnOnce(&Cache) -> Result<T>) -> Option<T> {
        if self.unread.load(Ordering::Relaxed) {
            return None;
        }
        let failed = |error: &Error| {
            self.unread.store(true, Ordering::Relaxed);
            self.complain(error, "the cache is not used from here on");
        };
        action(&self.cache).inspect_err(failed).ok()
    }

    fn write(&self, action: impl FnOnce(&Cache) -> Result<()>) {
        if self.unread.load(Ordering::Relaxed) || self.unwritten.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = action(&self.cache) {
            self.unwritten.store(true, Ordering::Relaxed);
            self.complain(&error, "nothing more is kept in the cache, and what it holds is still used");
        }
    }

    fn complain(&self, error: &Error, so: &str) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{error:#}; {so}"));
    }
}
