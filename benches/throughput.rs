//! How many mails a second: the embedded model alone, and `classify` from file to records.
//!
//! `cargo bench --bench throughput [-- MBOX]`. Without an argument the mails are those of `samples/inbox.mbox`, over
//! and over. Machines are noisy: each figure is the best of five runs, and ratios within one run are what counts.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to its user")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use mailsort::engine::{Builtin, Embedder};

use mailsort::intake::{self, Options, Reading, Source};

const RUNS: usize = 5;
/// Enough that starting and stopping do not count.
const MAILS: usize = 20_000;

fn main() -> Result<()> {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mbox = given.map_or_else(|| root.join("samples/inbox.mbox"), PathBuf::from);
    let texts: Vec<String> = Source::new(std::iter::once(mbox.clone()), Options::default())
        .flatten()
        .filter_map(|raw| intake::read(raw, &Reading::default()).ok())
        .map(|document| document.text())
        .collect();
    ensure!(!texts.is_empty(), "{} holds no mail", mbox.display());
    let bytes: usize = texts.iter().map(String::len).sum();
    println!("{}: {} mails, {} bytes of clean text each", mbox.display(), texts.len(), bytes / texts.len());

    let many: Vec<String> = texts.iter().cycle().take(MAILS).cloned().collect();
    let engine = Builtin::new()?;
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        let seconds = best(|| {
            pool.install(|| engine.embed(&many, engine.default_max_tokens()));
            Ok(())
        })?;
        println!("builtin, {}: {:.0} mails/s", plural(threads), MAILS as f64 / seconds);
    }

    let folder = tempfile::tempdir()?;
    let archive = folder.path().join("many.mbox");
    let one = std::fs::read(&mbox)?;
    let copies = MAILS / texts.len() + 1;
    std::fs::write(&archive, [one.as_slice(), b"\n"].concat().repeat(copies))?;
    for threads in [1, 2] {
        let seconds = best(|| classify(root, &archive, &threads.to_string()))?;
        println!("classify, {}: {:.0} mails/s", plural(threads), (copies * texts.len()) as f64 / seconds);
    }
    Ok(())
}

fn plural(threads: usize) -> String {
    if threads == 1 { "1 thread".into() } else { format!("{threads} threads") }
}

fn classify(root: &Path, archive: &Path, threads: &str) -> Result<()> {
    let status = Command::new(env!("CARGO_BIN_EXE_mailsort"))
        .args(["classify", "--quiet", "--labels", "labels/mail.txt", "--output", "/dev/null", "--threads", threads])
        .arg(archive)
        .current_dir(root)
        .status()
        .context("cannot run mailsort")?;
    ensure!(status.code().is_some_and(|code| code < 2), "mailsort failed");
    Ok(())
}

fn best(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        work()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}
