//! Checkpoints: a folder with `config.json`, `tokenizer.json` and safetensors files, or one GGUF file. Nothing else is
//! ever opened, and nothing in them can run.

mod fingerprint;
pub mod gguf;
mod map;
pub(super) mod names;
mod weights;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use names::CONFIG;

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
            let weights = Weights::safetensors(path).with_context(named)?;
            return Ok(Self { path: path.to_path_buf(), weights, description });
        }
        let (metadata, weights) = gguf::open(path).with_context(named)?;
        let description = Description::Gguf(metadata);
        accept(&description).with_context(named)?;
        Ok(Self { path: path.to_path_buf(), weights, description })
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
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("cannot read {shown}; a model folder holds config.json, tokenizer.json and .safetensors files")
    })?;
    serde_json::from_str(&text).with_context(|| format!("{shown} is not JSON"))
}
