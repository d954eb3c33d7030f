//! Products by the kernels of candle.

use anyhow::Result;
use candle_core::quantized::QMatMul;
use candle_core::{DType, Device, Module, Tensor};

use crate::engine::checkpoint::View;

/// Weights of shape [outputs, inputs], of which some may stand side by side.
pub(crate) struct Linear {
    weight: Weight,
    /// Shape: [outputs] of each product, or none.
    biases: Vec<Tensor>,
    outputs: usize,
}

enum Weight {
    /// Shape [inputs, outputs] each. On the CPU one, which lies in the order in which it is read; elsewhere as many as
    /// there are weights, as they are written, which is what other programs give to the same library.
    Dense(Vec<Tensor>),
    /// Side by side.
    Quantised(Vec<QMatMul>),
}

impl Linear {
    /// Takes weights and their biases, or none. `dtype` is for those that are not quantised.
    pub(crate) fn load(views: &[View], biases: &[View], device: &Device, dtype: DType) -> Result<Self> {
        let quantised = views.iter().any(|view| view.kind.is_quantised());
        let weight = if quantised { quantised_on(views, device)? } else { dense(views, device, dtype)? };
        let mut biases: Vec<Tensor> = biases.iter().map(|view| view.tensor(device, dtype)).collect::<Result<_>>()?;
        if matches!(&weight, Weight::Dense(weights) if weights.len() < biases.len()) {
            biases = vec![Tensor::cat(&biases, 0)?];
        }
        Ok(Self { weight, biases, outputs: views.iter().map(|view| view.shape[0]).sum() })
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The outputs of every weight, side by side: [rows, inputs] -> [rows, outputs], in the type of the input.
    pub(super) fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let mut outputs = self.products(x)?;
        if outputs.len() == 1 { Ok(outputs.remove(0)) } else { Tensor::cat(&outputs, 1) }
    }

    /// The outputs of every weight by themselves, which have these widths: what would be cut apart is not put together.
    pub(super) fn parts<const N: usize>(&self, x: &Tensor, widths: [usize; N]) -> candle_core::Result<[Tensor; N]> {
        let whole = match <[Tensor; N]>::try_from(self.products(x)?) {
            Ok(parts) => return Ok(parts),
            Err(outputs) => Tensor::cat(&outputs, 1)?,
        };
        let mut first = 0;
        let cut = widths.map(|width| {
            first += width;
            whole.narrow(1, first - width, width)?.contiguous()
        });
        let cut = cut.into_iter().collect::<candle_core::Result<Vec<_>>>()?;
        <[Tensor; N]>::try_from(cut).map_err(|_| candle_core::Error::Msg("parts were lost".into()))
    }

    /// One product for all weights, or one for each, in the type of the input.
    pub(crate) fn products(&self, x: &Tensor) -> candle_core::Result<Vec<Tensor>> {
        let mut outputs = match &self.weight {
            Weight::Dense(weights) => {
                let narrow = x.to_dtype(weights[0].dtype())?;
                let product = |weight: &Tensor| narrow.matmul(weight)?.to_dtype(x.dtype());
                weights.iter().map(product).collect::<candle_core::Result<Vec<_>>>()?
            }
            Weight::Quantised(weights) => {
                // candle's quantised kernels take and give f32.
                let wide = x.to_dtype(DType::F32)?;
                let product = |weight: &QMatMul| weight.forward(&wide)?.to_dtype(x.dtype());
                weights.iter().map(product).collect::<candle_core::Result<Vec<_>>>()?
            }
        };
        for (output, bias) in outputs.iter_mut().zip(&self.biases) {
            *output = output.broadcast_add(&bias.to_dtype(output.dtype())?)?;
        }
        Ok(outputs)
    }
}

fn dense(views: &[View], device: &Device, dtype: DType) -> Result<Weight> {
    let tensors: Vec<Tensor> = views.iter().map(|view| view.tensor(device, dtype)).collect::<Result<_>>()?;
    if device.is_cpu() {
        return Ok(Weight::Dense(vec![Tensor::cat(&tensors, 0)?.t()?.contiguous()?]));
    }
    Ok(Weight::Dense(tensors.iter().map(Tensor::t).collect::<candle_core::Result<_>>()?))
}

fn quantised_on(views: &[View], device: &Device) -> Result<Weight> {
    let one = |view: &View| -> Result<QMatMul> { Ok(QMatMul::from_qtensor(view.quantised_on(device)?)?) };
    Ok(Weight::Quantised(views.iter().map(one).collect::<Result<_>>()?))
}
