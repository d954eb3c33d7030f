//! Flags of input and cleaning.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use encoding_rs::Encoding;

use super::values::encoding;
use crate::intake::clean::Switches;
use crate::intake::{MIN_TEXT, Reading, RowFields, sniff};
use crate::stream::InputSpec;

/// Inputs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input", next_display_order = 1)]
pub struct InputFlags {
    /// What to read; `-` for stdin
    ///
    /// Mailboxes (mbox), maildirs, folders, messages, HTML, text, PDF, DOCX, JSON Lines, tables (CSV, TSV, JSON arrays,
    /// XLSX), and gzip of these.
    #[arg(value_name = "INPUT", display_order = 0, required_unless_present = "files_from", value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,

    /// Read the names of inputs from FILE, one a line; `-` for stdin
    #[arg(long, value_name = "FILE", conflicts_with = "inputs", value_hint = ValueHint::FilePath)]
    pub files_from: Option<PathBuf>,

    /// Names in --files-from end with a NUL byte, as from `find -print0`
    #[arg(short = '0', long, requires = "files_from", hide_short_help = true)]
    pub null: bool,

    /// Read every file as this kind instead of telling it from name and bytes
    #[arg(long, value_enum, value_name = "KIND", hide_short_help = true)]
    pub input_format: Option<InputFormat>,

    /// Read the sub-folders of a maildir too; those of other folders are read anyway
    #[arg(long, hide_short_help = true)]
    pub recursive: bool,

    /// How tables are read.
    #[command(flatten)]
    pub tables: TableFlags,
}

/// Which columns of a table are read, and in which charset.
#[derive(Debug, Args)]
pub struct TableFlags {
    /// The column or field that holds the text of a row; several are joined [default: text, body, message or content]
    #[arg(long, value_name = "NAME")]
    pub text_field: Vec<String>,

    /// The column or field that holds the subject; several are joined [default: subject or title]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub subject_field: Vec<String>,

    /// The column or field that holds the id; several are joined [default: id]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub id_field: Vec<String>,

    /// The sheet of a workbook [default: all that are visible]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub sheet: Option<String>,

    /// The charset of label files, tables, rows, texts and pages, such as `gbk`, instead of telling it from their bytes
    ///
    /// A label file, text or page in UTF-8 is one all the same. Messages say their charsets themselves.
    #[arg(long, value_name = "CHARSET", hide_short_help = true, value_parser = encoding)]
    pub encoding: Option<&'static Encoding>,
}

impl TableFlags {
    /// The columns.
    pub fn fields(&self) -> RowFields {
        let (text, subject, id) = (self.text_field.clone(), self.subject_field.clone(), self.id_field.clone());
        RowFields { text, subject, id, ..RowFields::default() }
    }
}

impl InputFlags {
    /// What is read.
    pub fn spec(&self) -> InputSpec {
        InputSpec {
            inputs: self.inputs.clone(),
            files_from: self.files_from.clone(),
            null: self.null,
            format: self.input_format.map(Into::into),
            recursive: self.recursive,
            encoding: self.tables.encoding,
            fields: self.tables.fields(),
            sheet: self.tables.sheet.clone(),
        }
    }
}

/// Kinds of input that can be forced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InputFormat {
    /// A mailbox: messages behind `From ` lines
    Mbox,
    /// One message (RFC 5322)
    Eml,
    /// One HTML page
    Html,
    /// One plain text
    Text,
    /// One JSON object with a `text` field a line
    Jsonl,
    /// One PDF
    Pdf,
    /// One DOCX document
    Docx,
    /// A table of text: CSV, TSV, or with semicolons or bars between the cells
    Csv,
    /// A JSON array of objects
    Json,
    /// A workbook of Excel
    Xlsx,
}

impl From<InputFormat> for sniff::SourceFormat {
    fn from(format: InputFormat) -> Self {
        match format {
            InputFormat::Mbox => Self::Mbox,
            InputFormat::Eml => Self::Mail,
            InputFormat::Html => Self::Html,
            InputFormat::Text => Self::Text,
            InputFormat::Jsonl => Self::Jsonl,
            InputFormat::Pdf => Self::Pdf,
            InputFormat::Docx => Self::Docx,
            InputFormat::Csv => Self::Delimited,
            InputFormat::Json => Self::Json,
            InputFormat::Xlsx => Self::Workbook,
        }
    }
}

/// Cleaning switches.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cleaning")]
pub struct Cleaning {
    /// Use the text as it is
    ///
    /// The same as all the --keep flags, but HTML is still rendered.
    #[arg(long)]
    pub no_clean: bool,

    /// Keep the markup of HTML and what it hides
    #[arg(long, hide_short_help = true)]
    pub keep_html: bool,

    /// Keep quoted replies
    #[arg(long, hide_short_help = true)]
    pub keep_quotes: bool,

    /// Keep the header lines of forwarded mail
    #[arg(long, hide_short_help = true)]
    pub keep_forwards: bool,

    /// Keep signatures
    #[arg(long, hide_short_help = true)]
    pub keep_signatures: bool,

    /// Keep legal notices
    #[arg(long, hide_short_help = true)]
    pub keep_disclaimers: bool,

    /// Keep footers of mailing lists and newsletters
    #[arg(long, hide_short_help = true)]
    pub keep_footers: bool,

    /// Keep long links whole
    #[arg(long, hide_short_help = true)]
    pub keep_links: bool,

    /// Classify a message without text by subject and sender if these hold N letters and digits
    ///
    /// That is a message whose body is a picture, or encrypted. With fewer letters and digits it gets the error `no
    /// text`.
    #[arg(long, hide_short_help = true, value_name = "N", default_value_t = MIN_TEXT, allow_negative_numbers = true)]
    pub min_text: usize,
}

impl Cleaning {
    /// How documents are read.
    pub fn reading(&self) -> Reading {
        Reading { switches: self.switches(), min_text: self.min_text, ..Reading::default() }
    }

    fn switches(&self) -> Switches {
        let on = |keep: bool| !(keep || self.no_clean);
        Switches {
            quotes: on(self.keep_quotes),
            forwards: on(self.keep_forwards),
            signatures: on(self.keep_signatures),
            disclaimers: on(self.keep_disclaimers),
            footers: on(self.keep_footers),
            links: on(self.keep_links),
            html: !self.keep_html,
        }
    }
}
