//! Two contracts compared clause by clause, in any of five languages, without a model
//!
//! ```text
//! let (old, new) = (Contract::read(old_text), Contract::read(new_text));
//! for pair in compare(&old, &new, None).pairs { … }        // relation, clauses of both sides, typed changes
//! for piece in redline(old_clause, new_clause) { … }       // what was deleted and inserted
//! ```
//!
//! From the text to the result, each step in its file:
//!
//! - `markup` and `plain`: what a reader sees, with a way back to the bytes of the input.
//! - `markers` and `outline`: numbers at line starts, believed only in sequence, and the tree that they make.
//! - `clauses`, `definitions` and `parts`: which items are clauses, and how their parts are cited.
//! - `references`: citations of other clauses, resolved, so that renumbering alone is no change.
//! - `tokens` and `values`: terms, rates, amounts, dates, duties and parties in a normal form.
//! - `sequence`: a clause as words and masked values, so that a changed number never parts two clauses.
//! - `similarity`, `assignment` and `alignment`: who belongs to whom; splits, merges and moves.
//! - `parties` and `differences`: the typed changes of a pair. `redline`: the words.
//!
//! The words of each language are tables in `lexicon`. Adding a language is adding a file there and a row.
//!
//! Cells of tables are compared as text. Pictures are not compared; and no verdict here is legal advice.

mod alignment;
mod assignment;
mod clauses;
mod comparison;
mod contents;
mod contract;
mod definitions;
mod differences;
mod headings;
mod lexicon;
mod markers;
mod markup;
mod numerals;
mod outline;
mod parties;
mod parts;
mod plain;
mod redline;
mod references;
mod render;
mod sequence;
mod similarity;
mod tokens;
mod values;

#[cfg(test)]
mod tests;

pub use comparison::{AskedPair, ClauseComparer, ClausePair, ContractComparison, Relation, compare};
pub use contract::{Clause, ClausePart, Contract, Reference};
pub use differences::{Change, ValueSpan};
pub use redline::{PieceKind, RedlinePiece, redline};
pub use render::{
    CloseClause, ClosestClauses, ComparedContracts, ComparedWithLibrary, ComparisonFormat, DifferenceClass,
    GivenContract,
};
pub use similarity::ClauseVectors;
pub use values::{ChangeKind, ValueVerdict};

use outline::Node;
use plain::Plain;

/// Clauses of a contract that a server or a tool compares: the time to find partners grows with their square.
pub const MOST_CLAUSES: usize = 2000;

impl Contract {
    /// Divides plain text or Markdown into clauses. Any text gives a contract, an empty one a contract without clauses.
    pub fn read(text: &str) -> Contract {
        let plain = Plain::read(text);
        let lexicons = lexicon::detect(&plain.text);
        let language = lexicons.first().map_or(lexicon::ENGLISH.code, |main| main.code);
        let nodes: Vec<Node> = outline::read(&plain, &lexicons);
        let mut found = clauses::read(&plain, &nodes, &lexicons);
        references::resolve(&plain, &mut found, &lexicons);
        for clause in &mut found {
            let raw = plain.raw(clause.plain.clone());
            (clause.start, clause.end) = (raw.start, raw.end);
            for part in &mut clause.parts {
                let raw = plain.raw(part.plain.clone());
                (part.start, part.end) = (raw.start, raw.end);
            }
            for reference in &mut clause.references {
                let raw = plain.raw(reference.plain.clone());
                (reference.start, reference.end) = (raw.start, raw.end);
            }
        }
        Contract { text: text.to_owned(), language, clauses: found, plain, lexicons }
    }
}
