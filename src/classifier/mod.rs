//! From a [`Spec`] to a [`Classifier`], and from documents to verdicts: engines, thresholds, calibration, cascade,
//! trained classifiers and the cache of what models have computed.
//!
//! ```
//! use mailsort::classifier::{Classifier, Spec};
//! use mailsort::{labels::LabelSet, record::Document};
//!
//! # fn main() -> anyhow::Result<()> {
//! let labels = ["invoice: a bill to pay", "meeting: a date to meet"].map(String::from);
//! let classifier = Classifier::open(&Spec::new(vec![LabelSet::from_arguments(&labels)?]))?;
//! let documents = ["Please pay 300 EUR by Friday.", "Shall we meet on Monday at ten?"].map(Document::from);
//! let verdicts = classifier.classify(&documents)?;
//! assert_eq!(verdicts[0].label(), Some("invoice"));
//! assert_eq!(verdicts[1].label(), Some("meeting"));
//! # Ok(())
//! # }
//! ```
//!
//! A program that talks to people goes in steps: [`Selection::read`] reads labels, [`Selection::plan`] finds the model
//! and checks what can be known without its weights, [`Classifier::load`] loads it.

pub mod cache;
mod endpoint;
pub mod linear;
mod loaded;
mod model;
pub mod ranking;
mod scoring;
mod selection;
mod spec;
mod trained;
pub mod zero_shot;

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, ensure};
use rayon::prelude::*;

use crate::guard;
use crate::intake::{self, Raw, Reading};
use crate::labels::LabelSet;
use crate::record::{Document, Envelope, Header, Intake, Origin, Outcome, Ranking, Reason, Scores, Skip, Verdict};
use ranking::RankingRules;
use scoring::{Scored, Scorer};

pub use linear::LinearModel;
pub use loaded::LoadedModel;
pub use model::{LoadedEmbedding, Plan};
pub use scoring::{Embeddings, Made, PreparedText, TextPair, TextRole, Tried, unknown_label};
pub use selection::Selection;
pub use spec::{Budget, DeepReads, EndpointFlags, LabelSource, ModelSpec, Observer, RankingSpec, Silent, Spec};
pub use trained::cleaning_steps;
pub use zero_shot::ZeroShot;

/// Labels and a loaded model. It can be shared between threads; a score depends on nothing but the text, the labels and
/// the files of the model.
#[derive(Clone)]
pub struct Classifier {
    loaded: Arc<LoadedModel>,
    scorer: Arc<Scorer>,
    /// One for each label set.
    rules: Vec<RankingRules>,
    sets: Vec<LabelSet>,
    reading: Reading,
    model: String,
    is_independent: bool,
    /// Why a batch had to be scored document by document.
    taken_apart: Arc<SaidOnce>,
    /// A document whose charset is in doubt.
    doubt: Arc<SaidOnce>,
}

/// A warning of which the first is said, once.
#[derive(Default)]
struct SaidOnce {
    warning: OnceLock<String>,
    is_said: AtomicBool,
}

impl SaidOnce {
    fn note(&self, warning: String) {
        let _ = self.warning.set(warning);
    }

    /// The warning, unless it was taken before.
    fn take(&self) -> Option<String> {
        self.warning.get().filter(|_| !self.is_said.swap(true, Ordering::Relaxed)).cloned()
    }
}

/// A document that was read, and tokenised unless its scores may come from the cache: ready to be scored.
pub struct PreparedDocument {
    origin: Origin,
    envelope: Envelope,
    text: Result<PreparedText, Reason>,
    /// True when the reader left out its end.
    truncated: bool,
}

impl Classifier {
    /// Reads the labels, finds the model and loads it. A model of the hub that is not on this machine is downloaded,
    /// unless the spec says `offline`.
    ///
    /// # Errors
    /// When labels cannot be read, the model cannot be had or loaded, or the spec contradicts itself.
    pub fn open(spec: &Spec) -> Result<Self> {
        let selection = Selection::read(spec)?;
        let plan = selection.plan(&Silent, &Silent)?;
        Self::load(&selection, &plan, false, &Silent)
    }

    /// Loads the model of a plan. `identified` says that [`Classifier::identity`] is wanted, for which the files of a
    /// local model are read to the last byte.
    ///
    /// # Errors
    /// When there is no label set or one is none, or the model is damaged, does not fit into the memory, cannot read a
    /// label, or is not the one that a trained classifier needs.
    pub fn load(selection: &Selection, plan: &Plan<'_>, identified: bool, observer: &dyn Observer) -> Result<Self> {
        ensure!(
            !(selection.ranking.raw_scores && selection.trained.is_none() && plan.is_cascade()),
            "--raw-scores: the cosines of the built-in model and of deep cannot be compared; give --deep all too"
        );
        let Some(trained) = &selection.trained else {
            return Self::with_model(&Arc::new(plan.load(identified, observer)?), selection);
        };
        let (loaded, scorer) = trained.load(plan, observer)?;
        let (model, is_independent) = (selection.model_name(plan), selection.is_independent(plan));
        Ok(Self::new(Arc::new(loaded), scorer, model, selection, is_independent))
    }

    /// For the labels of a selection, by a model that is loaded and may have others beside it. A trained classifier of the
    /// selection is not used.
    ///
    /// # Errors
    /// When there is no label set or one is none, the model cannot read a label, or has no room for an instruction.
    pub fn with_model(loaded: &Arc<LoadedModel>, selection: &Selection) -> Result<Self> {
        let sets = &selection.sets;
        ensure!(!sets.is_empty(), "there is no label set, so there is nothing to sort into");
        for set in sets {
            set.check().with_context(|| format!("the label set {:?}", set.name))?;
        }
        let scorer = loaded.scorer(sets)?;
        let (model, is_independent) = (loaded.id().to_string(), loaded.is_independent());
        Ok(Self::new(loaded.clone(), scorer, model, selection, is_independent))
    }

    fn new(
        loaded: Arc<LoadedModel>,
        scorer: Scorer,
        model: String,
        selection: &Selection,
        is_independent: bool,
    ) -> Self {
        let Selection { sets, reading, ranking, .. } = selection;
        Self {
            loaded,
            scorer: Arc::new(scorer),
            rules: sets.iter().map(|set| RankingRules::new(set, ranking, is_independent)).collect(),
            sets: sets.clone(),
            reading: reading.clone(),
            model,
            is_independent,
            taken_apart: Arc::default(),
            doubt: Arc::default(),
        }
    }

    /// The same labels and model, ranked in another way.
    pub fn ranked(&self, ranking: RankingSpec) -> Self {
        let rules = self.sets.iter().map(|set| RankingRules::new(set, &ranking, self.is_independent)).collect();
        Self { rules, ..self.clone() }
    }

    /// Its model, for other labels.
    pub fn loaded(&self) -> &Arc<LoadedModel> {
        &self.loaded
    }

    /// The label sets, in the order of the rankings of a verdict.
    pub fn sets(&self) -> &[LabelSet] {
        &self.sets
    }

    /// The name of the model in records.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// How documents are to be read.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// What scores depend on besides texts and labels; empty unless it was asked for.
    pub fn identity(&self) -> &[String] {
        &self.loaded.identity
    }

    /// How much of its work is scored at once.
    pub fn budget(&self) -> Budget {
        self.loaded.budget()
    }

    /// How many tokens of a document the model sees, for the budget.
    pub fn tokens(&self, document: &PreparedDocument) -> usize {
        document.text.as_ref().map_or(0, |text| text.tokens(self.scorer.max_tokens()))
    }

    /// Decodes, renders and cleans a raw document as this classifier needs it.
    pub fn read(&self, raw: Result<Raw, Skip>) -> Intake {
        raw.and_then(|raw| intake::read(raw, &self.reading))
    }

    /// Tokenises what was read of a raw document, ahead of the pass that scores it with others.
    pub fn prepare(&self, read: Intake) -> PreparedDocument {
        let document = match read {
            Ok(document) => document,
            Err(Skip { origin, envelope, reason, .. }) => {
                return PreparedDocument { origin, envelope, text: Err(reason), truncated: false };
            }
        };
        if let Some(doubt) = document.doubted() {
            self.doubt.note(doubt);
        }
        let (text, heads) = (document.text(), document.heads());
        // What makes the tokenizer panic is tokenised again where it is scored, and becomes an error of the document.
        let tokens = guard::catch(|| self.scorer.tokenize(&text)).unwrap_or_default();
        let Document { origin, envelope, truncated, .. } = document;
        PreparedDocument { origin, envelope, text: Ok(PreparedText { text, heads, tokens }), truncated }
    }

    /// One verdict for each document, in order. It runs on the threads of the rayon pool from which it is called.
    ///
    /// # Errors
    /// When the model cannot run. A model that fails on one document gives that document an error instead.
    pub fn classify(&self, documents: &[Document]) -> Result<Vec<Verdict>> {
        self.verdicts(documents.par_iter().map(|document| self.prepare(Ok(document.clone()))).collect())
    }

    /// As [`Classifier::classify`], for what was prepared: a document that could not be read keeps its error.
    ///
    /// # Errors
    /// When the model cannot run.
    pub fn verdicts(&self, mut documents: Vec<PreparedDocument>) -> Result<Vec<Verdict>> {
        let texts = documents.iter_mut().flat_map(|document| &mut document.text);
        let texts: Vec<PreparedText> = texts.map(mem::take).collect();
        let mut scored = self.scored(&texts)?.into_iter();
        let verdict = |PreparedDocument { origin, envelope, text, truncated }| {
            let scored =
                text.and_then(|_| scored.next().unwrap_or_else(|| Err(Reason::Model("it gave no result".into()))));
            let outcome = scored.and_then(|scored| self.outcome(&scored, &envelope.headers, truncated));
            Verdict { origin, envelope, outcome }
        };
        Ok(documents.into_iter().map(verdict).collect())
    }

    /// What a user should know since this was last asked, though the work goes on.
    pub fn troubles(&self) -> Vec<String> {
        [self.scorer.trouble(), self.taken_apart.take(), self.doubt.take()].into_iter().flatten().collect()
    }

    /// Scores texts, or says why one has no scores. The probe is a label, which any model must be able to read.
    fn scored(&self, texts: &[PreparedText]) -> Result<Vec<Result<Scored, Reason>>> {
        let tried = scoring::each(texts, |texts| self.scorer.score(texts), || self.scorer.probe())?;
        if let Some(note) = tried.taken_apart {
            self.taken_apart.note(note);
        }
        Ok(tried.outcomes)
    }

    fn outcome(&self, scored: &Scored, headers: &[Header], cut: bool) -> Result<Outcome, Reason> {
        let rank = |(at, (rules, scores)): (usize, (&RankingRules, &Scores))| {
            let ranking = rules.rank(scores, headers).ok_or(Reason::NotANumber)?;
            Ok(Ranking { by: ranking.by.or(scored.by.get(at).copied()), ..ranking })
        };
        let sets = self.rules.iter().zip(&scored.sets).enumerate();
        let rankings = sets.map(rank).collect::<Result<_, Reason>>()?;
        Ok(Outcome { rankings, tokens: scored.tokens, truncated: scored.truncated || cut })
    }
}
