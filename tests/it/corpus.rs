//! `tests/corpus/` through the checks that the fuzz targets run: corners of the formats, and everything that broke
//! once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::mailsort::root;

#[path = "../../fuzz/src/checks/mod.rs"]
mod checks;

/// No input may take longer; the fuzz targets, which are compiled for speed, allow five seconds.
const LONGEST: Duration = Duration::from_secs(20);
/// All inputs together, so that a clone stays small.
const MOST_BYTES: usize = 300_000;

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The names of what lies in a folder, without endings.
fn stems(folder: &str) -> BTreeSet<String> {
    files(&root().join(folder)).iter().map(|file| file.file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

/// Runs a check on a thread like those on which mailsort reads documents. The input is to blame for a panic as for
/// taking too long; a check that never ends is left behind.
fn replay(check: checks::Check, file: &Path) -> Result<usize, String> {
    let bytes = std::fs::read(file).unwrap();
    let size = bytes.len();
    let (done, ended) = mpsc::channel();
    let worker = thread::spawn(move || {
        check(&bytes);
        let _ = done.send(());
    });
    match ended.recv_timeout(LONGEST) {
        Ok(()) => Ok(size),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(format!("{} takes longer than {LONGEST:?}", file.display())),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            let panicked = worker.join().unwrap_err();
            let told = panicked.downcast_ref::<String>().map(String::as_str);
            let told = told.or_else(|| panicked.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(format!("{}: {told}", file.display()))
        }
    }
}

#[test]
fn every_input_passes_its_check() {
    let mut broken = Vec::new();
    let mut size = 0;
    for (target, check) in checks::TARGETS {
        let inputs = files(&root().join("tests/corpus").join(target));
        assert!(inputs.len() >= 5, "the inputs of {target} were not found");
        for file in inputs {
            match replay(check, &file) {
                Ok(bytes) => size += bytes,
                Err(why) => broken.push(why),
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(size <= MOST_BYTES, "the corpus has grown to {size} bytes");
}

#[test]
fn targets_checks_and_inputs_are_the_same() {
    let checks: BTreeSet<String> = checks::TARGETS.iter().map(|(target, _)| target.to_string()).collect();
    assert_eq!(checks, stems("fuzz/fuzz_targets"));
    assert_eq!(checks, stems("tests/corpus"));
}
