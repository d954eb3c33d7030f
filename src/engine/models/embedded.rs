//! Models whose files lie in the program: tensors are slices of its own image, of which the operating system loads only
//! the pages that a run touches.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

/// The version of the files that the code reads.
const VERSION: &str = "1";

/// Gives the embedded bytes an alignment at which every type of tensor can be read.
#[repr(C, align(64))]
pub(super) struct Aligned<T: ?Sized>(pub(super) T);

/// A file in the program.
pub(super) struct EmbeddedFile {
    constants: HashMap<String, String>,
    tensors: SafeTensors<'static>,
}

/// A short name for what a file holds, from pieces all over each of its tensors: training changes every number of those
/// that it touches.
pub(super) fn fingerprint(file: &[u8]) -> String {
    let mut tensors = SafeTensors::deserialize(file).map(|file| file.tensors()).unwrap_or_default();
    tensors.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut hasher = Sha256::new_with_prefix(file.len().to_le_bytes());
    for (name, tensor) in &tensors {
        let data = tensor.data();
        hasher.update(name);
        data.chunks(data.len() / 64 + 1).for_each(|part| hasher.update(&part[..part.len().min(64)]));
    }
    hasher.finalize().iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

/// Numbers in the tensors that were learned: the vocabulary is text and how it is cut.
///
/// # Errors
/// When the file is damaged.
pub(super) fn learned(file: &[u8]) -> Result<u64> {
    let (_, header) = SafeTensors::read_metadata(file)?;
    let tensors = header.tensors();
    let learned = tensors.iter().filter(|(name, _)| !name.starts_with("piece"));
    Ok(learned.map(|(_, info)| info.shape.iter().product::<usize>() as u64).sum())
}

impl EmbeddedFile {
    /// # Errors
    /// When it is damaged, or of another version.
    pub(super) fn open(file: &'static [u8]) -> Result<Self> {
        let (_, header) = SafeTensors::read_metadata(file)?;
        let constants = header.metadata().clone().unwrap_or_default();
        let opened = Self { constants, tensors: SafeTensors::deserialize(file)? };
        let version = opened.constant("version")?;
        ensure!(version == VERSION, "the file has version {version}, not {VERSION}");
        Ok(opened)
    }

    /// What its metadata says.
    pub(super) fn constant(&self, name: &str) -> Result<&str> {
        self.constants.get(name).map(String::as_str).with_context(|| format!("no constant {name}"))
    }

    /// The shape of a tensor, which has at least one number.
    pub(super) fn shape(&self, name: &str) -> Result<Vec<usize>> {
        let shape = self.tensors.tensor(name).with_context(|| name.to_string())?.shape().to_vec();
        ensure!(!shape.is_empty(), "{name} is a single number");
        Ok(shape)
    }

    /// Length of the rows of a tensor.
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
        let view = self.tensors.tensor(name).with_context(|| name.to_string())?;
        ensure!(view.dtype() == dtype, "{name} is {:?}, not {dtype:?}", view.dtype());
        ensure!(view.shape() == shape, "{name} has the shape {:?}, not {shape:?}", view.shape());
        bytemuck::try_cast_slice(view.data()).map_err(|error| anyhow::anyhow!("{name}: {error}"))
    }
}
