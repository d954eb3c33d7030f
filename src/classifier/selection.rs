//! What a spec selects: label sets or a trained classifier, and what these ask of the model and of reading.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use encoding_rs::Encoding;

use super::model::{self, Plan};
use super::spec::{LabelSource, ModelSpec, Observer, RankingSpec, Spec};
use super::trained::TrainedFile;
use crate::engine::hub::DownloadProgress;
use crate::intake::Reading;
use crate::labels::LabelSet;

/// Labels, and what they need. Label files and trained classifiers are read, models are not.
pub struct Selection {
    /// The trained classifier, if the labels are those of one.
    pub(super) trained: Option<TrainedFile>,
    /// The label sets, in the order of the rankings of a verdict.
    pub sets: Vec<LabelSet>,
    /// The model, as a trained classifier needs it.
    pub model: ModelSpec,
    /// How documents are read, as a trained classifier needs it.
    pub reading: Reading,
    /// How scores become a ranking.
    pub ranking: RankingSpec,
}

impl Selection {
    /// Reads label files and trained classifiers.
    ///
    /// # Errors
    /// When there are no labels, a file cannot be read, or the spec contradicts a trained classifier.
    pub fn read(spec: &Spec) -> Result<Self> {
        let Spec { labels, model, reading, ranking } = spec;
        let (trained, sets) = match labels {
            LabelSource::Sets(sets) => (None, sets.clone()),
            LabelSource::Files { files, inline, examples, encoding } => {
                (None, label_sets(files, inline, *examples, *encoding)?)
            }
            LabelSource::Trained { file, thresholds, encoding } => {
                let trained = TrainedFile::read(file)?;
                let sets = vec![trained.set(thresholds, *encoding)?];
                (Some(trained), sets)
            }
        };
        let (model, mut reading) = match &trained {
            Some(trained) => (trained.model_spec(model)?, trained.reading(reading)?),
            None => (model.clone(), reading.clone()),
        };
        read_headers(&mut reading, &sets);
        Ok(Self { trained, sets, model, reading, ranking: *ranking })
    }

    /// The same with other label sets, which no trained classifier knows.
    pub fn with_sets(&self, sets: Vec<LabelSet>) -> Self {
        let mut reading = self.reading.clone();
        read_headers(&mut reading, &sets);
        Self { trained: None, sets, model: self.model.clone(), reading, ranking: self.ranking }
    }

    /// Finds the model, fetches what is not on this machine, and checks all that can be known without its weights.
    ///
    /// # Errors
    /// When a threshold is out of the range of the scores, a model cannot be had or cannot do what the spec asks, or
    /// the device or the cache cannot be used. The message names the trained classifier, if there is one.
    pub fn plan<'a>(&'a self, observer: &dyn Observer, downloads: &dyn DownloadProgress) -> Result<Plan<'a>> {
        if !self.ranking.raw_scores {
            self.check_probabilities()?;
        }
        match &self.trained {
            Some(trained) => trained.plan(&self.model, observer, downloads),
            None => model::plan(&self.model, observer, downloads),
        }
    }

    /// The name of the model in records.
    pub fn model_name(&self, plan: &Plan<'_>) -> String {
        self.trained.as_ref().map_or_else(|| plan.id().to_string(), |trained| trained.model_name(plan.id()))
    }

    /// True where the labels are those of a trained classifier.
    pub fn is_trained(&self) -> bool {
        self.trained.is_some()
    }

    /// Hashes of the texts that the trained classifier has learned from; none without one.
    pub fn learned_texts(&self) -> HashSet<u64> {
        self.trained.as_ref().map(TrainedFile::texts).unwrap_or_default()
    }

    /// True where each label of a set has a probability of its own, so that they do not sum to 1.
    pub fn is_independent(&self, plan: &Plan<'_>) -> bool {
        (plan.is_of_pairs() && !plan.shares_over_labels()) || self.is_multi_label()
    }

    /// True where the classifier was trained on lists of labels: each label is a question of its own.
    pub fn is_multi_label(&self) -> bool {
        self.trained.as_ref().is_some_and(TrainedFile::is_multi_label)
    }

    /// # Errors
    /// When a threshold is no probability.
    fn check_probabilities(&self) -> Result<()> {
        let odd = |threshold: Option<f32>| threshold.filter(|threshold| !(0.0..=1.0).contains(threshold));
        let check = |threshold, of: &dyn Fn() -> String| match odd(threshold) {
            Some(odd) => bail!("the threshold {odd}{} is no probability, which is 0 to 1", of()),
            None => Ok(()),
        };
        check(self.ranking.threshold, &String::new)?;
        for set in &self.sets {
            check(set.threshold, &|| format!(" of the label set {:?}", set.name))?;
            for label in &set.labels {
                check(label.threshold, &|| format!(" of the label {:?} in {:?}", label.name, set.name))?;
            }
        }
        Ok(())
    }
}

impl Spec {
    /// The files that the classifier is read from, none of which may become an output.
    pub fn files(&self) -> Vec<PathBuf> {
        let labels: Vec<&Path> = match &self.labels {
            LabelSource::Sets(_) => Vec::new(),
            LabelSource::Files { files, .. } => files.iter().map(PathBuf::as_path).collect(),
            LabelSource::Trained { file, thresholds, .. } => {
                thresholds.iter().chain([file]).map(PathBuf::as_path).collect()
            }
        };
        let files = labels.into_iter().map(Path::to_path_buf).chain(self.model.files());
        files.filter(|path| path.exists()).collect()
    }
}

impl ModelSpec {
    /// The files of the model: one that holds its weights, and the cache.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> + Clone {
        let weights = self.model.as_ref().map(PathBuf::from).filter(|path| path.is_file());
        weights.into_iter().chain(self.cache.clone())
    }
}

/// Keeps the headers that labels ask for.
fn read_headers(reading: &mut Reading, sets: &[LabelSet]) {
    let conditions = sets.iter().flat_map(|set| &set.labels).filter_map(|label| label.headers.as_ref());
    reading.headers.extend(conditions.flat_map(|condition| condition.names().map(String::from)));
}

/// Reads the label files; the inline labels are a set of their own.
fn label_sets(
    files: &[PathBuf],
    inline: &[String],
    examples: bool,
    encoding: Option<&'static Encoding>,
) -> Result<Vec<LabelSet>> {
    let mut sets: Vec<LabelSet> = files.iter().map(|path| LabelSet::read(path, encoding)).collect::<Result<_>>()?;
    ensure!(
        !sets.is_empty() || !inline.is_empty(),
        "nothing says what to sort into: give a label file with --labels FILE (one label a line, `name: description`), labels \
         themselves with --label 'name: description', or a classifier of `mailsort train` with --classifier FILE"
    );
    if !inline.is_empty() {
        sets.push(LabelSet::from_arguments(inline)?);
    }
    if !examples {
        sets.iter_mut().flat_map(|set| &mut set.labels).for_each(|label| label.examples.clear());
    }
    for (at, set) in sets.iter().enumerate() {
        ensure!(
            !sets[..at].iter().any(|before| before.name == set.name),
            "two label sets are called {:?}; records tell sets apart by the names of their files, and the set of --label \
             is called \"label\", so rename one file",
            set.name
        );
    }
    Ok(sets)
}
