//! How many articles of real pairs are paired rightly, and how fast
//!
//! Gold: articles with the same text, and articles with a clear best partner (Jaccard of character pairs at least 0.7,
//! the second best at least 0.2 behind).
#![allow(clippy::print_stdout, clippy::expect_used)]

use std::collections::HashSet;
use std::time::Instant;

use mailsort::contracts::{Contract, compare};

const PAIRS: [(&str, &str); 6] = [
    ("statutes-zh/fanlongduanfa-2007.md", "statutes-zh/fanlongduanfa-2022.md"),
    ("statutes-zh/funvquanyi-2018.md", "statutes-zh/funvquanyi-2022.md"),
    ("statutes-zh/lifafa-2015.md", "statutes-zh/lifafa-2023.md"),
    ("csa/CSA-1.1.md", "csa/CSA-2.0.md"),
    ("nda/mutual-nda-first.md", "nda/mutual-nda-1.0.md"),
    ("github-terms/2021-03.md", "github-terms/2021-11.md"),
];

fn main() {
    let folder = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'))
        .unwrap_or_else(|| "../shared/data/contracts".to_owned());
    let (mut all, mut right) = (0, 0);
    for (old, new) in PAIRS {
        let read = |name: &str| Contract::read(&std::fs::read_to_string(format!("{folder}/{name}")).expect("contract"));
        let start = Instant::now();
        let (a, b) = (read(old), read(new));
        let comparison = compare(&a, &b, None);
        let time = start.elapsed();
        let gold = gold(&a, &b);
        let paired = |i: usize, j: usize| comparison.pairs.iter().any(|p| p.old.contains(&i) && p.new.contains(&j));
        let hits = gold.iter().filter(|(i, j)| paired(*i, *j)).count();
        for (i, j) in gold.iter().filter(|(i, j)| !paired(*i, *j)) {
            println!("  missed: {} -> {}", a.clauses[*i].number, b.clauses[*j].number);
        }
        println!(
            "{old} -> {new}: {} and {} clauses, {hits} of {} clear pairs, {:.0} ms",
            a.clauses.len(),
            b.clauses.len(),
            gold.len(),
            time.as_secs_f64() * 1000.0
        );
        all += gold.len();
        right += hits;
    }
    println!("paired rightly: {right} of {all}, {:.2} %", 100.0 * right as f64 / all as f64);
    speed();
}

/// Two contracts of 30 pages: 300 clauses of 1000 characters, one tenth of them changed.
fn speed() {
    let words = ["delivery", "payment", "goods", "notice", "party", "term", "breach", "invoice", "price", "order"];
    let clause = |n: usize, seed: usize| {
        let body: Vec<String> = (0..160)
            .map(|k| format!("{}{}", words[(n * 7 + k * 3 + k * k * seed) % 10], (n * 31 + k * 17) % 97))
            .collect();
        format!("{n}. {} {}.\n", words[n % 10], body.join(" "))
    };
    let old: String = (1..=300).map(|n| clause(n, 1)).collect();
    let new: String = (1..=300).map(|n| clause(n, if n % 10 == 0 { 2 } else { 1 })).collect();
    let start = Instant::now();
    let (a, b) = (Contract::read(&old), Contract::read(&new));
    let pairs = compare(&a, &b, None).pairs.len();
    println!("2 x {} kB: {pairs} pairs in {:.0} ms", old.len() / 1000, start.elapsed().as_secs_f64() * 1000.0);
    // No clause is the same, so that all go through the assignment.
    let new: String = (1..=300).map(|n| clause(n, 2)).collect();
    let start = Instant::now();
    let b = Contract::read(&new);
    let pairs = compare(&a, &b, None).pairs.len();
    println!(
        "2 x {} kB, all changed: {pairs} pairs in {:.0} ms",
        old.len() / 1000,
        start.elapsed().as_secs_f64() * 1000.0
    );
}

fn gold(a: &Contract, b: &Contract) -> Vec<(usize, usize)> {
    let grams = |contract: &Contract, i: usize| -> HashSet<(char, char)> {
        let text: Vec<char> = contract.matching_text(i).chars().filter(|c| c.is_alphanumeric()).collect();
        text.windows(2).map(|w| (w[0], w[1])).collect()
    };
    let first: Vec<_> = (0..a.clauses.len()).map(|i| grams(a, i)).collect();
    let second: Vec<_> = (0..b.clauses.len()).map(|j| grams(b, j)).collect();
    let mut gold = Vec::new();
    for (i, x) in first.iter().enumerate().filter(|(_, x)| x.len() > 5) {
        let mut scores: Vec<(f64, usize)> = second
            .iter()
            .enumerate()
            .map(|(j, y)| {
                let common = x.intersection(y).count() as f64;
                (common / (x.len() + y.len()) as f64 / (1.0 - common / (x.len() + y.len()) as f64), j)
            })
            .collect();
        scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        let next = scores.get(1).map_or(0.0, |s| s.0);
        if let Some(&(best, j)) = scores.first()
            && (best >= 0.7 && best - next >= 0.2 || best > 0.9999 && next < 0.9999)
        {
            gold.push((i, j));
        }
    }
    gold
}
