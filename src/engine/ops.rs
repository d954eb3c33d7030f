//! What happens between the products: norms, positions, attention, the gate. On the processor by kernels of our own, each
//! in one pass over memory; elsewhere put together from what candle has. Tests hold the two to the same numbers.

use candle_core::{CpuStorage, CustomOp1, DType, Device, InplaceOp1, InplaceOp2, Layout, Result, Shape, Tensor};

use super::buffers;
use super::composed::Plan;
use super::kernels::{self, Heads, Tree};

/// The numbers of a whole tensor on the processor.
pub(super) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let whole = layout.contiguous_offsets();
    let (start, end) = whole.ok_or_else(|| candle_core::Error::Msg("the tensor is not contiguous".into()))?;
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// The weight of a norm, where it is wanted.
pub(super) struct Scale {
    host: Vec<f32>,
    device: Tensor,
    eps: f32,
}

impl Scale {
    /// Takes the weight, shape [width].
    pub(super) fn new(host: Vec<f32>, eps: f32, device: &Device, dtype: DType) -> Result<Self> {
        let device = Tensor::from_slice(&host, host.len(), device)?.to_dtype(dtype)?;
        Ok(Self { host, device, eps })
    }

    /// RMSNorm over the last dimension: [rows, width] -> [rows, width].
    pub(super) fn norm(&self, x: &Tensor) -> Result<Tensor> {
        if x.device().is_cpu() { x.apply_op1_no_bwd(&RmsNorm(self)) } else { self.composed(x) }
    }

    /// The same, from what candle has.
    pub(super) fn composed(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::rms_norm(x, &self.device, self.eps)
    }
}

struct RmsNorm<'a>(&'a Scale);

impl CustomOp1 for RmsNorm<'_> {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(storage, layout)?;
        let mut out = buffers::fresh(x.len());
        kernels::rms_norm(x, &self.0.host, self.0.eps, &mut out);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

/// silu(gate) · up: [rows, 2 · width] -> [rows, width].
pub(super) fn gate(gate_up: &Tensor) -> Result<Tensor> {
    if !gate_up.device().is_cpu() {
        return candle_nn::ops::swiglu(gate_up);
    }
    gate_up.apply_op1_no_bwd(&Gate)
}

struct Gate;

impl CustomOp1 for Gate {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, width) = layout.shape().dims2()?;
        let mut out = buffers::fresh(rows * width / 2);
        kernels::swiglu(values(storage, layout)?, width / 2, &mut out);
        Ok((CpuStorage::F32(out), Shape::from((rows, width / 2))))
    }
}

/// x + more, of the same shape, in the memory of `x`.
pub(super) fn add(x: Tensor, more: Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return x + more;
    }
    x.inplace_op2(&more, &Add)?;
    buffers::spent(more)?;
    Ok(x)
}

struct Add;

impl InplaceOp2 for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout, more: &CpuStorage, other: &Layout) -> Result<()> {
        let CpuStorage::F32(x) = storage else { candle_core::bail!("activations on the processor are f32") };
        let Some((start, end)) = layout.contiguous_offsets() else { candle_core::bail!("not contiguous") };
        kernels::add(&mut x[start..end], values(more, other)?);
        Ok(())
    }
}

/// The norms of queries and keys, per head.
pub(super) struct HeadNorms {
    pub(super) query: Scale,
    pub(super) key: Scale,
}

/// Cosines and sines of rotary positions. Shape: [positions, size / 2] each.
pub(super) struct Angles {
    positions: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Angles {
    /// For positions up to `positions` and heads of `size`, rounded where transformers rounds: a frequency is one over a
    /// power, and an angle a product, each in f32.
    pub(super) fn new(theta: f32, size: usize, positions: usize) -> Self {
        let frequency = |at: usize| 1.0 / f64::from(theta).powf(f64::from((2 * at) as f32 / size as f32)) as f32;
        let frequencies: Vec<f32> = (0..size / 2).map(frequency).collect();
        let angle = |position: usize| frequencies.iter().map(move |frequency| f64::from(position as f32 * frequency));
        let angles = || (0..positions).flat_map(angle);
        let (cos, sin) = (angles().map(|x| x.cos() as f32).collect(), angles().map(|x| x.sin() as f32).collect());
        Self { positions, cos, sin }
    }

    /// How many positions there are.
    pub(super) fn positions(&self) -> usize {
        self.positions
    }

    /// The rows of `positions`, one behind the other.
    fn rows(&self, positions: &[u32], half: usize) -> (Vec<f32>, Vec<f32>) {
        let rows = |table: &[f32]| {
            let row = |&position: &u32| table[position as usize * half..][..half].to_vec();
            positions.iter().flat_map(row).collect()
        };
        (rows(&self.cos), rows(&self.sin))
    }
}

/// The attention of a batch: what is the same in all layers.
pub(super) struct Attention<'a> {
    heads: Heads,
    trees: &'a [Tree],
    /// The position of every token in its own sequence. Shape: [tokens].
    positions: &'a [u32],
    angles: &'a Angles,
    composed: Option<Plan>,
}

impl<'a> Attention<'a> {
    /// Lays out a batch. `composed` puts attention together from what candle has, which the processor can do as well.
    pub(super) fn new(
        heads: Heads,
        trees: &'a [Tree],
        positions: &'a [u32],
        angles: &'a Angles,
        composed: Option<(&Device, DType)>,
    ) -> Result<Self> {
        let plan = |(device, dtype)| {
            let (cos, sin) = angles.rows(positions, heads.size / 2);
            Plan::new(heads, trees, &cos, &sin, device, dtype)
        };
        Ok(Self { heads, trees, positions, angles, composed: composed.map(plan).transpose()? })
    }

    /// Norms, positions and attention: [tokens, (query + 2 · key_value) · size] -> [tokens, query · size].
    pub(super) fn forward(&self, qkv: Tensor, norms: &HeadNorms) -> Result<Tensor> {
        if let Some(plan) = &self.composed {
            return plan.attention(&qkv, norms);
        }
        qkv.inplace_op1(&Rotate { attention: self, norms })?;
        let seen = qkv.apply_op1_no_bwd(&Attend(self))?;
        buffers::spent(qkv)?;
        Ok(seen)
    }
}

struct Rotate<'a> {
    attention: &'a Attention<'a>,
    norms: &'a HeadNorms,
}

impl InplaceOp1 for Rotate<'_> {
    fn name(&self) -> &'static str {
        "norm-and-rotate"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let CpuStorage::F32(qkv) = storage else { candle_core::bail!("activations on the processor are f32") };
        let Some((start, end)) = layout.contiguous_offsets() else { candle_core::bail!("not contiguous") };
        let Attention { heads, positions, angles, .. } = self.attention;
        let HeadNorms { query, key } = self.norms;
        let norms = kernels::HeadNorms { query: &query.host, key: &key.host, eps: query.eps };
        let angles = kernels::Angles { cos: &angles.cos, sin: &angles.sin };
        kernels::norm_and_rotate(&mut qkv[start..end], *heads, positions, norms, angles);
        Ok(())
    }
}

struct Attend<'a>(&'a Attention<'a>);

impl CustomOp1 for Attend<'_> {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (tokens, stride) = layout.shape().dims2()?;
        let qkv = values(storage, layout)?;
        let heads = self.0.heads;
        let scale = 1.0 / (heads.size as f32).sqrt();
        let columns = |start: usize| kernels::Rows { values: &qkv[start * heads.size..], stride };
        let (q, k, v) = (columns(0), columns(heads.query), columns(heads.query + heads.key_value));
        let width = heads.query * heads.size;
        let mut out = buffers::fresh(tokens * width);
        kernels::attention(q, k, v, heads, self.0.trees, scale, &mut out);
        Ok((CpuStorage::F32(out), Shape::from((tokens, width))))
    }
}
