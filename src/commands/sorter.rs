//! Labels and a model that are ready to sort mail, for the verbs that act on a verdict.

use anyhow::{Result, ensure};
use rayon::ThreadPool;
use rayon::prelude::*;

use super::chosen::Chosen;
use super::model::Ready;
use super::scoring::{Scoring, rules};
use crate::cli::{Choosing, Cleaning, Engine};
use crate::intake::{self, Raw, Reading};
use crate::labels::LabelSet;
use crate::record::{Skip, Verdict};
use crate::report::{Downloads, Report};

/// Sorts mail as `classify` does.
pub(super) struct Sorter {
    /// Where it works; `None` for one mail, which is not worth starting threads for.
    pool: Option<ThreadPool>,
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
        pool: Option<ThreadPool>,
        report: &Report,
        downloads: &Downloads,
    ) -> Result<Self> {
        let chosen = Chosen::read(choosing, engine, cleaning)?;
        let own =
            chosen.sets.iter().flat_map(|set| set.labels.iter().map(|label| label.threshold).chain([set.threshold]));
        let odd = own.chain([choosing.threshold]).flatten().find(|threshold| !(0.0..=1.0).contains(threshold));
        ensure!(odd.is_none(), "the threshold {} is no probability, which is 0 to 1", odd.unwrap_or_default());
        let plan = chosen.plan(report, downloads)?;
        let model = chosen.id(&plan);
        let load = || chosen.load(&plan, false, report);
        let Ready { scorer, .. } = pool.as_ref().map_or_else(load, |pool| pool.install(load))?;
        // Nobody looks at more than the best.
        let rules = chosen.sets.iter().map(|set| rules(set, choosing.threshold, 1, false));
        let scoring = Scoring::new(scorer, rules.collect());
        let Chosen { sets, reading, .. } = chosen;
        Ok(Self { pool, scoring, reading, sets, model })
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
        match &self.pool {
            Some(pool) => pool.install(|| self.scoring.verdicts(raws.into_par_iter().map(read).collect())),
            None => self.scoring.verdicts(raws.into_iter().map(read).collect()),
        }
    }
}
