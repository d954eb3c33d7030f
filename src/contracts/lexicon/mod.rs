//! The words of each language: one file of tables per language
//!
//! A language is a row of [`LEXICONS`] and a file beside this one. What other files know of a language is grammar: Chinese
//! numerals and particles, elided words, verbs of definitions, and the forms in which clauses, statutes, dates and courts
//! are cited. A new language may need rows there too.

mod de;
mod en;
mod es;
mod fr;
mod zh;

pub(super) use de::GERMAN;
pub(super) use en::ENGLISH;
pub(super) use es::SPANISH;
pub(super) use fr::FRENCH;
pub(super) use zh::CHINESE;

/// Every language, the most frequent first.
pub(super) static LEXICONS: [&Lexicon; 5] = [&ENGLISH, &CHINESE, &GERMAN, &FRENCH, &SPANISH];

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TermUnit {
    Minute,
    Hour,
    Day,
    BusinessDay,
    /// Saturdays count: Werktage, jours ouvrables.
    WorkingDay,
    /// Days on which banks or an exchange are open.
    TradingDay,
    Week,
    Month,
    Quarter,
    Year,
}

impl TermUnit {
    /// Length in days, for telling "about the same" from "different".
    pub(super) fn days(self) -> f64 {
        match self {
            TermUnit::Minute => 1.0 / 1440.0,
            TermUnit::Hour => 1.0 / 24.0,
            TermUnit::Day | TermUnit::BusinessDay | TermUnit::WorkingDay | TermUnit::TradingDay => 1.0,
            TermUnit::Week => 7.0,
            TermUnit::Month => 365.0 / 12.0,
            TermUnit::Quarter => 365.0 / 4.0,
            TermUnit::Year => 365.0,
        }
    }
}

/// How a number bounds: "more than 30 days".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    MoreThan,
    AtLeast,
    AtMost,
    LessThan,
}

/// What a phrase obliges to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Modality {
    Must,
    Should,
    May,
    MustNot,
    NeedNot,
}

/// How much a near-synonym differs from its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// Often used for one another.
    Soft,
    /// Another legal institution.
    Hard,
}

/// What a phrase means to a comparison of contracts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sense {
    Modality(Modality),
    Not,
    Except,
    And,
    Or,
    AndOr,
    /// Near the number: "at least 30".
    Bound(Bound),
    /// Directly behind the number: "30 or more", 30日内.
    Closing(Bound),
    /// A rate or a rhythm: "per month", "quarterly".
    Per(TermUnit),
    /// A name of a party's role. Names of one row mean the same across languages.
    Party(&'static str),
    /// A near-synonym: the group, the member and the weight.
    Term(&'static str, &'static str, Weight),
    /// A word that holds the characters of another phrase and means something else, such as 不可抗力.
    Nothing,
}

/// The words of a language.
#[derive(Debug)]
pub(super) struct Lexicon {
    /// ISO 639-1.
    pub code: &'static str,
    /// Frequent words by which the language is recognised.
    pub frequent: &'static [&'static str],
    /// A comma divides the decimals.
    pub comma_decimal: bool,
    /// `6/1/24` is 6 January, not 1 June. `None` where both are common.
    pub day_first: Option<bool>,

    /// Headings over clauses: chapter, part, title.
    pub chapters: &'static [&'static str],
    /// Words before the number of a clause, and the number style they take.
    pub articles: &'static [&'static str],
    /// Words of a citation, besides those of `articles`: "Sections", "Absatz".
    pub citations: &'static [&'static str],
    /// Attachments that count anew.
    pub schedules: &'static [&'static str],
    /// How a paragraph of an attachment is cited.
    pub paragraph: &'static str,
    pub recitals: &'static [&'static str],
    pub signatures: &'static [&'static str],
    pub contents: &'static [&'static str],
    /// What follows the quoted term of a definition.
    pub means: &'static [&'static str],
    /// Words after a number at the start of a line that make it a citation: "Section 5 of".
    pub citation_tails: &'static [&'static str],

    pub numbers: &'static [(&'static str, f64)],
    /// Words between number words: "and".
    pub number_joints: &'static [&'static str],
    /// Seventy and ninety count on from sixty and eighty: soixante-dix, quatre-vingt-dix.
    pub vigesimal: bool,
    /// What joins ones and tens inside one word.
    pub number_compound: Option<&'static str>,
    pub months: &'static [(&'static str, u8)],
    pub units: &'static [(&'static str, TermUnit, f64)],
    pub percent: &'static [(&'static str, f64)],
    /// Names and signs of currencies and their ISO 4217 code.
    pub currencies: &'static [(&'static str, &'static str)],
    /// Factors of amounts: million, k.
    pub factors: &'static [(&'static str, f64)],
    /// Units of measure and what is counted, with one name for all spellings.
    pub measures: &'static [(&'static str, &'static str)],
    pub senses: &'static [(&'static str, Sense)],
    /// Openings of a governing law, and of a place of jurisdiction; the name follows.
    pub laws: &'static [&'static str],
    pub venues: &'static [&'static str],
}

/// The lexicons of the languages of a text, that of most words first; all of them where there are no words.
pub(super) fn detect(text: &str) -> Vec<&'static Lexicon> {
    let (counts, is_chinese) = count(text);
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse((is_chinese && *i == CHINESE_AT, counts[*i])));
    let most = order.first().map_or(0, |first| counts[*first]);
    order.retain(|i| counts[*i] * SECOND_LANGUAGE >= most);
    let mut found: Vec<&'static Lexicon> = order.into_iter().map(|i| LEXICONS[i]).collect();
    for common in [&ENGLISH, &CHINESE] {
        if found.iter().all(|lexicon| lexicon.code != common.code) {
            found.push(common);
        }
    }
    found
}

/// The lexicons of a clause: its own where it has words enough to tell, or else those of the document. The same
/// sentence is read in the same way, whatever document it stands in.
pub(super) fn of_clause(text: &str, document: &[&'static Lexicon]) -> Vec<&'static Lexicon> {
    let (counts, _) = count(text);
    if counts.iter().max().is_some_and(|most| *most >= ENOUGH_WORDS) { detect(text) } else { document.to_vec() }
}

/// Frequent words from which a clause tells its language.
const ENOUGH_WORDS: usize = 2;

/// How many words of each language a text has, and whether it is Chinese by its characters.
fn count(text: &str) -> ([usize; LEXICONS.len()], bool) {
    let mut counts = [0_usize; LEXICONS.len()];
    let mut letters = 0;
    for word in text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).take(20_000) {
        if word.starts_with(is_han) {
            counts[CHINESE_AT] += word.chars().count();
            continue;
        }
        letters += 1;
        let lower = word.to_lowercase();
        for (count, lexicon) in counts.iter_mut().zip(LEXICONS) {
            *count += usize::from(lexicon.frequent.contains(&lower.as_str()));
        }
    }
    let is_chinese = counts[CHINESE_AT] > letters;
    (counts, is_chinese)
}

/// Place of Chinese, which is recognised by its characters.
const CHINESE_AT: usize = 1;
/// A language is looked for from this fraction of the words of the main one, for contracts in two languages.
const SECOND_LANGUAGE: usize = 3;

/// True for a Chinese character.
pub(super) fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' | '〇')
}

/// True for a character of a script that is written without blanks between words.
pub(super) fn is_unspaced(c: char) -> bool {
    is_han(c)
        || matches!(c, '\u{3040}'..='\u{30ff}' | '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages() {
        for (text, code) in [
            ("The parties agree that this is the law of the land", "en"),
            ("Die Parteien vereinbaren, dass der Vertrag und die Anlage gelten", "de"),
            ("Les parties conviennent que le contrat est soumis à la loi", "fr"),
            ("Las partes acuerdan que el contrato se rige por la ley", "es"),
            ("甲方应当支付 Party A 货款", "zh"),
            ("", "en"),
        ] {
            assert_eq!(detect(text).first().map_or("", |l| l.code), code, "{text}");
        }
    }
}
