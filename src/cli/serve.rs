//! Flags of `mailsort serve`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::eval::share;
use super::filter::{seconds, size};
use super::{ClassifierFlags, Run, Verbosity, at_least_one};
use crate::classifier::Spec;
use crate::serve::{Address, SamplingSpec, ServerSpec};

pub(super) const HELP: &str = "\
Examples:
  mailsort serve --labels labels.txt        (and open http://127.0.0.1:8080)
  curl http://127.0.0.1:8080/v1/classify -H 'Content-Type: message/rfc822' --data-binary @mail.eml
  curl http://127.0.0.1:8080/v1/classify --json '{\"text\": \"Please pay by Friday.\", \"labels\": [\"invoice\", \"meeting\"]}'
  mailsort serve --model qwen3-reranker-0.6b --listen 0.0.0.0:8080 --api-key-file keys.txt
  mailsort serve --socket \"$XDG_RUNTIME_DIR/mailsort.sock\" --labels ~/labels.txt
  mailsort filter --socket \"$XDG_RUNTIME_DIR/mailsort.sock\" < mail.eml
  mailsort serve --index kb.db              (and ask at http://127.0.0.1:8080/#ask)

Routes:
  POST /v1/classify, /v1/show, /v1/feedback    documents against labels
  POST /rerank, /v1/rerank, /v2/rerank         documents against a query (Jina, Cohere, vLLM; TEI)
  POST /v1/embeddings                          vectors (OpenAI)
  POST /v1/compare                             two contracts, clause by clause
  POST /v1/search                              passages of --index that answer a question
  GET  /, the page; /v1/models, /info, /health, /metrics, /openapi.json
      The model is loaded once, and requests of all clients are scored together. Without
      labels here, requests bring their own. examples/recipes/ has systemd units: with socket
      activation, where neither --listen nor --socket is needed, and without.

Exit status:
  0  stopped by SIGTERM or Ctrl-C, after answering all requests that had come in; how many
     were not answered within --drain is said on stderr
  2  could not run: usage, labels, model or address, or the model's device was lost";

/// `mailsort serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The address and its limits.
    #[command(flatten)]
    pub flags: ServeFlags,
    /// Labels, model and cleaning.
    #[command(flatten)]
    pub classifier: ClassifierFlags,
    /// Threads.
    #[command(flatten)]
    pub run: Run,
    /// What goes to stderr.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

impl Serve {
    /// The classifier that the flags describe, which may have no labels.
    pub fn spec(&self) -> Spec {
        self.classifier.spec_of_server()
    }
}

/// The address and its limits.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub struct ServeFlags {
    /// Listen on HOST:PORT [default: the socket passed by systemd, or 127.0.0.1:8080]
    ///
    /// An address that other machines can reach needs --api-key-file. Port 0 is any that is free.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "socket")]
    pub listen: Option<String>,

    /// Listen on a Unix socket at PATH that only its owner can use
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub socket: Option<PathBuf>,

    /// Answer only requests with a key of FILE, one a line, sent as `Authorization: Bearer KEY`
    ///
    /// /health needs none.
    #[arg(long, value_name = "FILE", conflicts_with = "socket", value_hint = ValueHint::FilePath)]
    pub api_key_file: Option<PathBuf>,

    /// Answer /metrics without a key
    #[arg(long, hide_short_help = true, requires = "api_key_file")]
    pub metrics_open: bool,

    /// Answer questions from the passages of FILE, an index of `mailsort index`
    ///
    /// By words and by meaning with the model of the index, by words only with another one. A reranker puts passages in
    /// order.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub index: Option<PathBuf>,

    /// Let pages of another site ask, such as `https://desk.example.com`; may be given several times, `*` for all
    #[arg(long, hide_short_help = true, value_name = "ORIGIN")]
    pub cors_origin: Vec<String>,

    /// Queue at most N pairs of text and label, or texts; refuse more as busy
    ///
    /// A request that is larger by itself is split. [default: 65536 for the built-in model, else 4096]
    #[arg(long, value_name = "N", value_parser = at_least_one(1 << 24), allow_negative_numbers = true)]
    pub queue: Option<usize>,

    /// Refuse bodies longer than SIZE
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "16M")]
    pub max_size: usize,

    /// Disconnect a client that has not sent its request within SECONDS, or does not read the answer
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "10")]
    pub patience: Duration,

    /// Give up a request that is not answered within SECONDS
    #[arg(long, hide_short_help = true, value_name = "SECONDS", value_parser = seconds, default_value = "600")]
    pub timeout: Duration,

    /// Append a random sample of records to FILE, for a person to write the `truth` into; `eval --recorded` reads it
    ///
    /// Of documents that are classified by the labels of this server. No words of them are kept.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub sample_to: Option<PathBuf>,

    /// The share of documents in --sample-to
    #[arg(long, hide_short_help = true, value_name = "SHARE", value_parser = share, default_value = "0.01", requires = "sample_to")]
    pub sample_rate: f64,

    /// Keep subject, sender and text of documents in --sample-to too
    #[arg(long, hide_short_help = true, requires = "sample_to")]
    pub sample_texts: bool,

    /// After SIGTERM, work for SECONDS at most on the requests that have come in
    #[arg(long, hide_short_help = true, value_name = "SECONDS", value_parser = seconds, default_value = "10")]
    pub drain: Duration,
}

impl ServeFlags {
    /// How to serve.
    pub fn spec(&self) -> ServerSpec {
        let address = match (&self.listen, &self.socket) {
            (Some(address), _) => Address::Tcp(address.clone()),
            (None, Some(path)) => Address::Socket(path.clone()),
            (None, None) => Address::Default,
        };
        let (rate, texts) = (self.sample_rate, self.sample_texts);
        ServerSpec {
            samples: self.sample_to.clone().map(|file| SamplingSpec { file, rate, texts }),
            address,
            index: self.index.clone(),
            api_keys: self.api_key_file.clone(),
            cors_origins: self.cors_origin.clone(),
            metrics_open: self.metrics_open,
            queue: self.queue,
            max_size: self.max_size,
            patience: self.patience,
            timeout: self.timeout,
            drain: self.drain,
        }
    }
}
