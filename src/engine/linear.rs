//! One product with a weight, whatever it is written in and wherever it is taken.

use anyhow::Result;
use candle_core::quantized::QMatMul;
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Module, Shape, Tensor};
use half::bf16;

use super::buffers;
use super::checkpoint::{Kind, View};
use super::flash;
use super::kernels::products::{Builder, Kind as Packing, Packed, Rows};

/// candle multiplies rows that do not fill a tile in another order than others, and scores must not depend on how many
/// rows there are.
const TILE: usize = 32;

/// Where the weights of a model lie and what they are multiplied as. Activations on the processor are always f32; on
/// another device they have the type of the weights.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    pub(crate) device: Device,
    /// F32, F16 or BF16; weights that a GGUF file has quantised stay as they are.
    pub(crate) dtype: DType,
    pub(crate) way: Way,
}

/// How what stands between the products is computed. Tests run all of it on the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By kernels of our own, which only the processor has.
    Kernels,
    /// Put together from what candle has on every device.
    Composed,
    /// The same, but attention in one kernel.
    Flash,
}

impl Placement {
    /// The best way that a device has, for heads of `head` numbers.
    pub(crate) fn new(device: &Device, dtype: DType, head: usize) -> Self {
        let way = match device {
            Device::Cpu => Way::Kernels,
            _ if flash::is_built_for(device, dtype, head) => Way::Flash,
            _ => Way::Composed,
        };
        Self { device: device.clone(), dtype, way }
    }

    /// The type that flows between the layers.
    pub(crate) fn activations(&self) -> DType {
        if self.device.is_cpu() { DType::F32 } else { self.dtype }
    }
}

/// Weights of shape [outputs, inputs], of which some may stand side by side.
pub(crate) enum Linear {
    /// On the processor, by kernels of our own.
    Packed(Packed),
    /// Shape [inputs, outputs] each. On the processor one, which lies in the order in which it is read; elsewhere as many
    /// as there are weights, and as these are written, which is what other programs give to the same library.
    Dense(Vec<Tensor>),
    /// By candle's kernels, side by side.
    Quantised(Vec<QMatMul>),
}

impl Linear {
    /// Puts weights of the same inputs side by side: their outputs come out one after another.
    ///
    /// # Errors
    /// When a weight is damaged or the device has not enough memory.
    pub(crate) fn load(views: &[View], placement: &Placement) -> Result<Self> {
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
        if placement.device.is_cpu() {
            return Ok(Self::Dense(vec![Tensor::cat(&tensors, 0)?.t()?.contiguous()?]));
        }
        Ok(Self::Dense(tensors.iter().map(Tensor::t).collect::<candle_core::Result<_>>()?))
    }

    fn quantised(views: &[View], device: &Device) -> Result<Self> {
        let one = |view: &View| -> Result<QMatMul> { Ok(QMatMul::from_qtensor(view.quantised_on(device)?)?) };
        Ok(Self::Quantised(views.iter().map(one).collect::<Result<_>>()?))
    }

    /// [rows, inputs] -> [rows, outputs], in the type of the input.
    ///
    /// # Errors
    /// When the device has not enough memory.
    pub(crate) fn forward(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let mut outputs = self.products(input)?;
        if outputs.len() == 1 { Ok(outputs.remove(0)) } else { Tensor::cat(&outputs, 1) }
    }

    /// The outputs of every weight by themselves, which have these widths: what would be cut apart is not put together.
    ///
    /// # Errors
    /// When the device has not enough memory.
    pub(crate) fn parts<const N: usize>(&self, input: &Tensor, widths: [usize; N]) -> candle_core::Result<[Tensor; N]> {
        let outputs = self.products(input)?;
        let outputs = match <[Tensor; N]>::try_from(outputs) {
            Ok(parts) => return Ok(parts),
            Err(outputs) => Tensor::cat(&outputs, 1)?,
        };
        let mut first = 0;
        let cut = widths.map(|width| {
            first += width;
            outputs.narrow(1, first - width, width)?.contiguous()
        });
        let cut = cut.into_iter().collect::<candle_core::Result<Vec<_>>>()?;
        <[Tensor; N]>::try_from(cut).map_err(|_| candle_core::Error::Msg("parts were lost".into()))
    }

    /// One product for all weights, or one for each.
    fn products(&self, input: &Tensor) -> candle_core::Result<Vec<Tensor>> {
        let rows = input.dim(0)?;
        match self {
            Self::Packed(packed) => Ok(vec![input.apply_op1_no_bwd(&Product(packed))?]),
            Self::Dense(weights) => {
                let narrow = padded(&input.to_dtype(weights[0].dtype())?)?;
                let product =
                    |weight: &Tensor| narrow.matmul(weight)?.narrow(0, 0, rows)?.contiguous()?.to_dtype(input.dtype());
                weights.iter().map(product).collect()
            }
            Self::Quantised(parts) => {
                // candle's quantised kernels take and give f32.
                let wide = padded(&input.to_dtype(DType::F32)?)?;
                let product =
                    |part: &QMatMul| part.forward(&wide)?.narrow(0, 0, rows)?.contiguous()?.to_dtype(input.dtype());
                parts.iter().map(product).collect()
            }
        }
    }
}

/// Rows of zeros behind the others, up to whole tiles; on other devices than the processor nothing is gained by them.
fn padded(input: &Tensor) -> candle_core::Result<Tensor> {
    let rows = input.dim(0)?;
    let more = if input.device().is_cpu() { rows.next_multiple_of(TILE) - rows } else { 0 };
    input.pad_with_zeros(0, 0, more)
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
