//! One integration binary. Table of contents:
//!
//! - `cache`: what a cache holds and what not; several processes, kills, damage, and the commands
//! - `ci`: the workflow and the hook of docs/evaluation-in-ci.md, run as they stand there
//! - `circles`: modules of a folder do not import each other
//! - `classify`: the command from end to end, whole-CLI snapshots of status, stdout and stderr
//! - `classifier`: classifiers whose model is a folder, or that somebody else has written
//! - `compare`: two contracts: partners, typed differences, every format, DOCX by LibreOffice
//! - `corpus`: inputs that reach corners, and those that broke something, through the checks of the fuzz targets
//! - `deep`: `--model deep`: who decides, what is refused, what is learned; label prompts and prefixes of others
//! - `docs`: README and the pages of docs/: their commands print what they show, their links lead somewhere
//! - `documents`: the texts of `tests/documents/`, and hostile PDFs and DOCX through the real program
//! - `endpoint`: models on the servers of others, in all the forms that they answer in
//! - `errors`: what is said of bad input, and that nothing is lost
//! - `eval`: every form of labelled samples and of reports, bars, baselines and comparisons
//! - `failures`: models that are half, wrong or damaged, and mails on which one fails
//! - `filter`: the mail comes out whatever happens, and nobody but us writes our header
//! - `formats`: no value breaks TSV, no line of a table is wider than its page
//! - `from_names`: classifiers without labelled samples: learned from names and mail, refused, and what counts beside
//! - `golden`: the embedded model against values of its Python reference
//! - `headers`: labels and rules that ask for headers of messages
//! - `hostile`: input made to hang, to fill memory or to crash, each bounded in both
//! - `hub`: models from a small hub on loopback, which breaks off, refuses, lies and attacks
//! - `integrations`: the mail programs around us, each by a script
//! - `knowledge`: an index and its answers: changes, deletions, kills, models, rerankers
//! - `library`: the example under examples/, and that it gives the labels of the program
//! - `mailboxes`: formats of mbox, names of maildirs, and mailboxes that change while they are read
//! - `mcp`: tools of language models, through the client of the protocol's SDK
//! - `models`: every kind of model through the real program, with cascade and cache
//! - `nli`: NLI models by entailment, and encoders of other architectures
//! - `notmuch`: what the real program makes of `--format notmuch`
//! - `properties`: whatever the bytes, threads or order, the contract holds
//! - `questions`: rows with lists of labels, each a question of its own: trained, classified and judged
//! - `real_models`: released models against published numbers and sentence-transformers
//! - `real_mail`: every mail of ../shared/data/mail yields one record
//! - `reports`: what `eval` writes for other runs: baselines, and label files with thresholds
//! - `requirements`: what some tests need and not every machine has, and how a test is skipped
//! - `resume`: killed, stopped or torn, and resumed, a run gives the same bytes
//! - `route`: maildirs and mailboxes sorted by rules, each mail exactly once, also when killed or with others at work
//! - `samples`: `samples/` against the clean texts and labels beside them
//! - `serve`: the HTTP server: every route, filters that ask it, and clients that flood, lie or hang up
//! - `show`: what the model sees, and what was cut
//! - `shell`: completions complete, and manual pages format without a warning
//! - `tables`: tables as inputs and outputs: rows, columns, charsets, workbooks
//! - `train`: classifiers from examples: learned, used, refused, and the same whatever the threads
//! - `tidy`: the source is as `src/lib.rs` states

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test that cannot go on may stop")]
#![allow(unreachable_pub, reason = "modules of one test binary")]

mod cache;
mod ci;
mod circles;
mod classifier;
mod classify;
mod compare;
mod corpus;
mod deep;
mod docs;
mod documents;
mod endpoint;
mod errors;
mod eval;
mod failures;
mod filter;
mod formats;
mod from_names;
mod golden;
mod headers;
mod hostile;
mod hub;
mod integrations;
mod knowledge;
mod library;
mod mailboxes;
mod mailsort;
mod mcp;
mod models;
mod nli;
mod notmuch;
mod properties;
mod questions;
mod real_mail;
mod real_models;
mod reports;
#[path = "../skipped/requirements.rs"]
mod requirements;
mod resume;
mod route;
mod samples;
mod serve;
mod shell;
mod show;
mod tables;
mod tidy;
mod train;
mod watch;
