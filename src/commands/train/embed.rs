//! Embeds samples and counts their n-grams.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rayon::ThreadPool;

use super::screen::{self, Kept};
use crate::classifier::linear::{Counts, text_hash};
use crate::classifier::{Budget, Embeddings, PreparedText, Tried};
use crate::engine::Embedding;
use crate::record::Reason;
use crate::report::Report;
use crate::stream::{Scheduler, Stop};

/// A sample with its vector.
#[derive(Clone)]
pub(super) struct Embedded {
    pub(super) vector: Vec<f32>,
    pub(super) counts: Counts,
    pub(super) labels: Vec<Arc<str>>,
    pub(super) weight: f32,
    /// The hash of its text.
    pub(super) hash: u64,
}

/// How samples are embedded.
pub(super) struct How<'a> {
    pub(super) instruct: Option<&'a str>,
    pub(super) reads_words: bool,
    pub(super) budget: Budget,
    pub(super) pool: &'a ThreadPool,
    /// Words of a label, which any working model can embed.
    pub(super) probe: &'a str,
}

/// Samples without a vector, by the reason.
#[derive(Default)]
struct LeftOut {
    unknown: Vec<String>,
    failed: Vec<String>,
    no_number: Vec<String>,
}

/// Embeds the samples, and counts their n-grams if asked to. A text is dropped as soon as it has its vector. Samples
/// without a vector are left out and named.
///
/// # Errors
/// When the model cannot run.
pub(super) fn embedded(
    embeddings: &Embeddings,
    kept: Vec<Kept>,
    how: How<'_>,
    stop: &Stop,
    report: &mut Report,
) -> Result<Vec<Embedded>> {
    let How { instruct, reads_words, budget, pool, probe } = how;
    let voice = report.voice();
    let announced =
        budget.is_slow().then(|| stop.announce(Duration::ZERO, move || voice.say(&stopping(budget.documents))));
    let (mut made, mut left, mut said) = (Vec::with_capacity(kept.len()), LeftOut::default(), false);
    let prepare = |mut kept: Kept| {
        let hash = text_hash(&kept.text);
        let counts = Counts::new(&kept.text, kept.heads, embeddings.words(), |_| reads_words);
        let text = embeddings.prepare(mem::take(&mut kept.text), instruct);
        (text, (kept, counts, hash))
    };
    let mut scheduler = Scheduler::of_files(pool, budget);
    // Nothing is written after a stop.
    scheduler.finish_prepared = false;
    let tokens = |(text, _): &(PreparedText, _)| text.tokens(embeddings.max_tokens);
    scheduler.run(
        kept.into_iter(),
        |_| 0,
        prepare,
        tokens,
        || stop.is_asked(),
        |batch| {
            let (texts, samples): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let Tried { outcomes, taken_apart } = pool.install(|| embeddings.embed_each(&texts, instruct, probe))?;
            if let Some(note) = taken_apart.filter(|_| !mem::replace(&mut said, true)) {
                report.warn(note);
            }
            for ((kept, counts, hash), embedding) in samples.into_iter().zip(outcomes) {
                let Kept { labels, weight, place, .. } = kept;
                if let Some(vector) = left.vector(embedding, place) {
                    made.push(Embedded { vector, counts, labels, weight, hash });
                    report.scored();
                }
            }
            if let Some(trouble) = embeddings.trouble() {
                report.warn(trouble);
            }
            report.tick();
            Ok(())
        },
    )?;
    drop(announced);
    left.say(report);
    Ok(made)
}

/// What a slow run tells its user while it stops.
fn stopping(most: usize) -> String {
    format!(
        "stopping when the current batch is embedded ({most} samples at most); nothing is written; Ctrl-C again stops at once"
    )
}

impl LeftOut {
    /// The vector of a sample; a sample without one is noted.
    fn vector(&mut self, embedding: Result<Embedding, Reason>, place: String) -> Option<Vec<f32>> {
        match embedding {
            Ok(Embedding { vector, .. }) if vector.iter().all(|value| value.is_finite()) => return Some(vector),
            Ok(_) => self.no_number.push(place),
            Err(Reason::Model(why)) => self.failed.push(format!("{place}: {why}")),
            Err(_) => self.unknown.push(place),
        }
        None
    }

    fn say(&self, report: &Report) {
        screen::say(report, &self.unknown, "of which the model knows no word, and left out");
        screen::say(report, &self.failed, "on which the model failed, and left out");
        screen::say(report, &self.no_number, "whose vectors are not numbers, and left out");
    }
}
