//! One product with a weight, whatever it is written in and wherever it is taken.

use anyhow::Result;
use candle_core::quantized::QMatMul;
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Module, Shape, Tensor};
use half::bf16;

use super::buffers;
use super::checkpoint::{Kind, View};
use super::kernels::products::{Builder, Kind as Packing, Packed, Rows};

/// candle multiplies rows that do not fill a tile in another order than others, and scores must not depend on how many
/// rows there are.
const TILE: usize = 32;

/// Where the weights of a model lie and what they are multiplied as. Activations on the processor are always f32; on
/// another device they have the type of the weights.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    pub(super) device: Device,
    /// F32, F16 or BF16; weights that a GGUF file has quantised stay as they are.
    pub(super) dtype: DType,
    /// Put attention together from what candle has, although the processor has a kernel: for tests.
    pub(super) compose: bool,
}

impl Placement {
    /// True where attention is put together from what candle has.
    pub(super) fn composed(&self) -> bool {
        self.compose || !self.device.is_cpu()
    }

    /// The type that flows between the layers.
    pub(super) fn activations(&self) -> DType {
        if self.device.is_cpu() { DType::F32 } else { self.dtype }
    }
}

/// Weights of shape [outputs, inputs], of which some may stand side by side.
pub(super) enum Linear {
    /// On the processor, by kernels of our own.
    Packed(Packed),
    /// Shape [inputs, outputs]: what is multiplied lies in the order in which it is read.
    Dense(Tensor),
    /// By candle's kernels, side by side.
    Quantised(Vec<QMatMul>),
}

impl Linear {
    /// Puts weights of the same inputs side by side: their outputs come out one after another.
    ///
    /// # Errors
    /// When a weight is damaged or the device has not enough memory.
    pub(super) fn load(views: &[View], placement: &Placement) -> Result<Self> {
        let quantised = views.iter().any(|view| view.kind.is_quantised());
        if !placement.device.is_cpu() {
            return if quantised { Self::quantised(views, &placement.device) } else { Self::dense(views, placement) };
        }
        let all = |kind| views.iter().all(|view| view.kind == kind);
        match placement.dtype {
            _ if all(Kind::Q8_0) && Packing::Q8_0.is_available() => Self::packed(views, Packing::Q8_0),
            _ if quantised => Self::quantised(views, &placement.device),
            DType::BF16 if Packing::Bf16.is_available() => Self::packed(views, Packing::Bf16),
            DType::F16 => Self::dense(views, placement),
            // Weights that are bf16 lose nothing as bf16, and rows stay f32.
            DType::F32 if all(Kind::Bf16) && Packing::Mixed.is_available() => Self::packed(views, Packing::Mixed),
            _ => Self::packed(views, Packing::F32),
        }
    }

    fn packed(views: &[View], packing: Packing) -> Result<Self> {
        let inputs = views[0].shape[1];
        let mut builder = Builder::new(packing, views.iter().map(|view| view.shape[0]).sum(), inputs);
        for view in views {
            match view.kind {
                Kind::Q8_0 => builder.push(Rows::Q8_0(view.bytes)),
                Kind::Bf16 => match bytemuck::try_cast_slice::<u8, bf16>(view.bytes) {
                    Ok(rows) => builder.push(Rows::Bf16(rows)),
                    Err(_) => builder.push(Rows::F32(&view.values()?)),
                },
                _ => builder.push(Rows::F32(&view.values()?)),
            }
        }
        Ok(Self::Packed(builder.finish()))
    }

    fn dense(views: &[View], placement: &Placement) -> Result<Self> {
        let tensors = views.iter().map(|view| view.tensor(&placement.device, placement.dtype));
        let tensors: Vec<Tensor> = tensors.collect::<Result<_>>()?;
        Ok(Self::Dense(Tensor::cat(&tensors, 0)?.t()?.contiguous()?))
    }

    fn quantised(views: &[View], device: &Device) -> Result<Self> {
        let one = |view: &View| -> Result<QMatMul> { Ok(QMatMul::from_qtensor(view.quantised_on(device)?)?) };
        Ok(Self::Quantised(views.iter().map(one).collect::<Result<_>>()?))
    }

    /// [rows, inputs] -> [rows, outputs], in the type of the input.
    ///
    /// # Errors
    /// When the device has not enough memory.
    pub(super) fn forward(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Packed(packed) => input.apply_op1_no_bwd(&Product(packed)),
            Self::Dense(weight) => {
                let narrow = padded(&input.to_dtype(weight.dtype())?)?;
                narrow.matmul(weight)?.narrow(0, 0, input.dim(0)?)?.contiguous()?.to_dtype(input.dtype())
            }
            Self::Quantised(parts) => {
                // candle's quantised kernels take and give f32.
                let rows = input.dim(0)?;
                let wide = padded(&input.to_dtype(DType::F32)?)?;
                let outputs = parts.iter().map(|part| part.forward(&wide)).collect::<candle_core::Result<Vec<_>>>()?;
                let output = if outputs.len() == 1 { outputs[0].clone() } else { Tensor::cat(&outputs, 1)? };
                output.narrow(0, 0, rows)?.contiguous()?.to_dtype(input.dtype())
            }
        }
    }
}

/// Rows of zeros behind the others, up to whole tiles.
fn padded(input: &Tensor) -> candle_core::Result<Tensor> {
    let rows = input.dim(0)?;
    input.pad_with_zeros(0, 0, rows.next_multiple_of(TILE) - rows)
}

/// A product by our own kernels, as candle calls it.
struct Product<'a>(&'a Packed);

impl CustomOp1 for Product<'_> {
    fn name(&self) -> &'static str {
        "product"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (rows, inputs) = layout.shape().dims2()?;
        if inputs != self.0.inputs() {
            candle_core::bail!("a product of rows of {inputs} with a weight for {}", self.0.inputs());
        }
        let input = super::ops::values(storage, layout)?;
        let mut output = buffers::fresh(rows * self.0.outputs());
        self.0.product(input, &mut output);
        Ok((CpuStorage::F32(output), Shape::from((rows, self.0.outputs()))))
    }
}
