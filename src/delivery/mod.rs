//! Mail on its way: headers of our own in it, and the maildirs that it goes to.
//!
//! A [`Router`] does with mails what [`Rules`] say: it writes what it is about to do into a [`Journal`], does it, and writes
//! what came of it. Whatever stops it in between, the next run looks at what is there and settles it. Nothing is ever
//! replaced, and nothing is deleted without the same bytes being elsewhere.

pub mod header;

#[cfg(unix)]
mod exec;
#[cfg(unix)]
mod files;
#[cfg(unix)]
mod finder;
#[cfg(unix)]
mod folder;
#[cfg(unix)]
mod journal;
#[cfg(unix)]
mod lock;
#[cfg(unix)]
pub mod mailbox;
#[cfg(unix)]
mod router;
#[cfg(unix)]
mod rules;
#[cfg(unix)]
mod tree;
#[cfg(unix)]
mod unique;

#[cfg(unix)]
pub use self::{
    exec::{Exec, Limits, Words},
    folder::{Folder, Layout},
    journal::{Act, Counters, FileId, Journal, Kind, RunRow, State},
    lock::Lock,
    router::{DryRun, Home, Mail, Outcome, Router, Settled, Tagger, Undone},
    rules::{Action, By, Decision, Deed, Filing, Rules, Set, Unsure},
    tree::{Tree, whole},
};
