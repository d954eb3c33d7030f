//! From samples to vectors and words.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rayon::ThreadPool;
use rayon::prelude::*;

use super::screen::{self, Kept};
use crate::commands::scoring::Embeddings;
use crate::commands::stop::Stop;
use crate::engine::Embedding;
use crate::record::Reason;
use crate::report::Report;
use crate::sorting::linear::{Counts, ngrams};

/// How many samples a fast model embeds between two looks at whether to stop, enough for every thread.
const FAST_PIECE: usize = 512;

/// A sample with its vector.
pub(super) struct Embedded {
    pub(super) vector: Vec<f32>,
    pub(super) counts: Counts,
    pub(super) labels: Vec<Arc<str>>,
    pub(super) weight: f32,
}

/// How samples are embedded.
pub(super) struct How<'a> {
    pub(super) instruct: Option<&'a str>,
    pub(super) reads_words: bool,
    /// How many together, where a sample takes milliseconds or more.
    pub(super) slow: Option<usize>,
    pub(super) pool: &'a ThreadPool,
}

/// Samples without a vector: where they stand, by the reason.
#[derive(Default)]
struct Left {
    unknown: Vec<String>,
    failed: Vec<String>,
    no_number: Vec<String>,
}

/// Embeds the samples, and counts their words if they are wanted. A text is let go of when it has its vector. Samples that
/// have none are left out, and named.
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
    let How { instruct, reads_words, slow, pool } = how;
    let (voice, piece) = (report.voice(), slow.unwrap_or(FAST_PIECE));
    let announced = slow.map(|_| stop.announce(Duration::ZERO, move || voice.say(&stopping(piece))));
    // The words of a label are what any model can read.
    let probe = kept.first().and_then(|kept| kept.labels.first()).cloned().unwrap_or_default();
    let (mut made, mut left) = (Vec::with_capacity(kept.len()), Left::default());
    let (mut kept, mut said) = (kept.into_iter(), false);
    loop {
        let mut taken: Vec<Kept> = kept.by_ref().take(piece).collect();
        if taken.is_empty() || stop.is_asked() {
            break;
        }
        let texts: Vec<String> = taken.iter_mut().map(|kept| mem::take(&mut kept.text)).collect();
        let tried = pool.install(|| embeddings.embed_each(&texts, instruct, &probe))?;
        if let Some(note) = tried.taken_apart.filter(|_| !mem::replace(&mut said, true)) {
            report.warn(note);
        }
        let counted = |text: &String| if reads_words { ngrams::count(text, embeddings.max_tokens) } else { Vec::new() };
        let counts: Vec<Counts> = pool.install(|| texts.par_iter().map(counted).collect());
        for ((kept, embedding), counts) in taken.into_iter().zip(tried.outcomes).zip(counts) {
            let Kept { labels, weight, place, .. } = kept;
            if let Some(vector) = left.vector(embedding, place) {
                made.push(Embedded { vector, counts, labels, weight });
                report.scored();
            }
        }
        if let Some(trouble) = embeddings.trouble() {
            report.warn(trouble);
        }
        report.tick();
    }
    drop(announced);
    left.say(report);
    Ok(made)
}

/// What a slow run tells its user while it stops.
fn stopping(most: usize) -> String {
    format!(
        "stopping when the samples in hand are embedded, {most} at most; nothing is written; Ctrl-C again stops at once"
    )
}

impl Left {
    /// The vector of a sample that has one; the others are noted.
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
