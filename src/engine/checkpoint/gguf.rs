//! GGUF files, with the names that llama.cpp gives to the weights and the metadata of Qwen3.

use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::quantized::gguf_file::{Content, Value};

use super::Mapped;
use super::weights::{Kind, Place, Weights};
use crate::guard;

/// The metadata of a GGUF file.
pub struct Metadata(HashMap<String, Value>);

/// Opens a GGUF file: its metadata, and its weights under the names of `config.json` models.
///
/// # Errors
/// When it is no GGUF file, is cut short, or has tensors of a kind that mailsort does not read.
pub fn open(path: &Path) -> Result<(Metadata, Weights)> {
    let shown = path.display();
    let map = Mapped::open(path)?;
    ensure!(map.starts_with(b"GGUF"), "{shown} is not a GGUF file");
    // The reader divides by an alignment that the file may give as zero.
    let read = guard::catch(|| Content::read(&mut Cursor::new(&map[..])));
    let content = match read {
        // Behind the first line of the error there may be a trace, which says nothing to a user.
        Ok(content) => content.map_err(|error| {
            let reason = error.to_string();
            anyhow!(
                "{shown} is not a whole GGUF file; download it again: {}",
                reason.lines().next().unwrap_or_default()
            )
        })?,
        Err(_) => bail!("{shown} is not a whole GGUF file; download it again"),
    };
    let mut places = BTreeMap::new();
    for (name, info) in &content.tensor_infos {
        let Some(kind) = Kind::of_ggml(info.ggml_dtype) else {
            bail!(
                "{shown}: the tensor {name} is {:?}; mailsort reads F32, F16, BF16, Q8_0, Q6_K, Q5_K and Q4_K",
                info.ggml_dtype
            );
        };
        let (numbers, size) = kind.block();
        let count: usize = info.shape.elem_count();
        let start = usize::try_from(content.tensor_data_offset.saturating_add(info.offset)).unwrap_or(usize::MAX);
        let end = start.saturating_add((count / numbers).saturating_mul(size));
        ensure!(end <= map.len(), "{shown} ends before the tensor {name}; download it again");
        ensure!(start.is_multiple_of(size_of::<u32>()), "{shown}: the tensor {name} is not aligned");
        let place = Place { file: 0, kind, shape: info.shape.dims().to_vec(), bytes: start..end };
        places.insert(usual_name(name).unwrap_or_else(|| name.clone()), place);
    }
    Ok((Metadata(content.metadata), Weights::new(vec![(path.to_path_buf(), map)], places)))
}

/// What the weight is called in safetensors files.
pub(in crate::engine) fn usual_name(name: &str) -> Option<String> {
    Some(match name {
        "token_embd.weight" => "model.embed_tokens.weight".into(),
        "output_norm.weight" => "model.norm.weight".into(),
        "output.weight" => "lm_head.weight".into(),
        _ => {
            let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
            let part = match rest.strip_suffix(".weight")? {
                "attn_norm" => "input_layernorm",
                "attn_q" => "self_attn.q_proj",
                "attn_k" => "self_attn.k_proj",
                "attn_v" => "self_attn.v_proj",
                "attn_q_norm" => "self_attn.q_norm",
                "attn_k_norm" => "self_attn.k_norm",
                "attn_output" => "self_attn.o_proj",
                "ffn_norm" => "post_attention_layernorm",
                "ffn_gate" => "mlp.gate_proj",
                "ffn_up" => "mlp.up_proj",
                "ffn_down" => "mlp.down_proj",
                _ => return None,
            };
            format!("model.layers.{layer}.{part}.weight")
        }
    })
}

impl Metadata {
    pub(crate) fn get(&self, key: &str) -> Result<&Value> {
        self.0.get(key).with_context(|| format!("the GGUF metadata lacks `{key}`"))
    }

    pub(crate) fn number(&self, key: &str) -> Result<usize> {
        let value = match self.get(key)? {
            Value::U32(value) => u64::from(*value),
            Value::U64(value) => *value,
            Value::I32(value) => u64::try_from(*value)?,
            Value::U16(value) => u64::from(*value),
            other => bail!("the GGUF metadata `{key}` is {other:?}, not a number"),
        };
        ensure!((1..=1 << 30).contains(&value), "the GGUF metadata `{key}` is {value}");
        Ok(value as usize)
    }

    pub(crate) fn float(&self, key: &str) -> Result<f32> {
        self.get(key)?.to_f32().ok().with_context(|| format!("the GGUF metadata `{key}` is not a number"))
    }

    /// A text, where there is one.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_string().ok().map(String::as_str)
    }

    /// A yes or no, where there is one.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.0.get(key)?.to_bool().ok()
    }

    /// A whole number, where there is one; zero counts.
    pub fn whole(&self, key: &str) -> Option<u32> {
        match self.0.get(key)? {
            Value::U32(value) => Some(*value),
            Value::I32(value) => u32::try_from(*value).ok(),
            _ => None,
        }
    }

    /// A list of texts.
    ///
    /// # Errors
    /// When it is missing or of another kind.
    pub fn texts(&self, key: &str) -> Result<Vec<String>> {
        let list = self.get(key)?.to_vec()?;
        list.iter().map(|value| Ok(value.to_string()?.clone())).collect()
    }

    /// A list of whole numbers.
    ///
    /// # Errors
    /// When it is missing or of another kind.
    pub fn numbers(&self, key: &str) -> Result<Vec<i32>> {
        let list = self.get(key)?.to_vec()?;
        list.iter().map(|value| Ok(value.to_i32()?)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_llama_cpp_are_those_of_the_paper() {
        assert_eq!(usual_name("blk.11.attn_q_norm.weight").unwrap(), "model.layers.11.self_attn.q_norm.weight");
        assert_eq!(usual_name("token_embd.weight").unwrap(), "model.embed_tokens.weight");
        assert_eq!(usual_name("cls.output.weight"), None);
    }
}
