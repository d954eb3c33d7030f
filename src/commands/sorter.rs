//! Labels and a model that are ready to sort mail, for the verbs that act on a verdict.

use anyhow::Result;

use super::chosen::Chosen;
use super::model::Ready;
use super::scoring::Scoring;
use crate::cli::{Choosing, Cleaning, Engine};
use crate::intake::{self, Raw, Reading};
use crate::labels::LabelSet;
use crate::record::{Skip, Verdict};
use crate::report::{Downloads, Report};
use crate::sorting::Rules;

/// Sorts mail as `classify` does.
pub(super) struct Sorter {
    scoring: Scoring,
    reading: Reading,
    sets: Vec<LabelSet>,
    model: String,
}

impl Sorter {
    /// Reads the labels and loads the model.
    ///
    /// # Errors
    /// When labels, flags or the model cannot be used.
    pub(super) fn load(
        choosing: &Choosing,
        engine: &Engine,
        cleaning: &Cleaning,
        report: &Report,
        downloads: &Downloads,
    ) -> Result<Self> {
        let chosen = Chosen::read(choosing, engine, cleaning)?;
        let plan = chosen.plan(report, downloads)?;
        let model = chosen.id(&plan);
        let Ready { scorer, .. } = chosen.load(&plan, false, report)?;
        let rules = |set: &LabelSet| Rules {
            names: set.labels.iter().map(|label| label.name.clone()).collect(),
            thresholds: (0..set.labels.len()).map(|at| set.threshold(at, choosing.threshold)).collect(),
            top_k: set.labels.len(),
            raw: false,
        };
        let scoring = Scoring::new(scorer, chosen.sets.iter().map(rules).collect());
        let Chosen { sets, reading, .. } = chosen;
        Ok(Self { scoring, reading, sets, model })
    }

    /// The label sets, in the order of the rankings of a verdict.
    pub(super) fn sets(&self) -> &[LabelSet] {
        &self.sets
    }

    /// What records call the model.
    pub(super) fn model(&self) -> &str {
        &self.model
    }

    /// Reads and scores mails; one verdict each, in order.
    ///
    /// # Errors
    /// When the model cannot run.
    pub(super) fn sort(&self, raws: Vec<Result<Raw, Skip>>) -> Result<Vec<Verdict>> {
        let read = |raw: Result<Raw, Skip>| raw.and_then(|raw| intake::read(raw, &self.reading));
        self.scoring.verdicts(raws.into_iter().map(read).collect())
    }
}
