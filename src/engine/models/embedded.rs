//! Models whose files lie in the program: tensors are slices of its own image, of which the operating system loads only
//! the pages that a run touches.

use anyhow::{Context, Result, ensure};
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

/// Gives the embedded bytes an alignment at which every type of tensor can be read.
#[repr(C, align(64))]
pub(super) struct Aligned<T: ?Sized>(pub(super) T);

/// A short name for what a file holds, from pieces all over it.
pub(super) fn fingerprint(file: &[u8]) -> String {
    let mut hasher = Sha256::new_with_prefix(file.len().to_le_bytes());
    file.chunks(file.len() / 64 + 1).for_each(|part| hasher.update(&part[..part.len().min(64)]));
    hasher.finalize().iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

/// Numbers in the tensors that were learned.
///
/// # Errors
/// When the file is damaged.
pub(super) fn learned(file: &[u8], is_learned: impl Fn(&str) -> bool) -> Result<u64> {
    let (_, header) = SafeTensors::read_metadata(file)?;
    let tensors = header.tensors();
    let learned = tensors.iter().filter(|(name, _)| is_learned(name));
    Ok(learned.map(|(_, info)| info.shape.iter().product::<usize>() as u64).sum())
}

/// The file's tensors, by name.
pub(super) struct Tensors<'t>(pub(super) &'t SafeTensors<'static>);

impl Tensors<'_> {
    /// Its shape, which has at least one number.
    pub(super) fn shape(&self, name: &str) -> Result<Vec<usize>> {
        let shape = self.0.tensor(name).with_context(|| name.to_string())?.shape().to_vec();
        ensure!(!shape.is_empty(), "{name} is a single number");
        Ok(shape)
    }

    /// Length of its rows.
    pub(super) fn columns(&self, name: &str) -> Result<usize> {
        Ok(self.shape(name)?.last().copied().unwrap_or_default())
    }

    /// A tensor's data, where it lies.
    pub(super) fn slice<T: bytemuck::AnyBitPattern>(
        &self,
        name: &str,
        dtype: Dtype,
        shape: &[usize],
    ) -> Result<&'static [T]> {
        let view = self.0.tensor(name).with_context(|| name.to_string())?;
        ensure!(view.dtype() == dtype, "{name} is {:?}, not {dtype:?}", view.dtype());
        ensure!(view.shape() == shape, "{name} has the shape {:?}, not {shape:?}", view.shape());
        bytemuck::try_cast_slice(view.data()).map_err(|error| anyhow::anyhow!("{name}: {error}"))
    }
}
