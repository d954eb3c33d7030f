//! Checkpoints: a folder with `config.json`, `tokenizer.json` and safetensors files, or one GGUF file. Nothing else is
//! ever opened, and nothing in them can run.

pub mod config;
mod fingerprint;
pub mod gguf;
mod map;
pub(super) mod names;
mod weights;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

pub use config::{Family, Qwen3Config};
pub use fingerprint::fingerprint;
pub use weights::{Kind, View, Weights, shards};

/// A checkpoint, opened but not loaded: weights stay in their files until they are taken.
pub struct Checkpoint {
    /// The folder, or the GGUF file.
    pub path: PathBuf,
    /// The tensors.
    pub weights: Weights,
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
    /// Opens a folder or a GGUF file.
    ///
    /// # Errors
    /// When something is missing or damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let named = || format!("cannot use the model {}", path.display());
        if path.is_dir() {
            let config = config::read(path).with_context(named)?;
            // Before the weights: a checkpoint of something else ought to be told what it is.
            Family::of(&config).with_context(named)?;
            let weights = Weights::safetensors(path).with_context(named)?;
            return Ok(Self { path: path.to_path_buf(), weights, description: Description::Folder(config) });
        }
        ensure!(path.exists(), "there is no model at {}", path.display());
        let (metadata, weights) = gguf::open(path).with_context(named)?;
        Ok(Self { path: path.to_path_buf(), weights, description: Description::Gguf(metadata) })
    }

    /// The family, and whether the checkpoint has a head of its own that scores pairs.
    ///
    /// # Errors
    /// When it is none that mailsort knows.
    pub fn family(&self) -> Result<(Family, bool)> {
        match &self.description {
            Description::Folder(config) => Family::of(config),
            Description::Gguf(_) => Ok((Family::Qwen3, self.weights.has("cls.output.weight"))),
        }
    }

    /// The shape of a Qwen3 trunk.
    ///
    /// # Errors
    /// When the configuration is not one of Qwen3.
    pub fn qwen3(&self) -> Result<Qwen3Config> {
        match &self.description {
            Description::Folder(config) => Qwen3Config::of(config),
            Description::Gguf(metadata) => metadata.qwen3(&self.weights),
        }
    }
}
