//! Phrases of the lexicons, found by their first word

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::contracts::lexicon::{LEXICONS, Lexicon, Sense, TermUnit, is_han};
use crate::contracts::tokens::{ContractToken, tokens};

/// What a phrase gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Entry {
    Sense(Sense),
    Unit(TermUnit, f64),
    Percent(f64),
    Currency(&'static str),
    Factor(f64),
    Measure(&'static str),
    Law,
    Venue,
}

/// Tables of phrases by their first word, the longest first.
type PhraseTable = HashMap<String, Vec<Phrase>>;

/// A phrase behind its first word.
pub(super) struct Phrase {
    rest: Vec<String>,
    /// No blank may stand in it: "A$500" is no "a $500 fee".
    touches: bool,
    entry: Entry,
}

/// The phrases of one language.
pub(super) struct Phrases {
    pub code: &'static str,
    pub senses: PhraseTable,
    pub units: PhraseTable,
    pub percent: PhraseTable,
    pub currencies: PhraseTable,
    pub factors: PhraseTable,
    pub measures: PhraseTable,
    pub places: PhraseTable,
}

static ALL: LazyLock<Vec<Phrases>> = LazyLock::new(|| LEXICONS.iter().map(|lexicon| Phrases::new(lexicon)).collect());

/// The phrases of these languages.
pub(super) fn of(lexicons: &[&'static Lexicon]) -> Vec<&'static Phrases> {
    lexicons.iter().filter_map(|lexicon| ALL.iter().find(|phrases| phrases.code == lexicon.code)).collect()
}

impl Phrases {
    fn new(lexicon: &'static Lexicon) -> Phrases {
        let laws = lexicon.laws.iter().map(|words| (*words, Entry::Law));
        let venues = lexicon.venues.iter().map(|words| (*words, Entry::Venue));
        Phrases {
            code: lexicon.code,
            senses: table(lexicon.senses.iter().map(|(words, sense)| (*words, Entry::Sense(*sense)))),
            units: table(lexicon.units.iter().map(|(words, unit, factor)| (*words, Entry::Unit(*unit, *factor)))),
            percent: table(lexicon.percent.iter().map(|(words, factor)| (*words, Entry::Percent(*factor)))),
            currencies: table(lexicon.currencies.iter().map(|(words, code)| (*words, Entry::Currency(code)))),
            factors: table(lexicon.factors.iter().map(|(words, factor)| (*words, Entry::Factor(*factor)))),
            measures: table(lexicon.measures.iter().map(|(words, name)| (*words, Entry::Measure(name)))),
            places: table(laws.chain(venues)),
        }
    }
}

fn table(rows: impl Iterator<Item = (&'static str, Entry)>) -> PhraseTable {
    let mut table = PhraseTable::new();
    for (words, entry) in rows {
        // Chinese has no blanks, and a line may break anywhere.
        let touches = !words.contains(' ') && !words.contains(is_han);
        let mut rest: Vec<String> = tokens(words, 0).into_iter().map(|token| token.text).collect();
        if !rest.is_empty() {
            let first = rest.remove(0);
            table.entry(first).or_default().push(Phrase { rest, touches, entry });
        }
    }
    for phrases in table.values_mut() {
        phrases.sort_by_key(|phrase| std::cmp::Reverse(phrase.rest.len()));
    }
    table
}

/// The longest phrase at this token, and how many tokens it takes.
pub(super) fn find(table: &PhraseTable, tokens: &[ContractToken], at: usize) -> Option<(Entry, usize)> {
    let first = tokens.get(at)?;
    let rest = &tokens[at + 1..];
    let fits = |phrase: &&Phrase| {
        let taken = &tokens[at..tokens.len().min(at + 1 + phrase.rest.len())];
        phrase.rest.len() <= rest.len()
            && phrase.rest.iter().zip(rest).all(|(word, token)| *word == token.text)
            && (!phrase.touches || taken.windows(2).all(|pair| pair[0].end == pair[1].start))
    };
    let phrase = table.get(&first.text)?.iter().find(fits)?;
    Some((phrase.entry, phrase.rest.len() + 1))
}

/// The phrase that ends before this token, up to three tokens long.
pub(super) fn find_before(table: &PhraseTable, tokens: &[ContractToken], end: usize) -> Option<(Entry, usize)> {
    (1..=3.min(end)).rev().find_map(|length| {
        let found = find(table, &tokens[..end], end - length)?;
        (found.1 == length).then_some((found.0, length))
    })
}
