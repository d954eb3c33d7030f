//! What happens between the products: norms, positions, attention, the gate. On the processor by kernels of our own, each
//! in one pass over memory; elsewhere put together from what candle has. Tests hold the two to the same numbers.

use candle_core::{CpuStorage, CustomOp1, InplaceOp1, InplaceOp2, Layout, Result, Shape, Tensor};

use super::buffers;
use super::composed::Plan;
use super::kernels::{self, Heads, Tree};
use super::linear::{Linear, Placement, Way};

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
    way: Way,
}

impl Scale {
    /// Takes the weight, shape [width].
    pub(super) fn new(host: Vec<f32>, eps: f32, placement: &Placement) -> Result<Self> {
        let device = Tensor::from_slice(&host, host.len(), &placement.device)?.to_dtype(placement.activations())?;
        Ok(Self { host, device, eps, way: placement.way })
    }

    /// RMSNorm over the last dimension: [rows, width] -> [rows, width].
    pub(super) fn norm(&self, x: &Tensor) -> Result<Tensor> {
        if self.way == Way::Kernels { x.apply_op1_no_bwd(&RmsNorm(self)) } else { self.composed(x) }
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

/// silu(gate) · up, of which `gate_up` are the weights: [rows, hidden] -> [rows, width].
pub(super) fn gated(gate_up: &Linear, x: &Tensor, width: usize, way: Way) -> Result<Tensor> {
    if way == Way::Kernels {
        let gate_up = gate_up.forward(x)?; // [rows, 2 · width]
        let gated = gate_up.apply_op1_no_bwd(&Gate)?;
        buffers::spent(gate_up)?;
        return Ok(gated);
    }
    let [gate, up] = gate_up.parts(x, [width, width])?;
    gate.silu()? * up
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

    /// The first of them, as far as `positions` go.
    pub(super) fn up_to(&self, positions: &[u32], half: usize) -> (&[f32], &[f32]) {
        let end = positions.iter().max().map_or(0, |&last| last as usize + 1) * half;
        (&self.cos[..end], &self.sin[..end])
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
    /// Lays out a batch.
    pub(super) fn new(
        heads: Heads,
        trees: &'a [Tree],
        positions: &'a [u32],
        angles: &'a Angles,
        placement: &Placement,
    ) -> Result<Self> {
        let plan = || Plan::new(heads, trees, positions, angles.up_to(positions, heads.size / 2), placement);
        let composed = (placement.way != Way::Kernels).then(plan).transpose()?;
        Ok(Self { heads, trees, positions, angles, composed })
    }

    /// Norms, positions and attention of a product with `qkv`: [tokens, hidden] -> [tokens, query · size].
    pub(super) fn forward(&self, qkv: &Linear, x: &Tensor, norms: &HeadNorms) -> Result<Tensor> {
        let Heads { query, key_value, size } = self.heads;
        if let Some(plan) = &self.composed {
            let widths = [query * size, key_value * size, key_value * size];
            return plan.attention(qkv.parts(x, widths)?, norms);
        }
        let qkv = qkv.forward(x)?; // [tokens, (query + 2 · key_value) · size]
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
