//! `deep`: the built-in model and multilingual-e5-small side by side, both in the program.
//!
//! multilingual-e5-small (Wang and others 2024, <https://arxiv.org/abs/2402.05672>, MIT) is a BERT of 12 layers that reads
//! words in their order and a hundred languages; `model/README.md` says how its file was made and what it can do. The
//! vector of a text is that of the built-in model, and behind it that of this one, less what all texts of the language
//! share.

mod file;
#[cfg(test)]
mod parity;
mod tokens;

use std::ops::Range;

use anyhow::{Result, ensure};
use candle_core::Device;
use rayon::prelude::*;

use super::builtin::Builtin;
use super::encoder::{Encoder, Input, sum};
use super::tasks::too_long;
use super::{bert, calibration};
use crate::engine::checkpoint::Kind;
use crate::engine::label_prompts;
use crate::engine::registry::{Dtype, class};
use crate::engine::{Embedder, Embedding, LabelText, TokenizedText, unit};
use file::{File, HIDDEN};
use tokens::{AROUND, END, UNKNOWN};

/// Its name.
pub const DEEP: &str = "deep";

/// Stands before every text that e5 reads.
const PROMPT: &str = "query: ";
/// Tokens of a mail that e5 reads unless told otherwise: its beginning says what it is about. Of 48, 96 and 256 none is
/// better than another, and 96 tokens take a third of the time of 256.
const MAX_TOKENS: usize = 96;

/// The square of how much longer the vector of e5 is than that of the built-in model, by `model/make/deep_constants.py`.
const WEIGHT: f32 = 1.0;

/// Of the factor between a cosine and a logit, by the same program.
const COEFFICIENTS: [f64; 4] = [2.0152, 0.2264, -0.0258, 0.9716];

/// Both models.
pub struct Deep {
    builtin: Builtin,
    file: File,
    encoder: Box<dyn Encoder>,
    /// The tokens of [`PROMPT`].
    prompt: Vec<u32>,
    /// The token of a word's beginning, which says nothing by itself.
    mark: Option<u32>,
}

impl Deep {
    /// Opens both models.
    ///
    /// # Errors
    /// When this program was built without the second, or with a damaged file.
    pub fn new() -> Result<Self> {
        // The index of the pieces takes as long as the weights.
        let open = || -> Result<_> { Ok((File::open()?, Builtin::new()?)) };
        let (opened, encoder) = rayon::join(open, || bert::embedded(&File::checkpoint()?));
        let ((file, builtin), encoder) = (opened?, encoder?);
        // Texts lose the mean of the language that the built-in model tells.
        ensure!(file.languages == builtin.languages(), "the model deep was made for another built-in model");
        let prompt = tokens::bare(&file.unigram, PROMPT);
        let mark = file.unigram.find("▁".as_bytes());
        Ok(Self { builtin, file, encoder, prompt, mark })
    }

    /// True where it was compiled in.
    pub fn is_here() -> bool {
        File::is_here()
    }

    /// Tells the two models from those of another release.
    ///
    /// # Errors
    /// When this program was built without the second.
    pub fn fingerprint() -> Result<String> {
        Ok(format!("{} {}", Builtin::fingerprint(), File::fingerprint()?))
    }

    /// Numbers that both have learned, and bytes of their files, which lie in the program.
    ///
    /// # Errors
    /// As [`Deep::new`].
    pub fn size() -> Result<(u64, u64)> {
        let ((numbers, bytes), (more_numbers, more_bytes)) = (Builtin::size()?, File::size()?);
        Ok((numbers + more_numbers, bytes + more_bytes))
    }

    /// The class of numbers that its vectors depend on.
    pub fn class() -> String {
        class(Kind::Q4_0, &Device::Cpu, Dtype::F32)
    }

    /// The tokens of a label.
    ///
    /// # Errors
    /// When it is too long.
    fn label_tokens(&self, label: &LabelText) -> Result<Vec<u32>> {
        let room = self.room();
        let ids = tokens::encode(&self.file.unigram, &self.prompt, &label.text(), room + 1);
        let tokens = ids.len() - self.prompt.len() - AROUND;
        if tokens > room { Err(too_long(label, tokens, DEEP)) } else { Ok(ids) }
    }

    /// True where some of the tokens of a text, with those around it, say something.
    fn says_something(&self, ids: &[u32]) -> bool {
        let text = ids.get(1 + self.prompt.len()..).unwrap_or_default();
        text.iter().any(|&id| ![UNKNOWN, END].contains(&id) && Some(id) != self.mark)
    }

    /// The vectors of both models side by side, the second longer. Labels and texts alike, so that a label may be
    /// examples.
    fn joined(&self, first: Option<Vec<f32>>, second: Vec<f32>) -> Vec<f32> {
        let mut vector = first.unwrap_or_else(|| vec![0.0; self.builtin.dims()]);
        vector.extend(second.into_iter().map(|value| WEIGHT.sqrt() * value));
        vector
    }

    /// Tokens of a text that fit.
    fn room(&self) -> usize {
        self.encoder.shape().max_tokens - self.prompt.len() - AROUND
    }

    /// The mean hidden state of each text, of length 1. Shape: [texts][HIDDEN].
    fn pooled<'a>(&self, texts: impl Iterator<Item = &'a [u32]>) -> Result<Vec<Vec<f32>>> {
        let inputs: Vec<Input> = texts.map(|ids| Input { types: vec![0; ids.len()], ids: ids.to_vec() }).collect();
        let mut vectors = Vec::with_capacity(inputs.len());
        self.encoder.encode(&inputs, &mut |states| vectors.push(unit(sum(states, HIDDEN))))?;
        Ok(vectors)
    }
}

/// The vectors of a label by both models, where they know a word of it.
type Halves = (Option<Vec<f32>>, Option<Vec<f32>>);

/// A text in the tokens of both models: how many the first has, those, and those of the second.
struct BothTokens<'a> {
    builtin: &'a [u32],
    e5: &'a [u32],
}

impl<'a> BothTokens<'a> {
    fn of(text: &'a TokenizedText) -> Self {
        let (count, rest) = text.ids.split_first().unwrap_or((&0, &[]));
        let (builtin, e5) = rest.split_at((*count as usize).min(rest.len()));
        Self { builtin, e5 }
    }
}

impl Embedder for Deep {
    fn id(&self) -> &str {
        DEEP
    }

    fn default_max_tokens(&self) -> usize {
        MAX_TOKENS
    }

    fn knows(&self, text: &str) -> bool {
        self.builtin.knows(text)
            || self.says_something(&tokens::encode(&self.file.unigram, &self.prompt, text, self.room()))
    }

    /// As many as the built-in model reads.
    fn words(&self, max_tokens: usize) -> usize {
        max_tokens.max(self.builtin.default_max_tokens())
    }

    /// Of both models together.
    fn dims(&self) -> usize {
        self.builtin.dims() + HIDDEN
    }

    /// Those of e5, which was trained to find passages.
    fn for_passages(&self) -> Range<usize> {
        self.builtin.dims()..self.dims()
    }

    fn takes_instruction(&self) -> bool {
        false
    }

    /// `max_tokens` are those of e5, of which the result tells how many it reads and whether there are more; the built-in
    /// model reads on, as it does alone.
    fn tokenize(&self, text: &str, _: Option<&str>, max_tokens: usize) -> Result<TokenizedText> {
        let builtin = self.builtin.tokenize(text, None, self.words(max_tokens))?.ids;
        let most = max_tokens.min(self.room());
        // One more tells whether there were more.
        let mut e5 = tokens::encode(&self.file.unigram, &self.prompt, text, most + 1);
        let truncated = e5.len() - self.prompt.len() - AROUND > most;
        if truncated {
            e5.remove(e5.len() - 2);
        }
        let tokens = e5.len() - self.prompt.len() - AROUND;
        let ids = [&[builtin.len() as u32], &builtin[..], &e5].concat();
        Ok(TokenizedText { ids, tokens, truncated })
    }

    fn embed_tokens(&self, texts: &[&TokenizedText]) -> Result<Vec<Option<Embedding>>> {
        let both: Vec<BothTokens> = texts.iter().map(|text| BothTokens::of(text)).collect();
        let deep = self.pooled(both.iter().map(|both| both.e5))?;
        let joined = |((text, both), mut deep): ((&&TokenizedText, &BothTokens), Vec<f32>)| {
            let has_words = self.says_something(both.e5);
            // What the built-in model only spells says little beside words.
            let is_wanted = !has_words || !self.builtin.is_spelled(both.builtin);
            let first = is_wanted.then(|| self.builtin.centred(both.builtin)).flatten();
            if first.is_none() && !has_words {
                return None;
            }
            let language = self.builtin.sure_language(both.builtin);
            deep.iter_mut().zip(self.file.mean(language)).for_each(|(value, mean)| *value -= mean);
            let vector = self.joined(first, unit(deep));
            Some(Embedding { vector, tokens: text.tokens, truncated: text.truncated })
        };
        Ok(texts.par_iter().zip(&both).zip(deep).map(joined).collect())
    }

    fn embed_labels(&self, labels: &[LabelText]) -> Result<Vec<Option<Vec<f32>>>> {
        let prompted = labels.iter().flat_map(label_prompts::prompted);
        let tokens: Vec<Vec<u32>> = prompted.map(|label| self.label_tokens(&label)).collect::<Result<_>>()?;
        let deep = self.pooled(tokens.iter().map(Vec::as_slice))?;
        let deep: Vec<Option<Vec<f32>>> = deep.into_iter().map(Some).collect();
        let deep = label_prompts::joined(labels, &deep, self.file.words);
        let builtin = self.builtin.embed_labels(labels)?;
        let joined = |(label, (first, deep)): (&LabelText, Halves)| {
            // The words of a prompt are known, whatever the label.
            let is_known = first.is_some() || self.knows_label(label);
            // Of length 1, as a label of examples is.
            is_known.then(|| deep.map(|deep| unit(self.joined(first, deep)))).flatten()
        };
        Ok(labels.iter().zip(builtin.into_iter().zip(deep)).map(joined).collect())
    }

    fn temperature(&self, labels: &[Vec<f32>]) -> f32 {
        calibration::factor(labels, &COEFFICIENTS)
    }
}
