//! What the model is asked, and the loop that asks it: jobs of all clients are prepared on every core and scored in
//! batches under the model's budget. A score depends on none of the others.

use std::sync::{Arc, mpsc};
use std::time::Instant;

use anyhow::{Context, Result};
use rayon::ThreadPool;
use tokio::sync::oneshot;

use super::metrics::Metrics;
use crate::classifier::{Classifier, LoadedModel, Made, PreparedDocument, Selection, TextPair, TextRole};
use crate::guard;
use crate::intake::{self, Raw, Reading};
use crate::record::{Intake, Reason, Skip, Verdict};
use crate::report::Report;
use crate::stream::Scheduler;

/// Bytes of a text that are taken for a token in the budget.
const BYTES_A_TOKEN: usize = 4;

/// One thing that a client wants of the model.
pub(super) struct Job {
    /// `None` where it is done, or its client has gone.
    asked: Option<Asked>,
    since: Instant,
}

/// What is wanted, and who waits for it.
enum Asked {
    Verdict(Arc<Classifier>, Box<QueuedDocument>, oneshot::Sender<Verdict>),
    Reading(Arc<Reading>, Box<Result<Raw, Skip>>, oneshot::Sender<Intake>),
    Labels(Box<Selection>, oneshot::Sender<Result<Classifier>>),
    Vector(TextToEmbed, oneshot::Sender<MadeVector>),
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

/// A document as it came, or ready for the model.
enum QueuedDocument {
    Raw(Result<Raw, Skip>),
    Prepared(PreparedDocument),
}

impl QueuedDocument {
    fn prepared(self, classifier: &Classifier) -> PreparedDocument {
        match self {
            Self::Raw(raw) => classifier.prepare(classifier.read(raw)),
            Self::Prepared(document) => document,
        }
    }
}

/// A vector, or why there is none.
pub(super) type MadeVector = Result<Made<Vec<f32>>, Reason>;

/// How relevant a document is to a query, or why it is not told.
pub(super) type Relevance = Result<Made<f32>, Reason>;

/// A text to embed, and what it is to the model. Questions of one instruction are embedded together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum RoleOfText {
    Bare,
    Passage,
    Question(Option<Arc<str>>),
}

struct TextToEmbed {
    role: RoleOfText,
    text: String,
}

/// A query and one document.
pub(super) struct Pair {
    pub(super) instruct: Option<Arc<str>>,
    pub(super) query: Arc<str>,
    pub(super) document: String,
}

impl Job {
    fn new(asked: Asked) -> Self {
        Self { asked: Some(asked), since: Instant::now() }
    }

    /// To classify a document.
    pub(super) fn verdict(
        classifier: &Arc<Classifier>,
        raw: Result<Raw, Skip>,
        answer: oneshot::Sender<Verdict>,
    ) -> Self {
        Self::new(Asked::Verdict(classifier.clone(), Box::new(QueuedDocument::Raw(raw)), answer))
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
    pub(super) fn vector(text: String, answer: oneshot::Sender<MadeVector>) -> Self {
        Self::new(Asked::Vector(TextToEmbed { role: RoleOfText::Bare, text }, answer))
    }

    /// To embed a passage, such as a clause of a contract.
    pub(super) fn passage(text: String, answer: oneshot::Sender<MadeVector>) -> Self {
        Self::new(Asked::Vector(TextToEmbed { role: RoleOfText::Passage, text }, answer))
    }

    /// To embed a question by which passages are found, with an instruction in place of the model's own.
    pub(super) fn question(instruct: Option<Arc<str>>) -> impl Fn(String, oneshot::Sender<MadeVector>) -> Self {
        move |text, answer| {
            Self::new(Asked::Vector(TextToEmbed { role: RoleOfText::Question(instruct.clone()), text }, answer))
        }
    }

    /// To compare a query with a document.
    pub(super) fn relevance(pair: Pair, answer: oneshot::Sender<Relevance>) -> Self {
        Self::new(Asked::Relevance(pair, answer))
    }

    /// Memory that it holds, and its weight where preparing it takes long.
    fn bytes(&self) -> usize {
        let of = |raw: &Result<Raw, Skip>| raw.as_ref().map_or(0, Raw::weight);
        match &self.asked {
            None => 0,
            Some(Asked::Verdict(_, document, _)) => match &**document {
                QueuedDocument::Raw(raw) => of(raw),
                QueuedDocument::Prepared(_) => 0,
            },
            Some(Asked::Reading(_, raw, _)) => of(raw),
            Some(Asked::Labels(selection, _)) => 64 * labels(selection),
            Some(Asked::Vector(asked, _)) => asked.text.len(),
            Some(Asked::Relevance(pair, _)) => pair.document.len(),
        }
    }

    /// Does what needs no model: a document is read, and is an answer already where no more is wanted.
    fn prepared(self) -> Self {
        let asked = match self.asked.filter(|asked| !asked.is_gone()) {
            Some(Asked::Verdict(classifier, document, answer)) => {
                let document = QueuedDocument::Prepared(document.prepared(&classifier));
                Some(Asked::Verdict(classifier, Box::new(document), answer))
            }
            Some(Asked::Reading(reading, raw, answer)) => {
                drop(answer.send(raw.and_then(|raw| intake::read(raw, &reading))));
                None
            }
            other => other,
        };
        Self { asked, ..self }
    }

    /// What it counts in the budget of a model that reads at most `most` tokens of a text.
    fn tokens(&self, most: usize) -> usize {
        let of = |text: &str| (text.len() / BYTES_A_TOKEN).min(most);
        match &self.asked {
            Some(Asked::Verdict(classifier, document, _)) => match &**document {
                QueuedDocument::Raw(_) => 0,
                QueuedDocument::Prepared(document) => classifier.tokens(document),
            },
            None | Some(Asked::Reading(..)) => 0,
            Some(Asked::Labels(selection, _)) => 32 * labels(selection),
            Some(Asked::Vector(asked, _)) => of(&asked.text),
            Some(Asked::Relevance(pair, _)) => of(&pair.query) + of(&pair.document),
        }
    }
}

fn labels(selection: &Selection) -> usize {
    selection.sets.iter().map(|set| set.labels.len()).sum()
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
            Job::prepared,
            |job| job.tokens(most),
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
    fn batch(&self, batch: Vec<Job>) -> Result<()> {
        let (mut verdicts, mut vectors, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        self.metrics.batch(batch.len());
        for Job { asked, since } in batch {
            self.metrics.waited(since.elapsed());
            // The client may have gone since it was prepared.
            match asked.filter(|asked| !asked.is_gone()) {
                Some(Asked::Verdict(classifier, document, answer)) => {
                    let document = document.prepared(&classifier);
                    verdicts.push((classifier, document, answer));
                }
                Some(Asked::Labels(selection, answer)) => self.labels(&selection, answer),
                Some(Asked::Vector(asked, answer)) => vectors.push((asked, answer)),
                Some(Asked::Relevance(pair, answer)) => pairs.push((pair, answer)),
                // What was only to be read was answered when it was prepared.
                None | Some(Asked::Reading(..)) => {}
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

    fn vectors(&self, mut asked: Vec<(TextToEmbed, oneshot::Sender<MadeVector>)>) -> Result<()> {
        asked.sort_by(|(one, _), (other, _)| one.role.cmp(&other.role));
        let mut asked = asked.into_iter().peekable();
        while let Some((TextToEmbed { role, text }, answer)) = asked.next() {
            let (mut texts, mut answers) = (vec![text], vec![answer]);
            while let Some((other, answer)) = asked.next_if(|(other, _)| other.role == role) {
                texts.push(other.text);
                answers.push(answer);
            }
            let role = match &role {
                RoleOfText::Bare => TextRole::Bare,
                RoleOfText::Passage => TextRole::Passage,
                RoleOfText::Question(instruct) => TextRole::Query(instruct.as_deref()),
            };
            let made = self.pool.install(|| self.loaded.embed(texts, role)).context("the model failed")?;
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
