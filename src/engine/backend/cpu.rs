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
    /// Where rows are codes, what a code stands for. Shape: [codes of a row, 256, numbers of a code].
    centroids: Option<Vec<f32>>,
}

/// Codes that a byte can be.
const CODES: usize = 256;

impl Embedding {
    /// A table by product quantisation (Jegou and others 2011): a row is codes, each of which stands for some numbers.
    fn of_codes(weights: &Arc<Weights>, table: &str, [rows, width]: [usize; 2]) -> Result<Option<Self>> {
        let (name, of_centroids) = (format!("{table}codes"), format!("{table}centroids"));
        if !weights.has(&name) {
            return Ok(None);
        }
        let codes = weights.columns(&name)?;
        ensure!(codes > 0 && width.is_multiple_of(codes), "{codes} codes do not make a row of {width}");
        weights.take(&name, &[rows, codes])?;
        let centroids = weights.take(&of_centroids, &[codes, CODES, width / codes])?.values()?;
        Ok(Some(Self { weights: weights.clone(), name, shape: [rows, codes], centroids: Some(centroids) }))
    }
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
        let table = name.strip_suffix("weight").unwrap_or(name);
        if let Some(table) = Embedding::of_codes(weights, table, shape)? {
            return Ok(table);
        }
        weights.take(name, &shape)?;
        Ok(Embedding { weights: weights.clone(), name: name.to_string(), shape, centroids: None })
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }

    fn embed(&self, table: &Embedding, ids: &[u32]) -> Result<Matrix> {
        let [rows, columns] = table.shape;
        let highest = ids.iter().max().map_or(0, |&id| id as usize);
        ensure!(highest < rows, "the token {highest} is not in the vocabulary of the model");
        let view = table.weights.take(&table.name, &table.shape)?;
        let Some(centroids) = &table.centroids else {
            let mut x = self.matrix(ids.len(), columns);
            for (row, &id) in x.chunks_exact_mut(columns).zip(ids) {
                view.read_rows(id as usize..id as usize + 1, row)?;
            }
            return Ok(x);
        };
        let numbers = centroids.len() / (CODES * columns);
        let mut x = self.matrix(ids.len(), columns * numbers);
        for (row, &id) in x.chunks_exact_mut(columns * numbers).zip(ids) {
            let codes = &view.bytes[id as usize * columns..][..columns];
            let books = centroids.chunks_exact(CODES * numbers);
            for ((part, book), &code) in row.chunks_exact_mut(numbers).zip(books).zip(codes) {
                part.copy_from_slice(&book[usize::from(code) * numbers..][..numbers]);
            }
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

#[cfg(test)]
mod tests {
    use safetensors::tensor::{Dtype as FileType, TensorView, serialize};

    use super::*;

    #[test]
    fn codes_stand_for_the_numbers_of_their_centroids() {
        let codes = [7u8, 255, 0, 3, 9, 7];
        let centroids: Vec<u8> = (0..3 * 256 * 2).flat_map(|at| (at as f32).to_le_bytes()).collect();
        let tensor = |kind, shape: &[usize], bytes| TensorView::new(kind, shape.to_vec(), bytes).unwrap();
        let tensors = [
            ("words.codes", tensor(FileType::U8, &[2, 3], &codes[..])),
            ("words.centroids", tensor(FileType::F32, &[3, 256, 2], &centroids[..])),
        ];
        let file = serialize(tensors, None).unwrap().leak();
        let weights = Arc::new(Weights::embedded("test", file).unwrap());
        let cpu = Cpu::new(Dtype::F32);
        let table = cpu.load_embedding(&weights, "words.weight", [2, 6]).unwrap();
        let rows = cpu.embed(&table, &[1, 0]).unwrap();
        let number = |book: usize, code: u8| 2 * (256 * book + usize::from(code));
        let row = |codes: &[u8]| -> Vec<f32> {
            codes
                .iter()
                .enumerate()
                .flat_map(|(book, &code)| [0, 1].map(|at| (number(book, code) + at) as f32))
                .collect()
        };
        assert_eq!(rows.to_vec(), [row(&codes[3..]), row(&codes[..3])].concat());
        assert!(cpu.embed(&table, &[2]).is_err());
        assert!(cpu.load_embedding(&weights, "words.weight", [2, 7]).is_err());
    }
}
