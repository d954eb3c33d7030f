//! Models on servers that people already run: vLLM, SGLang, text-embeddings-inference (TEI), llama.cpp, Infinity, or
//! another mailsort. Their `/rerank` and `/v1/embeddings` take the place of weights.
//!
//! What a server has is found out before a message is sent: its model, its kind, its shape, and for a reranker whether
//! it applies the prompt of the model. Servers that get the order of a good and a bad pair wrong are refused.

mod client;
mod embedder;
mod probe;
mod reranker;
mod text;

use std::sync::Arc;

use anyhow::Result;

use super::{Embedder, Reranker};
use client::Client;
use embedder::RemoteEmbedder;
use reranker::RemoteReranker;

/// What stands for the revision of a model on a server, which tells none.
pub const REVISION: &str = "endpoint";

/// Where a model is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSpec {
    /// Addresses, all of the same model.
    pub urls: Vec<String>,
    /// The name of the model there; `None` for the one that the server names.
    pub model: Option<String>,
    /// What is sent as bearer.
    pub key: Option<String>,
}

/// A server that was asked what it has.
pub struct Endpoint {
    client: Arc<Client>,
    found: Found,
}

/// What a server has.
#[derive(Clone, Debug, PartialEq)]
struct Found {
    /// What the server calls its model.
    model: String,
    /// Tokens that it reads of a text, or of a pair, where it says so.
    most_tokens: Option<usize>,
    /// Texts that it takes at once.
    most_texts: usize,
    kind: RemoteKind,
}

#[derive(Clone, Debug, PartialEq)]
enum RemoteKind {
    /// The route, and the length of its vectors.
    Embeds {
        path: &'static str,
        dims: usize,
    },
    Reranks(Shape),
}

/// How a reranker is asked.
#[derive(Clone, Debug, PartialEq)]
struct Shape {
    path: &'static str,
    /// `texts` rather than `documents`.
    is_tei: bool,
    /// The prompt of Qwen3 is put around the texts here.
    templated: bool,
    /// Scores are logits rather than probabilities.
    logits: bool,
}

impl Endpoint {
    /// Asks the servers what they have.
    ///
    /// # Errors
    /// When one does not answer, has several models and none is named, has another than the first, or its scores are
    /// those of no working reranker. The message says what its flags must be.
    pub fn open(spec: &EndpointSpec) -> Result<Self> {
        let client = Client::new(&spec.urls, spec.key.clone())?;
        let found = probe::probe(&client, spec.model.as_deref())?;
        Ok(Self { client: Arc::new(client), found })
    }

    /// What the server calls its model.
    pub fn model(&self) -> &str {
        &self.found.model
    }

    /// The addresses, for messages.
    pub fn shown(&self) -> String {
        self.client.shown()
    }

    /// True for an embedding, false for a reranker.
    pub fn embeds(&self) -> bool {
        matches!(self.found.kind, RemoteKind::Embeds { .. })
    }

    /// Length of the vectors of an embedding.
    pub fn dims(&self) -> Option<usize> {
        match self.found.kind {
            RemoteKind::Embeds { dims, .. } => Some(dims),
            RemoteKind::Reranks(_) => None,
        }
    }

    /// All that a result depends on besides the model.
    pub fn class(&self) -> String {
        match &self.found.kind {
            RemoteKind::Embeds { .. } => "endpoint".into(),
            RemoteKind::Reranks(Shape { templated, .. }) => {
                format!("endpoint{}", if *templated { " templated" } else { "" })
            }
        }
    }

    /// The model. `dims` cuts vectors, `prefix` stands before texts and labels instead of what the model's name says.
    pub fn open_model(&self, dims: Option<usize>, prefix: Option<String>) -> super::Model {
        match &self.found.kind {
            RemoteKind::Embeds { path, dims: own } => {
                let dims = dims.map_or(*own, |dims| dims.min(*own));
                let embedder: Box<dyn Embedder> =
                    Box::new(RemoteEmbedder::new(self.client.clone(), self.found.clone(), path, dims, prefix));
                super::Model::Embedder(embedder)
            }
            RemoteKind::Reranks(shape) => {
                let reranker: Box<dyn Reranker> =
                    Box::new(RemoteReranker::new(self.client.clone(), self.found.clone(), shape.clone()));
                super::Model::Reranker(reranker)
            }
        }
    }
}

/// Runs `ask` on each item, so many at the same time, and returns the results in order.
fn at_once<T: Sync, R: Send>(items: &[T], most: usize, ask: impl Fn(&T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(item) = items.get(at) else { return done };
            done.push((at, ask(item)));
        }
    };
    let threads = most.min(items.len()).max(1);
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panicked| std::panic::resume_unwind(panicked)));
        }
        done
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, made)| made).collect()
}
