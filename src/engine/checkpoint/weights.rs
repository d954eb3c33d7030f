//! Tensors by name, as views into mapped files, with nothing missing, of another shape, or left over.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

use super::names::{INDEX, WEIGHTS};
use super::{Mapped, read_described};

/// How the numbers of a tensor are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// 4 bytes a number.
    F32,
    /// 2 bytes, 11 bits of precision, up to 65504.
    F16,
    /// 2 bytes, 8 bits of precision.
    Bf16,
    /// GGUF: 8.5 bits a number.
    Q8_0,
    /// GGUF: 6.6 bits a number.
    Q6K,
    /// GGUF: 5.5 bits a number.
    Q5K,
    /// GGUF: 4.5 bits a number.
    Q4K,
    /// 4.5 bits a number: 16 bytes behind an f16 scale, as GGML's Q4_0. Only a model in the program has them.
    Q4_0,
    /// A byte each.
    U8,
}

impl Kind {
    /// Numbers and bytes of one block: the smallest piece that can be read by itself.
    pub fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            _ => self.ggml().map_or((1, 1), |kind| (kind.block_size(), kind.type_size())),
        }
    }

    /// The same in GGML; bytes are none.
    fn ggml(self) -> Option<GgmlDType> {
        Some(match self {
            Self::F32 => GgmlDType::F32,
            Self::F16 => GgmlDType::F16,
            Self::Bf16 => GgmlDType::BF16,
            Self::Q8_0 => GgmlDType::Q8_0,
            Self::Q6K => GgmlDType::Q6K,
            Self::Q5K => GgmlDType::Q5K,
            Self::Q4K => GgmlDType::Q4K,
            Self::Q4_0 => GgmlDType::Q4_0,
            Self::U8 => return None,
        })
    }

    /// True for the kinds that only GGUF files have.
    pub fn is_quantised(self) -> bool {
        !matches!(self, Self::F32 | Self::F16 | Self::Bf16 | Self::U8)
    }

    pub(super) fn of_ggml(kind: GgmlDType) -> Option<Self> {
        let all = [Self::F32, Self::F16, Self::Bf16, Self::Q8_0, Self::Q6K, Self::Q5K, Self::Q4K];
        all.into_iter().find(|known| known.ggml() == Some(kind))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "Q8_0",
            Self::Q6K => "Q6_K",
            Self::Q5K => "Q5_K",
            Self::Q4K => "Q4_K",
            Self::Q4_0 => "Q4_0",
            Self::U8 => "u8",
        })
    }
}

/// Where a tensor lies.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) kind: Kind,
    pub(super) shape: Vec<usize>,
    pub(super) bytes: Range<usize>,
}

/// The tensors of a checkpoint.
pub struct Weights {
    pub(super) files: Vec<(PathBuf, Mapped)>,
    pub(super) places: BTreeMap<String, Place>,
    taken: Mutex<BTreeSet<String>>,
}

/// One tensor in its file.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// How its numbers are written.
    pub kind: Kind,
    /// Its shape, rows first.
    pub shape: &'a [usize],
    /// Its bytes, rows one after another.
    pub bytes: &'a [u8],
}

impl Weights {
    pub(super) fn new(files: Vec<(PathBuf, Mapped)>, places: BTreeMap<String, Place>) -> Self {
        Self { files, places, taken: Mutex::default() }
    }

    /// Opens `model.safetensors` of a folder, or the shards that its index names.
    ///
    /// # Errors
    /// When files are missing, damaged or contradict each other.
    pub fn safetensors(folder: &Path) -> Result<Self> {
        let paths = files(folder)?;
        let mut files = Vec::new();
        let mut places = BTreeMap::new();
        for path in paths {
            let map = Mapped::open(&path)?;
            let shown = path.display();
            let header = SafeTensors::read_metadata(&map)
                .with_context(|| format!("{shown} is not a whole safetensors file; download it again"))?;
            let (length, metadata) = header;
            let start = length + 8;
            for (name, info) in metadata.tensors() {
                let kind = match info.dtype {
                    Dtype::F32 => Kind::F32,
                    Dtype::F16 => Kind::F16,
                    Dtype::BF16 => Kind::Bf16,
                    // Tables of positions that some encoders carry along; who needs them asks for a number.
                    Dtype::I64 => continue,
                    other => bail!("{shown}: the tensor {name} is {other:?}; mailsort reads F32, F16 and BF16"),
                };
                let bytes = start + info.data_offsets.0..start + info.data_offsets.1;
                ensure!(bytes.end <= map.len(), "{shown} ends before the tensor {name}; download it again");
                let place = Place { file: files.len(), kind, shape: info.shape.clone(), bytes };
                ensure!(places.insert(name.clone(), place).is_none(), "{shown}: a second tensor is called {name}");
            }
            files.push((path, map));
        }
        Ok(Self::new(files, places))
    }

    /// A file that lies in the program. Weights that are bytes are blocks of 4 bits.
    ///
    /// # Errors
    /// When it is damaged.
    pub(in crate::engine) fn embedded(name: &str, file: &'static [u8]) -> Result<Self> {
        let (length, metadata) = SafeTensors::read_metadata(file).with_context(|| format!("{name} is damaged"))?;
        let mut places = BTreeMap::new();
        for (tensor, info) in metadata.tensors() {
            let mut shape = info.shape.clone();
            let kind = match info.dtype {
                Dtype::F32 => Kind::F32,
                Dtype::F16 => Kind::F16,
                Dtype::U8 if tensor.ends_with(".weight") => {
                    let (numbers, size) = Kind::Q4_0.block();
                    let row = shape.last_mut().filter(|row| row.is_multiple_of(size));
                    let row = row.with_context(|| format!("the rows of {tensor} in {name} are no blocks"))?;
                    *row = *row / size * numbers;
                    Kind::Q4_0
                }
                Dtype::U8 => Kind::U8,
                // What is no weight is read by whoever knows it.
                _ => continue,
            };
            let (start, end) = info.data_offsets;
            let bytes = length + 8 + start..length + 8 + end;
            ensure!(bytes.end <= file.len(), "{name} ends before the tensor {tensor}");
            places.insert(tensor.clone(), Place { file: 0, kind, shape, bytes });
        }
        Ok(Self::new(vec![(name.into(), Mapped::Program(file))], places))
    }

    /// The names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// True when there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Length of the rows of a tensor.
    ///
    /// # Errors
    /// When it is missing.
    pub fn columns(&self, name: &str) -> Result<usize> {
        let place = self.places.get(name).with_context(|| format!("the weight {name} is missing"))?;
        Ok(place.shape.last().copied().unwrap_or(0))
    }

    /// Numbers in all tensors, and how most of them are written.
    pub fn size(&self) -> (u64, Option<Kind>) {
        let mut by_kind: BTreeMap<Kind, u64> = BTreeMap::new();
        for place in self.places.values() {
            *by_kind.entry(place.kind).or_default() += place.shape.iter().product::<usize>() as u64;
        }
        (by_kind.values().sum(), by_kind.iter().max_by_key(|(_, count)| **count).map(|(kind, _)| *kind))
    }

    /// Numbers in the tensors that `counts`.
    pub fn numbers(&self, counts: impl Fn(&str) -> bool) -> u64 {
        let counted = self.places.iter().filter(|(name, _)| counts(name));
        counted.map(|(_, place)| place.shape.iter().product::<usize>() as u64).sum()
    }

    /// Bytes of the tensors that `counts`, as they are written.
    pub fn bytes(&self, counts: impl Fn(&str) -> bool) -> u64 {
        self.places.iter().filter(|(name, _)| counts(name)).map(|(_, place)| place.bytes.len() as u64).sum()
    }

    /// Takes a tensor of the given shape.
    ///
    /// # Errors
    /// When it is missing or has another shape; the message names it.
    pub fn take(&self, name: &str, shape: &[usize]) -> Result<View<'_>> {
        let Some((name, place)) = self.places.get_key_value(name) else {
            bail!("the weight {name} is missing from {}", self.shown());
        };
        ensure!(
            place.shape == shape,
            "the weight {name} in {} has the shape {:?}; config.json asks for {shape:?}",
            self.shown(),
            place.shape
        );
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        let bytes = &self.files[place.file].1[place.bytes.clone()];
        let (numbers, size) = place.kind.block();
        let count: usize = shape.iter().product();
        ensure!(
            shape.last().is_some_and(|last| last.is_multiple_of(numbers)) && bytes.len() == count / numbers * size,
            "the weight {name} in {} has {} bytes, which is no {} of the shape {shape:?}",
            self.shown(),
            bytes.len(),
            place.kind
        );
        Ok(View { name, kind: place.kind, shape: &place.shape, bytes })
    }

    /// Checks that every tensor was taken, but for those that `known` says have no use here.
    ///
    /// # Errors
    /// When some are left over: the model is another one than its configuration says. The message names some.
    pub fn finish(&self, known: impl Fn(&str) -> bool) -> Result<()> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let left: Vec<&str> = self.names().filter(|name| !taken.contains(*name) && !known(name)).collect();
        ensure!(
            left.is_empty(),
            "{} in {} left over, such as {}: the weights are of another model than the configuration",
            if left.len() == 1 { "1 weight is".to_string() } else { format!("{} weights are", left.len()) },
            self.shown(),
            left[0]
        );
        Ok(())
    }

    /// The first file, to name in messages.
    fn shown(&self) -> String {
        match &self.files[..] {
            [] => "no file".into(),
            [(path, _)] => path.display().to_string(),
            [(path, _), ..] => format!("{} and its sister files", path.display()),
        }
    }
}

/// The safetensors files of a folder.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let index = folder.join(INDEX);
    if index.exists() {
        let present = |name: String| {
            let path = folder.join(name);
            ensure!(path.exists(), "{} is missing, which {} names", path.display(), index.display());
            Ok(path)
        };
        return shards(&index)?.into_iter().map(present).collect();
    }
    let single = folder.join(WEIGHTS);
    ensure!(
        single.exists(),
        "{} holds no {WEIGHTS} nor {INDEX}; weights in other formats (.bin, .pt) are never \
         opened",
        folder.display()
    );
    Ok(vec![single])
}

/// The files that an index names, each once. They need not be there.
///
/// # Errors
/// When it is no index, names nothing, or names what is not a safetensors file beside it.
pub fn shards(index: &Path) -> Result<Vec<String>> {
    let shown = index.display();
    let text = read_described(index).with_context(|| format!("cannot read {shown}"))?;
    let read: serde_json::Value = serde_json::from_slice(&text).with_context(|| format!("{shown} is not JSON"))?;
    let map = read["weight_map"].as_object().with_context(|| format!("{shown} has no `weight_map`"))?;
    let names: BTreeSet<&str> = map.values().filter_map(|name| name.as_str()).collect();
    ensure!(!names.is_empty(), "{shown} names no file");
    // Names of files go into addresses and messages, so they are plain words.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let inside = |name: &str| name.chars().all(plain) && !name.starts_with('.') && name.ends_with(".safetensors");
    for name in &names {
        ensure!(inside(name), "{shown} names the file {name:?}, which is not a safetensors file beside it");
    }
    Ok(names.into_iter().map(String::from).collect())
}

impl View<'_> {
    /// Rows as f32. Shape: [rows, columns].
    ///
    /// # Errors
    /// When the tensor is quantised and damaged.
    pub fn rows(&self, rows: Range<usize>) -> Result<Vec<f32>> {
        ensure!(rows.end <= self.shape[0], "the weight {} has {} rows, not {}", self.name, self.shape[0], rows.end);
        let mut values = vec![0.0; rows.len() * self.shape[1..].iter().product::<usize>()];
        self.read_rows(rows, &mut values)?;
        Ok(values)
    }

    /// Writes rows as f32. Shape of `values`: [rows, columns].
    ///
    /// # Errors
    /// As [`View::rows`].
    pub fn read_rows(&self, rows: Range<usize>, values: &mut [f32]) -> Result<()> {
        ensure!(rows.end <= self.shape[0], "the weight {} has {} rows, not {}", self.name, self.shape[0], rows.end);
        let columns: usize = self.shape[1..].iter().product();
        let (numbers, size) = self.kind.block();
        let row = columns / numbers * size;
        let bytes = &self.bytes[rows.start * row..rows.end * row];
        match self.kind {
            Kind::F32 => values.iter_mut().zip(bytes.as_chunks().0).for_each(|(x, &b)| *x = f32::from_le_bytes(b)),
            Kind::F16 => {
                values.iter_mut().zip(bytes.as_chunks().0).for_each(|(x, &b)| *x = f16::from_le_bytes(b).to_f32());
            }
            Kind::Bf16 => {
                values.iter_mut().zip(bytes.as_chunks().0).for_each(|(x, &b)| *x = bf16::from_le_bytes(b).to_f32());
            }
            Kind::U8 => values.iter_mut().zip(bytes).for_each(|(x, &b)| *x = f32::from(b)),
            _ => {
                let tensor = self.quantised(bytes, rows.len(), columns)?.dequantize(&Device::Cpu)?;
                values.copy_from_slice(&tensor.flatten_all()?.to_vec1::<f32>()?);
            }
        }
        Ok(())
    }

    /// All numbers as f32.
    ///
    /// # Errors
    /// As [`View::rows`].
    pub fn values(&self) -> Result<Vec<f32>> {
        let whole = View { shape: &[1, self.shape.iter().product()], ..*self };
        whole.rows(0..1)
    }

    /// The tensor on a device.
    ///
    /// # Errors
    /// When the device has not enough memory.
    pub fn tensor(&self, device: &Device, dtype: DType) -> Result<Tensor> {
        let kind = match self.kind {
            Kind::F32 => DType::F32,
            Kind::F16 => DType::F16,
            Kind::Bf16 => DType::BF16,
            _ => return Ok(Tensor::from_vec(self.values()?, self.shape, device)?.to_dtype(dtype)?),
        };
        Ok(Tensor::from_raw_buffer(self.bytes, kind, self.shape, device)?.to_dtype(dtype)?)
    }

    /// The tensor as it is written in a GGUF file, on a device.
    ///
    /// # Errors
    /// When the device has not enough memory.
    pub fn quantised_on(&self, device: &Device) -> Result<QTensor> {
        let storage = QStorage::from_data(self.bytes.into(), device, self.ggml()?)?;
        Ok(QTensor::new(storage, self.shape)?)
    }

    fn ggml(&self) -> Result<GgmlDType> {
        self.kind.ggml().with_context(|| format!("the weight {} is of bytes, which stand for no numbers", self.name))
    }

    fn quantised(&self, bytes: &[u8], rows: usize, columns: usize) -> Result<QTensor> {
        let storage = QStorage::from_data(bytes.into(), &Device::Cpu, self.ggml()?)?;
        Ok(QTensor::new(storage, (rows, columns))?)
    }
}
