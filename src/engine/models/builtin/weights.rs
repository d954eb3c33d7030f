//! The embedded weights, read in place from the binary.
//!
//! The file is safetensors; `model/README.md` describes every tensor. Nothing is copied: the tensors are slices of the
//! program's own image, of which the operating system loads only the pages that a run touches.

use anyhow::{Context, Result, ensure};
use half::f16;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use super::matrix::Matrix;

/// Gives the embedded bytes an alignment at which every type of tensor can be read.
#[repr(C, align(64))]
struct Aligned<T: ?Sized>(T);

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
        let file = &FILE.0;
        let mut hasher = Sha256::new_with_prefix(file.len().to_le_bytes());
        file.chunks(file.len() / 64 + 1).for_each(|part| hasher.update(&part[..part.len().min(64)]));
        hasher.finalize().iter().take(10).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Numbers in the embedded file that were learned, and its bytes.
    ///
    /// # Errors
    /// As [`Weights::embedded`].
    pub(super) fn size() -> Result<(u64, u64)> {
        let (_, header) = SafeTensors::read_metadata(&FILE.0).context("the embedded model is damaged")?;
        let tensors = header.tensors();
        // The vocabulary is text and how it is cut.
        let learned = tensors.iter().filter(|(name, _)| !name.starts_with("piece"));
        Ok((learned.map(|(_, info)| info.shape.iter().product::<usize>() as u64).sum(), FILE.0.len() as u64))
    }

    fn parse(file: &'static [u8]) -> Result<Self> {
        let (_, header) = SafeTensors::read_metadata(file)?;
        let constants = header.metadata().clone().unwrap_or_default();
        let constant = |name: &str| constants.get(name).with_context(|| format!("no constant {name}"));
        ensure!(constant("version")? == "1", "the file has version {}, not 1", constant("version")?);
        let tensors = SafeTensors::deserialize(file)?;
        let file = Tensors(&tensors);
        let vocabulary = file.shape("piece_ends")?[0];
        let [_, dims] = file.shape("vectors")?[..] else {
            anyhow::bail!("vectors is no matrix");
        };
        let near = file.columns("ctx_project")?;
        let hidden = file.columns("ctx_w1")?;
        let head = file.columns("head_w1")?;
        let weights = Self {
            pieces: file.slice("pieces", Dtype::U8, &[file.shape("pieces")?[0]])?,
            piece_ends: file.slice("piece_ends", Dtype::U32, &[vocabulary])?,
            piece_scores: file.slice("piece_scores", Dtype::I16, &[vocabulary])?,
            piece_flags: file.slice("piece_flags", Dtype::U8, &[vocabulary])?,
            vectors: file.slice("vectors", Dtype::I8, &[vocabulary, dims])?,
            scales: file.slice("scales", Dtype::F16, &[vocabulary])?,
            dims,
            project: file.matrix("ctx_project", dims, near)?,
            window: file.matrix("ctx_w1", 3 * near, hidden)?,
            window_bias: file.slice("ctx_b1", Dtype::F32, &[hidden])?,
            window_out: file.matrix("ctx_w2", hidden, dims)?,
            gate: file.slice("ctx_gate", Dtype::F32, &[hidden])?,
            head: file.matrix("head_w1", dims + hidden, head)?,
            head_bias: file.slice("head_b1", Dtype::F32, &[head])?,
            head_out: file.matrix("head_w2", head, dims)?,
            lang_means: file.slice("lang_means", Dtype::F32, &[file.shape("lang_means")?[0], 2 * dims])?,
            mix_sum: constant("mix_sum")?.parse()?,
            mix_context: constant("mix_ctx")?.parse()?,
        };
        weights.check()?;
        Ok(weights)
    }

    fn check(&self) -> Result<()> {
        ensure!(self.piece_ends.len() > 2 && self.dims > 0, "no vocabulary");
        ensure!(self.piece_ends.is_sorted(), "piece_ends does not ascend");
        ensure!(self.piece_ends.last().copied() == u32::try_from(self.pieces.len()).ok(), "pieces has a wrong length");
        let length = self.mix_sum * self.mix_sum + self.mix_context * self.mix_context;
        ensure!((length - 1.0).abs() < 1e-4, "mix_sum and mix_ctx make a vector of length {length}");
        ensure!(self.lang_means.len() / (2 * self.dims) < 127, "lang_means has more languages than a flag can tell");
        Ok(())
    }

    /// The bytes of one piece.
    pub(super) fn piece(&self, id: usize) -> &'static [u8] {
        let start = if id == 0 { 0 } else { self.piece_ends[id - 1] };
        &self.pieces[start as usize..self.piece_ends[id] as usize]
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
        let mut votes = [0u32; 128];
        for &id in ids {
            votes[usize::from(self.piece_flags[id as usize] & 0x7f)] += 1;
        }
        let languages = self.lang_means.len() / (2 * self.dims);
        let most = votes.iter().take(languages).copied().max().filter(|&most| most > 0)?;
        votes.iter().position(|&count| count == most)
    }

    /// The mean text vector of a language. Shape: [2 dims].
    pub(super) fn mean(&self, language: usize) -> &'static [f32] {
        &self.lang_means[language * 2 * self.dims..][..2 * self.dims]
    }
}

/// The file's tensors, by name.
struct Tensors<'t>(&'t SafeTensors<'static>);

impl Tensors<'_> {
    fn shape(&self, name: &str) -> Result<Vec<usize>> {
        let shape = self.0.tensor(name).with_context(|| name.to_string())?.shape().to_vec();
        ensure!(!shape.is_empty(), "{name} is a single number");
        Ok(shape)
    }

    fn columns(&self, name: &str) -> Result<usize> {
        Ok(self.shape(name)?.last().copied().unwrap_or_default())
    }

    fn matrix(&self, name: &str, inputs: usize, outputs: usize) -> Result<Matrix> {
        Ok(Matrix::new(self.slice(name, Dtype::F32, &[inputs, outputs])?, outputs))
    }

    /// A tensor's data, where it lies.
    fn slice<T: bytemuck::AnyBitPattern>(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&'static [T]> {
        let view = self.0.tensor(name).with_context(|| name.to_string())?;
        ensure!(view.dtype() == dtype, "{name} is {:?}, not {dtype:?}", view.dtype());
        ensure!(view.shape() == shape, "{name} has the shape {:?}, not {shape:?}", view.shape());
        bytemuck::try_cast_slice(view.data()).map_err(|error| anyhow::anyhow!("{name}: {error}"))
    }
}
