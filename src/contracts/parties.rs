//! Who is who: names and roles of the parties of each document

use std::collections::{HashMap, HashSet};

use super::contract::Contract;
use super::lexicon::Lexicon;
use super::values::{self, Context, Value};

/// How much of the text may introduce the parties, in bytes.
const INTRODUCTION: usize = 4000;
/// Mentions from which another name is a new name for the same party, not another party.
const RENAMED: usize = 3;

/// The parties of a document.
#[derive(Debug, Clone, Default)]
pub(super) struct Parties {
    /// Names that are no word of the lexicon, in small letters.
    pub names: Vec<String>,
    /// Further names of a party.
    aliases: HashMap<String, Vec<String>>,
}

impl Parties {
    /// Reads the introduction: `Alpha Inc. ("Seller")`, `甲方（买方）`.
    pub(super) fn read(contract: &Contract) -> Parties {
        let mut end = contract.plain.text.len().min(INTRODUCTION);
        while !contract.plain.text.is_char_boundary(end) {
            end -= 1;
        }
        let text = &contract.plain.text[..end];
        let mut parties = Parties { names: quoted_names(text, &contract.lexicons), aliases: HashMap::new() };
        let names = parties.names.clone();
        let context = Context { lexicons: &contract.lexicons, references: Vec::new(), parties: &names };
        let reading = values::read(text, 0, &context);
        let found: Vec<_> = reading.facts.iter().filter_map(|f| name(&f.value).map(|name| (name, f))).collect();
        for pair in found.windows(2) {
            let [(first, a), (second, b)] = pair else { continue };
            let between = reading.tokens.get(a.tokens.end..b.tokens.start).unwrap_or_default();
            let opens = between.iter().any(|token| token.text == "(") && between.len() <= 8;
            let closes =
                reading.tokens.get(b.tokens.end..).unwrap_or_default().iter().take(3).any(|token| token.text == ")");
            if opens
                && closes
                && first != second
                && !between.iter().any(|token| matches!(token.text.as_str(), ")" | "," | ";"))
            {
                parties.join(first, second);
            }
        }
        parties
    }

    fn join(&mut self, a: &str, b: &str) {
        self.aliases.entry(a.to_owned()).or_default().push(b.to_owned());
        self.aliases.entry(b.to_owned()).or_default().push(a.to_owned());
    }

    /// All names of a party; roles only, if it has any besides "Party A".
    fn roles<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        let mut all = vec![name];
        all.extend(self.aliases.get(name).into_iter().flatten().map(String::as_str));
        if all.iter().any(|name| !is_positional(name)) {
            all.retain(|name| !is_positional(name));
        }
        all
    }
}

fn is_positional(name: &str) -> bool {
    name.strip_prefix("party ").is_some_and(|letter| letter.len() == 1)
}

fn name(value: &Value) -> Option<&str> {
    match value {
        Value::Party(name) => Some(name),
        _ => None,
    }
}

/// Names in quotes and brackets that the document defines for its parties.
fn quoted_names(text: &str, lexicons: &[&'static Lexicon]) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices("(") {
        let Some(close) = text[at..].find(')').filter(|close| *close <= 90) else { continue };
        let inner = &text[at + 1..at + close];
        let mut quotes = inner.split('"');
        let (Some(_), Some(name)) = (quotes.next(), quotes.next()) else { continue };
        let name = name.trim().to_lowercase();
        // "this Agreement" is defined in the same way.
        let before = text[..at].trim_end().rsplit([' ', '\n']).next().unwrap_or_default().trim_end_matches(['.', ',']);
        let is_company =
            ["inc", "llc", "ltd", "limited", "gmbh", "corp", "corporation", "company", "ag", "sa", "co", "公司"]
                .iter()
                .any(|word| before.to_lowercase().ends_with(word));
        let is_known = lexicons.iter().any(|lexicon| lexicon.senses.iter().any(|(word, _)| *word == name));
        if is_company && !is_known && name.len() > 1 && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Which parties of two documents are the same.
#[derive(Debug, Default)]
pub(super) struct SameParties {
    old: Parties,
    new: Parties,
    renamed: HashSet<(String, String)>,
}

impl SameParties {
    /// Compares the mentions of both documents, as names in small letters.
    pub(super) fn new(old: Parties, new: Parties, mentions: [&HashMap<String, usize>; 2]) -> SameParties {
        let [in_old, in_new] = mentions;
        let mut renamed = HashSet::new();
        let gone: Vec<_> = in_old.iter().filter(|(name, n)| **n >= RENAMED && !in_new.contains_key(*name)).collect();
        let come: Vec<_> = in_new.iter().filter(|(name, n)| **n >= RENAMED && !in_old.contains_key(*name)).collect();
        // With several new names it is open who is who.
        if let ([(a, n)], [(b, m)]) = (gone.as_slice(), come.as_slice())
            && **n <= **m * 3
            && **m <= **n * 3
        {
            renamed.insert(((*a).clone(), (*b).clone()));
        }
        SameParties { old, new, renamed }
    }

    /// The parties of the old and of the new document.
    pub(super) fn both(&self) -> (&Parties, &Parties) {
        (&self.old, &self.new)
    }

    pub(super) fn is_same(&self, old: &str, new: &str) -> bool {
        if self.renamed.contains(&(old.to_owned(), new.to_owned())) {
            return true;
        }
        let (a, b) = (self.old.roles(old), self.new.roles(new));
        let has_roles = |names: &[&str]| !names.iter().all(|name| is_positional(name));
        if has_roles(&a) && has_roles(&b) { a.iter().any(|name| b.contains(name)) } else { old == new }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_go_before_letters() {
        let old = Contract::read("甲方（买方）：A公司\n乙方（卖方）：B公司\n第一条 甲方付款。");
        let new = Contract::read("甲方（卖方）：B公司\n乙方（买方）：A公司\n第一条 乙方付款。");
        let same = SameParties { old: Parties::read(&old), new: Parties::read(&new), renamed: HashSet::new() };
        for (a, b, expected) in
            [("party a", "party b", true), ("party a", "party a", false), ("buyer", "party b", true)]
        {
            assert_eq!(same.is_same(a, b), expected, "{a} {b}");
        }
    }
}
