//! The CPU, by the kernels of `kernels/`. Activations are f32.

mod linear;
mod matrix;

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::rope::Angles;
use super::{Activation, Backend, Dtype, Heads, Mask, Sequences, Tree};
use crate::engine::checkpoint::{View, Weights};
use crate::engine::kernels;

pub(crate) use linear::Linear;
pub(crate) use matrix::Matrix;
use matrix::Pool;

/// The CPU, and the memory of activations between the layers.
pub(crate) struct Cpu {
    /// Weights that a GGUF file has quantised stay as they are.
    dtype: Dtype,
    pool: Arc<Pool>,
}

impl Cpu {
    /// A CPU that multiplies weights as this type.
    pub(crate) fn new(dtype: Dtype) -> Self {
        Self { dtype, pool: Arc::default() }
    }

    /// A matrix of unknown numbers, to be written to.
    fn matrix(&self, rows: usize, width: usize) -> Matrix {
        Matrix::new(&self.pool, rows, width)
    }
}

/// Weight and bias of a norm. Shape of both: [width].
pub(crate) struct Norm {
    weight: Vec<f32>,
    /// Empty for RMSNorm.
    bias: Vec<f32>,
    eps: f32,
}

/// A table that is read where it lies in its file.
pub(crate) struct Embedding {
    weights: Arc<Weights>,
    name: String,
    shape: [usize; 2],
}

/// The attention of a batch.
pub(crate) struct Attention {
    heads: Heads,
    trees: Vec<Tree>,
    mask: Mask,
    rope: Option<(Vec<u32>, Arc<Angles>)>,
}

impl Backend for Cpu {
    type Tensor = Matrix;
    /// Side by side. Shape: [tokens, (query + 2 · key_value) · size].
    type Qkv = Matrix;
    type Linear = Linear;
    type Norm = Norm;
    type Embedding = Embedding;
    type Attention = Attention;

    fn load_linear(&self, weights: &[View], biases: &[View]) -> Result<Linear> {
        Linear::load(weights, biases, self.dtype)
    }

    fn load_norm(&self, weight: View, bias: Option<View>, eps: f32) -> Result<Norm> {
        let bias = bias.map_or(Ok(Vec::new()), |bias| bias.values())?;
        Ok(Norm { weight: weight.values()?, bias, eps })
    }

    fn load_embedding(&self, weights: &Arc<Weights>, name: &str, shape: [usize; 2]) -> Result<Embedding> {
        weights.take(name, &shape)?;
        Ok(Embedding { weights: weights.clone(), name: name.to_string(), shape })
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }

    fn embed(&self, table: &Embedding, ids: &[u32]) -> Result<Matrix> {
        let [rows, width] = table.shape;
        let highest = ids.iter().max().map_or(0, |&id| id as usize);
        ensure!(highest < rows, "the token {highest} is not in the vocabulary of the model");
        let view = table.weights.take(&table.name, &table.shape)?;
        let mut x = self.matrix(ids.len(), width);
        for (row, &id) in x.chunks_exact_mut(width).zip(ids) {
            view.read_rows(id as usize..id as usize + 1, row)?;
        }
        Ok(x)
    }

    fn attention_of(&self, sequences: &Sequences) -> Result<Attention> {
        let rope = sequences.rope.map(|(positions, rope)| (positions.to_vec(), rope.angles(positions)));
        Ok(Attention { heads: sequences.heads, trees: sequences.trees.to_vec(), mask: sequences.mask, rope })
    }

    fn linear(&self, linear: &Linear, x: &Matrix) -> Result<Matrix> {
        let mut out = self.matrix(x.rows(), linear.outputs());
        linear.forward(x, &mut out)?;
        Ok(out)
    }

    fn qkv(&self, qkv_proj: &Linear, x: &Matrix, _: &Attention) -> Result<Matrix> {
        self.linear(qkv_proj, x)
    }

    fn rope(&self, mut qkv: Matrix, [query, key]: [&Norm; 2], attention: &Attention) -> Result<Matrix> {
        if let Some((positions, angles)) = &attention.rope {
            let norms = kernels::HeadNorms { query: &query.weight, key: &key.weight, eps: query.eps };
            let angles = kernels::Angles { cos: &angles.cos, sin: &angles.sin };
            kernels::norm_and_rotate(&mut qkv, attention.heads, positions, norms, angles);
        }
        Ok(qkv)
    }

    fn attention(&self, qkv: Matrix, attention: &Attention) -> Result<Matrix> {
        let Attention { heads, trees, mask, .. } = attention;
        let columns = |start: usize| {
            let values = qkv.get(start * heads.size..).unwrap_or_default();
            kernels::StridedRows { values, stride: qkv.width() }
        };
        let (q, k, v) = (columns(0), columns(heads.query), columns(heads.query + heads.key_value));
        let mut out = self.matrix(qkv.rows(), heads.query * heads.size);
        kernels::attention(q, k, v, *heads, trees, *mask, &mut out);
        Ok(out)
    }

    fn rms_norm(&self, norm: &Norm, x: &Matrix) -> Result<Matrix> {
        let mut out = self.matrix(x.rows(), x.width());
        kernels::rms_norm(x, &norm.weight, norm.eps, &mut out);
        Ok(out)
    }

    fn layer_norm(&self, norm: &Norm, mut x: Matrix) -> Result<Matrix> {
        kernels::layer_norm(&mut x, &norm.weight, &norm.bias, norm.eps);
        Ok(x)
    }

    fn add(&self, mut x: Matrix, y: Matrix) -> Result<Matrix> {
        kernels::add(&mut x, &y);
        Ok(x)
    }

    fn activation(&self, activation: Activation, mut x: Matrix) -> Result<Matrix> {
        kernels::activate(activation, &mut x);
        Ok(x)
    }

    fn swiglu(&self, gate_up_proj: &Linear, x: &Matrix) -> Result<Matrix> {
        let gate_up = self.linear(gate_up_proj, x)?; // [rows, 2 · intermediate]
        let width = gate_up.width() / 2;
        let mut out = self.matrix(x.rows(), width);
        kernels::swiglu(&gate_up, width, &mut out);
        Ok(out)
    }

    fn select(&self, x: Matrix, rows: &[u32]) -> Result<Matrix> {
        let mut out = self.matrix(rows.len(), x.width());
        for (to, &row) in out.chunks_exact_mut(x.width().max(1)).zip(rows) {
            to.copy_from_slice(x.row(row as usize));
        }
        Ok(out)
    }

    fn read(&self, x: &Matrix) -> Result<Vec<f32>> {
        Ok(x.to_vec())
    }
}
