//! The embedded weights, read in place from the binary.
//!
//! The file is safetensors; `model/README.md` describes every tensor. Nothing is copied.

use anyhow::{Context, Result, ensure};
use half::f16;
use safetensors::Dtype;

use super::matrix::Matrix;
use crate::engine::models::embedded::{Aligned, EmbeddedFile, fingerprint, learned};

static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../../model/builtin.safetensors"));

/// The tensors and constants of the model.
pub(super) struct Weights {
    /// UTF-8 of all vocabulary pieces, one after the other.
    pub(super) pieces: &'static [u8],
    /// End of each piece in `pieces`. Shape: [vocabulary].
    pub(super) piece_ends: &'static [u32],
    /// Unigram log-probability times 1024. Shape: [vocabulary].
    pub(super) piece_scores: &'static [i16],
    /// Bit 7: the piece is a whole word whose most probable split is itself; bits 0 to 6: the language it is typical
    /// of, 127 for none. Shape: [vocabulary].
    pub(super) piece_flags: &'static [u8],
    /// The piece of byte 0. Those of all bytes are the last, and no text spells them.
    pub(super) first_byte: u32,
    /// Token vectors, to be multiplied with their scales. Shape: [vocabulary, dims].
    vectors: &'static [i8],
    /// Shape: [vocabulary].
    scales: &'static [f16],
    /// Length of a vector.
    pub(super) dims: usize,
    /// Token vector to what its neighbours see of it. Shape: [dims, near].
    pub(super) project: Matrix,
    /// Left neighbour, token and right neighbour to hidden units. Shape: [3 near, hidden].
    pub(super) window: Matrix,
    /// Shape: [hidden].
    pub(super) window_bias: &'static [f32],
    /// Hidden units of the window, summed, to a text vector. Shape: [hidden, dims].
    pub(super) window_out: Matrix,
    /// Hidden units of the window to the weight of its token. Shape: [hidden].
    pub(super) gate: &'static [f32],
    /// Text vector and summed hidden units to those of the head. Shape: [dims + hidden, head].
    pub(super) head: Matrix,
    /// Shape: [head].
    pub(super) head_bias: &'static [f32],
    /// Hidden units of the head to a text vector. Shape: [head, dims].
    pub(super) head_out: Matrix,
    /// The mean text vector of each language. Shape: [languages, 2 dims].
    lang_means: &'static [f32],
    /// The codes of the languages.
    pub(super) languages: Vec<String>,
    /// Length of the half of a text vector that is the plain sum.
    pub(super) mix_sum: f32,
    /// Length of the half that sees contexts.
    pub(super) mix_context: f32,
}

impl Weights {
    /// Reads the embedded file.
    ///
    /// # Errors
    /// When a tensor is missing or has another type or shape than the code expects.
    pub(super) fn embedded() -> Result<Self> {
        Self::parse(&FILE.0).context("the embedded model is damaged")
    }

    /// A short name for what the embedded file holds, from pieces all over it.
    pub(super) fn fingerprint() -> String {
        fingerprint(&FILE.0)
    }

    /// Numbers in the embedded file that were learned, and its bytes.
    ///
    /// # Errors
    /// As [`Weights::embedded`].
    pub(super) fn size() -> Result<(u64, u64)> {
        let learned = learned(&FILE.0).context("the embedded model is damaged")?;
        Ok((learned, FILE.0.len() as u64))
    }

    fn parse(file: &'static [u8]) -> Result<Self> {
        let file = EmbeddedFile::open(file)?;
        let vocabulary = file.shape("piece_ends")?[0];
        let [_, dims] = file.shape("vectors")?[..] else {
            anyhow::bail!("vectors is no matrix");
        };
        let near = file.columns("ctx_project")?;
        let hidden = file.columns("ctx_w1")?;
        let head = file.columns("head_w1")?;
        let matrix = |name, inputs, outputs| -> Result<Matrix> {
            Ok(Matrix::new(file.slice(name, Dtype::F32, &[inputs, outputs])?, outputs))
        };
        let weights = Self {
            pieces: file.slice("pieces", Dtype::U8, &[file.shape("pieces")?[0]])?,
            piece_ends: file.slice("piece_ends", Dtype::U32, &[vocabulary])?,
            piece_scores: file.slice("piece_scores", Dtype::I16, &[vocabulary])?,
            piece_flags: file.slice("piece_flags", Dtype::U8, &[vocabulary])?,
            first_byte: file.constant("first_byte")?.parse()?,
            vectors: file.slice("vectors", Dtype::I8, &[vocabulary, dims])?,
            scales: file.slice("scales", Dtype::F16, &[vocabulary])?,
            dims,
            project: matrix("ctx_project", dims, near)?,
            window: matrix("ctx_w1", 3 * near, hidden)?,
            window_bias: file.slice("ctx_b1", Dtype::F32, &[hidden])?,
            window_out: matrix("ctx_w2", hidden, dims)?,
            gate: file.slice("ctx_gate", Dtype::F32, &[hidden])?,
            head: matrix("head_w1", dims + hidden, head)?,
            head_bias: file.slice("head_b1", Dtype::F32, &[head])?,
            head_out: matrix("head_w2", head, dims)?,
            lang_means: file.slice("lang_means", Dtype::F32, &[file.shape("lang_means")?[0], 2 * dims])?,
            languages: file.constant("languages")?.split(',').map(String::from).collect(),
            mix_sum: file.constant("mix_sum")?.parse()?,
            mix_context: file.constant("mix_ctx")?.parse()?,
        };
        weights.check()?;
        Ok(weights)
    }

    fn check(&self) -> Result<()> {
        ensure!(self.dims > 0, "no vectors");
        ensure!(self.first_byte as usize + 256 == self.scales.len(), "the last pieces are not those of bytes");
        let length = self.mix_sum * self.mix_sum + self.mix_context * self.mix_context;
        ensure!((length - 1.0).abs() < 1e-4, "mix_sum and mix_ctx make a vector of length {length}");
        ensure!(self.languages.len() < 127, "more languages than a flag can tell");
        ensure!(self.lang_means.len() == self.languages.len() * 2 * self.dims, "lang_means is not of these languages");
        Ok(())
    }

    /// The token vector of `id` and its scale.
    #[inline(always)]
    pub(super) fn vector(&self, id: u32) -> (&'static [i8], f32) {
        let id = id as usize;
        (&self.vectors[id * self.dims..(id + 1) * self.dims], self.scales[id].to_f32())
    }
}

impl Weights {
    /// The language that most of the pieces are typical of, the first among equals; `None` when none is of any.
    pub(super) fn language(&self, ids: &[u32]) -> Option<usize> {
        let votes = self.votes(ids);
        let most = votes.iter().copied().max().filter(|&most| most > 0)?;
        votes.iter().position(|&count| count == most)
    }

    /// The language that more than half of the votes are for.
    pub(super) fn sure_language(&self, ids: &[u32]) -> Option<usize> {
        let votes = self.votes(ids);
        let all: u32 = votes.iter().sum();
        votes.iter().position(|&count| 2 * count > all)
    }

    /// How many pieces are typical of each language.
    fn votes(&self, ids: &[u32]) -> Vec<u32> {
        let mut votes = vec![0; 128];
        for &id in ids {
            votes[usize::from(self.piece_flags[id as usize] & 0x7f)] += 1;
        }
        votes.truncate(self.lang_means.len() / (2 * self.dims));
        votes
    }

    /// The mean text vector of a language. Shape: [2 dims].
    pub(super) fn mean(&self, language: usize) -> &'static [f32] {
        &self.lang_means[language * 2 * self.dims..][..2 * self.dims]
    }
}
