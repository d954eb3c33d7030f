//! Runs last in `cargo test` and prints how many tests were skipped, and for want of what.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::process::ExitCode;
use std::{env, fs};

use requirements::{REQUIREMENTS, record};

#[allow(dead_code, reason = "what tests call to be skipped")]
mod requirements;

fn main() -> ExitCode {
    // A runner that asks for the names of tests, such as nextest, finds none.
    if env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let skipped = fs::read_to_string(record()).unwrap_or_default();
    drop(fs::remove_file(record()));
    let unknown = unknown(&env::var("MAILSORT_REQUIRE").unwrap_or_default());
    let report = summary(&skipped) + &unknown;
    // To stderr as well as the single skips; without a skip nothing but a line.
    drop(io::stderr().write_all(report.as_bytes()));
    if unknown.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How many tests were skipped, and below it each requirement with the number of its tests and the first reason.
fn summary(skipped: &str) -> String {
    let mut tests = BTreeSet::new();
    let mut lacking: BTreeMap<&str, (BTreeSet<&str>, &str)> = BTreeMap::new();
    for line in skipped.lines() {
        let mut fields = line.split('\t');
        let (requirement, test, why) = (fields.next(), fields.next(), fields.next());
        if let (Some(requirement), Some(test), Some(why)) = (requirement, test, why) {
            tests.insert(test);
            lacking.entry(requirement).or_insert_with(|| (BTreeSet::new(), why)).0.insert(test);
        }
    }
    let names: Vec<&str> = lacking.keys().copied().collect();
    let mut text = match names.as_slice() {
        [] => return "\n0 tests skipped\n".into(),
        names => format!("\n{} tests skipped, wholly or in part, for want of: {}\n", tests.len(), names.join(", ")),
    };
    for (name, (tests, why)) in &lacking {
        let met_by = REQUIREMENTS.iter().find(|(known, _)| known == name).map_or("", |(_, how)| how);
        text += &format!("  {:>3} {name} ({met_by}): {why}\n", tests.len());
    }
    text + "MAILSORT_REQUIRE=all makes each of them a failure, MAILSORT_REQUIRE=NAME,NAME those\n"
}

/// A complaint about each name in `MAILSORT_REQUIRE` that is no requirement.
fn unknown(required: &str) -> String {
    let names = required.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "all");
    let is_unknown = |name: &str| !REQUIREMENTS.iter().any(|(known, _)| *known == name.trim_start_matches('-'));
    let known: Vec<&str> = REQUIREMENTS.iter().map(|(known, _)| *known).collect();
    names
        .filter(|name| is_unknown(name))
        .map(|name| format!("MAILSORT_REQUIRE: there is no {name}; there are: {}\n", known.join(", ")))
        .collect()
}
