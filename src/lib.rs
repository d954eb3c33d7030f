//! mailsort classifies mail and documents against labels in plain words, on this machine.
//!
//! ```
//! use mailsort::classifier::{Classifier, Spec};
//! use mailsort::{labels::LabelSet, record::Document};
//!
//! # fn main() -> anyhow::Result<()> {
//! let labels = ["invoice: a bill to pay", "meeting: a date to meet"].map(String::from);
//! let classifier = Classifier::open(&Spec::new(vec![LabelSet::from_arguments(&labels)?]))?;
//! let verdicts = classifier.classify(&[Document::from("Please pay 300 EUR by Friday.")])?;
//! assert_eq!(verdicts[0].label(), Some("invoice"));
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! Three storeys; arrows point downwards only. Rooms do not import each other.
//!
//! **Talks to people.** Thin: no decision about mail is made here.
//!
//! - [`cli`]: every flag and its help; turns flags into specs. No input or output. The only room that knows clap
//! - [`commands`]: one file a verb; builds the parts from specs and wires them. `unix/` has the verbs that need Unix
//!
//! - [`serve`]: an HTTP API over the core; the only room that knows axum, hyper and tokio. `commands` starts it. `serve/mcp/`
//!   alone knows rmcp: tools for language models over standard input and output
//!
//! **The core.** Plain structs in, verdicts out; knows no flag.
//!
//! - [`classifier`]: `Spec` → `Classifier`: engines, thresholds, calibration, cascade, trained classifiers
//!   (`classifier/linear/`), and the cache of what models have computed (`classifier/cache/`: hashes and numbers, never
//!   a text)
//! - [`stream`]: one ordered, bounded, resumable stream from inputs to records. Everything that scores many documents
//!   is a client of its scheduler
//!
//! **Rooms.** Leaves that do not know each other.
//!
//! - [`intake`]: bytes in, documents out; never fails, only skips with a reason. Only `intake/mail/` knows mail-parser,
//!   bcder and cfb, only `intake/html` html2text, only `intake/office/` what reads PDF and DOCX, only
//!   `intake/tables/workbook` calamine; `intake/labelled/` yields documents whose labels are known. The words of a
//!   language by which `intake/clean/` finds quotes, signatures and footers are one file of `intake/clean/lexicon/`,
//!   which build.rs compiles in
//! - [`engine`]: text in, vectors or scores of pairs out; the only room that knows candle and tokenizers. `registry`
//!   says which model opens a checkpoint: a new architecture is one line there and one file in `models/`. `engine/hub/`
//!   alone knows hf-hub; it and `engine/remote/`, which asks models of servers, know ureq, `device` alone CUDA
//! - [`evaluation`]: verdicts beside the truth in, figures out; pure arithmetic
//! - [`watcher`]: new messages in maildirs; the only room that knows notify
//! - [`delivery`]: filing, tagging and commands, each exactly once. `rules` say what is done by label, `planner` turns
//!   that into operations, `executor` carries them out and recovers from a crash, `router` joins them, `undo` reverses
//!   a run, `journal` has every operation before and after; `tree` knows where folders lie, `files` never replaces a
//!   file
//! - [`output`]: verdicts in, bytes out; the only room that writes stdout, but for the child of `intake/office/`, which
//!   reads one PDF under limits of time and memory and whose stdout is a pipe to its parent, and for `serve/mcp/`, whose
//!   stdout is the protocol
//! - [`contracts`]: two texts in, their clauses, partners and typed differences out; `contracts/lexicon/` has the words of
//!   a language in one file, `contracts/render/` what a comparison looks like
//! - [`knowledge`]: passages of documents in one SQLite file, and search over them by words and vectors; it knows no model
//!   and no kind of file, `commands/index/` brings both
//! - [`report`]: all of stderr, and the exit status
//!
//! **Plain data** on which everything leans.
//!
//! - [`record`]: documents, verdicts, and why there is none
//! - [`labels`]: label sets, from text, TOML or CSV
//! - [`maildir`]: names and listings of maildirs, renamed messages, and folder names in modified UTF-7; here because
//!   `intake` reads maildirs, `watcher` watches them and `delivery` files into them
//! - [`charset`]: bytes to text, whatever charset they declare or do not declare; here because files of labels and
//!   tables are decoded as messages are
//! - [`condition`]: conditions on the headers of a message, which labels and rules state
//! - [`header`]: X-Mailsort header fields, inserted and removed, also in messages that a mail server has compressed; for
//!   `filter` on every system, and for `delivery`
//! - [`terminal`]: makes foreign text harmless to a terminal
//! - [`platform`]: what systems do differently with files and their names
//! - [`guard`]: turns a panic into an error
//!
//! # Invariants
//!
//! 1. One record per input document, in input order. A document that cannot be read or scored yields a record with
//!    an `error`.
//! 2. A score does not depend on its neighbours: batch size, threads and the other documents of a run change no line
//!    of output. On a GPU they change it within the rounding of the type.
//! 3. Nothing holds the whole input. Memory is flat in the length of an archive, channels are bounded. Labelled samples
//!    are the exception: `train` and `eval` hold their cleaned texts, `train` each until it is embedded and then all
//!    vectors and counts of words, of which a few copies are made while samples are held out. `route` and `watch` keep a
//!    hash, a name or a number of each message, and an undo all entries of a run.
//! 4. One bad document never ends a run, whatever its bytes: parsers and models are guarded against panics, and what
//!    reads PDFs runs in a process of its own, where the program has said which (`intake::office::serve_with`).
//! 5. No network unless asked: only `models pull`, and a model of the hub that is named and not wholly in the cache,
//!    both in `engine/hub/`, and the servers of `--endpoint`, in `engine/remote/`. `--offline` forbids it, and
//!    HF_HUB_OFFLINE the hub. Nothing is uploaded but texts to those servers. `serve` listens on loopback unless told
//!    otherwise.
//! 6. stdout is data, stderr is talk. Foreign text is escaped where it goes to a terminal.
//! 7. A missing, mismatching or left-over weight is an error, never a random or zero tensor. Weights are safetensors or
//!    GGUF; nothing that could hold code is opened. What a mail says can never become a special token of a prompt.
//! 8. Exit status: 0 every document got a verdict; 1 finished, but some have an `error`, or `eval` missed a bar; 2
//!    could not run; 130 and 143 stopped by a signal, after finishing what was in hand: of a slow model the few
//!    documents that it is scoring. A broken pipe is 0. A document on which the model fails gets an `error`; a model
//!    that then fails on a label's own words too, such as when its device is lost, ends the run with 2, and what was
//!    written stays.
//! 9. An output that was stopped anywhere and is resumed holds the bytes of one that was not, but for scores from a
//!    GPU; what is not of the same kind of run is refused. A last record that says that the model failed is made anew.
//! 10. A mail that is sorted into a maildir is there once, with the bytes that it had, wherever the process was
//!     stopped: intent is on the disk before an act, and nothing is deleted without the same bytes being elsewhere.
//!
//! `tests/it/tidy.rs` holds the source to what this page states.

#[cfg(test)]
#[path = "../tests/skipped/requirements.rs"]
mod requirements;

pub mod cli;

pub mod commands;

pub mod serve;

pub mod classifier;

pub mod stream;

pub mod intake;

pub mod engine;

pub mod evaluation;

#[cfg(unix)]
pub mod watcher;

pub mod contracts;

pub mod knowledge;

#[cfg(unix)]
pub mod delivery;

pub mod output;

pub mod report;

pub mod record;

pub mod labels;

pub mod maildir;

pub mod charset;

pub mod condition;

pub mod header;

pub mod terminal;

pub mod platform;

pub mod guard;
