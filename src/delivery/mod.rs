//! Delivery: filing scored messages into maildirs, tagging them and giving them to commands, each exactly once.
//!
//! In reading order: `message` (what is delivered), `rules` (what is done by label), `planner` (which operations that
//! makes), `executor` (carries them out, and recovers from a crash), `router` (planner, journal and executor together),
//! `undo`, and the `journal`. Beneath them `tree`, `folder` and `spelling` (where maildirs lie), `files` (nothing is ever
//! replaced), `finder` and `unique` (names of messages), `mailbox` (mbox files as a source) and `exec` (commands).
//!
//! Every operation is in the journal, on the disk, before it is carried out. A run that is stopped anywhere is
//! recovered by the next one. No file is ever replaced, and none is deleted unless its bytes are elsewhere.

mod exec;
mod executor;
mod files;
mod finder;
mod folder;
mod journal;
pub mod mailbox;
mod message;
mod planner;
mod router;
mod rules;
mod spelling;
mod tree;
mod undo;
mod unique;

pub use self::{
    exec::{CommandLine, Exec, RetryPolicy},
    executor::{Executor, Recovery, Tagger},
    files::FileId,
    folder::FolderName,
    journal::{Counters, EntryState, Journal, JournalEntry, Lock, Operation, RunRecord},
    message::{Disposition, Location, ScoredMessage},
    planner::DryRun,
    router::Router,
    rules::{Action, Decision, Filing, LabelNames, OnUnsure, Rules, Steps, TopLabel},
    spelling::TreeLayout,
    tree::{MaildirTree, resolved},
    undo::UndoReport,
};
