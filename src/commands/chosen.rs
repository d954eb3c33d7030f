//! What mail is sorted into, and what that asks of the model and of reading: label sets as the flags name them, or a
//! classifier that brings all of it.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::classifier::Given;
use super::model::{self, Plan, Ready};
use crate::cli::{Choosing, Cleaning, Engine, Examples};
use crate::intake::Reading;
use crate::labels::LabelSet;
use crate::report::{Downloads, Report};

/// Labels, and what they need.
pub(super) struct Chosen {
    pub(super) classifier: Option<Given>,
    pub(super) sets: Vec<LabelSet>,
    pub(super) engine: Engine,
    pub(super) reading: Reading,
}

impl Chosen {
    /// Reads label files and classifiers, and no model yet.
    ///
    /// # Errors
    /// When there are none, one cannot be read, or flags contradict a classifier.
    pub(super) fn read(choosing: &Choosing, engine: &Engine, cleaning: &Cleaning) -> Result<Self> {
        match &choosing.classifier {
            Some(path) => Self::of_classifier(path, &choosing.files, engine, cleaning),
            None => Ok(Self::of_sets(label_sets(choosing)?, engine, cleaning)),
        }
    }

    /// Label sets that were read elsewhere.
    pub(super) fn of_sets(sets: Vec<LabelSet>, engine: &Engine, cleaning: &Cleaning) -> Self {
        Self { classifier: None, sets, engine: engine.clone(), reading: cleaning.reading() }
    }

    /// A classifier; of `files`, one at most, only thresholds are read.
    ///
    /// # Errors
    /// When it cannot be read, or flags contradict it.
    pub(super) fn of_classifier(path: &Path, files: &[PathBuf], engine: &Engine, cleaning: &Cleaning) -> Result<Self> {
        let given = Given::read(path)?;
        let sets = vec![given.set(files)?];
        let (engine, reading) = (given.engine(engine)?, given.reading(cleaning)?);
        Ok(Self { classifier: Some(given), sets, engine, reading })
    }

    /// Finds the model.
    ///
    /// # Errors
    /// As [`model::plan`], naming the classifier if there is one.
    pub(super) fn plan<'a>(&'a self, report: &Report, downloads: &Downloads) -> Result<Plan<'a>> {
        match &self.classifier {
            Some(given) => given.plan(&self.engine, report, downloads),
            None => model::plan(&self.engine, report, downloads),
        }
    }

    /// What records call the model.
    pub(super) fn id(&self, plan: &Plan<'_>) -> String {
        self.classifier.as_ref().map_or_else(|| plan.id().to_string(), |given| given.id(plan.id()))
    }

    /// True where each label of a set has a probability of its own.
    pub(super) fn is_independent(&self, plan: &Plan<'_>) -> bool {
        plan.is_of_pairs() || self.are_questions()
    }

    /// True where the classifier was learned from lists of labels.
    pub(super) fn are_questions(&self) -> bool {
        self.classifier.as_ref().is_some_and(Given::is_of_questions)
    }

    /// Loads the model. `identified` says whether its fingerprint is wanted.
    ///
    /// # Errors
    /// When it cannot be loaded, or is not the one that the classifier was trained on.
    pub(super) fn load(&self, plan: &Plan<'_>, identified: bool, report: &Report) -> Result<Ready> {
        match &self.classifier {
            Some(given) => given.load(plan, report),
            None => plan.load(&self.sets, identified, report),
        }
    }
}

/// The files that hold labels, classifiers or models, none of which may become an output.
pub(super) fn files(choosing: &Choosing, engine: &Engine) -> Vec<PathBuf> {
    let files = choosing.files.iter().chain(&choosing.classifier).cloned();
    files.chain(model::files(engine)).filter(|path| path.exists()).collect()
}

/// Reads the label files, and the labels of the command line as a set of their own.
fn label_sets(choosing: &Choosing) -> Result<Vec<LabelSet>> {
    let mut sets: Vec<LabelSet> = choosing.files.iter().map(|path| LabelSet::read(path)).collect::<Result<_>>()?;
    ensure!(
        !sets.is_empty() || !choosing.label.is_empty(),
        "nothing says what to sort into: give a label file with --labels FILE (one label a line, `name: description`), labels \
         themselves with --label 'name: description', or a classifier of `mailsort train` with --classifier FILE"
    );
    if !choosing.label.is_empty() {
        sets.push(LabelSet::from_arguments(&choosing.label)?);
    }
    if choosing.examples == Examples::Off {
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
