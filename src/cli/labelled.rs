//! Flags of labelled samples.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use glob::Pattern;

use super::TableFlags;
use crate::intake::labelled::{LabelledOptions, Unlabelled};
use crate::stream::SampleSpec;

/// Labelled samples.
#[derive(Debug, Args)]
#[command(next_help_heading = "Samples", next_display_order = 1)]
pub struct SampleFlags {
    /// Labelled samples: JSON Lines, CSV, TSV, JSON arrays or XLSX with `text` (or `path`) and `label`; records of `mailsort classify`; a
    /// folder whose sub-folders are named as labels; a maildir tree; `-` for stdin
    #[arg(value_name = "SAMPLES", display_order = 0, value_hint = ValueHint::AnyPath)]
    pub samples: Vec<PathBuf>,

    /// A maildir tree whose folders are labels, whatever it looks like; may be given several times
    #[arg(long = "maildir", value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub maildirs: Vec<PathBuf>,

    /// Leave out folders of this name or path and their sub-folders; a glob pattern, case-insensitive
    #[arg(long, value_name = "NAME")]
    pub exclude: Vec<Pattern>,

    /// Take the inbox of a maildir tree as a label too
    #[arg(long)]
    pub inbox: bool,

    /// Read files that rows name wherever they lie; without it only those below the folder of the samples and, for
    /// records of `mailsort classify`, below the current folder
    #[arg(long)]
    pub paths_anywhere: bool,

    /// How tables are read.
    #[command(flatten)]
    pub tables: TableFlags,

    /// The field or column that holds the label, or a list of labels
    #[arg(long, value_name = "NAME", default_value = "label")]
    pub label_field: String,

    /// The label set, where records of `mailsort classify` have several
    #[arg(long, value_name = "NAME")]
    pub set: Option<String>,

    /// Leave out records of `mailsort classify` with a lower score, unless their label was corrected
    #[arg(long, value_name = "SCORE", value_parser = super::labels::score, allow_negative_numbers = true)]
    pub min_score: Option<f32>,
}

impl SampleFlags {
    /// Where the samples are, and how they are read.
    pub fn spec(&self) -> SampleSpec {
        let options = LabelledOptions {
            fields: self.tables.fields(),
            label_field: self.label_field.clone(),
            set: self.set.clone(),
            min_score: self.min_score,
            exclude: self.exclude.clone(),
            inbox: self.inbox,
            paths_anywhere: self.paths_anywhere,
            encoding: self.tables.encoding,
            sheet: self.tables.sheet.clone(),
            unlabelled: Unlabelled::LeftOut,
        };
        SampleSpec { samples: self.samples.clone(), maildirs: self.maildirs.clone(), options }
    }
}
