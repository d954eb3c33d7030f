//! What the layers of a transformer are computed with: one trait, so that a model file reads like its paper and runs
//! everywhere.
//!
//! `cpu` runs the kernels of `kernels/` on buffers that it owns, `candle` puts the same together from what candle has
//! on every device. Tests hold the two to the same numbers.

pub(crate) mod candle;
pub(crate) mod cpu;
mod rope;

use std::sync::Arc;

use anyhow::Result;
use candle_core::DType;

use super::checkpoint::{View, Weights};
pub(crate) use super::kernels::{Activation, Heads, Mask, Tree};
pub(crate) use rope::RotaryEmbedding;

/// What weights are multiplied as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dtype {
    /// On a CPU as the weights are written, where it is fast with that, else f32; on a GPU bf16
    #[default]
    Auto,
    /// 4 bytes a number
    F32,
    /// 2 bytes a number, up to 65504; large models overflow on some texts
    F16,
    /// 2 bytes a number, as the released weights are
    Bf16,
    /// 8 bits a number and a scale for every 32, rounded when the model is loaded; for CPUs with AVX512-VNNI
    Q8_0,
}

impl Dtype {
    /// The type of what candle computes with.
    pub(crate) fn candle(self) -> DType {
        match self {
            Self::Auto | Self::F32 | Self::Q8_0 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }
}

/// Tokens that go through a model together, one sequence after the other, without padding.
pub(crate) struct Sequences<'a> {
    /// Where the sequences lie. Their tokens are the rows of all tensors.
    pub(crate) trees: &'a [Tree],
    /// Which tokens see which.
    pub(crate) mask: Mask,
    /// How the width of queries, keys and values is divided.
    pub(crate) heads: Heads,
    /// The position of each token in its own sequence, and the angles by which positions turn queries and keys. `None`
    /// where positions are embedded instead.
    pub(crate) rope: Option<(&'a [u32], &'a RotaryEmbedding)>,
}

/// The operations of a transformer on one device. Each tensor has one owner, which lends it or gives it away.
pub(crate) trait Backend: Send + Sync + Sized {
    /// Activations. Shape: [rows, width].
    type Tensor;
    /// Queries, keys and values of a batch.
    type Qkv;
    /// One weight or several side by side, each of shape [outputs, inputs], and their biases.
    type Linear: Send + Sync;
    /// Weight, and for LayerNorm bias, of a norm. Shape of both: [width].
    type Norm: Send + Sync;
    /// A table with a row for each token. Shape: [vocabulary, hidden].
    type Embedding: Send + Sync;
    /// What attention needs to know of a batch, the same in all layers.
    type Attention;

    /// Takes weights of the same inputs: their outputs come out side by side. There are as many biases, or none.
    fn load_linear(&self, weights: &[View], biases: &[View]) -> Result<Self::Linear>;

    /// Takes the weights of a norm.
    fn load_norm(&self, weight: View, bias: Option<View>, eps: f32) -> Result<Self::Norm>;

    /// Takes a table by its name.
    fn load_embedding(&self, weights: &Arc<Weights>, name: &str, shape: [usize; 2]) -> Result<Self::Embedding>;

    /// Waits until all that was loaded is there.
    fn synchronize(&self) -> Result<()>;

    /// Rows of a table: -> [ids, hidden].
    fn embed(&self, table: &Self::Embedding, ids: &[u32]) -> Result<Self::Tensor>;

    /// Lays out the attention of a batch.
    fn attention_of(&self, sequences: &Sequences) -> Result<Self::Attention>;

    /// [rows, inputs] -> [rows, outputs]
    fn linear(&self, linear: &Self::Linear, x: &Self::Tensor) -> Result<Self::Tensor>;

    /// The products of three weights side by side: [tokens, hidden] -> [tokens, (query + 2 · key_value) · size].
    fn qkv(&self, qkv_proj: &Self::Linear, x: &Self::Tensor, attention: &Self::Attention) -> Result<Self::Qkv>;

    /// RMSNorm of every head of queries and of keys, and RoPE.
    fn rope(&self, qkv: Self::Qkv, norms: [&Self::Norm; 2], attention: &Self::Attention) -> Result<Self::Qkv>;

    /// softmax(q · kᵀ / √size) · v -> [tokens, query · size]
    fn attention(&self, qkv: Self::Qkv, attention: &Self::Attention) -> Result<Self::Tensor>;

    /// RMSNorm of every row.
    fn rms_norm(&self, norm: &Self::Norm, x: &Self::Tensor) -> Result<Self::Tensor>;

    /// LayerNorm of every row.
    fn layer_norm(&self, norm: &Self::Norm, x: Self::Tensor) -> Result<Self::Tensor>;

    /// x + y
    fn add(&self, x: Self::Tensor, y: Self::Tensor) -> Result<Self::Tensor>;

    /// An activation of every number.
    fn activation(&self, activation: Activation, x: Self::Tensor) -> Result<Self::Tensor>;

    /// silu(gate) · up of the products with two weights side by side: [rows, hidden] -> [rows, intermediate].
    fn swiglu(&self, gate_up_proj: &Self::Linear, x: &Self::Tensor) -> Result<Self::Tensor>;

    /// Some of the rows.
    fn select(&self, x: Self::Tensor, rows: &[u32]) -> Result<Self::Tensor>;

    /// The numbers, row by row.
    fn read(&self, x: &Self::Tensor) -> Result<Vec<f32>>;
}
