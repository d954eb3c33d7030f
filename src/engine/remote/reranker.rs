//! A reranker on a server: a message is the query, labels are the documents, as the local ones read them.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::client::{self, Client};
use super::{Found, Shape, at_once, text};
use crate::engine::models::qwen3::prompt::{PREFIX, RERANKER_TASK, SUFFIX};
use crate::engine::{
    Comparison, Judgement, LabelText, RETRIEVAL_TASK, Reranker, Seen, Task, TokenizedQuestion, TokenizedText,
};

/// Tokens of a text unless told otherwise.
const MOST_TOKENS: usize = 2048;
/// Tokens that a prompt and a label are taken for.
const RESERVED: usize = 256;
/// How often a text that is too long for the server is halved.
const HALVES: usize = 6;
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

    /// Logits of documents, and whether the query or a document had to be cut.
    fn ask(&self, instruct: &str, query: &str, documents: &[String]) -> Result<(Vec<f32>, bool)> {
        let (mut query, mut documents) = (query.to_string(), documents.to_vec());
        let mut cut = false;
        let mut left = HALVES;
        loop {
            match self.ask_all(instruct, &query, &documents) {
                Err(refusal) if refusal.is_too_long() && left > 0 => {
                    // The longer of the two is cut.
                    let longest = documents.iter().map(String::len).max().unwrap_or(0);
                    if query.len() >= longest {
                        query = text::half(&query).to_string();
                    } else {
                        let long = documents.iter_mut().filter(|document| document.len() > longest / 2);
                        long.for_each(|document| *document = text::half(document).to_string());
                    }
                    (cut, left) = (true, left - 1);
                }
                Err(refusal) => return Err(refusal.error(&self.found.model)),
                Ok(scores) => {
                    let odd = scores.iter().find(|score| !self.shape.logits && !(0.0..=1.0).contains(*score));
                    ensure!(
                        odd.is_none(),
                        "{}: the server gave the score {}, and probabilities before",
                        self.found.model,
                        odd.copied().unwrap_or_default()
                    );
                    return Ok((scores.into_iter().map(|score| self.logit(score)).collect(), cut));
                }
            }
        }
    }

    fn logit(&self, score: f32) -> f32 {
        if self.shape.logits {
            return score;
        }
        let p = score.clamp(LEAST, 1.0 - LEAST);
        (p / (1.0 - p)).ln()
    }

    /// Scores of documents, in requests of as many as the server takes.
    fn ask_all(&self, instruct: &str, query: &str, documents: &[String]) -> Result<Vec<f32>, client::Refusal> {
        let mut scores = Vec::with_capacity(documents.len());
        for part in documents.chunks(self.found.most_texts) {
            let part: Vec<&str> = part.iter().map(String::as_str).collect();
            let (query, part) = templated(self.shape.templated, Some(instruct), query, &part);
            let asked = body(&self.found.model, &self.shape, Some(instruct), &query, &part);
            let answer = self.client.post(self.shape.path, &asked)?;
            scores.extend(client::scores(&answer, part.len()).map_err(client::Refusal::Unreachable)?);
        }
        Ok(scores)
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
            let (logits, cut) = self.ask(instruct, &text::text(&question.text.ids), &labels)?;
            let seen = Seen { tokens: question.text.tokens, truncated: question.text.truncated || cut };
            Ok(Judgement { seen: vec![seen; logits.len()], logits })
        })
    }

    fn compare(&self, asked: &[Comparison], max_tokens: usize) -> Result<Vec<Judgement>> {
        at_once(asked, self.client.at_once(), |Comparison { instruct, query, documents }| {
            let query = text::tokens("", query, max_tokens);
            let cut: Vec<TokenizedText> =
                documents.iter().map(|document| text::tokens("", document, max_tokens)).collect();
            let texts: Vec<String> = cut.iter().map(|document| text::text(&document.ids)).collect();
            let (logits, is_cut) = self.ask(instruct.unwrap_or(RETRIEVAL_TASK), &text::text(&query.ids), &texts)?;
            let seen = cut.iter().map(|document| Seen {
                tokens: query.tokens + document.tokens,
                truncated: query.truncated || document.truncated || is_cut,
            });
            Ok(Judgement { logits, seen: seen.collect() })
        })
    }
}
