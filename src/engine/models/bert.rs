//! BERT (Devlin and others 2018, <https://arxiv.org/abs/1810.04805>), RoBERTa, XLM-RoBERTa and CamemBERT, which begin
//! positions elsewhere, and DistilBERT, which has no token types and other names: tokens in, last hidden states out.
//! (candle-transformers has DistilBERT too, but computes its GELU by a hyperbolic tangent.)
//!
//! It follows `modeling_bert.py` of Hugging Face transformers, class by class, for packed texts without padding. Every
//! row of a product is the same whatever its neighbours, and attention is each text's own, so that no bit of a text's
//! states depends on the others.
//! <https://github.com/huggingface/transformers/blob/main/src/transformers/models/bert/modeling_bert.py>

mod config;
mod load;

use anyhow::Result;
use rayon::prelude::*;

use super::encoder::{Encoder, EncoderShape, Input};
use crate::engine::backend::{Backend, Heads, Mask, Sequences, Tree};
use crate::engine::checkpoint::{Checkpoint, Weights};
use config::{Config, Family};

#[cfg(test)]
pub(crate) use load::{cross_encoder, embedding};
pub(crate) use load::{embedded, load};

/// `BertModel`.
struct BertModel<B: Backend> {
    backend: B,
    config: Config,
    embeddings: BertEmbeddings<B>,
    layers: Vec<Layer<B>>,
    /// Tokens that go through the layers together on one core.
    batch_tokens: usize,
}

impl<B: Backend> BertModel<B> {
    /// Takes the weights, whose names may begin with that of the architecture.
    fn load(checkpoint: &Checkpoint, config: &Config, backend: B, batch_tokens: usize) -> Result<Self> {
        let loader = Loader { checkpoint, config, backend: &backend, prefix: prefix(&checkpoint.weights) };
        let embeddings = BertEmbeddings::load(&loader)?;
        let layers = (0..config.num_hidden_layers).map(|at| Layer::load(&loader, at)).collect::<Result<_>>()?;
        backend.synchronize()?;
        Ok(Self { embeddings, layers, config: config.clone(), batch_tokens, backend })
    }

    /// The last hidden states of some inputs, one after another. Shape: [tokens of all, hidden].
    fn forward(&self, inputs: &[Input]) -> Result<Vec<f32>> {
        let backend = &self.backend;
        let mut trees: Vec<Tree> = Vec::with_capacity(inputs.len());
        for input in inputs {
            let start = trees.last().map_or(0, |tree| tree.start + tree.prefix);
            trees.push(Tree { start, prefix: input.ids.len(), tails: Vec::new() });
        }
        let Config { num_attention_heads: heads, hidden_size, .. } = self.config;
        let heads = Heads { query: heads, key_value: heads, size: hidden_size / heads };
        let sequences = Sequences { trees: &trees, mask: Mask::Full, heads, rope: None };
        let attention = backend.attention_of(&sequences)?;
        let mut x = self.embeddings.forward(backend, inputs, &self.config)?; // [tokens, hidden]
        for layer in &self.layers {
            x = layer.forward(backend, x, &attention, &self.config)?; // [tokens, hidden]
        }
        backend.read(&x)
    }
}

impl<B: Backend> Encoder for BertModel<B> {
    fn shape(&self) -> EncoderShape {
        let Config { hidden_size, vocab_size, type_vocab_size, .. } = self.config;
        EncoderShape { hidden_size, vocab_size, type_vocab_size, max_tokens: self.config.longest() }
    }

    fn encode(&self, inputs: &[Input], read: &mut dyn FnMut(&[f32])) -> Result<()> {
        let parts = parts(inputs, self.batch_tokens, rayon::current_num_threads());
        // A core takes a part through all layers, so that its rows stay in its caches. A core that has no part left helps
        // with the products of the others.
        let states: Vec<Vec<f32>> = parts.par_iter().map(|part| self.forward(part)).collect::<Result<_>>()?;
        for (part, states) in parts.into_iter().zip(states) {
            let mut left = &states[..];
            for input in part {
                let own;
                (own, left) = left.split_at(input.ids.len() * self.config.hidden_size);
                read(own);
            }
        }
        Ok(())
    }
}

/// Cuts inputs into parts of at most so many tokens, a longer input by itself: of about the same size, and where that
/// leaves them half as long at least, as many for each thread.
fn parts(inputs: &[Input], most: usize, threads: usize) -> Vec<&[Input]> {
    let total: usize = inputs.iter().map(|input| input.ids.len()).sum();
    let fewest = total.div_ceil(most).max(1);
    let even = fewest.next_multiple_of(threads.max(1));
    let share = total.div_ceil(if total >= even * most / 2 { even } else { fewest });
    let (mut parts, mut rest, mut done) = (Vec::new(), inputs, 0);
    while !rest.is_empty() {
        let (mut tokens, end) = (0, (parts.len() + 1) * share);
        let few = rest.iter().take_while(|input| {
            // The middle of an input says to which part it belongs.
            let middle = done + tokens + input.ids.len() / 2;
            tokens += input.ids.len();
            middle < end && tokens <= most
        });
        let (part, later) = rest.split_at(few.count().max(1));
        done += part.iter().map(|input| input.ids.len()).sum::<usize>();
        parts.push(part);
        rest = later;
    }
    parts
}

/// `BertEmbeddings`.
struct BertEmbeddings<B: Backend> {
    word_embeddings: B::Embedding,
    /// DistilBERT has none.
    token_type_embeddings: Option<B::Embedding>,
    position_embeddings: B::Embedding,
    layer_norm: B::Norm,
}

impl<B: Backend> BertEmbeddings<B> {
    fn load(loader: &Loader<B>) -> Result<Self> {
        let Config { vocab_size, type_vocab_size, max_position_embeddings, family, .. } = *loader.config;
        let types = || loader.embedding("embeddings.token_type_embeddings", type_vocab_size);
        Ok(Self {
            word_embeddings: loader.embedding("embeddings.word_embeddings", vocab_size)?,
            token_type_embeddings: (family != Family::DistilBert).then(types).transpose()?,
            position_embeddings: loader.embedding("embeddings.position_embeddings", max_position_embeddings)?,
            layer_norm: loader.norm("embeddings.LayerNorm")?,
        })
    }

    /// -> [tokens of all, hidden]
    fn forward(&self, backend: &B, inputs: &[Input], config: &Config) -> Result<B::Tensor> {
        let ids: Vec<u32> = inputs.iter().flat_map(|input| &input.ids).copied().collect();
        let first = config.first_position() as u32;
        let positions: Vec<u32> = inputs.iter().flat_map(|input| first..first + input.ids.len() as u32).collect();
        let x = backend.embed(&self.word_embeddings, &ids)?; // [tokens, hidden]
        let x = match &self.token_type_embeddings {
            Some(table) => {
                // RoBERTa has one type for all, whatever its tokenizer says.
                let highest = config.type_vocab_size as u32 - 1;
                let types = inputs.iter().flat_map(|input| &input.types).map(|&kind| kind.min(highest));
                backend.add(x, backend.embed(table, &types.collect::<Vec<u32>>())?)?
            }
            None => x,
        };
        let x = backend.add(x, backend.embed(&self.position_embeddings, &positions)?)?;
        backend.layer_norm(&self.layer_norm, x)
    }
}

/// `BertLayer`, with `BertAttention`, `BertIntermediate` and `BertOutput`.
struct Layer<B: Backend> {
    /// `query`, `key` and `value`, side by side.
    qkv: B::Linear,
    attention_output: B::Linear,
    attention_layer_norm: B::Norm,
    intermediate: B::Linear,
    output: B::Linear,
    output_layer_norm: B::Norm,
}

impl<B: Backend> Layer<B> {
    fn load(loader: &Loader<B>, at: usize) -> Result<Self> {
        let Config { hidden_size: hidden, intermediate_size: intermediate, .. } = *loader.config;
        let names = names(loader.config.family);
        let name = |part: &str| format!("{}.{at}.{part}", names.layers);
        let linear = |parts: &[&str], outputs, inputs| {
            let names: Vec<String> = parts.iter().map(|part| name(part)).collect();
            loader.linear(&names, outputs, inputs)
        };
        Ok(Self {
            qkv: linear(&names.query_key_value, hidden, hidden)?,
            attention_output: linear(&[names.attention_output], hidden, hidden)?,
            attention_layer_norm: loader.norm(&name(names.attention_norm))?,
            intermediate: linear(&[names.intermediate], intermediate, hidden)?,
            output: linear(&[names.output], hidden, intermediate)?,
            output_layer_norm: loader.norm(&name(names.output_norm))?,
        })
    }

    /// [tokens, hidden] -> [tokens, hidden]
    fn forward(&self, backend: &B, x: B::Tensor, attention: &B::Attention, config: &Config) -> Result<B::Tensor> {
        let qkv = backend.qkv(&self.qkv, &x, attention)?; // [tokens, 3 · hidden]
        let h = backend.attention(qkv, attention)?; // [tokens, hidden]
        let x = backend.add(x, backend.linear(&self.attention_output, &h)?)?; // [tokens, hidden]
        drop(h);
        let x = backend.layer_norm(&self.attention_layer_norm, x)?; // [tokens, hidden]

        let h = backend.linear(&self.intermediate, &x)?; // [tokens, intermediate]
        let h = backend.activation(config.hidden_act, h)?; // [tokens, intermediate]
        let x = backend.add(x, backend.linear(&self.output, &h)?)?; // [tokens, hidden]
        backend.layer_norm(&self.output_layer_norm, x) // [tokens, hidden]
    }
}

/// What layers are loaded from.
struct Loader<'a, B: Backend> {
    checkpoint: &'a Checkpoint,
    config: &'a Config,
    backend: &'a B,
    /// What stands before the names of the weights.
    prefix: &'static str,
}

impl<B: Backend> Loader<'_, B> {
    fn embedding(&self, name: &str, rows: usize) -> Result<B::Embedding> {
        let name = format!("{}{name}.weight", self.prefix);
        self.backend.load_embedding(&self.checkpoint.weights, &name, [rows, self.config.hidden_size])
    }

    fn norm(&self, name: &str) -> Result<B::Norm> {
        let weights = &self.checkpoint.weights;
        let part = |part: &str| {
            let name = old_name(weights, format!("{}{name}.{part}", self.prefix));
            weights.take(&name, &[self.config.hidden_size])
        };
        self.backend.load_norm(part("weight")?, Some(part("bias")?), self.config.layer_norm_eps as f32)
    }

    /// Weights of the shape [outputs, inputs] each, side by side.
    fn linear(&self, names: &[String], outputs: usize, inputs: usize) -> Result<B::Linear> {
        let take = |name: &String, part: &str, shape: &[usize]| {
            self.checkpoint.weights.take(&format!("{}{name}.{part}", self.prefix), shape)
        };
        let weights = names.iter().map(|name| take(name, "weight", &[outputs, inputs]));
        let biases = names.iter().map(|name| take(name, "bias", &[outputs]));
        self.backend.load_linear(&weights.collect::<Result<Vec<_>>>()?, &biases.collect::<Result<Vec<_>>>()?)
    }
}

/// What the parts of a layer are called.
struct Names {
    layers: &'static str,
    query_key_value: [&'static str; 3],
    attention_output: &'static str,
    attention_norm: &'static str,
    intermediate: &'static str,
    output: &'static str,
    output_norm: &'static str,
}

fn names(family: Family) -> Names {
    match family {
        Family::Bert | Family::Roberta => Names {
            layers: "encoder.layer",
            query_key_value: ["attention.self.query", "attention.self.key", "attention.self.value"],
            attention_output: "attention.output.dense",
            attention_norm: "attention.output.LayerNorm",
            intermediate: "intermediate.dense",
            output: "output.dense",
            output_norm: "output.LayerNorm",
        },
        Family::DistilBert => Names {
            layers: "transformer.layer",
            query_key_value: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
            attention_output: "attention.out_lin",
            attention_norm: "sa_layer_norm",
            intermediate: "ffn.lin1",
            output: "ffn.lin2",
            output_norm: "output_layer_norm",
        },
    }
}

/// What stands before the names of the weights.
fn prefix(weights: &Weights) -> &'static str {
    let has = |prefix: &&&str| weights.has(&format!("{prefix}embeddings.word_embeddings.weight"));
    ["bert.", "roberta.", "distilbert."].iter().find(has).copied().unwrap_or("")
}

/// Files of the first BERT models call weight and bias of a LayerNorm gamma and beta.
fn old_name(weights: &Weights, name: String) -> String {
    if weights.has(&name) {
        return name;
    }
    let old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
    if weights.has(&old) { old } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_even_and_hold_all_inputs() {
        let check = |lengths: &[usize], threads: usize, expected: &[usize]| {
            let input = |&length: &usize| Input { ids: vec![0; length], types: vec![0; length] };
            let inputs: Vec<Input> = lengths.iter().map(input).collect();
            let parts = parts(&inputs, 100, threads);
            let tokens = |part: &&[Input]| part.iter().map(|input| input.ids.len()).sum::<usize>();
            assert_eq!(parts.iter().map(tokens).collect::<Vec<_>>(), expected, "{lengths:?}");
            assert_eq!(parts.concat().len(), inputs.len());
        };
        check(&[10; 12], 2, &[60, 60]);
        check(&[10; 12], 16, &[60, 60]);
        check(&[10; 3], 2, &[30]);
        check(&[30, 300, 20], 2, &[30, 300, 20]);
        check(&[50; 5], 2, &[50, 100, 50, 50]);
        check(&[], 2, &[]);
    }
}
