//! What the model is asked, and the loop that asks it: jobs of all clients are prepared on every core and scored in
//! batches under the model's budget. A score depends on none of the others.

use std::sync::{Arc, mpsc};
use std::time::Instant;

use anyhow::{Context, Result};
use rayon::ThreadPool;
use tokio::sync::oneshot;

use super::metrics::Metrics;
use crate::classifier::{Classifier, LoadedModel, Made, PreparedDocument, Selection, TextPair};
use crate::guard;
use crate::intake::{self, Raw, Reading};
use crate::record::{Intake, Reason, Skip, Verdict};
use crate::report::Report;
use crate::stream::Scheduler;

/// Bytes of a text that are taken for a token in the budget.
const BYTES_A_TOKEN: usize = 4;

/// One thing that a client wants of the model.
pub(super) struct Job {
    asked: Asked,
    since: Instant,
}

/// What is wanted, and who waits for it.
enum Asked {
    Verdict(Arc<Classifier>, Box<Result<Raw, Skip>>, oneshot::Sender<Verdict>),
    Reading(Arc<Reading>, Box<Result<Raw, Skip>>, oneshot::Sender<Intake>),
    Labels(Box<Selection>, oneshot::Sender<Result<Classifier>>),
    Vector(EmbedText, oneshot::Sender<MadeVector>),
    Relevance(Pair, oneshot::Sender<Relevance>),
}

impl Asked {
    /// True where nobody waits any more.
    fn is_gone(&self) -> bool {
        match self {
            Self::Verdict(_, _, answer) => answer.is_closed(),
            Self::Reading(_, _, answer) => answer.is_closed(),
            Self::Labels(_, answer) => answer.is_closed(),
            Self::Vector(_, answer) => answer.is_closed(),
            Self::Relevance(_, answer) => answer.is_closed(),
        }
    }
}

/// A vector, or why there is none.
pub(super) type MadeVector = Result<Made<Vec<f32>>, Reason>;

/// How relevant a document is to a query, or why it is not told.
pub(super) type Relevance = Result<Made<f32>, Reason>;

/// A text to embed.
pub(super) struct EmbedText {
    pub(super) text: String,
    /// Length of its vector; `None` for all of it.
    pub(super) dims: Option<usize>,
}

/// A query and one document.
pub(super) struct Pair {
    pub(super) instruct: Option<Arc<str>>,
    pub(super) query: Arc<str>,
    pub(super) document: String,
}

impl Job {
    fn new(asked: Asked) -> Self {
        Self { asked, since: Instant::now() }
    }

    /// To classify a document.
    pub(super) fn verdict(
        classifier: &Arc<Classifier>,
        raw: Result<Raw, Skip>,
        answer: oneshot::Sender<Verdict>,
    ) -> Self {
        Self::new(Asked::Verdict(classifier.clone(), Box::new(raw), answer))
    }

    /// To read a document.
    pub(super) fn reading(reading: &Arc<Reading>, raw: Result<Raw, Skip>, answer: oneshot::Sender<Intake>) -> Self {
        Self::new(Asked::Reading(reading.clone(), Box::new(raw), answer))
    }

    /// To make a classifier for labels that a client has brought.
    pub(super) fn labels(selection: Selection, answer: oneshot::Sender<Result<Classifier>>) -> Self {
        Self::new(Asked::Labels(Box::new(selection), answer))
    }

    /// To embed a text.
    pub(super) fn vector(text: EmbedText, answer: oneshot::Sender<MadeVector>) -> Self {
        Self::new(Asked::Vector(text, answer))
    }

    /// To compare a query with a document.
    pub(super) fn relevance(pair: Pair, answer: oneshot::Sender<Relevance>) -> Self {
        Self::new(Asked::Relevance(pair, answer))
    }

    /// Memory that it holds, and its weight where preparing it takes long.
    fn bytes(&self) -> usize {
        match &self.asked {
            Asked::Verdict(_, raw, _) | Asked::Reading(_, raw, _) => raw.as_ref().as_ref().map_or(0, Raw::weight),
            Asked::Labels(selection, _) => 64 * labels(selection),
            Asked::Vector(text, _) => text.text.len(),
            Asked::Relevance(pair, _) => pair.document.len(),
        }
    }
}

fn labels(selection: &Selection) -> usize {
    selection.sets.iter().map(|set| set.labels.len()).sum()
}

/// A job that is ready for the model; `None` where its client has gone.
struct Prepared {
    asked: Option<PreparedAsked>,
    since: Instant,
}

impl PreparedAsked {
    /// True where nobody waits any more.
    fn is_gone(&self) -> bool {
        match self {
            Self::Verdict(_, _, answer) => answer.is_closed(),
            Self::Reading(_, answer) => answer.is_closed(),
            Self::Other(asked) => asked.is_gone(),
        }
    }
}

enum PreparedAsked {
    Verdict(Arc<Classifier>, Box<PreparedDocument>, oneshot::Sender<Verdict>),
    Reading(Box<Intake>, oneshot::Sender<Intake>),
    Other(Asked),
}

impl Prepared {
    fn of(Job { asked, since }: Job) -> Self {
        let asked = (!asked.is_gone()).then(|| match asked {
            Asked::Verdict(classifier, raw, answer) => {
                let document = classifier.prepare(classifier.read(*raw));
                PreparedAsked::Verdict(classifier, Box::new(document), answer)
            }
            Asked::Reading(reading, raw, answer) => {
                let read = raw.and_then(|raw| intake::read(raw, &reading));
                PreparedAsked::Reading(Box::new(read), answer)
            }
            other => PreparedAsked::Other(other),
        });
        Self { asked, since }
    }

    /// What it counts in the budget of a model that reads at most `most` tokens of a text.
    fn tokens(&self, most: usize) -> usize {
        let of = |text: &str| (text.len() / BYTES_A_TOKEN).min(most);
        match &self.asked {
            None | Some(PreparedAsked::Reading(..)) => 0,
            Some(PreparedAsked::Verdict(classifier, document, _)) => classifier.tokens(document),
            Some(PreparedAsked::Other(asked)) => match asked {
                Asked::Verdict(..) | Asked::Reading(..) => 0,
                Asked::Labels(selection, _) => 32 * labels(selection),
                Asked::Vector(text, _) => of(&text.text),
                Asked::Relevance(pair, _) => of(&pair.query) + of(&pair.document),
            },
        }
    }
}

/// The model, and all that its work needs.
pub(super) struct Worker<'a> {
    pub(super) loaded: Arc<LoadedModel>,
    pub(super) pool: &'a ThreadPool,
    pub(super) metrics: &'a Metrics,
    pub(super) report: &'a Report,
}

impl Worker<'_> {
    /// Does jobs until nobody can ask any more.
    ///
    /// # Errors
    /// When the model cannot run any more. Who waits then gets no answer.
    pub(super) fn run(&self, jobs: mpsc::Receiver<Job>) -> Result<()> {
        let most = self.loaded.max_tokens();
        Scheduler::of_requests(self.pool, self.loaded.budget()).run(
            jobs.into_iter(),
            Job::bytes,
            Prepared::of,
            |prepared| prepared.tokens(most),
            || false,
            |batch| match self.batch(batch) {
                // Who waits is told to come again.
                Err(error) if self.loaded.is_remote() => {
                    self.report.warn(format_args!("{error:#}"));
                    Ok(())
                }
                done => done,
            },
        )
    }

    /// Does one batch.
    fn batch(&self, batch: Vec<Prepared>) -> Result<()> {
        let (mut verdicts, mut vectors, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        self.metrics.batch(batch.len());
        for Prepared { asked, since } in batch {
            self.metrics.waited(since.elapsed());
            // The client may have gone since it was prepared.
            match asked.filter(|asked| !asked.is_gone()) {
                None => {}
                Some(PreparedAsked::Verdict(classifier, document, answer)) => {
                    verdicts.push((classifier, *document, answer));
                }
                Some(PreparedAsked::Reading(read, answer)) => drop(answer.send(*read)),
                Some(PreparedAsked::Other(asked)) => match asked {
                    Asked::Labels(selection, answer) => self.labels(&selection, answer),
                    Asked::Vector(text, answer) => vectors.push((text, answer)),
                    Asked::Relevance(pair, answer) => pairs.push((pair, answer)),
                    Asked::Verdict(..) | Asked::Reading(..) => {}
                },
            }
        }
        // Documents of one classifier go through the model together.
        verdicts.sort_by_key(|(classifier, ..)| Arc::as_ptr(classifier));
        let mut verdicts = verdicts.into_iter().peekable();
        while let Some((classifier, first, answer)) = verdicts.next() {
            let (mut documents, mut answers) = (vec![first], vec![answer]);
            while let Some((_, document, answer)) = verdicts.next_if(|(other, ..)| Arc::ptr_eq(other, &classifier)) {
                documents.push(document);
                answers.push(answer);
            }
            let made = self.pool.install(|| classifier.verdicts(documents)).context("the model failed")?;
            for trouble in classifier.troubles() {
                self.report.warn(trouble);
            }
            handed_out(made, answers);
        }
        self.vectors(vectors)?;
        self.pairs(pairs)
    }

    fn labels(&self, selection: &Selection, answer: oneshot::Sender<Result<Classifier>>) {
        let made = guard::catch_bug(|| self.pool.install(|| Classifier::with_model(&self.loaded, selection)));
        drop(answer.send(made.unwrap_or_else(|said| Err(anyhow::anyhow!("mailsort has a bug: {said}")))));
    }

    fn vectors(&self, asked: Vec<(EmbedText, oneshot::Sender<MadeVector>)>) -> Result<()> {
        let mut asked = asked.into_iter().peekable();
        while let Some((EmbedText { text, dims }, answer)) = asked.next() {
            let (mut texts, mut answers) = (vec![text], vec![answer]);
            while let Some((text, answer)) = asked.next_if(|(other, _)| other.dims == dims) {
                texts.push(text.text);
                answers.push(answer);
            }
            let made = self.pool.install(|| self.loaded.embed(&texts, dims)).context("the model failed")?;
            handed_out(made, answers);
        }
        Ok(())
    }

    fn pairs(&self, asked: Vec<(Pair, oneshot::Sender<Relevance>)>) -> Result<()> {
        if asked.is_empty() {
            return Ok(());
        }
        let (pairs, answers): (Vec<Pair>, Vec<_>) = asked.into_iter().unzip();
        let texts: Vec<TextPair> = pairs
            .iter()
            .map(|Pair { instruct, query, document }| TextPair { instruct: instruct.as_deref(), query, document })
            .collect();
        let made = self.pool.install(|| self.loaded.compare(&texts)).context("the model failed")?;
        if let Some(trouble) = self.loaded.trouble() {
            self.report.warn(trouble);
        }
        handed_out(made, answers);
        Ok(())
    }
}

/// Answers each client. One that has gone misses it.
fn handed_out<T>(made: Vec<T>, answers: Vec<oneshot::Sender<T>>) {
    made.into_iter().zip(answers).for_each(|(made, answer)| drop(answer.send(made)));
}
