//! The models: what each reads, and how it computes. `registry` says which of them opens a checkpoint.
//!
//! `encoder/` holds the two heads that all BERT-like encoders share: sentence embeddings and cross-encoders.

pub mod bert;
pub mod builtin;
mod calibration;
pub(crate) mod candle;
pub(crate) mod deberta;
pub mod deep;
mod embedded;
pub mod encoder;
pub(crate) mod modernbert;
pub(crate) mod nomic;
pub mod qwen3;
mod tasks;
mod unigram;
