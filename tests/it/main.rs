//! One integration binary. Table of contents:
//!
//! - `classify`: the command from end to end, whole-CLI snapshots of status, stdout and stderr
//! - `errors`: what is said of bad input, and that nothing is lost
//! - `golden`: the embedded model against values of its Python reference
//! - `hostile`: input made to hang, to fill memory or to crash, each bounded in both
//! - `properties`: whatever the bytes, threads or order, the contract holds
//! - `readme`: the commands of README print what README shows
//! - `real_mail`: every mail of ../shared/data/mail yields one record; skips, saying so, where that folder is absent
//! - `samples`: `samples/` against the clean texts and labels beside them
//! - `tidy`: the source is as `src/lib.rs` states

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test that cannot go on may stop")]
#![allow(unreachable_pub, reason = "modules of one test binary")]

mod classify;
mod errors;
mod golden;
mod hostile;
mod mailsort;
mod properties;
mod readme;
mod real_mail;
mod samples;
mod tidy;
