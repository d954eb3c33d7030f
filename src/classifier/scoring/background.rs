//! What a model makes of text in general, which is taken off the vectors of texts and of labels.
//!
//! All vectors of an embedding point into much the same direction, and those of one language into one of its own. What
//! all texts share tells nothing about labels, and without it the rest is seen (Mu and others 2018,
//! <https://arxiv.org/abs/1702.01417>). `model/background.json` holds some texts and words of each language; their means
//! are made when the first text of a language comes, so that a score depends on nothing but text, labels and model.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use anyhow::{Context, Result};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::engine::label_prompts::{self, DESCRIBED, LABEL_PROMPTS};
use crate::engine::{Builtin, Embedder, LabelText, unit};

/// The languages in the order of their codes.
static LANGUAGES: LazyLock<Result<BTreeMap<String, Language>, serde_json::Error>> =
    LazyLock::new(|| serde_json::from_str(FILE));
const FILE: &str = include_str!("../../../model/background.json");
/// The language of labels that are of none in particular.
const ENGLISH: &str = "en";
/// Tokens of a text by which its language is told.
const TOLD_BY: usize = 256;

/// What is known of a language.
#[derive(Deserialize)]
struct Language {
    texts: Vec<String>,
    /// None for some languages.
    words: Vec<String>,
}

/// Means, by the instruction and the language of texts; `None` for one that is not sure.
type Means = HashMap<(Option<String>, Option<&'static str>), Arc<Vec<f32>>>;

/// The means of one model.
pub(in crate::classifier) struct Background {
    languages: &'static BTreeMap<String, Language>,
    /// Tells languages.
    builtin: Builtin,
    means: Mutex<Means>,
}

impl Background {
    /// For any model.
    ///
    /// # Errors
    /// When the program was built with a damaged file.
    pub(super) fn new() -> Result<Self> {
        let languages = LANGUAGES.as_ref().context("model/background.json")?;
        Ok(Self { languages, builtin: Builtin::new()?, means: Mutex::default() })
    }

    /// A name for all that the means depend on besides the model, for files of classifiers and for `--resume`.
    pub(in crate::classifier) fn fingerprint() -> String {
        let mut hasher = Sha256::new_with_prefix(FILE);
        // It tells the language, which chooses the mean.
        hasher.update(Builtin::fingerprint());
        hasher.update(TOLD_BY.to_le_bytes());
        LABEL_PROMPTS.iter().for_each(|prompt| hasher.update(prompt));
        hasher.update(DESCRIBED.to_le_bytes());
        hasher.finalize().iter().take(10).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The language of a text, if there are texts of it here and most of its pieces are of it.
    pub(super) fn language(&self, text: &str) -> Option<&'static str> {
        let code = self.builtin.language(text, TOLD_BY)?;
        self.languages.get_key_value(code).map(|(code, _)| code.as_str())
    }

    /// Some texts of a language; without one the first of each.
    fn texts(&self, language: Option<&str>) -> Vec<String> {
        match language.and_then(|language| self.languages.get(language)) {
            Some(language) => language.texts.clone(),
            None => self.languages.values().filter_map(|language| language.texts.first().cloned()).collect(),
        }
    }

    /// Takes the mean of its language off the vector of a text, and scales it to length 1. `embed` embeds texts with
    /// the same instruction.
    ///
    /// # Errors
    /// Those of `embed`.
    pub(super) fn take_off(
        &self,
        vector: &[f32],
        language: Option<&'static str>,
        instruct: Option<&str>,
        embed: impl FnOnce(Vec<String>) -> Result<Vec<Vec<f32>>>,
    ) -> Result<Vec<f32>> {
        let key = (instruct.map(String::from), language);
        let known = self.means.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let mean = match known {
            Some(mean) => mean,
            None => {
                let made = mean(&embed(self.texts(language))?).unwrap_or_else(|| vec![0.0; vector.len()]);
                let made = Arc::new(made);
                self.means.lock().unwrap_or_else(PoisonError::into_inner).insert(key, made.clone());
                made
            }
        };
        Ok(unit(vector.iter().zip(mean.iter()).map(|(value, mean)| value - mean).collect()))
    }

    /// The vectors of labels in the label prompts, or without them, less the mean of words in the same. `None` for a
    /// label of which the model knows no word.
    ///
    /// # Errors
    /// When the model cannot run, or a label is too long for it.
    pub(super) fn labels(
        &self,
        engine: &dyn Embedder,
        labels: &[LabelText],
        prompts: bool,
    ) -> Result<Vec<Option<Vec<f32>>>> {
        let prompted: Vec<LabelText> = labels.iter().flat_map(label_prompts::prompted).collect();
        // A tokenizer may lack the letters of a prompt, or the room for it beside a long label.
        let prompts = prompts && prompted.iter().all(|label| is_readable(engine, label));
        let words = self.words(engine, labels, prompts)?;
        let vectors = engine.embed_labels(if prompts { &prompted } else { labels })?;
        let mut made = match prompts {
            true => label_prompts::joined(labels, &vectors, &words),
            false => vectors.iter().map(|vector| label_prompts::mean([(vector, 1.0)].into_iter(), &words)).collect(),
        };
        // The words of a prompt are known, whatever the label.
        let unknown = labels.iter().map(|label| !engine.knows_label(label));
        made.iter_mut().zip(unknown).filter(|(_, unknown)| *unknown).for_each(|(vector, _)| *vector = None);
        Ok(made)
    }

    /// The mean of words in the language of the labels, in the label prompts or without. Zeros where the model reads
    /// none of them.
    fn words(&self, engine: &dyn Embedder, labels: &[LabelText], prompts: bool) -> Result<Vec<f32>> {
        let names: Vec<&str> = labels.iter().map(|label| &*label.name).collect();
        let language = self.language(&names.join(" ")).and_then(|language| self.languages.get(language));
        let known = language.filter(|language| !language.words.is_empty()).or_else(|| self.languages.get(ENGLISH));
        let words = known.map_or(&[][..], |language| &language.words);
        // A word in one prompt each is enough, as all labels lose the same mean.
        let word = |(at, word): (usize, &String)| {
            let prompt = if prompts { LABEL_PROMPTS[at % LABEL_PROMPTS.len()] } else { "{}" };
            LabelText { name: prompt.replace("{}", word), description: None }
        };
        let mut words: Vec<LabelText> = words.iter().enumerate().map(word).collect();
        words.retain(|word| is_readable(engine, word));
        let words: Vec<Vec<f32>> = engine.embed_labels(&words)?.into_iter().flatten().collect();
        Ok(mean(&words).unwrap_or_else(|| vec![0.0; engine.dims()]))
    }
}

/// True where the tokenizer reads the whole label.
fn is_readable(engine: &dyn Embedder, label: &LabelText) -> bool {
    engine.tokenize(&label.text(), None, usize::MAX).is_ok_and(|text| !text.truncated)
}

/// The mean of vectors; `None` of none. One that is not of finite numbers, as f16 makes of some texts, is left out.
fn mean(vectors: &[Vec<f32>]) -> Option<Vec<f32>> {
    let mut finite = vectors.iter().filter(|vector| vector.iter().all(|value| value.is_finite()));
    let (mut sum, mut count) = (finite.next()?.clone(), 1.0);
    for vector in finite {
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
        count += 1.0;
    }
    sum.iter_mut().for_each(|value| *value /= count);
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GERMAN: &str = "Die Sitzung wurde gestern wegen des schlechten Wetters auf die nächste Woche verschoben.";

    #[test]
    fn a_text_loses_the_mean_of_its_language() {
        let background = Background::new().unwrap();
        let seen = Mutex::new(Vec::new());
        let take_off = |text: &str, instruct: Option<&str>| {
            let embed = |texts: Vec<String>| {
                let vectors = texts.iter().map(|_| vec![1.0, 0.0]).collect();
                seen.lock().unwrap().push(texts);
                Ok(vectors)
            };
            background.take_off(&[1.0, 2.0], background.language(text), instruct, embed).unwrap()
        };
        for text in [GERMAN, GERMAN, "Wir haben die Rechnung für den letzten Monat noch nicht erhalten.", "12345"] {
            assert_eq!(take_off(text, None), [0.0, 1.0]);
        }
        take_off(GERMAN, Some("sort"));
        let seen = seen.into_inner().unwrap();
        let german = &background.languages["de"].texts;
        // German once, what is of no language once, and German anew for another instruction.
        assert_eq!((seen.len(), &seen[0], &seen[2]), (3, german, german));
        assert_eq!(seen[1].len(), background.languages.len());
    }

    #[test]
    fn a_vector_that_is_no_number_is_left_out_of_the_mean() {
        let vectors = [vec![1.0, 2.0], vec![f32::NAN, 0.0], vec![3.0, 4.0], vec![f32::INFINITY, 0.0]];
        assert_eq!(mean(&vectors), Some(vec![2.0, 3.0]));
        assert_eq!((mean(&vectors[1..2]), mean(&[])), (None, None));
    }

    #[test]
    fn the_file_is_whole() {
        let background = Background::new().unwrap();
        assert!(background.languages.len() > 30 && background.languages.contains_key(ENGLISH));
        for (code, language) in background.languages {
            assert!(language.texts.len() >= 30, "{code}");
            assert!(language.words.is_empty() || language.words.len() >= 20, "{code}");
            let told = language.texts.iter().filter(|text| background.language(text) == Some(code.as_str())).count();
            assert!(2 * told > language.texts.len(), "{code}: {told}");
        }
    }
}
