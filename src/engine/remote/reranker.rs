//! A reranker on a server: a message is the query, labels are the documents, as the local ones read them.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::client::{self, Client, Refusal};
use super::{Found, Shape, at_once, text};
use crate::engine::models::qwen3::prompt::{PREFIX, RERANKER_TASK, SUFFIX};
use crate::engine::{
    Comparison, Judgement, LabelText, RETRIEVAL_TASK, Reranker, Seen, Task, TokenizedQuestion, TokenizedText,
};

/// Tokens of a text unless told otherwise.
const MOST_TOKENS: usize = 2048;
/// Tokens that a prompt and a label are taken for.
const RESERVED: usize = 256;
/// Probabilities are told with so many digits that 0 and 1 come; their logits are finite.
const LEAST: f32 = 1e-7;

/// A reranker on a server.
pub(super) struct RemoteReranker {
    client: Arc<Client>,
    found: Found,
    shape: Shape,
}

impl RemoteReranker {
    pub(super) fn new(client: Arc<Client>, found: Found, shape: Shape) -> Self {
        Self { client, found, shape }
    }

    /// The logit of each document, and whether it or the query had to be cut.
    fn ask(&self, instruct: &str, query: &str, documents: &[String]) -> Result<Vec<(f32, bool)>> {
        let alone = |document: &String| {
            let ask = |[document, query]: [&str; 2]| self.scores(instruct, query, &[document]);
            let (scores, cut) = text::shortened([document.as_str(), query], ask)?;
            Ok((scores[0], cut))
        };
        let part = |part: &[String]| {
            let texts: Vec<&str> = part.iter().map(String::as_str).collect();
            match self.scores(instruct, query, &texts) {
                Ok(scores) => Ok(scores.into_iter().map(|score| (score, false)).collect()),
                // Each by itself, as a score must not depend on its neighbours.
                Err(refusal) if refusal.is_too_long() => part.iter().map(alone).collect::<Result<Vec<_>, Refusal>>(),
                Err(refusal) => Err(refusal),
            }
        };
        let made: Result<Vec<_>, Refusal> = documents.chunks(self.found.most_texts).map(part).collect();
        let made = made.map_err(|refusal| refusal.error(&self.found.model))?;
        made.into_iter().flatten().map(|(score, cut)| Ok((self.logit(score)?, cut))).collect()
    }

    /// # Errors
    /// When probabilities are expected and the score is none.
    fn logit(&self, score: f32) -> Result<f32> {
        if self.shape.logits {
            return Ok(score);
        }
        let id = &self.found.model;
        ensure!((0.0..=1.0).contains(&score), "{id}: the server gave the score {score}, and probabilities before");
        let p = score.clamp(LEAST, 1.0 - LEAST);
        Ok((p / (1.0 - p)).ln())
    }

    /// Scores of documents in one request. Shape: `[documents]`.
    fn scores(&self, instruct: &str, query: &str, documents: &[&str]) -> Result<Vec<f32>, Refusal> {
        let (query, documents) = templated(self.shape.templated, Some(instruct), query, documents);
        let asked = body(&self.found.model, &self.shape, Some(instruct), &query, &documents);
        let answer = self.client.post(self.shape.path, &asked)?;
        client::scores(&answer, documents.len()).map_err(Refusal::Unread)
    }
}

/// A query and documents with the prompt of Qwen3 around them, as vLLM's template writes it, or as they are.
pub(super) fn templated(
    is_templated: bool,
    instruct: Option<&str>,
    query: &str,
    documents: &[&str],
) -> (String, Vec<String>) {
    if !is_templated {
        return (query.to_string(), documents.iter().map(ToString::to_string).collect());
    }
    let instruct = instruct.unwrap_or(RETRIEVAL_TASK);
    let query = format!("{PREFIX}<Instruct>: {instruct}\n<Query>: {query}\n");
    (query, documents.iter().map(|document| format!("<Document>: {document}{SUFFIX}")).collect())
}

/// The body of a request. An instruction that is in the texts already is not sent a second time.
pub(super) fn body(model: &str, shape: &Shape, instruct: Option<&str>, query: &str, documents: &[String]) -> Value {
    let mut body = match shape.is_tei {
        true => json!({"query": query, "texts": documents, "truncate": true}),
        false => {
            json!({"model": model, "query": query, "documents": documents, "top_n": documents.len(), "return_documents": false})
        }
    };
    if let (Some(instruct), false) = (instruct, shape.templated) {
        // vLLM and SGLang call it differently.
        body["instruction"] = instruct.into();
        body["instruct"] = instruct.into();
    }
    body
}

/// A label as the local rerankers read it.
fn label(label: &LabelText) -> String {
    crate::engine::models::qwen3::prompt::label(label)
}

impl Reranker for RemoteReranker {
    fn id(&self) -> &str {
        &self.found.model
    }

    fn default_max_tokens(&self) -> usize {
        self.found.most_tokens.map_or(MOST_TOKENS, |most| most.saturating_sub(RESERVED).clamp(64, MOST_TOKENS))
    }

    fn check(&self, _: &Task) -> Result<()> {
        Ok(())
    }

    fn tokenize(&self, text: &str, _: Option<&str>, max_tokens: usize) -> Result<TokenizedText> {
        Ok(text::tokens("", text, max_tokens))
    }

    fn judge_tokens(&self, task: &Task, questions: &[TokenizedQuestion]) -> Result<Vec<Judgement>> {
        let instruct = task.instruct.as_deref().unwrap_or(RERANKER_TASK);
        at_once(questions, self.client.at_once(), |question| {
            let labels =
                question.labels.iter().map(|&at| task.labels.get(at).map(label).context("there is no such label"));
            let labels: Vec<String> = labels.collect::<Result<_>>()?;
            if labels.is_empty() {
                return Ok(Judgement::default());
            }
            let made = self.ask(instruct, &text::text(&question.text.ids), &labels)?;
            let TokenizedText { tokens, truncated, .. } = question.text;
            let seen = made.iter().map(|(_, cut)| Seen { tokens: *tokens, truncated: *truncated || *cut }).collect();
            Ok(Judgement { seen, logits: made.into_iter().map(|(logit, _)| logit).collect() })
        })
    }

    fn compare(&self, asked: &[Comparison], max_tokens: usize) -> Result<Vec<Judgement>> {
        at_once(asked, self.client.at_once(), |Comparison { instruct, query, documents }| {
            let query = text::tokens("", query, max_tokens);
            let cut: Vec<TokenizedText> =
                documents.iter().map(|document| text::tokens("", document, max_tokens)).collect();
            let texts: Vec<String> = cut.iter().map(|document| text::text(&document.ids)).collect();
            let made = self.ask(instruct.unwrap_or(RETRIEVAL_TASK), &text::text(&query.ids), &texts)?;
            let seen = cut.iter().zip(&made).map(|(document, (_, is_cut))| Seen {
                tokens: query.tokens + document.tokens,
                truncated: query.truncated || document.truncated || *is_cut,
            });
            Ok(Judgement { seen: seen.collect(), logits: made.into_iter().map(|(logit, _)| logit).collect() })
        })
    }
}
