//! `mailsort search --bench`: how good the answers are, and how long they take.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use serde_json::Value;

use super::{Asked, Searcher, print};
use crate::knowledge::Query;
use crate::knowledge::figures::RetrievalFigures;

/// Passages that are looked at for each question: some more than the fifty documents that are counted, as a document may
/// have several.
const DEPTH: usize = 62;

pub(super) fn run(searcher: &Searcher<'_>, query: &Query, questions: &[Asked]) -> Result<ExitCode> {
    let mut figures = RetrievalFigures::default();
    let begun = Instant::now();
    for Asked { question, answers } in questions {
        let query = Query { text: question.clone(), top: DEPTH.max(query.top), ..query.clone() };
        let answer = searcher.answer(&query)?;
        let mut hits: Vec<String> = Vec::new();
        // A document counts where its first passage stands.
        for place in answer.hits.iter().flat_map(|hit| &hit.places) {
            let id = place.id.clone().unwrap_or_else(|| format!("{}[{}]", place.path, place.index));
            if !hits.contains(&id) {
                hits.push(id);
            }
        }
        figures.add(&hits, &answers.iter().map(id).collect::<Vec<_>>());
    }
    if figures.questions == 0 {
        bail!("no question has `answers`, a list of ids of rows or messages");
    }
    let each = begun.elapsed().as_secs_f64() * 1000.0 / questions.len() as f64;
    let RetrievalFigures { questions, first, in_three, recall_10, recall_50, reciprocal_10, ndcg_10 } = figures;
    print(
        format!(
            "{questions} questions\n\nright at 1     {first:.4}\nright in 3     {in_three:.4}\nrecall at 10   {recall_10:.4}\n\
             recall at 50   {recall_50:.4}\nMRR at 10      {reciprocal_10:.4}\nnDCG at 10     {ndcg_10:.4}\n\
             ms a question  {each:.1}\n"
        )
        .as_bytes(),
    )
}

/// An id as the index has it: a text, or a number as it is written.
fn id(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), String::from)
}
