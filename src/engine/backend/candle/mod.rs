//! Any device that candle knows, and the CPU in tests.

mod attention;
pub(crate) mod flash;
pub(crate) mod linear;

use std::sync::Arc;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};

use super::{Activation, Backend, Heads, Sequences};
use crate::engine::checkpoint::{View, Weights};

use attention::Attention;
use linear::Linear;

/// A device, and the type of activations and weights on it.
pub(crate) struct Candle {
    pub(crate) device: Device,
    /// F32, F16 or BF16; weights that a GGUF file has quantised stay as they are.
    pub(crate) dtype: DType,
    /// Causal attention in one kernel.
    pub(crate) flash: bool,
}

impl Candle {
    /// The best that a device has, for heads of `size` numbers.
    pub(crate) fn new(device: &Device, dtype: DType, size: usize) -> Self {
        Self { device: device.clone(), dtype, flash: flash::is_built_for(device, dtype, size) }
    }

    /// The type that flows between the layers.
    fn activations(&self) -> DType {
        if self.device.is_cpu() { DType::F32 } else { self.dtype }
    }
}

/// Weight and bias of a norm. Shape of both: [width].
pub(crate) struct Norm {
    weight: Tensor,
    /// `None` for RMSNorm.
    bias: Option<Tensor>,
    eps: f32,
}

impl Norm {
    fn rms_norm(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        candle_nn::ops::rms_norm(x, &self.weight, self.eps)
    }
}

impl Backend for Candle {
    type Tensor = Tensor;
    /// Queries [tokens, query · size], keys and values [tokens, key_value · size].
    type Qkv = [Tensor; 3];
    type Linear = Linear;
    type Norm = Norm;
    type Embedding = Tensor;
    type Attention = Attention;

    fn load_linear(&self, weights: &[View], biases: &[View]) -> Result<Linear> {
        Linear::load(weights, biases, &self.device, self.dtype)
    }

    fn load_norm(&self, weight: View, bias: Option<View>, eps: f32) -> Result<Norm> {
        let load = |view: View| -> Result<Tensor> {
            let values = Tensor::from_vec(view.values()?, view.shape, &self.device)?;
            Ok(values.to_dtype(self.activations())?)
        };
        Ok(Norm { weight: load(weight)?, bias: bias.map(load).transpose()?, eps })
    }

    fn load_embedding(&self, weights: &Arc<Weights>, name: &str, shape: [usize; 2]) -> Result<Tensor> {
        weights.take(name, &shape)?.tensor(&self.device, self.activations())
    }

    fn synchronize(&self) -> Result<()> {
        Ok(self.device.synchronize()?)
    }

    fn embed(&self, table: &Tensor, ids: &[u32]) -> Result<Tensor> {
        let ids = Tensor::from_slice(ids, ids.len(), &self.device)?;
        Ok(table.index_select(&ids, 0)?)
    }

    fn attention_of(&self, sequences: &Sequences) -> Result<Attention> {
        Ok(Attention::new(sequences, self)?)
    }

    fn linear(&self, linear: &Linear, x: &Tensor) -> Result<Tensor> {
        Ok(linear.forward(x)?)
    }

    fn qkv(&self, qkv_proj: &Linear, x: &Tensor, attention: &Attention) -> Result<[Tensor; 3]> {
        let Heads { query, key_value, size } = attention.heads;
        Ok(qkv_proj.parts(x, [query * size, key_value * size, key_value * size])?)
    }

    fn rope(&self, qkv: [Tensor; 3], norms: [&Norm; 2], attention: &Attention) -> Result<[Tensor; 3]> {
        Ok(attention.rope(qkv, norms)?)
    }

    fn attention(&self, qkv: [Tensor; 3], attention: &Attention) -> Result<Tensor> {
        Ok(attention.forward(qkv)?)
    }

    fn rms_norm(&self, norm: &Norm, x: &Tensor) -> Result<Tensor> {
        Ok(norm.rms_norm(x)?)
    }

    fn layer_norm(&self, norm: &Norm, x: Tensor) -> Result<Tensor> {
        let zeros;
        let bias = match &norm.bias {
            Some(bias) => bias,
            None => {
                zeros = norm.weight.zeros_like()?;
                &zeros
            }
        };
        Ok(candle_nn::ops::layer_norm(&x, &norm.weight, bias, norm.eps)?)
    }

    fn add(&self, x: Tensor, y: Tensor) -> Result<Tensor> {
        Ok((x + y)?)
    }

    fn activation(&self, activation: Activation, x: Tensor) -> Result<Tensor> {
        Ok(match activation {
            Activation::Gelu => x.gelu_erf()?,
            Activation::GeluTanh => x.gelu()?,
            Activation::Relu => x.relu()?,
        })
    }

    fn swiglu(&self, gate_up_proj: &Linear, x: &Tensor) -> Result<Tensor> {
        let width = gate_up_proj.outputs() / 2;
        let [gate, up] = gate_up_proj.parts(x, [width, width])?;
        Ok((gate.silu()? * up)?)
    }

    fn select(&self, x: Tensor, rows: &[u32]) -> Result<Tensor> {
        let rows = Tensor::from_slice(rows, rows.len(), &self.device)?;
        Ok(x.index_select(&rows, 0)?)
    }

    fn read(&self, x: &Tensor) -> Result<Vec<f32>> {
        Ok(x.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
    }
}
