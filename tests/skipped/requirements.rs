//! What some tests need and not every machine has.
//!
//! A test that lacks its requirement calls [`lacks`] and returns. Each skip is printed at once, and counted by
//! `tests/skipped/main.rs`, which `cargo test` runs last. `MAILSORT_REQUIRE` turns skips into failures: it is a list of
//! names from [`REQUIREMENTS`], `all` for all of them, and `-NAME` takes one away, as in `all,-gpu`.

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::{env, fs, io, thread};

/// Every requirement, and how to meet it.
pub(crate) const REQUIREMENTS: &[(&str, &str)] = &[
    ("bash", "a program"),
    ("chromium", "the Debian packages chromium and chromium-driver"),
    ("clients", "the packages of tests/clients/requirements.txt for the Python that MAILSORT_CLIENTS names"),
    ("cron", "the Debian packages cron and logrotate"),
    ("curl", "a program"),
    ("dovecot", "the Debian package dovecot-core"),
    ("fish", "a program"),
    ("flash-attn", "a GPU, and a build with --features flash-attn"),
    ("getmail", "the Debian package getmail6, and python3"),
    ("git", "a program"),
    ("gpu", "an NVIDIA GPU, and a build with --features cuda"),
    ("groff", "a program"),
    ("instructions", "a CPU with every instruction set that has a kernel: AMX, AVX-512 and its BF16 and VNNI"),
    ("large-models", "Qwen3 models of 4B and 8B in the folder that MAILSORT_REAL_MODELS names"),
    ("libreoffice", "the Debian packages libreoffice-writer-nogui and python3-uno"),
    ("maildrop", "the Debian package maildrop"),
    ("minilm", "all-MiniLM-L6-v2; tests/minilm/make.py says how to get it"),
    ("mutt", "the Debian package neomutt, and script"),
    ("notmuch", "a program"),
    ("parallel", "GNU parallel"),
    ("pigeonhole", "the Debian package dovecot-sieve"),
    ("procmail", "a program"),
    ("promtool", "the Debian package prometheus"),
    ("python3", "a program"),
    ("real-models", "Qwen3 models of 0.6B in the folder that MAILSORT_REAL_MODELS names"),
    ("root", "tests that run as root"),
    ("servers", "the packages of tests/servers/requirements.txt for the Python that MAILSORT_SERVERS names"),
    ("shared", "the folder ../shared/data beside the checkout"),
    ("shm", "/dev/shm on a file system of its own"),
    ("systemd", "systemd-analyze and systemd-socket-activate"),
    ("zsh", "a program"),
];

/// Reports that the running test lacks a requirement: it is skipped, or fails if `MAILSORT_REQUIRE` names it.
#[track_caller]
pub(crate) fn lacks(requirement: &str, why: impl Display) {
    assert!(REQUIREMENTS.iter().any(|(name, _)| *name == requirement), "{requirement} is no known requirement");
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    assert!(!is_required(requirement), "{test} requires {requirement}, as MAILSORT_REQUIRE says: {why}");
    let why = why.to_string().replace(['\n', '\t'], " ");
    // Not `eprintln!`, which the test runner keeps for itself when a test passes.
    drop(writeln!(io::stderr(), "skipped: {test}: needs {requirement}: {why}"));
    let line = format!("{requirement}\t{test}\t{why}\n");
    let record = fs::OpenOptions::new().create(true).append(true).open(record());
    let recorded = record.and_then(|mut file| file.write_all(line.as_bytes()));
    assert!(recorded.is_ok(), "the skip of {test} cannot be recorded: {recorded:?}");
}

fn is_required(requirement: &str) -> bool {
    let required = env::var("MAILSORT_REQUIRE").unwrap_or_default();
    let mut names = required.split(',').map(str::trim);
    let is_taken_away = names.clone().any(|name| name.strip_prefix('-') == Some(requirement));
    !is_taken_away && names.any(|name| name == "all" || name == requirement)
}

/// The file of the skips of one `cargo test`: beside the test binaries, named by their parent process.
pub(crate) fn record() -> PathBuf {
    #[cfg(unix)]
    let run = std::os::unix::process::parent_id();
    #[cfg(not(unix))]
    let run = 0;
    let binary = env::current_exe().unwrap_or_default();
    binary.with_file_name(format!("skipped-tests-{run}"))
}
