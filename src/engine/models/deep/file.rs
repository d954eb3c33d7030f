//! The file of `deep`, which lies in the program where it was built with the feature of that name.
//!
//! It is safetensors, with `config.json` in its metadata; `model/README.md` describes every tensor.

use anyhow::{Context, Result, ensure};
use safetensors::Dtype;

use super::DEEP;
use crate::engine::checkpoint::Checkpoint;
use crate::engine::models::embedded::{Aligned, EmbeddedFile, fingerprint, learned};
use crate::engine::models::unigram::Unigram;

#[cfg(feature = "deep")]
static FILE: Option<&Aligned<[u8]>> = Some(&Aligned(*include_bytes!("../../../../model/deep.safetensors")));
#[cfg(not(feature = "deep"))]
static FILE: Option<&Aligned<[u8]>> = None;

/// The bytes of the file.
///
/// # Errors
/// In a program that was built without it.
fn bytes() -> Result<&'static [u8]> {
    let file = FILE.context(
        "this mailsort was built without the model deep; get a program that has it, or build one with `cargo build \
         --release`, without --no-default-features",
    )?;
    Ok(&file.0)
}

const DAMAGED: &str = "the embedded model deep is damaged";

/// Width of a hidden state.
pub(super) const HIDDEN: usize = 384;

/// What of the file is no layer.
pub(super) struct File {
    /// Finds the pieces of the vocabulary.
    pub(super) unigram: Unigram,
    /// The mean text vector of each language of the built-in model, and that of all. Shape: [languages + 1, HIDDEN].
    means: &'static [f32],
    /// The codes of these languages.
    pub(super) languages: Vec<String>,
    /// The mean of words in label prompts. Shape: [HIDDEN].
    pub(super) words: &'static [f32],
}

impl File {
    /// True where it was compiled in.
    pub(super) fn is_here() -> bool {
        FILE.is_some()
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it is not here, or a tensor is missing or has another type or shape than the code expects.
    pub(super) fn open() -> Result<Self> {
        Self::parse(bytes()?).context(DAMAGED)
    }

    /// The weights of the encoder.
    ///
    /// # Errors
    /// As [`File::open`].
    pub(super) fn checkpoint() -> Result<Checkpoint> {
        let bytes = bytes()?;
        let read = || Checkpoint::embedded(DEEP, EmbeddedFile::open(bytes)?.constant("config")?, bytes);
        read().context(DAMAGED)
    }

    /// A short name for what the file holds.
    ///
    /// # Errors
    /// When it is not here.
    pub(super) fn fingerprint() -> Result<String> {
        Ok(fingerprint(bytes()?))
    }

    /// Numbers that it has learned, and its bytes.
    ///
    /// # Errors
    /// As [`File::open`].
    pub(super) fn size() -> Result<(u64, u64)> {
        let bytes = bytes()?;
        Ok((learned(bytes)?, bytes.len() as u64))
    }

    fn parse(bytes: &'static [u8]) -> Result<Self> {
        let file = EmbeddedFile::open(bytes)?;
        let pieces = file.shape("piece_ends")?[0];
        let means = file.shape("means")?[0];
        let languages: Vec<String> = file.constant("languages")?.split(',').map(String::from).collect();
        ensure!(means == languages.len() + 1, "{means} means for {} languages", languages.len());
        let unigram = Unigram::new(
            file.slice("pieces", Dtype::U8, &[file.shape("pieces")?[0]])?,
            file.slice("piece_ends", Dtype::U32, &[pieces])?,
            file.slice("piece_scores", Dtype::I16, &[pieces])?,
        )?;
        Ok(Self {
            unigram,
            means: file.slice("means", Dtype::F32, &[means, HIDDEN])?,
            languages,
            words: file.slice("words", Dtype::F32, &[HIDDEN])?,
        })
    }

    /// The mean text vector of a language, or of all.
    pub(super) fn mean(&self, language: Option<usize>) -> &'static [f32] {
        &self.means[language.unwrap_or(self.languages.len()) * HIDDEN..][..HIDDEN]
    }
}
