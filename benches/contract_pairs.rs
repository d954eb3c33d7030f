//! How many articles of real pairs are paired rightly, and how fast
//!
//! Gold: articles with the same text, and articles with a clear best partner (Jaccard of character pairs at least 0.7,
//! the second best at least 0.2 behind).
#![allow(clippy::print_stdout, clippy::expect_used)]

use std::collections::HashSet;
use std::time::Instant;

use mailsort::contracts::{Contract, Relation, compare};

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
    labelled(&folder);
    speed();
}

/// The labels made by hand for two versions of the Cloud Service Agreement; the rules stand beside them.
const LABELS: &str = include_str!("contracts/csa-1.1-2.0.tsv");

/// Holds the comparison of the two versions against the labels: pairs of clauses, of all rows and of the sure ones, and
/// the relation of those that are paired one to one.
fn labelled(folder: &str) {
    let read =
        |name: &str| Contract::read(&std::fs::read_to_string(format!("{folder}/csa/{name}")).expect("an agreement"));
    let (a, b) = (read("CSA-1.1.md"), read("CSA-2.0.md"));
    let comparison = compare(&a, &b, None);
    let found: HashSet<(usize, usize)> = comparison
        .pairs
        .iter()
        .flat_map(|pair| pair.old.iter().flat_map(|i| pair.new.iter().map(|j| (*i, *j))))
        .collect();
    let (mut gold, mut sure, mut relations) = (HashSet::new(), HashSet::new(), (0, 0));
    for row in LABELS.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        let (old, new) = (units(&a, cells[0]), units(&b, cells[1]));
        let pairs: Vec<(usize, usize)> = old.iter().flat_map(|i| new.iter().map(|j| (*i, *j))).collect();
        gold.extend(&pairs);
        if cells[3] == "yes" {
            sure.extend(&pairs);
        }
        // A row about a part says nothing of its clause.
        if let (&[i], &[j], true, false) = (&old[..], &new[..], cells[3] == "yes", cells[0].contains('(')) {
            let pair = comparison.pairs.iter().find(|pair| (&pair.old[..], &pair.new[..]) == (&[i], &[j]));
            let ours = pair.map_or("unpaired", |pair| simple(pair.relation));
            let theirs = cells[2].trim_end_matches(" moved");
            relations.1 += 1;
            if ours == theirs {
                relations.0 += 1;
            } else {
                println!("  {} -> {}: {ours}, by the labels {theirs} ({})", cells[0], cells[1], cells[4]);
            }
        }
    }
    let hits = found.intersection(&gold).count();
    for (i, j) in gold.difference(&found) {
        println!("  missed: {} -> {}", a.clauses[*i].number, b.clauses[*j].number);
    }
    for (i, j) in found.difference(&gold) {
        println!("  not in the labels: {} -> {}", a.clauses[*i].number, b.clauses[*j].number);
    }
    println!(
        "labels of CSA 1.1 -> 2.0: {hits} of {} pairs found, {} of {} sure ones; {hits} of {} found pairs right; relation right of {} of {}",
        gold.len(),
        sure.intersection(&found).count(),
        sure.len(),
        found.len(),
        relations.0,
        relations.1
    );
}

fn simple(relation: Relation) -> &'static str {
    match relation {
        Relation::Same => "same",
        Relation::Renumbered | Relation::Moved => "renumbered",
        Relation::Reworded => "reworded",
        Relation::Changed => "changed",
        Relation::Split => "split",
        Relation::Merged => "merged",
        Relation::OnlyOld | Relation::OnlyNew => "alone",
    }
}

/// The clauses of units such as `5.3(a)+5.4` or `def:Fees`. A heading without a text has none.
fn units(contract: &Contract, names: &str) -> Vec<usize> {
    let mut found = Vec::new();
    for name in names.split('+') {
        let clause = match name.strip_prefix("def:") {
            Some(term) => contract.clauses.iter().position(|clause| clause.definition.as_deref() == Some(term)),
            None => {
                let number = name.split('(').next().unwrap_or(name);
                let is_it = |text: &str| text.trim_end_matches('.') == number;
                contract.clauses.iter().position(|clause| is_it(&clause.number))
            }
        };
        found.extend(clause.filter(|clause| !found.contains(clause)));
    }
    found
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
