//! Encoders of candle-transformers: their tensors come from a checkpoint as strictly as all others, and each input goes
//! through them alone, never padded, so that no score depends on its neighbours.

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Error, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use rayon::prelude::*;
use serde_json::Value;

use super::encoder::config::number;
use super::encoder::head::Head;
use super::encoder::{self, CrossEncoder, Encoder, EncoderShape, Input, SentenceEmbedding};
use crate::engine::card::Card;
use crate::engine::checkpoint::{Checkpoint, Weights};
use crate::engine::memory;
use crate::engine::registry::{Dtype, Loaded, Request};

/// What these models compute with, whatever a GPU or the weights are.
const NUMBERS: &str = "f32 cpu";
/// A text of so many tokens is read unless more are asked for: candle holds the attention of all pairs of tokens, which
/// for 8192 tokens takes gigabytes in each layer.
const DEFAULT_TOKENS: usize = 2048;
/// No encoder reads longer texts. candle makes tables of this length before it looks at any weight.
const LONGEST: usize = 1 << 17;

/// What an architecture brings.
pub(super) struct Parts {
    /// The encoder of the weights and `config.json`.
    pub(super) encoder: fn(&Weights, &Value) -> Result<CandleEncoder>,
    /// The head with so many classes.
    pub(super) head: fn(&Weights, &Value, usize) -> Result<Head>,
    /// Where the names of weights begin that an embedding has no use for.
    pub(super) unused: &'static [&'static str],
}

/// Opens a cross-encoder where config.json names classes, else an embedding.
pub(super) fn open(checkpoint: &Checkpoint, request: Request, parts: &Parts) -> Result<Loaded> {
    let widened = matches!(request.options.dtype, Dtype::Auto | Dtype::F32);
    ensure!(widened, "--dtype: models of this architecture compute in f32 only; leave the flag out");
    memory::check(bytes(checkpoint), "f32", "a smaller model")?;
    let (weights, config) = (&checkpoint.weights, checkpoint.config()?);
    let classifies = encoder::has_classes(checkpoint)?;
    let loaded = if classifies {
        let head = (parts.head)(weights, config, encoder::classes(checkpoint)?)?;
        let model = Box::new((parts.encoder)(weights, config)?);
        CrossEncoder::new(checkpoint, request, model, head)?.loaded(NUMBERS)
    } else {
        let model = Box::new((parts.encoder)(weights, config)?);
        let embedding = SentenceEmbedding::new(request.id, checkpoint, model)?;
        embedding.prefixed(request.options.query_prefix.as_deref())?.loaded(NUMBERS)
    };
    weights.finish(|name| !classifies && parts.unused.iter().any(|start| name.starts_with(start)))?;
    Ok(loaded)
}

/// Bytes of all weights in f32, as candle holds the tables too.
fn bytes(checkpoint: &Checkpoint) -> u64 {
    checkpoint.weights.numbers(|_| true) * size_of::<f32>() as u64
}

/// See [`crate::engine::registry::Architecture`].
pub(crate) fn describe(checkpoint: &Checkpoint, card: &mut Card) -> Result<()> {
    card.memory = vec![("f32".into(), bytes(checkpoint))];
    card.auto = "f32".into();
    encoder::describe(checkpoint, card)
}

/// The number of positions, by the first of some names that `config.json` has.
pub(super) fn positions(config: &Value, names: &[&str]) -> Result<usize> {
    let positions = number(config, names)?;
    ensure!(positions <= LONGEST, "config.json: `{}` is {positions}; no encoder reads so much", names[0]);
    Ok(positions)
}

/// Takes a tensor when candle asks for one: one that is missing or of another shape is an error, and
/// [`Weights::finish`] knows which are left over. candle's own backends tell neither.
struct Strict<'a>(&'a Weights);

impl SimpleBackend for Strict<'_> {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        let taken = self.0.take(name, shape.dims()).and_then(|view| view.tensor(device, dtype));
        taken.map_err(|error| Error::Msg(format!("{error:#}")))
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        Err(Error::Msg(format!("the weight {name} was asked for without its shape")))
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.has(name)
    }
}

/// The tensors of a checkpoint in f32, as a model of candle-transformers asks for them.
pub(super) fn tensors(weights: &Weights) -> VarBuilder<'_> {
    VarBuilder::from_backend(Box::new(Strict(weights)), DType::F32, Device::Cpu)
}

/// Tokens and their types, both of shape [1, tokens], to the last hidden states, [1, tokens, hidden].
type Forward = Box<dyn Fn(&Tensor, &Tensor) -> candle_core::Result<Tensor> + Send + Sync>;

/// An encoder whose layers are candle's.
pub(super) struct CandleEncoder {
    shape: EncoderShape,
    forward: Forward,
}

impl CandleEncoder {
    /// Tries the model with one token, as candle compares some shapes only when a text comes.
    ///
    /// # Errors
    /// When they do not fit together.
    pub(super) fn new(shape: EncoderShape, forward: Forward) -> Result<Self> {
        let encoder = Self { shape, forward };
        encoder.states(&Input { ids: vec![0], types: vec![0] }).context("the sizes in config.json do not fit")?;
        Ok(encoder)
    }

    fn states(&self, input: &Input) -> Result<Vec<f32>> {
        let highest = self.shape.type_vocab_size as u32 - 1;
        let types: Vec<u32> = input.types.iter().map(|&kind| kind.min(highest)).collect();
        let row = |values: &[u32]| Tensor::from_slice(values, (1, values.len()), &Device::Cpu);
        let states = (self.forward)(&row(&input.ids)?, &row(&types)?)?;
        Ok(states.flatten_all()?.to_vec1()?)
    }
}

impl Encoder for CandleEncoder {
    fn shape(&self) -> EncoderShape {
        self.shape
    }

    fn default_max_tokens(&self) -> usize {
        self.shape.max_tokens.min(DEFAULT_TOKENS)
    }

    fn encode(&self, inputs: &[Input], read: &mut dyn FnMut(&[f32])) -> Result<()> {
        let mut rest = inputs;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(together(rest));
            let states: Vec<Vec<f32>> = now.par_iter().map(|input| self.states(input)).collect::<Result<_>>()?;
            states.iter().for_each(|states| read(states));
            rest = later;
        }
        Ok(())
    }
}

/// How many of the inputs go through at the same time: one for each thread, as most of candle's steps between the
/// products run on one; but of long ones no more than fit into the memory of the longest by default.
fn together(inputs: &[Input]) -> usize {
    let mut pairs = 0;
    let few = inputs.iter().take(rayon::current_num_threads()).take_while(|input| {
        pairs += input.ids.len().pow(2);
        pairs <= DEFAULT_TOKENS.pow(2)
    });
    few.count().max(1)
}
