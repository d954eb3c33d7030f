//! Every flag that a page names is a flag of the program, also in examples that are not run.

use std::collections::{BTreeMap, BTreeSet};

use super::examples::commands;
use super::page::Page;
use crate::mailsort::mailsort;

/// Flags of other programs that pages name.
const OF_OTHERS: &[&str] = &[
    // cargo and rustc
    "--all-targets",
    "--bench",
    "--check",
    "--example",
    "--features",
    "--help",
    "--locked",
    "--no-deps",
    "--path",
    "--release",
    "--test",
    "--version",
    // benches/compare.py
    "--before",
];

/// The long flags of each verb, by its help; of verbs with verbs below, by both words.
struct Flags(BTreeMap<String, BTreeSet<String>>);

impl Flags {
    /// The verb that a command line begins with, and its flags.
    fn of(&mut self, words: &[&str]) -> Option<(String, &BTreeSet<String>)> {
        let verb: Vec<&str> =
            words.iter().take_while(|word| word.chars().all(|c| c.is_ascii_lowercase())).copied().collect();
        let verb = &verb[..verb.len().min(if matches!(verb.first(), Some(&("models" | "cache"))) { 2 } else { 1 })];
        let name = verb.join(" ");
        if !self.0.contains_key(&name) {
            let output = mailsort(verb.iter().chain(&["--help"])).output();
            let help = String::from_utf8_lossy(&output.stdout).into_owned();
            let flag = regex::Regex::new(r"(?m)--[a-z][a-z0-9-]*").unwrap();
            let flags = flag.find_iter(&help).map(|found| found.as_str().to_string()).collect();
            self.0.insert(name.clone(), flags);
        }
        Some((name.clone(), self.0.get(&name)?))
    }
}

/// The calls of mailsort in a line of a shell, each as its words.
fn calls(command: &str) -> Vec<Vec<&str>> {
    let mut calls: Vec<Vec<&str>> = Vec::new();
    for part in command.split(['|', ';', '&', '(', ')', '\n']) {
        let words: Vec<&str> = part.split_whitespace().collect();
        if let Some(at) = words.iter().position(|word| *word == "mailsort") {
            calls.push(words[at + 1..].to_vec());
        }
    }
    calls
}

#[test]
fn commands_of_pages_have_flags_that_are_there() {
    let mut flags = Flags(BTreeMap::new());
    let mut broken = Vec::new();
    let mut seen = 0;
    for page in Page::all() {
        for block in page.blocks().iter().filter(|block| block.language == "console") {
            for (_, command) in commands(block) {
                let command = command.replace("cargo run --release -- ", "mailsort ").replace("\\\n", " ");
                for call in calls(&command) {
                    let Some((verb, known)) = flags.of(&call) else { continue };
                    for word in call.iter().filter(|word| word.starts_with("--") && word.len() > 2) {
                        seen += 1;
                        let flag = word.split('=').next().unwrap();
                        if !known.contains(flag) {
                            broken.push(format!("{}:{}: {verb} has no {flag}", page.name, block.line));
                        }
                    }
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(seen >= 20, "the flags were not found");
}

#[test]
fn flags_in_prose_are_there() {
    let mut flags = Flags(BTreeMap::new());
    let verbs = [
        "classify",
        "train",
        "eval",
        "filter",
        "serve",
        "mcp",
        "route",
        "watch",
        "show",
        "compare",
        "index",
        "search",
        "cache stats",
        "cache prune",
        "cache clear",
        "models list",
        "models pull",
        "models show",
        "models path",
        "completions",
        "man",
    ];
    let mut known: BTreeSet<String> = OF_OTHERS.iter().map(|flag| flag.to_string()).collect();
    for verb in verbs {
        let words: Vec<&str> = verb.split(' ').collect();
        known.extend(flags.of(&words).unwrap().1.iter().cloned());
    }
    let span = regex::Regex::new(r"`(--[a-z][a-z0-9-]*)[^`]*`").unwrap();
    let mut broken = Vec::new();
    for page in Page::all().iter().filter(|page| page.name == "README.md" || page.name.starts_with("docs/")) {
        for (line, text) in page.prose() {
            let unknown =
                span.captures_iter(text).map(|found| found[1].to_string()).filter(|flag| !known.contains(flag));
            broken.extend(unknown.map(|flag| format!("{}:{line}: there is no {flag}", page.name)));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn calls_are_found_in_a_line() {
    let line = "find . -print0 | mailsort classify --files-from - -0 | jq . && mailsort models pull x & wait";
    assert_eq!(calls(line), [vec!["classify", "--files-from", "-", "-0"], vec!["models", "pull", "x"]]);
}
