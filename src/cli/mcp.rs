//! Flags of `mailsort mcp`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{ClassifierFlags, Run, Verbosity};
use crate::classifier::Spec;

pub(super) const HELP: &str = "\
Examples:
  mailsort mcp --root ~/Mail --labels ~/labels.txt
  mailsort mcp --root ~/Mail --root ~/Contracts --index ~/kb.db
  mailsort mcp --index ~/kb.db --rerank qwen3-reranker-0.6b

Clients:
  A program such as Claude Desktop, Cursor or VS Code starts the server and speaks the Model Context
  Protocol with it on standard input and output:
  {\"mcpServers\": {\"mailsort\": {\"command\": \"mailsort\", \"args\": [\"mcp\", \"--root\", \"/home/me/Mail\"]}}}

Tools:
  classify, show, compare, and search with --index. They only read, and files only below --root.
  Models are loaded when a call first needs them.

Exit status:
  0  the client closed standard input, or SIGTERM or Ctrl-C came
  2  could not run: usage, labels, index or folders, or the client does not speak the protocol";

/// `mailsort mcp`.
#[derive(Debug, Args)]
pub struct Mcp {
    /// What may be read.
    #[command(flatten)]
    pub flags: McpFlags,
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

impl Mcp {
    /// The classifier that the flags describe, which may have no labels.
    pub fn spec(&self) -> Spec {
        self.classifier.spec_of_server()
    }
}

/// What may be read.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub struct McpFlags {
    /// Let the client read files below FOLDER; may be given several times [default: the current folder]
    ///
    /// Links that lead outside are not followed. Where the current folder is that of the whole file system, no file may
    /// be read unless a folder is named.
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub root: Vec<PathBuf>,

    /// Offer the tool `search` over this index of `mailsort index`, whatever folders it was made of
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub index: Option<PathBuf>,

    /// Let a reranker, or the server of a URL, put the best passages of a search in order
    #[arg(long, value_name = "MODEL", requires = "index")]
    pub rerank: Option<String>,
}
