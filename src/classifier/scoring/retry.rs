//! Tells errors of a document, which become its record, from errors of the model, which end the run.

use std::slice;

use anyhow::{Error, Result, anyhow, ensure};

use crate::guard;
use crate::record::Reason;

/// The results of a model on texts, or on pairs of them.
pub struct Tried<T> {
    /// One for each text.
    pub outcomes: Vec<Result<T, Reason>>,
    /// Why the batch was run text by text.
    pub taken_apart: Option<String>,
}

/// Runs a model on texts. When it fails, the texts are run one by one. An error belongs to a text if the model fails on
/// that text alone and yet runs on the `probe`, so that it does not depend on the texts beside it.
///
/// # Errors
/// When the model fails on the probe too, for example because the device is lost. The probe runs before and after the
/// texts are tried one by one, so that no text is blamed for a lost device.
pub(in crate::classifier) fn each<X, T>(
    texts: &[X],
    run: impl Fn(&[X]) -> Result<Vec<Option<T>>>,
    probe: impl Fn() -> Result<()>,
) -> Result<Tried<T>> {
    let known = |made: Option<T>| made.ok_or(Reason::NoKnownWords);
    // Fewer results than texts would be those of other texts.
    let run = |texts: &[X]| {
        let made = guarded(|| run(texts))?;
        ensure!(made.len() == texts.len(), "the model gave {} results for {} texts", made.len(), texts.len());
        Ok(made)
    };
    let error = match run(texts) {
        Ok(made) => return Ok(Tried { outcomes: made.into_iter().map(known).collect(), taken_apart: None }),
        Err(error) => error,
    };
    if guarded(&probe).is_err() {
        return Err(error);
    }
    let alone = |text: &X| match run(slice::from_ref(text)) {
        Ok(mut made) => known(made.pop().flatten()),
        Err(error) => Err(Reason::Model(told(&error))),
    };
    if let [_] = texts {
        return Ok(Tried { outcomes: vec![Err(Reason::Model(told(&error)))], taken_apart: None });
    }
    let outcomes: Vec<Result<T, Reason>> = texts.iter().map(alone).collect();
    let failed = outcomes.iter().any(|one| matches!(one, Err(Reason::Model(_))));
    if failed {
        guarded(&probe)?;
    }
    let note = "; the documents of this batch were scored one by one, which takes longer";
    Ok(Tried { outcomes, taken_apart: Some(told(&error) + note) })
}

/// Runs the model; a panic becomes an error.
fn guarded<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    guard::catch_bug(run).unwrap_or_else(|said| Err(anyhow!("the model panicked, which is a bug: {said}")))
}

/// An error in one line: the first line of each cause. Drivers print a backtrace below it.
fn told(error: &Error) -> String {
    let lines = error.chain().map(|cause| cause.to_string().lines().next().unwrap_or_default().to_string());
    lines.collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use anyhow::{Context, bail};

    use super::super::PairModel;
    use super::*;
    use crate::classifier::loaded::{ModelFacts, Parts};
    use crate::classifier::{Budget, Classifier, LoadedModel, RankingSpec, Selection, Spec, TextPair};
    use crate::engine::{Comparison, Judgement, Reranker, Seen, Task, TokenizedQuestion, TokenizedText};
    use crate::labels::LabelSet;
    use crate::record::{Document, Verdict};

    /// Fails on some words, on batches over `most`, and on every call from `lost_at` on.
    struct Frail {
        most: usize,
        lost_at: usize,
        calls: AtomicUsize,
        /// How many texts were tokenised.
        tokenized: Arc<AtomicUsize>,
    }

    impl Reranker for Frail {
        fn id(&self) -> &str {
            "frail"
        }

        fn default_max_tokens(&self) -> usize {
            100
        }

        fn check(&self, _: &Task) -> Result<()> {
            Ok(())
        }

        fn tokenize(&self, text: &str, _: Option<&str>, _: usize) -> Result<TokenizedText> {
            self.tokenized.fetch_add(1, Ordering::Relaxed);
            assert!(!text.contains("tangle"), "as the text says");
            ensure!(!text.contains("knot"), "no word ends");
            Ok(TokenizedText { ids: text.chars().map(u32::from).collect(), tokens: text.len(), truncated: false })
        }

        fn judge_tokens(&self, _: &Task, questions: &[TokenizedQuestion]) -> Result<Vec<Judgement>> {
            ensure!(self.calls.fetch_add(1, Ordering::Relaxed) < self.lost_at, "the device is lost\n   0: a trace");
            ensure!(questions.len() <= self.most, "no memory for so many");
            let judged = |question: &TokenizedQuestion| {
                let text: String = question.text.ids.iter().filter_map(|&id| char::from_u32(id)).collect();
                if text.contains("panic") {
                    panic!("as the mail says");
                }
                if text.contains("poison") {
                    bail!("{} bytes are too many\n   0: a trace", text.len());
                }
                let seen = Seen { tokens: text.len(), truncated: false };
                Ok(Judgement { logits: vec![text.len() as f32; 2], seen: vec![seen; 2] })
            };
            questions.iter().map(judged).collect()
        }

        fn compare(&self, asked: &[Comparison], max_tokens: usize) -> Result<Vec<Judgement>> {
            let read = |asked: &Comparison| {
                let labels: Vec<usize> = (0..2).collect();
                let text = self.tokenize(asked.documents[0], None, max_tokens)?;
                let judged = self.judge_tokens(
                    &Task { instruct: None, labels: Vec::new() },
                    &[TokenizedQuestion { text: &text, labels: &labels }],
                )?;
                let Judgement { mut logits, mut seen } = judged.into_iter().next().context("nothing")?;
                logits.truncate(asked.documents.len());
                seen.truncate(asked.documents.len());
                Ok(Judgement { logits, seen })
            };
            asked.iter().map(read).collect()
        }
    }

    fn classifier(most: usize, lost_at: usize) -> Classifier {
        of(Frail { most, lost_at, calls: AtomicUsize::new(0), tokenized: Arc::default() })
    }

    fn loaded(frail: Frail) -> LoadedModel {
        let about = ModelFacts {
            id: "frail".into(),
            instruct: None,
            budget: Budget::SLOW,
            is_independent: true,
            is_remote: false,
            most_dims: None,
        };
        LoadedModel::new(about, Parts::Pairs(PairModel::new(Box::new(frail), None, None, None)), Vec::new(), None)
    }

    fn of(frail: Frail) -> Classifier {
        let set = LabelSet::from_arguments(&["a".into(), "b".into()]).unwrap();
        let mut spec = Spec::new(vec![set]);
        spec.ranking = RankingSpec { threshold: None, top_k: 1, raw_scores: true };
        Classifier::with_model(&Arc::new(loaded(frail)), &Selection::read(&spec).unwrap()).unwrap()
    }

    /// The best score of each text, or its error.
    fn outcomes(classifier: &Classifier, bodies: &[&str]) -> Result<Vec<String>> {
        let outcome = |verdict: Verdict| match verdict.outcome {
            Ok(outcome) => outcome.rankings[0].score.to_string(),
            Err(reason) => reason.to_string(),
        };
        let documents = bodies.iter().map(|&body| classifier.prepare(Ok(Document::from(body)))).collect();
        Ok(classifier.verdicts(documents)?.into_iter().map(outcome).collect())
    }

    #[test]
    fn of_pairs_as_well_one_has_the_error() {
        let model =
            loaded(Frail { most: 9, lost_at: usize::MAX, calls: AtomicUsize::new(0), tokenized: Arc::default() });
        let pair = |query, document| TextPair { instruct: None, query, document };
        let made = model.compare(&[pair("a", "one"), pair("b", "poison"), pair("c", "two")]).unwrap();
        assert!(made[0].as_ref().unwrap().value > 0.9 && made[2].is_ok(), "{made:?}");
        assert!(made[1].as_ref().unwrap_err().to_string().starts_with("model failed: 6 bytes"), "{made:?}");
    }

    #[test]
    fn an_error_is_of_the_document_that_it_comes_with() {
        // Where a panic was only the hook of the program knows.
        guard::install_hook();
        let classifier = classifier(9, usize::MAX);
        let poisoned = "model failed: 11 bytes are too many";
        let expected = ["3", poisoned, "4"];
        assert_eq!(outcomes(&classifier, &["one", "some poison", "four"]).unwrap(), expected);
        // Alone or among others of its kind, it is the same.
        assert_eq!(outcomes(&classifier, &["some poison"]).unwrap(), [poisoned]);
        assert_eq!(outcomes(&classifier, &["some poison", "more poison"]).unwrap(), [poisoned; 2]);
        let panicked =
            "model failed: the model panicked, which is a bug: as the mail says (src/classifier/scoring/retry.rs:";
        let found = &outcomes(&classifier, &["one", "panic"]).unwrap()[1];
        assert!(found.starts_with(panicked), "{found}");
        assert_eq!(classifier.troubles().len(), 1, "that it took longer is said");
    }

    #[test]
    fn texts_are_tokenised_once_and_ahead() {
        let tokenized = Arc::default();
        let classifier =
            of(Frail { most: 9, lost_at: usize::MAX, calls: AtomicUsize::new(0), tokenized: Arc::clone(&tokenized) });
        let documents: Vec<_> = ["one", "three"].map(|body| classifier.prepare(Ok(Document::from(body)))).into();
        assert_eq!(tokenized.load(Ordering::Relaxed), 2);
        // The tokens that the model says, not a guess.
        assert_eq!(documents.iter().map(|document| classifier.tokens(document)).collect::<Vec<_>>(), [3, 5]);
        assert!(classifier.verdicts(documents).unwrap().iter().all(|verdict| verdict.outcome.is_ok()));
        assert_eq!(tokenized.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn an_error_of_the_tokenizer_is_of_its_document() {
        guard::install_hook();
        let found = outcomes(&classifier(9, usize::MAX), &["one", "a tangle", "a knot", "four"]).unwrap();
        let panicked = "model failed: the model panicked, which is a bug: as the text says (src/";
        assert!(found[1].starts_with(panicked), "{found:?}");
        assert_eq!([&found[0], &found[2], &found[3]], ["3", "model failed: no word ends", "4"]);
    }

    #[test]
    fn a_batch_that_is_too_large_is_taken_apart() {
        let classifier = classifier(1, usize::MAX);
        assert_eq!(outcomes(&classifier, &["one", "three"]).unwrap(), ["3", "5"]);
        assert_eq!(outcomes(&classifier, &["one", "three"]).unwrap(), ["3", "5"]);
        let troubles = classifier.troubles();
        assert!(troubles.len() == 1 && troubles[0].starts_with("no memory for so many; "), "{troubles:?}");
        assert!(classifier.troubles().is_empty(), "once is enough");
    }

    #[test]
    fn an_error_of_the_model_ends_the_run() {
        let error = outcomes(&classifier(9, 0), &["one", "two"]).unwrap_err();
        assert!(error.to_string().starts_with("the device is lost"));
    }

    #[test]
    fn a_device_that_is_lost_while_a_batch_is_taken_apart_blames_no_mail() {
        // The batch, the probe, three mails and the probe again.
        let mails = ["one", "poison", "three"];
        for lost_at in 0..6 {
            let error = outcomes(&classifier(9, lost_at), &mails).unwrap_err();
            assert!(format!("{error:#}").contains(if lost_at == 1 { "bytes are too" } else { "lost" }), "{error:#}");
        }
        assert_eq!(outcomes(&classifier(9, 6), &mails).unwrap()[1], "model failed: 6 bytes are too many");
    }
}
