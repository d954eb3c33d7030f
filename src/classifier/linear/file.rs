//! The file of a classifier: JSON for people and `jq`, with the arrays in base64.
//!
//! It contains numbers, hashes of words and label names: no training text, no time, no code. The same training gives
//! the same bytes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{FeatureGroup, LinearModel, Link, NGrams};

/// Version of the format. Changes when older versions could not read it.
const FORMAT: u32 = 4;
/// Earlier versions that are read: the second has no hashes of texts, and both have no n-grams but words.
const EARLIER: [u32; 2] = [2, 3];

/// Maximum number of tokens that a model sees of a text, as of --max-tokens.
const MOST_TOKENS: usize = 1_000_000;

/// A classifier and its metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedClassifier {
    /// The metadata.
    pub about: About,
    /// The parameters.
    pub model: LinearModel,
}

/// Metadata: what a classifier needs, and how it was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The embedding model.
    pub model: Needs,
    /// Cleaning steps, on or off.
    pub cleaning: BTreeMap<String, bool>,
    /// Minimum number of letters and digits in the headers of a message without a body.
    pub min_text: usize,
    /// How it was trained.
    pub training: Training,
    /// Cross-validation; `None` with too few samples.
    pub validation: Option<Validation>,
    /// The labels.
    pub labels: Vec<LearnedLabel>,
}

/// The embedding model of a classifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Name in records.
    pub id: String,
    /// Value of `--model`.
    pub name: String,
    /// Commit on the hub, fingerprint of files, or version of the built-in model.
    pub revision: String,
    /// True for a commit on the hub.
    pub is_commit: bool,
    /// Type of the arithmetic, and kind of device.
    pub dtype: String,
    /// Length of the embeddings.
    pub dims: usize,
    /// Value of `--dims`.
    pub asked_dims: Option<usize>,
    /// A name for the texts whose mean was taken off. Files of earlier versions, and models that do so by themselves, have
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// The instruction, if it is not the default of the model.
    pub instruct: Option<String>,
    /// What stood before texts, if it is not what the model's files say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_prefix: Option<String>,
    /// Maximum number of tokens for the model and of words for the classifier.
    pub max_tokens: usize,
}

/// How a classifier was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Number of samples.
    pub samples: usize,
    /// The seed.
    pub seed: u64,
    /// Inverse strength of the penalty.
    pub c: f64,
    /// `balanced` or `none`.
    pub label_weights: String,
    /// Hashes of the texts, ascending, in base64.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub texts: String,
    /// What texts without a label it was learned from, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_names: Option<Unsorted>,
}

/// Texts without a label that a classifier was learned from by the names of the labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unsorted {
    /// How many there were.
    pub texts: usize,
    /// How many of them it was trained on: the surest of each label.
    pub learned: usize,
    /// Number of labelled samples beside them.
    pub labelled: usize,
    /// Share of the texts whose label is the first one.
    pub unchanged: f64,
    /// Share of the texts whose label is that of the round before.
    pub settled: f64,
}

impl Training {
    /// The form in which hashes of texts are stored.
    pub fn stored(texts: &BTreeSet<u64>) -> String {
        STANDARD.encode(texts.iter().flat_map(|hash| hash.to_le_bytes()).collect::<Vec<_>>())
    }

    /// The hashes of the texts that it was trained on; none where the file does not say.
    pub fn texts(&self) -> HashSet<u64> {
        let bytes = STANDARD.decode(&self.texts).unwrap_or_default();
        bytes.as_chunks::<8>().0.iter().map(|hash| u64::from_le_bytes(*hash)).collect()
    }
}

/// The hash of a text, by which it is known to be one that was learned from.
pub fn text_hash(text: &str) -> u64 {
    let hash: [u8; 32] = Sha256::digest(text.trim()).into();
    u64::from_le_bytes(*hash.first_chunk().unwrap_or(&[0; 8]))
}

/// Metrics of cross-validation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Number of folds.
    pub folds: usize,
    /// Number of tested samples. The others have a label that no other fold has.
    pub samples: usize,
    /// Share of tested samples that are right.
    pub accuracy: f64,
    /// Unweighted mean F1 of the labels.
    pub macro_f1: f64,
    /// Expected calibration error.
    pub ece: f64,
    /// Mean cross-entropy in nats.
    pub log_loss: f64,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearnedLabel {
    /// Its name.
    pub name: Arc<str>,
    /// Number of its samples.
    pub samples: usize,
    /// By cross-validation.
    pub precision: Option<f64>,
    /// By cross-validation.
    pub recall: Option<f64>,
    /// By cross-validation.
    pub f1: Option<f64>,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct File {
    mailsort_classifier: u32,
    mailsort_version: String,
    #[serde(flatten)]
    about: About,
    link: Link,
    temperature: f32,
    /// Words and pairs of words.
    ngrams: Option<StoredNGrams>,
    /// Characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    characters: Option<StoredNGrams>,
    /// Subject and sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heads: Option<StoredNGrams>,
    intercepts: String,
    weights: String,
    checksum: String,
}

#[derive(Serialize, Deserialize)]
struct StoredNGrams {
    scheme: String,
    scale: f32,
    unknown: f32,
    buckets: String,
    idf: String,
}

/// The field that every version has.
#[derive(Deserialize)]
struct Any {
    mailsort_classifier: Option<u32>,
}

impl TrainedClassifier {
    /// The contents of its file.
    ///
    /// # Errors
    /// When a number is not finite, which JSON cannot represent.
    pub fn to_json(&self) -> Result<String> {
        let LinearModel { ngrams, weights, intercepts, link, temperature, .. } = &self.model;
        let stored = |group: FeatureGroup| ngrams.iter().find(|ngrams| ngrams.group == group).map(StoredNGrams::new);
        let mut file = File {
            mailsort_classifier: FORMAT,
            mailsort_version: env!("CARGO_PKG_VERSION").into(),
            about: self.about.clone(),
            link: *link,
            temperature: *temperature,
            ngrams: stored(FeatureGroup::Words),
            characters: stored(FeatureGroup::Characters),
            heads: stored(FeatureGroup::Heads),
            intercepts: floats(intercepts),
            weights: floats(weights),
            checksum: String::new(),
        };
        file.checksum = file.summed()?;
        let mut text = serde_json::to_string_pretty(&file)?;
        text.push('\n');
        Ok(text)
    }

    /// Parses the contents of a file.
    ///
    /// # Errors
    /// When it is not a classifier, has another version, or is damaged.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let foreign = "it is no classifier that `mailsort train` has written";
        let starts = bytes.trim_ascii_start().starts_with(b"{");
        let any = match serde_json::from_slice::<Any>(bytes) {
            Ok(any) => any,
            Err(error) if starts && error.is_eof() => bail!("it breaks off; copy or train it again"),
            Err(_) => bail!("{foreign}"),
        };
        match any.mailsort_classifier {
            Some(FORMAT) => {}
            Some(earlier) if EARLIER.contains(&earlier) => {}
            Some(other) => bail!("its form is number {other}, and this version reads {FORMAT}; train it again"),
            None => bail!("{foreign}"),
        }
        let file: File = serde_json::from_slice(bytes).context("it is damaged")?;
        ensure!(file.checksum == file.summed()?, "it is damaged: its checksum does not fit; copy or train it again");
        file.classifier().context("it is damaged")
    }

    /// Names of the labels.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.about.labels.iter().map(|label| &label.name)
    }
}

impl File {
    /// Checksum of the parameters and of the metadata that they depend on, such as cleaning steps and number of tokens.
    fn summed(&self) -> Result<String> {
        let mut hasher = Sha256::new();
        let mut add = |text: &str| {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        add(&self.weights);
        add(&self.intercepts);
        add(&format!("{} {:?}", self.temperature, self.link));
        for stored in [&self.ngrams, &self.characters, &self.heads].into_iter().flatten() {
            let factors = format!("{:?} {:?}", stored.scale, stored.unknown);
            [&stored.scheme, &stored.buckets, &stored.idf, &factors].into_iter().for_each(|text| add(text));
        }
        add(&serde_json::to_string(&self.about)?);
        Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn classifier(self) -> Result<TrainedClassifier> {
        let labels = self.about.labels.len();
        ensure!(labels > 0, "it has no labels");
        let mut seen = HashSet::new();
        for label in &self.about.labels {
            let name = &label.name;
            ensure!(!name.trim().is_empty() && !name.contains(char::is_control), "{name:?} is no name of a label");
            ensure!(seen.insert(name), "the label {name:?} is there twice");
        }
        let stored = FeatureGroup::ALL.into_iter().zip([self.ngrams, self.characters, self.heads]);
        let ngrams: Vec<NGrams> =
            stored.filter_map(|(group, stored)| Some(stored?.read(group))).collect::<Result<_>>()?;
        let dims = self.about.model.dims;
        let features = dims.saturating_add(ngrams.iter().map(NGrams::len).sum());
        let model = LinearModel {
            labels,
            dims,
            weights: numbers(&self.weights, Some(features.saturating_mul(labels))).context("its weights")?,
            intercepts: numbers(&self.intercepts, Some(labels)).context("its intercepts")?,
            ngrams,
            link: self.link,
            temperature: self.temperature,
        };
        ensure!(model.temperature > 0.0 && model.temperature.is_finite(), "its temperature is {}", model.temperature);
        let tokens = self.about.model.max_tokens;
        ensure!(dims > 0 && tokens > 0, "it sees nothing of a mail");
        ensure!(tokens <= MOST_TOKENS, "it sees {tokens} tokens of a mail, which no model has");
        Ok(TrainedClassifier { about: self.about, model })
    }
}

impl StoredNGrams {
    fn new(ngrams: &NGrams) -> Self {
        let NGrams { group, buckets, idf, unknown, scale } = ngrams;
        Self {
            scheme: group.scheme().into(),
            scale: *scale,
            unknown: *unknown,
            buckets: STANDARD.encode(buckets.iter().flat_map(|bucket| bucket.to_le_bytes()).collect::<Vec<_>>()),
            idf: floats(idf),
        }
    }

    fn read(self, group: FeatureGroup) -> Result<NGrams> {
        ensure!(
            self.scheme == group.scheme(),
            "it splits texts by {:?}, which this version does not know",
            self.scheme
        );
        let bytes = STANDARD.decode(&self.buckets).context("its words")?;
        let (buckets, rest) = bytes.as_chunks::<4>();
        let buckets: Vec<u32> = buckets.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        ensure!(rest.is_empty() && buckets.is_sorted_by(|a, b| a < b), "its words are out of order");
        let idf = numbers(&self.idf, Some(buckets.len())).context("its words")?;
        ensure!(self.scale.is_finite() && self.unknown.is_finite(), "the scale of its words is no number");
        Ok(NGrams { group, buckets, idf, unknown: self.unknown, scale: self.scale })
    }
}

fn floats(values: &[f32]) -> String {
    STANDARD.encode(values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

fn numbers(text: &str, expected: Option<usize>) -> Result<Vec<f32>> {
    let bytes = STANDARD.decode(text)?;
    let (values, rest) = bytes.as_chunks::<4>();
    let values: Vec<f32> = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let expected = expected.unwrap_or(values.len());
    ensure!(rest.is_empty() && values.len() == expected, "there are {}, not {expected}", values.len());
    ensure!(values.iter().all(|value| value.is_finite()), "one is not a number");
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::linear::Counts;
    use crate::record::HeadLines;

    fn ngrams(group: FeatureGroup, buckets: &[u32]) -> NGrams {
        let idf = buckets.iter().map(|&bucket| bucket as f32).collect();
        NGrams { group, buckets: buckets.to_vec(), idf, unknown: 2.5, scale: 1.0 }
    }

    fn classifier() -> TrainedClassifier {
        let learned =
            |name: &str| LearnedLabel { name: name.into(), samples: 2, precision: Some(0.5), recall: None, f1: None };
        TrainedClassifier {
            about: About {
                model: Needs {
                    id: "builtin".into(),
                    name: "builtin".into(),
                    revision: "1".into(),
                    is_commit: false,
                    dtype: "f32".into(),
                    dims: 2,
                    asked_dims: None,
                    instruct: None,
                    background: None,
                    query_prefix: None,
                    max_tokens: 512,
                },
                cleaning: BTreeMap::from([("quotes".into(), true)]),
                min_text: 8,
                training: Training {
                    samples: 4,
                    seed: 0,
                    c: 3.0,
                    label_weights: "balanced".into(),
                    texts: Training::stored(&[7, 1 << 60].into()),
                    from_names: None,
                },
                validation: None,
                labels: vec![learned("bill"), learned("会议")],
            },
            model: LinearModel {
                labels: 2,
                dims: 2,
                ngrams: vec![
                    ngrams(FeatureGroup::Words, &[3, 9]),
                    ngrams(FeatureGroup::Characters, &[7]),
                    ngrams(FeatureGroup::Heads, &[2, 5]),
                ],
                weights: (1..15).map(|at| at as f32 / 10.0).collect(),
                intercepts: vec![0.25, -0.25],
                link: Link::Softmax,
                temperature: 0.9,
            },
        }
    }

    fn fails(text: &str, needle: &str) {
        let message = format!("{:#}", TrainedClassifier::from_json(text.as_bytes()).unwrap_err());
        assert!(message.contains(needle), "{message:?} lacks {needle:?}");
    }

    #[test]
    fn what_is_written_is_read() {
        let classifier = classifier();
        let text = classifier.to_json().unwrap();
        assert_eq!(TrainedClassifier::from_json(text.as_bytes()).unwrap(), classifier);
        assert_eq!(classifier.to_json().unwrap(), text);
        assert_eq!(classifier.about.training.texts(), [7, 1 << 60].into());
        let mut from_names = classifier.clone();
        from_names.about.training.from_names =
            Some(Unsorted { texts: 9, learned: 6, labelled: 0, unchanged: 0.5, settled: 0.75 });
        let text = from_names.to_json().unwrap();
        assert_eq!(TrainedClassifier::from_json(text.as_bytes()).unwrap(), from_names);
        fails(&text.replace("\"learned\": 6", "\"learned\": 9"), "checksum");
        // The version before had no hashes of texts.
        let mut earlier = classifier.clone();
        earlier.about.training.texts = String::new();
        let text = earlier.to_json().unwrap().replace("\"mailsort_classifier\": 4", "\"mailsort_classifier\": 2");
        assert!(!text.contains("texts"));
        assert_eq!(TrainedClassifier::from_json(text.as_bytes()).unwrap(), earlier);
        // Not every number of so many digits is read as it was written, if one is not careful.
        for c in [0.1 + 0.2, 1.0 / 3.0, 2.345_678_901_234_567_3, 999_999.999_999_999_9, 1e-6 / 0.7] {
            let mut fine = classifier.clone();
            fine.about.training.c = c;
            assert_eq!(TrainedClassifier::from_json(fine.to_json().unwrap().as_bytes()).unwrap(), fine);
        }
    }

    #[test]
    fn what_is_no_classifier_is_refused() {
        let text = classifier().to_json().unwrap();
        fails("", "no classifier");
        fails("label: a bill\n", "no classifier");
        fails("{}", "no classifier");
        fails(&text[..text.len() / 2], "breaks off");
        fails(&text.replace("\"mailsort_classifier\": 4", "\"mailsort_classifier\": 7"), "number 7");
        fails(&text.replace("\"bill\"", "\"pill\""), "checksum");
        fails(&text.replace("\"temperature\": 0.9", "\"temperature\": 0.5"), "checksum");
        fails(&text.replace("\"quotes\": true", "\"quotes\": false"), "checksum");
        fails(&text.replace("\"max_tokens\": 512", "\"max_tokens\": 2"), "checksum");
        fails(&text.replace("\"min_text\": 8", "\"min_text\": 9"), "checksum");
        fails(&text.replace("\"labels\"", "\"lables\""), "labels");
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        let check = |change: &dyn Fn(&mut TrainedClassifier), needle: &str| {
            let mut broken = classifier();
            change(&mut broken);
            fails(&broken.to_json().unwrap(), needle);
        };
        check(&|broken| broken.model.weights[1] = f32::NAN, "not a number");
        check(&|broken| broken.model.intercepts[1] = f32::INFINITY, "not a number");
        check(&|broken| broken.model.weights.truncate(7), "there are 7, not 14");
        check(&|broken| broken.about.model.dims = 3, "there are 14, not 16");
        check(&|broken| broken.about.model.dims = usize::MAX, "not");
        check(&|broken| broken.model.temperature = 0.0, "temperature");
        check(&|broken| broken.about.labels[1].name = "bill".into(), "twice");
        check(&|broken| broken.about.labels[1].name = "a\nb".into(), "no name");
        check(&|broken| broken.model.ngrams[2].buckets.reverse(), "out of order");
    }

    #[test]
    fn scores_are_those_of_the_formula() {
        let TrainedClassifier { mut model, .. } = classifier();
        let (text, heads) = ("invoice once once", HeadLines { subject: 8, sender: 8 });
        let counts = Counts::new(text, heads, 9, |_| true);
        let invoice = |group: FeatureGroup| counts.of(group).iter().find(|(_, count)| *count == 1).unwrap().0;
        model.ngrams = vec![
            ngrams(FeatureGroup::Words, &[invoice(FeatureGroup::Words)]),
            ngrams(FeatureGroup::Heads, &[3, invoice(FeatureGroup::Heads)]),
        ];
        model.ngrams.iter_mut().for_each(|ngrams| ngrams.idf.fill(1.5));
        let scores = model.scores(&[1.0, 2.0], &counts);
        // Known is one of four words and pairs, one of which occurs twice.
        let word = 1.5 / (1.5f32.powi(2) + 2.0 * 2.5f32.powi(2) + (2.5 * (1.0 + 2f32.ln())).powi(2)).sqrt();
        let expected = [0, 1].map(|label| {
            let at = |feature: usize| model.weights[2 * feature + label];
            model.intercepts[label] + at(0) + 2.0 * at(1) + at(2) * word + at(4)
        });
        for (found, expected) in scores.raw.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6);
        }
        assert!((scores.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }
}
