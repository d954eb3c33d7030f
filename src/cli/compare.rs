//! Flags of `mailsort compare`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum, ValueHint};
use encoding_rs::Encoding;

use super::values::encoding;
use super::{MOST, ModelFlags, Run, Verbosity, at_least_one};
use crate::contracts::{ComparisonFormat, DifferenceClass};

pub(super) const HELP: &str = "\
Examples:
  mailsort compare signed.docx draft.docx
  mailsort compare template.docx draft.pdf --template --fail-on numbers,modality,missing
  mailsort compare old.md new.md --output changes.html
  mailsort compare old.docx new.docx --output redline.docx
  mailsort compare draft.docx --against our-contracts/ --top 3

Relations:
  same, renumbered, reworded, changed, moved, split, merged, only-in-old, only-in-new

Formats:
  text, with [-deleted-] and {+inserted+} words; json; html, one page without scripts;
  markdown; docx with tracked changes, which Word and LibreOffice accept or reject.
  With --against: text or json.

Exit status:
  0  the contracts say the same, or nothing of --fail-on differs
  1  they differ; with --against, a clause is not in the library as it is
  2  could not run: usage, an input that is not one text, model or output";

/// `mailsort compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// The old contract or the template, and the new one; with --against only the new one: DOCX, PDF, HTML, Markdown or text
    #[arg(value_names = ["OLD", "NEW"], num_args = 1..=2, required = true, value_hint = ValueHint::FilePath)]
    pub contracts: Vec<PathBuf>,

    /// What is compared and how.
    #[command(flatten)]
    pub flags: CompareFlags,
    /// The model.
    #[command(flatten)]
    pub model: ModelFlags,
    /// Threads.
    #[command(flatten)]
    pub run: Run,
    /// What goes to stderr.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

/// What is compared and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Comparison")]
pub struct CompareFlags {
    /// For each clause of NEW name the closest ones of a library: a folder of contracts, or an index of `mailsort index`
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, conflicts_with = "template")]
    pub against: Option<PathBuf>,

    /// How many clauses of the library are named for each
    #[arg(short = 'k', long, value_name = "N", default_value = "1", requires = "against", value_parser = at_least_one(MOST), allow_negative_numbers = true)]
    pub top: usize,

    /// OLD is a template: say first what NEW lacks and what it has besides
    #[arg(long)]
    pub template: bool,

    /// Exit with 1 only for differences of these classes
    #[arg(long, value_enum, value_name = "CLASS", value_delimiter = ',')]
    pub fail_on: Vec<DifferenceClass>,

    /// The output format [default: by the ending of --output, else text]
    #[arg(short, long, value_enum)]
    pub format: Option<ComparisonFormat>,

    /// Write to FILE, which appears when it is complete, instead of stdout
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// The charset of texts and pages, such as `gbk`, instead of telling it from their bytes
    #[arg(long, value_name = "CHARSET", hide_short_help = true, value_parser = encoding)]
    pub encoding: Option<&'static Encoding>,
}

impl ValueEnum for ComparisonFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Text, Self::Json, Self::Html, Self::Markdown, Self::Docx]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::Text => ("text", "Lines for a terminal"),
            Self::Json => ("json", "One object"),
            Self::Html => ("html", "One page"),
            Self::Markdown => ("markdown", "Tables and redlines"),
            Self::Docx => ("docx", "A document with tracked changes"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}

impl ValueEnum for DifferenceClass {
    fn value_variants<'a>() -> &'a [Self] {
        use DifferenceClass::*;
        &[Numbers, Modality, Party, Terms, Missing, Extra, Moved, Wording]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::Numbers => ("numbers", "Durations, amounts, percentages, dates, numbers and their bounds"),
            Self::Modality => ("modality", "Duties, permissions, negations, exceptions, and against or"),
            Self::Party => ("party", "Parties, and parties that have changed places"),
            Self::Terms => ("terms", "Terms that mean something else in law, laws, courts, citations"),
            Self::Missing => ("missing", "Clauses that only OLD has"),
            Self::Extra => ("extra", "Clauses that only NEW has"),
            Self::Moved => ("moved", "Clauses in another place"),
            Self::Wording => ("wording", "Any other wording"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}

impl Compare {
    /// The two contracts.
    ///
    /// # Errors
    /// When there is one only.
    pub fn both(&self) -> Result<(&Path, &Path)> {
        match &self.contracts[..] {
            [old, new] => Ok((old, new)),
            _ => bail!("name two contracts, OLD and NEW, or one and --against a folder of others"),
        }
    }

    /// The contract that is held against a library.
    ///
    /// # Errors
    /// When there are two.
    pub fn only(&self) -> Result<&Path> {
        match &self.contracts[..] {
            [new] => Ok(new),
            _ => bail!("--against takes one contract; to compare two leave it out"),
        }
    }
}

impl CompareFlags {
    /// The format that is asked for, or that the output ends with.
    ///
    /// # Errors
    /// When the output ends with another format, or a DOCX would go to a terminal.
    pub fn format(&self) -> Result<ComparisonFormat> {
        let ending = self.output.as_deref().and_then(Path::extension).and_then(OsStr::to_str);
        let of_ending = ending.and_then(|ending| match ending.to_ascii_lowercase().as_str() {
            "txt" => Some(ComparisonFormat::Text),
            "json" => Some(ComparisonFormat::Json),
            "html" | "htm" => Some(ComparisonFormat::Html),
            "md" | "markdown" => Some(ComparisonFormat::Markdown),
            "docx" => Some(ComparisonFormat::Docx),
            _ => None,
        });
        if let (None, None, Some(ending)) = (self.format, of_ending, ending) {
            bail!(
                "--output ends with .{ending}, which is no format here; name FILE .txt, .json, .html, .md or .docx, or give --format"
            );
        }
        if let (Some(asked), Some(other)) = (self.format, of_ending)
            && asked != other
        {
            bail!(
                "--format and the ending of --output name different formats; leave --format out, or name FILE otherwise"
            );
        }
        Ok(self.format.or(of_ending).unwrap_or(ComparisonFormat::Text))
    }
}
