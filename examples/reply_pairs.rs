//! Measures what `mailsort show` makes of mails, on pairs of bodies and what should be left of them.
//!
//! `cargo run --release --example reply_pairs -- PAIRS.jsonl [--show SOURCE|all]` reads JSON Lines with
//! `id`, `source`, `grade`, `input` and `expected` and prints a table per source: exact matches with
//! all white space ignored, and how many pairs lose more than a fifth of their expected lines.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to its user")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use mailsort::intake::sniff::SourceFormat;
use mailsort::intake::{self, Raw, Reading};
use mailsort::record::{Document, Envelope, Origin};
use serde_json::Value;

/// What `mailsort show` prints of a mail with this body.
fn shown(body: &str) -> Document {
    let origin = Origin { source: "pair".into(), index: 0, offset: 0 };
    let header = "Subject: pair\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n";
    let raw = Raw {
        origin: origin.clone(),
        format: SourceFormat::Mail,
        bytes: format!("{header}{body}").into(),
        truncated: false,
    };
    // A pair without text has nothing to lose.
    intake::read(raw, &Reading::default()).unwrap_or_else(|_| Document {
        origin,
        envelope: Envelope::default(),
        body: String::new(),
        attachments: Vec::new(),
        removed: Vec::new(),
        truncated: false,
        doubt: None,
        answers: false,
    })
}

#[derive(Default)]
struct Tally {
    pairs: usize,
    exact: usize,
    gold: usize,
    gold_exact: usize,
    lossy: usize,
    gold_lossy: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: reply_pairs PAIRS.jsonl [--show SOURCE|all|lossy]")?;
    let show = arguments.nth(1);
    let text = std::fs::read_to_string(path)?;
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let start = Instant::now();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let pair: Value = serde_json::from_str(line)?;
        let field = |name: &str| pair[name].as_str().unwrap_or_default();
        let cleaned = shown(field("input"));
        let exact = tight(&cleaned.body) == tight(field("expected"));
        let lost = lost_share(field("expected"), &cleaned.body);
        let gold = field("grade") == "gold";
        for source in [field("source"), "total"] {
            let tally = tallies.entry(source.to_string()).or_default();
            tally.pairs += 1;
            tally.exact += usize::from(exact);
            tally.gold += usize::from(gold);
            tally.gold_exact += usize::from(gold && exact);
            tally.lossy += usize::from(lost > 0.2);
            tally.gold_lossy += usize::from(gold && lost > 0.2);
        }
        let shown = match show.as_deref() {
            Some("all") => !exact,
            Some("lossy") => lost > 0.2,
            Some(source) => !exact && source == field("source"),
            None => false,
        };
        if shown {
            println!("=== {} {} lost {:.0}%", field("id"), field("grade"), 100.0 * lost);
            println!("--- expected\n{}\n--- got\n{}", clip(field("expected")), clip(&cleaned.body));
            for removed in &cleaned.removed {
                println!("--- removed by {}\n{}", removed.step, clip(&removed.text));
            }
        }
    }
    print_table(&tallies);
    eprintln!("{:.0} ms", start.elapsed().as_secs_f64() * 1000.0);
    Ok(())
}

fn print_table(tallies: &BTreeMap<String, Tally>) {
    println!("| source | pairs | exact | gold | gold exact | lose > 1/5 | gold lose > 1/5 |");
    println!("|---|---|---|---|---|---|---|");
    for (source, t) in tallies {
        println!(
            "| {source} | {} | {:.1}% | {} | {:.1}% | {} | {} |",
            t.pairs,
            percent(t.exact, t.pairs),
            t.gold,
            percent(t.gold_exact, t.gold),
            t.lossy,
            t.gold_lossy
        );
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

fn tight(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// The share of expected lines that are not there any more
fn lost_share(expected: &str, got: &str) -> f64 {
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    for line in got.lines() {
        *left.entry(tight(line)).or_default() += 1;
    }
    let lines: Vec<String> = expected.lines().map(tight).filter(|line| !line.is_empty()).collect();
    let lost = lines
        .iter()
        .filter(|line| match left.get_mut(*line) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        })
        .count();
    lost as f64 / lines.len().max(1) as f64
}

fn clip(text: &str) -> String {
    text.chars().take(1500).collect()
}
