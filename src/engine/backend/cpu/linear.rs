//! One product with a weight on the CPU, whatever the weight is written in.

use anyhow::{Result, ensure};
use bytemuck::try_cast_slice;
use candle_core::{Device, Tensor};
use half::bf16;

use super::Matrix;
use crate::engine::backend::Dtype;
use crate::engine::backend::candle::linear::Linear as ByCandle;
use crate::engine::checkpoint::{Kind, View};
use crate::engine::kernels;
use crate::engine::kernels::products::{Builder, Packed, Packing, WeightRows};

/// candle multiplies rows that do not fill a tile in another order than others, and scores must not depend on how many
/// rows there are.
const TILE: usize = 32;

/// How our kernels multiply these weights. `None` where only candle's do.
fn packing(views: &[View], dtype: Dtype) -> Option<Packing> {
    let all = |kind| views.iter().all(|view| view.kind == kind);
    match dtype {
        _ if all(Kind::Q8_0) && Packing::Q8_0.is_available() => Some(Packing::Q8_0),
        // Those of the model in the program, whose vectors lose next to nothing by it.
        _ if all(Kind::Q4_0) && Packing::Int8.is_available() => Some(Packing::Int8),
        _ if views.iter().any(|view| view.kind.is_quantised()) => None,
        Dtype::Q8_0 if Packing::Q8_0.is_available() => Some(Packing::Q8_0),
        Dtype::Bf16 if Packing::Bf16.is_available() => Some(Packing::Bf16),
        Dtype::F16 => None,
        // Weights that are bf16 lose nothing as bf16, and rows stay f32.
        Dtype::F32 if all(Kind::Bf16) && Packing::Mixed.is_available() => Some(Packing::Mixed),
        _ => Some(Packing::F32),
    }
}

/// Weights of shape [outputs, inputs], side by side, and their biases.
pub(crate) struct Linear {
    weight: Weight,
    outputs: usize,
}

enum Weight {
    /// By our own kernels.
    Packed(Packed),
    /// By those of candle: K-quants, and f16. Shape of the bias: [outputs], or nothing.
    Candle(ByCandle, Vec<f32>),
}

impl Linear {
    /// Puts weights of the same inputs side by side: their outputs come out one after another.
    pub(super) fn load(views: &[View], biases: &[View], dtype: Dtype) -> Result<Self> {
        let mut bias = Vec::new();
        for view in biases {
            bias.extend(view.values()?);
        }
        let weight = match packing(views, dtype) {
            Some(packing) => Weight::Packed(packed(views, packing)?.with_bias(bias)),
            None => Weight::Candle(ByCandle::load(views, &[], &Device::Cpu, dtype.candle())?, bias),
        };
        Ok(Self { weight, outputs: views.iter().map(|view| view.shape[0]).sum() })
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Shapes: `x` [rows, inputs], `out` [rows, outputs].
    pub(super) fn forward(&self, x: &Matrix, out: &mut Matrix) -> Result<()> {
        match &self.weight {
            Weight::Packed(packed) => {
                ensure!(x.width() == packed.inputs(), "rows of {} for a weight of {}", x.width(), packed.inputs());
                packed.product(x, out);
            }
            Weight::Candle(linear, bias) => {
                by_candle(linear, x, out)?;
                if !bias.is_empty() {
                    kernels::add_bias(out, bias);
                }
            }
        }
        Ok(())
    }
}

fn packed(views: &[View], packing: Packing) -> Result<Packed> {
    let inputs = views[0].shape[1];
    let mut builder = Builder::new(packing, views.iter().map(|view| view.shape[0]).sum(), inputs);
    for view in views {
        match view.kind {
            Kind::Q8_0 => builder.push(WeightRows::Q8_0(view.bytes)),
            Kind::Q4_0 => builder.push(WeightRows::Q4_0(view.bytes)),
            Kind::Bf16 => match try_cast_slice::<u8, bf16>(view.bytes) {
                Ok(rows) => builder.push(WeightRows::Bf16(rows)),
                Err(_) => builder.push(WeightRows::F32(&view.values()?)),
            },
            _ => builder.push(WeightRows::F32(&view.values()?)),
        }
    }
    Ok(builder.finish())
}

/// With rows of zeros behind the others, up to whole tiles.
fn by_candle(linear: &ByCandle, x: &Matrix, out: &mut Matrix) -> Result<()> {
    let (rows, width) = (x.rows(), x.width());
    let padded = rows.next_multiple_of(TILE);
    let mut input = Vec::with_capacity(padded * width);
    input.extend_from_slice(x);
    input.resize(padded * width, 0.0);
    let input = Tensor::from_vec(input, (padded, width), &Device::Cpu)?;
    let (outputs, mut first) = (out.width(), 0);
    for part in linear.products(&input)? {
        let (_, width) = part.dims2()?;
        let values = part.flatten_all()?.to_vec1::<f32>()?;
        for (to, from) in out.chunks_exact_mut(outputs).zip(values.chunks_exact(width)) {
            to[first..first + width].copy_from_slice(from);
        }
        first += width;
    }
    ensure!(first == outputs, "{first} outputs of a weight of {outputs}");
    Ok(())
}
