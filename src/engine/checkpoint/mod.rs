//! Checkpoints: a folder with `config.json`, `tokenizer.json` and safetensors files, or one GGUF file. Nothing else is
//! ever opened, and nothing in them can run.

mod fingerprint;
pub mod gguf;
mod tokenizer;
mod weights;

use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use memmap2::Mmap;
use serde_json::Value;

use names::{CONFIG, TOKENIZER};

use crate::platform;

pub use fingerprint::fingerprint;
pub(super) use tokenizer::TokenizerFile;
pub use weights::{Kind, View, Weights, shards};

/// A checkpoint, opened but not loaded: weights stay in their files until they are taken.
pub struct Checkpoint {
    /// The folder, or the GGUF file.
    pub path: PathBuf,
    /// The tensors.
    pub weights: Arc<Weights>,
    /// What describes them.
    pub description: Description,
}

/// What describes a checkpoint.
pub enum Description {
    /// `config.json` of a folder.
    Folder(Value),
    /// The metadata of a GGUF file.
    Gguf(gguf::Metadata),
}

impl Checkpoint {
    /// Opens a folder or a GGUF file. `accept` may refuse what it is before its weights are opened.
    ///
    /// # Errors
    /// When something is missing or damaged, or refused.
    pub fn open(path: &Path, accept: impl Fn(&Description) -> Result<()>) -> Result<Self> {
        let named = || format!("cannot use the model {}", path.display());
        ensure!(path.exists(), "there is no model at {}", path.display());
        if path.is_dir() {
            let description = Description::Folder(config(path).with_context(named)?);
            accept(&description).with_context(named)?;
            let weights = Arc::new(Weights::safetensors(path).with_context(named)?);
            return Ok(Self { path: path.to_path_buf(), weights, description });
        }
        let (metadata, weights) = gguf::open(path).with_context(named)?;
        let description = Description::Gguf(metadata);
        accept(&description).with_context(named)?;
        Ok(Self { path: path.to_path_buf(), weights: Arc::new(weights), description })
    }

    /// A safetensors file that lies in the program, with its `config.json`. `name` stands for it in messages.
    ///
    /// # Errors
    /// When it is damaged.
    pub(super) fn embedded(name: &str, config: &str, file: &'static [u8]) -> Result<Self> {
        let weights = Arc::new(Weights::embedded(name, file)?);
        let config =
            serde_json::from_str(config).with_context(|| format!("the configuration of {name} is not JSON"))?;
        Ok(Self { path: name.into(), weights, description: Description::Folder(config) })
    }

    /// `config.json`.
    ///
    /// # Errors
    /// When the checkpoint is a GGUF file.
    pub fn config(&self) -> Result<&Value> {
        match &self.description {
            Description::Folder(config) => Ok(config),
            Description::Gguf(_) => {
                bail!("{}: models of this architecture are read from folders, not from GGUF", self.path.display())
            }
        }
    }
}

/// Reads `config.json` of a folder.
fn config(folder: &Path) -> Result<Value> {
    let path = folder.join(CONFIG);
    let shown = path.display();
    let text = read_described(&path).with_context(|| {
        format!("cannot read {shown}; a model folder holds config.json, tokenizer.json and .safetensors files")
    })?;
    serde_json::from_slice(&text).with_context(|| format!("{shown} is not JSON"))
}

/// Most bytes of a file that describes a model; `None` for its weights. The longest that are known are tokenizers of
/// 35 MB, and indices of 2 MB. Parsed, they take several times as much memory.
pub(super) fn longest(name: &str) -> Option<u64> {
    match name.rsplit('.').next() {
        Some("safetensors" | "gguf") => None,
        _ if name.ends_with(TOKENIZER) => Some(64 << 20),
        _ => Some(16 << 20),
    }
}

/// Reads a file that describes a model.
///
/// # Errors
/// When it cannot be read, is no regular file, or is longer than any.
pub(super) fn read_described(path: &Path) -> io::Result<Vec<u8>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    platform::read_file(path, longest(&name).unwrap_or(0))
}

/// A file whose pages are read when they are looked at.
#[derive(Debug)]
pub(super) enum Mapped {
    /// One on the disk.
    File(Mmap),
    /// One that lies in the program.
    Program(&'static [u8]),
}

impl Mapped {
    /// Maps a whole file.
    ///
    /// # Errors
    /// When it cannot be opened or mapped; the message names it.
    #[allow(unsafe_code)]
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = platform::open_file(path).with_context(|| format!("cannot open {}", path.display()))?;
        // SAFETY: nobody may change the file while it is mapped, which no program can enforce; docs/models.md says so.
        // The header is checked once, when the file is opened. After that the bytes are read as plain numbers, which
        // any bits are, at places that were checked against the length of the map.
        let map = unsafe { Mmap::map(&file) };
        map.map(Self::File).with_context(|| format!("cannot map {} into memory", path.display()))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::File(map) => map,
            Self::Program(bytes) => bytes,
        }
    }
}

/// The files of a model folder that are fetched, opened and hashed. Others are ignored.
pub(super) mod names {
    /// Says what the model is, and how large.
    pub(in crate::engine) const CONFIG: &str = "config.json";
    /// Its vocabulary.
    pub(in crate::engine) const TOKENIZER: &str = "tokenizer.json";
    /// All weights, where they are in one file.
    pub(in crate::engine) const WEIGHTS: &str = "model.safetensors";
    /// Names the files of weights that are in several.
    pub(in crate::engine) const INDEX: &str = "model.safetensors.index.json";
    /// Says that an encoder was published with its pooling.
    pub(in crate::engine) const MODULES: &str = "modules.json";
    /// How vectors are pooled, where [`MODULES`] names its folder.
    pub(in crate::engine) const POOLING: &str = "1_Pooling/config.json";
    /// Files that a model may lack. For encoders they say how the vector is made.
    pub(in crate::engine) const OPTIONAL: [&str; 7] = [
        "tokenizer_config.json",
        MODULES,
        "config_sentence_transformers.json",
        "sentence_bert_config.json",
        "sentence_roberta_config.json",
        "sentence_xlm-roberta_config.json",
        POOLING,
    ];
}
