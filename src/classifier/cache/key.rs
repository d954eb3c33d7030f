//! Cache keys: hashes over everything that a result depends on.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The random bytes of a file.
pub(super) type Salt = [u8; 32];

/// Must change whenever the same parts no longer give the same result.
const VERSION: &str = "mailsort cache 1";

/// What results depend on of a model. Only these parts of a key are in the file in plain text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelKey {
    /// Model id such as `Qwen/Qwen3-Reranker-0.6B`, or a path.
    pub id: String,
    /// True for a path. Then `revision` alone identifies the model.
    pub is_path: bool,
    /// The commit on the hub, or a fingerprint of the files.
    pub revision: String,
    /// Type of its arithmetic, such as `f32`, `bf16` or `q8_0`. Devices with equal results share one.
    pub dtype: String,
}

impl ModelKey {
    /// The model, its revision and its arithmetic as one line.
    pub fn weights(&self) -> String {
        format!("{} {} {}", self.id, self.revision, self.dtype)
    }
}

/// The hash of a text, computed once for all labels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TextHash([u8; 32]);

impl TextHash {
    /// Hashes the text as the model sees it, after cleaning and before truncation.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }
}

/// Everything that a score depends on.
#[derive(Clone, Copy, Debug)]
pub struct ScoreParts<'a> {
    /// The model.
    pub model: &'a Arc<ModelKey>,
    /// Name and version of the prompt template.
    pub prompt: &'a str,
    /// The instruction.
    pub instruct: Option<&'a str>,
    /// The label as the model reads it.
    pub label: &'a str,
    /// The message as the model reads it.
    pub text: TextHash,
    /// Maximum number of tokens of the message.
    pub max_tokens: usize,
}

/// Everything that a vector depends on.
#[derive(Clone, Copy, Debug)]
pub struct VectorParts<'a> {
    /// The model.
    pub model: &'a Arc<ModelKey>,
    /// Name and version of the prompt template.
    pub prompt: &'a str,
    /// The instruction; `None` on the side that gets none.
    pub instruct: Option<&'a str>,
    /// The message or label as the model reads it.
    pub text: TextHash,
    /// Maximum number of tokens of the text.
    pub max_tokens: usize,
    /// Length of the vector.
    pub dims: usize,
}

/// Identifies a result. The same in every file, before it is salted.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    hash: [u8; 32],
    pub(super) model: Arc<ModelKey>,
}

impl Key {
    /// The key of a score.
    pub fn score(parts: &ScoreParts) -> Self {
        let ScoreParts { model, prompt, instruct, label, text, max_tokens } = *parts;
        let hash =
            Parts::new("score", model).text(prompt).option(instruct).text(label).bytes(&text.0).number(max_tokens);
        Self { hash: hash.finish(), model: model.clone() }
    }

    /// The key of a vector.
    pub fn vector(parts: &VectorParts) -> Self {
        let VectorParts { model, prompt, instruct, text, max_tokens, dims } = *parts;
        let hash =
            Parts::new("vector", model).text(prompt).option(instruct).bytes(&text.0).number(max_tokens).number(dims);
        Self { hash: hash.finish(), model: model.clone() }
    }

    /// The salted hash that the file stores. Its input has a fixed length, so it needs no HMAC against length
    /// extension.
    pub(super) fn stored(&self, salt: &Salt) -> [u8; 32] {
        Sha256::new().chain_update(salt).chain_update(self.hash).finalize().into()
    }
}

// Keeps hashes of texts out of messages.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Key").field("model", &self.model).finish_non_exhaustive()
    }
}

impl fmt::Debug for TextHash {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("TextHash")
    }
}

/// A hash over parts, each preceded by its length, so that no two lists of parts give the same bytes.
struct Parts(Sha256);

impl Parts {
    fn new(kind: &str, model: &ModelKey) -> Self {
        let ModelKey { id, is_path, revision, dtype } = model;
        // No model of the hub has an empty id.
        let id = if *is_path { "" } else { id };
        Self(Sha256::new()).text(VERSION).text(kind).text(id).text(revision).text(dtype)
    }

    fn bytes(mut self, part: &[u8]) -> Self {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    fn text(self, part: &str) -> Self {
        self.bytes(part.as_bytes())
    }

    /// `None` differs from an empty text.
    fn option(self, part: Option<&str>) -> Self {
        match part {
            None => self.bytes(&[0]),
            Some(text) => self.bytes(&[1]).text(text),
        }
    }

    fn number(self, part: usize) -> Self {
        self.bytes(&(part as u64).to_le_bytes())
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn model(id: &str, revision: &str, dtype: &str) -> Arc<ModelKey> {
        Arc::new(ModelKey { id: id.into(), is_path: false, revision: revision.into(), dtype: dtype.into() })
    }

    fn all_differ(keys: &[Key]) {
        let distinct: HashSet<[u8; 32]> = keys.iter().map(|key| key.hash).collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn every_part_of_a_score_counts() {
        let m = &model("a", "b", "c");
        let (text, other) = (TextHash::of("mail"), TextHash::of("mail "));
        let parts = ScoreParts { model: m, prompt: "p", instruct: Some("i"), label: "l", text, max_tokens: 9 };
        let (none, empty) = (ScoreParts { instruct: None, ..parts }, ScoreParts { instruct: Some(""), ..parts });
        all_differ(&[
            Key::score(&parts),
            Key::score(&ScoreParts { model: &model("ab", "", "c"), ..parts }),
            Key::score(&ScoreParts { model: &model("a", "x", "c"), ..parts }),
            Key::score(&ScoreParts { model: &model("a", "b", "x"), ..parts }),
            Key::score(&ScoreParts { prompt: "x", ..parts }),
            Key::score(&none),
            Key::score(&empty),
            // Neighbours that trade bytes.
            Key::score(&ScoreParts { instruct: Some("il"), label: "", ..parts }),
            Key::score(&ScoreParts { label: "i", instruct: Some("l"), ..parts }),
            Key::score(&ScoreParts { label: "x", ..parts }),
            Key::score(&ScoreParts { text: other, ..parts }),
            Key::score(&ScoreParts { max_tokens: 10, ..parts }),
        ]);
        assert_eq!(Key::score(&parts), Key::score(&parts.clone()));
    }

    #[test]
    fn every_part_of_a_vector_counts() {
        let m = &model("a", "b", "c");
        let text = TextHash::of("mail");
        let parts = VectorParts { model: m, prompt: "p", instruct: None, text, max_tokens: 9, dims: 32 };
        all_differ(&[
            Key::vector(&parts),
            Key::vector(&VectorParts { model: &model("a", "b", "x"), ..parts }),
            Key::vector(&VectorParts { prompt: "x", ..parts }),
            Key::vector(&VectorParts { instruct: Some(""), ..parts }),
            Key::vector(&VectorParts { text: TextHash::of(""), ..parts }),
            Key::vector(&VectorParts { max_tokens: 32, dims: 9, ..parts }),
            Key::vector(&VectorParts { dims: 64, ..parts }),
            Key::score(&ScoreParts { model: m, prompt: "p", instruct: None, label: "", text, max_tokens: 9 }),
        ]);
    }

    #[test]
    fn a_path_is_told_by_what_it_holds() {
        let path =
            |id: &str, revision: &str| Arc::new(ModelKey { is_path: true, ..(*model(id, revision, "c")).clone() });
        let key = |model: &Arc<ModelKey>| {
            let text = TextHash::of("mail");
            Key::score(&ScoreParts { model, prompt: "p", instruct: None, label: "l", text, max_tokens: 9 })
        };
        let (here, there) = (path("models/a", "b"), path("/home/x/models/a", "b"));
        assert_eq!(key(&here).hash, key(&there).hash);
        all_differ(&[key(&here), key(&path("models/a", "x")), key(&model("models/a", "b", "c"))]);
    }

    /// A cache of last year must still be read: whoever changes what is hashed must change [`VERSION`].
    #[test]
    fn keys_stay_what_they_are() {
        let m = &model("a", "b", "c");
        let text = TextHash::of("mail");
        let key = Key::score(&ScoreParts { model: m, prompt: "p", instruct: None, label: "l", text, max_tokens: 9 });
        let hex: String = key.stored(&[7; 32]).iter().map(|byte| format!("{byte:02x}")).collect();
        // The same parts hashed by Python's hashlib.
        assert_eq!(hex, "5a70668dbc468d8180443ba23db8bc274fa34a70c0ae789d3fae9aa478524766");
    }
}
