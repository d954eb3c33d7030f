//! An embedding on a server. What the model wants before a text is put there here, once: no server does it for
//! `/v1/embeddings`.

use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::json;

use super::client::{self, Client, Refusal};
use super::{Found, at_once, text};
use crate::engine::models::qwen3::prompt::{self, EMBEDDING_TASK};
use crate::engine::{Embedder, Embedding, LabelText, TokenizedText, unit};

/// Tokens of a text unless told otherwise.
const MOST_TOKENS: usize = 2048;
/// Tokens that are left for a prompt.
const RESERVED: usize = 64;

/// An embedding on a server.
pub(super) struct RemoteEmbedder {
    client: Arc<Client>,
    found: Found,
    path: &'static str,
    dims: usize,
    prompts: Prompts,
}

/// What stands before texts.
#[derive(Clone, Debug, PartialEq)]
enum Prompts {
    /// `Instruct: …\nQuery:` before a query, nothing before what is looked for.
    Qwen3,
    /// The same with a blank.
    Instructed,
    /// The same words before both.
    Prefix(String),
}

impl Prompts {
    /// By the name of the model.
    fn of(model: &str) -> Self {
        let name = model.to_lowercase();
        match &*name {
            name if name.contains("qwen3") => Self::Qwen3,
            name if name.contains("e5") && name.contains("instruct") => Self::Instructed,
            // As for a local model of this family.
            name if name.contains("e5-") || name.ends_with("e5") => Self::Prefix("query: ".into()),
            _ => Self::Prefix(String::new()),
        }
    }

    fn query(&self, instruct: Option<&str>) -> String {
        let instruct = instruct.unwrap_or(EMBEDDING_TASK);
        match self {
            Self::Qwen3 => format!("Instruct: {instruct}\nQuery:"),
            Self::Instructed => format!("Instruct: {instruct}\nQuery: "),
            Self::Prefix(prefix) => prefix.clone(),
        }
    }

    fn passage(&self) -> &str {
        match self {
            Self::Qwen3 | Self::Instructed => "",
            Self::Prefix(prefix) => prefix,
        }
    }
}

impl RemoteEmbedder {
    /// `path` is the route that gives vectors, and `dims` what is kept of each.
    pub(super) fn new(
        client: Arc<Client>,
        found: Found,
        path: &'static str,
        dims: usize,
        prefix: Option<String>,
    ) -> Self {
        let prompts = prefix.map_or_else(|| Prompts::of(&found.model), Prompts::Prefix);
        Self { client, found, path, dims, prompts }
    }

    /// The vectors of texts, each of length 1, and whether one had to be cut.
    fn vectors(&self, texts: &[String]) -> Result<Vec<(Vec<f32>, bool)>> {
        let parts: Vec<&[String]> = texts.chunks(self.found.most_texts).collect();
        let made = at_once(&parts, self.client.at_once(), |part| self.part(part))?;
        Ok(made.into_iter().flatten().collect())
    }

    fn part(&self, texts: &[String]) -> Result<Vec<(Vec<f32>, bool)>> {
        let made = match self.asked(texts) {
            Ok(vectors) => Ok(vectors.into_iter().map(|vector| (vector, false)).collect()),
            // One of them is too long: each by itself, as a vector must not depend on its neighbours.
            Err(refusal) if refusal.is_too_long() => texts.iter().map(|text| self.shortened(text)).collect(),
            Err(refusal) => Err(refusal),
        };
        made.map_err(|refusal| refusal.error(&self.found.model))
    }

    fn shortened(&self, text: &str) -> Result<(Vec<f32>, bool), Refusal> {
        let (mut vectors, cut) = text::shortened([text], |[text]| self.asked(&[text.to_string()]))?;
        Ok((vectors.remove(0), cut))
    }

    fn asked(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Refusal> {
        let asked = json!({"model": self.found.model, "input": texts, "encoding_format": "float"});
        let answer = self.client.post(self.path, &asked)?;
        let vectors = client::vectors(&answer, texts.len()).map_err(Refusal::Unread)?;
        // A shorter vector is the beginning of the whole one, for models that were trained for it.
        let cut = |mut vector: Vec<f32>| {
            vector.truncate(self.dims);
            unit(vector)
        };
        Ok(vectors.into_iter().map(cut).collect())
    }
}

impl Embedder for RemoteEmbedder {
    fn id(&self) -> &str {
        &self.found.model
    }

    fn default_max_tokens(&self) -> usize {
        self.found.most_tokens.map_or(MOST_TOKENS, |most| most.saturating_sub(RESERVED).clamp(32, MOST_TOKENS))
    }

    fn dims(&self) -> usize {
        self.dims
    }

    fn takes_instruction(&self) -> bool {
        !matches!(self.prompts, Prompts::Prefix(_))
    }

    fn tokenize(&self, text: &str, instruct: Option<&str>, max_tokens: usize) -> Result<TokenizedText> {
        Ok(text::tokens(&self.prompts.query(instruct), text, max_tokens))
    }

    fn tokenize_passage(&self, text: &str, max_tokens: usize) -> Result<TokenizedText> {
        Ok(text::tokens(self.prompts.passage(), text, max_tokens))
    }

    fn tokenize_bare(&self, text: &str, max_tokens: usize) -> Result<TokenizedText> {
        Ok(text::tokens("", text, max_tokens))
    }

    fn embed_tokens(&self, texts: &[&TokenizedText]) -> Result<Vec<Option<Embedding>>> {
        // Servers refuse an empty text, and with it all others of its request.
        let known: Vec<usize> = (0..texts.len()).filter(|&at| texts[at].tokens > 0).collect();
        let asked: Vec<String> = known.iter().map(|&at| text::text(&texts[at].ids)).collect();
        let made = self.vectors(&asked)?;
        ensure!(made.len() == asked.len(), "the server gave {} vectors for {} texts", made.len(), asked.len());
        let mut embeddings = vec![None; texts.len()];
        for (at, (vector, cut)) in known.into_iter().zip(made) {
            let TokenizedText { tokens, truncated, .. } = *texts[at];
            embeddings[at] = Some(Embedding { vector, tokens, truncated: truncated || cut });
        }
        Ok(embeddings)
    }

    fn embed_labels(&self, labels: &[LabelText]) -> Result<Vec<Option<Vec<f32>>>> {
        let text = |label: &LabelText| match self.prompts {
            // As the local model reads it.
            Prompts::Qwen3 => prompt::label(label),
            _ => format!("{}{}", self.prompts.passage(), label.text()),
        };
        let texts: Vec<String> = labels.iter().map(text).collect();
        Ok(self.vectors(&texts)?.into_iter().map(|(vector, _)| Some(vector)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_told_by_the_name_of_the_model() {
        assert_eq!(Prompts::of("Qwen/Qwen3-Embedding-0.6B"), Prompts::Qwen3);
        assert_eq!(Prompts::of("intfloat/multilingual-e5-large-instruct"), Prompts::Instructed);
        assert_eq!(Prompts::of("intfloat/multilingual-e5-small"), Prompts::Prefix("query: ".into()));
        assert_eq!(Prompts::of("BAAI/bge-m3"), Prompts::Prefix(String::new()));
        assert_eq!(Prompts::Qwen3.query(Some("Sort")), "Instruct: Sort\nQuery:");
    }
}
