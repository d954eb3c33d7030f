//! The file of `deep`, which lies in the program where it was built with the feature of that name.
//!
//! It is safetensors, with `config.json` in its metadata; `model/README.md` describes every tensor.

use anyhow::Result;

use crate::engine::checkpoint::Checkpoint;
use crate::engine::models::unigram::Unigram;

/// Width of a hidden state.
pub(super) const HIDDEN: usize = 384;

/// What of the file is no layer.
pub(super) struct File {
    /// Finds the pieces of the vocabulary.
    pub(super) unigram: Unigram,
    /// The weights of the encoder.
    pub(super) checkpoint: Checkpoint,
    /// The mean text vector of each language of the built-in model, and that of all. Shape: [languages + 1, HIDDEN].
    means: &'static [f32],
    /// The mean of words in label prompts. Shape: [HIDDEN].
    pub(super) words: &'static [f32],
}

impl File {
    /// The mean text vector of a language, or of all.
    pub(super) fn mean(&self, language: Option<usize>) -> &'static [f32] {
        let all = self.means.len() / HIDDEN - 1;
        &self.means[language.filter(|&language| language < all).unwrap_or(all) * HIDDEN..][..HIDDEN]
    }
}

#[cfg(feature = "deep")]
mod compiled_in {
    use std::sync::OnceLock;

    use anyhow::{Context, ensure};
    use safetensors::{Dtype, SafeTensors};

    use super::*;
    use crate::engine::models::embedded::{Aligned, Tensors, fingerprint, learned};

    static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../../model/deep.safetensors"));

    impl File {
        /// Reads the file.
        ///
        /// # Errors
        /// When a tensor is missing or has another type or shape than the code expects.
        pub(in super::super) fn open() -> Result<Self> {
            Self::parse(&FILE.0).context("the embedded model deep is damaged")
        }

        /// A short name for what the file holds.
        ///
        /// # Errors
        /// As [`File::open`].
        pub(in super::super) fn fingerprint() -> Result<String> {
            static FINGERPRINT: OnceLock<String> = OnceLock::new();
            Ok(FINGERPRINT.get_or_init(|| fingerprint(&FILE.0)).clone())
        }

        /// Numbers that it has learned, and its bytes.
        ///
        /// # Errors
        /// As [`File::open`].
        pub(in super::super) fn size() -> Result<(u64, u64)> {
            let learned = learned(&FILE.0, |name| !name.starts_with("piece"))?;
            Ok((learned, FILE.0.len() as u64))
        }

        fn parse(file: &'static [u8]) -> Result<Self> {
            let (_, header) = SafeTensors::read_metadata(file)?;
            let constants = header.metadata().clone().unwrap_or_default();
            let constant = |name: &str| constants.get(name).with_context(|| format!("no constant {name}"));
            ensure!(constant("version")? == "1", "the file has version {}, not 1", constant("version")?);
            let checkpoint = Checkpoint::embedded(super::super::DEEP, constant("config")?, file)?;
            let tensors = SafeTensors::deserialize(file)?;
            let file = Tensors(&tensors);
            let pieces = file.shape("piece_ends")?[0];
            let unigram = Unigram::new(
                file.slice("pieces", Dtype::U8, &[file.shape("pieces")?[0]])?,
                file.slice("piece_ends", Dtype::U32, &[pieces])?,
                file.slice("piece_scores", Dtype::I16, &[pieces])?,
            )?;
            Ok(Self {
                unigram,
                checkpoint,
                means: file.slice("means", Dtype::F32, &[file.shape("means")?[0], HIDDEN])?,
                words: file.slice("words", Dtype::F32, &[HIDDEN])?,
            })
        }
    }
}

#[cfg(not(feature = "deep"))]
mod left_out {
    use anyhow::bail;

    use super::*;

    const MESSAGE: &str = "this mailsort was built without the model deep; get a program that has it, or build one with \
                           `cargo build --release`, without --no-default-features";

    impl File {
        /// # Errors
        /// Always.
        pub(in super::super) fn open() -> Result<Self> {
            bail!(MESSAGE)
        }

        /// # Errors
        /// Always.
        pub(in super::super) fn fingerprint() -> Result<String> {
            bail!(MESSAGE)
        }

        /// # Errors
        /// Always.
        pub(in super::super) fn size() -> Result<(u64, u64)> {
            bail!(MESSAGE)
        }
    }
}
