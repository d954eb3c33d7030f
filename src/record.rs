//! Plain data that every room shares: where a document came from, what was read, what was decided.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Where a document was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The path as given or found, `-` for standard input.
    pub source: Arc<str>,
    /// 0-based position among the documents of that source.
    pub index: u64,
    /// Byte offset of the document in the source (after decompression).
    pub offset: u64,
}

/// A document ready to be scored: headers decoded, body cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Where it came from.
    pub origin: Origin,
    /// What its headers say.
    pub envelope: Envelope,
    /// Visible text after cleaning; never empty together with the subject.
    pub body: String,
    /// Names of what is attached, in order; of an encrypted or signing part without a name its type.
    pub attachments: Vec<String>,
    /// What cleaning took out of the text.
    pub removed: Vec<Removed>,
    /// True when the document was longer than the reader's cap and its end was not read.
    pub truncated: bool,
    /// The charsets that the text may be of, where none is declared and it is in doubt: `GBK or Big5?`
    pub doubt: Option<String>,
    /// True where the subject is a question and the text its answer.
    pub answers: bool,
}

/// The decoded headers that mailsort uses, one line each without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// `Message-ID` with its angle brackets, or the `id` of a JSON row.
    pub id: Option<String>,
    /// `Subject`, RFC 2047 decoded.
    pub subject: Option<String>,
    /// `From`: display name and address of the first sender.
    pub from: Option<String>,
    /// `Date` in RFC 3339 form.
    pub date: Option<String>,
    /// `List-Id` of a mailing list.
    pub list_id: Option<String>,
    /// Of the headers that labels and rules ask for, in the order of the message.
    pub headers: Box<[Header]>,
    /// Of a row of a table: the names of its columns, and what stands there.
    pub row: Vec<(String, Value)>,
}

/// A header of a message; the same header may stand in it several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name in lower case.
    pub name: String,
    /// Its decoded value as one line.
    pub value: String,
}

/// A piece of text that the model does not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The name of the step that took it out: of a cleaning step, `html` for what a page hides, `data` for what is no
    /// language.
    pub step: &'static str,
    /// The text as it stood.
    pub text: String,
}

impl From<&str> for Document {
    /// A text without headers, as it is.
    fn from(text: &str) -> Self {
        Self {
            origin: Origin { source: Arc::from("-"), index: 0, offset: 0 },
            envelope: Envelope::default(),
            body: text.into(),
            attachments: Vec::new(),
            removed: Vec::new(),
            truncated: false,
            doubt: None,
            answers: false,
        }
    }
}

impl Document {
    /// A warning where the charset is in doubt.
    pub fn doubted(&self) -> Option<String> {
        let (Origin { source, index, .. }, charsets) = (&self.origin, self.doubt.as_ref()?);
        Some(format!(
            "{source} [{index}] may be read wrongly: its charset is in doubt ({charsets}), and no name that fits is given; \
             this warning comes once. --encoding names the charset of texts and pages"
        ))
    }

    /// Where subject and sender end in [`Document::text`].
    pub fn heads(&self) -> HeadLines {
        let line = |part: &Option<String>| part.as_ref().map_or(0, |part| part.len() + 1);
        let subject = line(&self.envelope.subject);
        HeadLines { subject, sender: subject + line(&self.envelope.from) }
    }

    /// What a model sees: subject, sender and body, a line break between them.
    pub fn text(&self) -> String {
        let headers = [&self.envelope.subject, &self.envelope.from];
        let mut text = String::with_capacity(self.body.len() + 128);
        for part in headers.into_iter().flatten() {
            text.push_str(part);
            text.push('\n');
        }
        text.push_str(&self.body);
        text
    }
}

/// Where the lines of the subject and of the sender end in what a model sees of a document: where it has none, where they
/// would begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadLines {
    /// End of the subject.
    pub subject: usize,
    /// End of the sender.
    pub sender: usize,
}

impl HeadLines {
    /// The subject in a text.
    pub fn subject(self, text: &str) -> &str {
        text.get(..self.subject).unwrap_or_default()
    }

    /// The sender in a text.
    pub fn sender(self, text: &str) -> &str {
        text.get(self.subject..self.sender).unwrap_or_default()
    }
}

/// Why a document got no verdict. It becomes the record's `error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The operating system or a decoder refused; the text says how.
    Unreadable(String),
    /// The bytes are no text: an image, an archive, a program.
    Binary,
    /// Nothing that a reader would see: no body, and subject and sender say too little.
    NoText,
    /// As [`Reason::NoText`], because the text is inside something that only its receiver can open; says what.
    Sealed(&'static str),
    /// Text, but not one piece of it is known to the model.
    NoKnownWords,
    /// A row that cannot be used; the text says why.
    BadRow(String),
    /// A parser panicked. The document is skipped, the run goes on.
    Panicked,
    /// The model gave a score that is not a number.
    NotANumber,
    /// The model failed on this text and not on others; the text says how.
    Model(String),
}

impl Reason {
    /// True where a record's `error` says that the model failed on the document, which may pass.
    pub fn may_pass(error: &str) -> bool {
        error.trim_start_matches('\'').starts_with("model failed")
    }

    /// A short fixed name, to count by.
    pub fn kind(&self) -> &'static str {
        match self {
            Reason::Unreadable(_) => "unreadable",
            Reason::Binary => "not text",
            Reason::NoText | Reason::Sealed(_) => "no text",
            Reason::NoKnownWords => "no known words",
            Reason::BadRow(_) => "bad row",
            Reason::Panicked => "parser failed",
            Reason::NotANumber => "score is not a number",
            Reason::Model(_) => "model failed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Unreadable(why) | Reason::BadRow(why) | Reason::Model(why) => write!(f, "{}: {why}", self.kind()),
            Reason::Sealed(what) => write!(f, "{}: {what}", self.kind()),
            _ => f.write_str(self.kind()),
        }
    }
}

/// A document that cannot be read or scored. It still yields one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// Where it came from.
    pub origin: Origin,
    /// What is known of its headers.
    pub envelope: Envelope,
    /// Names of what is attached, as far as they are known.
    pub attachments: Vec<String>,
    /// Why.
    pub reason: Reason,
}

/// What intake makes of one document.
pub type Intake = Result<Document, Skip>;

/// Scores of one document against one label set, or against those of its labels that were asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// Which labels: indices into the set.
    pub labels: Vec<usize>,
    /// In [0, 1]: for an embedder a share of 1 over the label set, for a reranker each by itself.
    pub probabilities: Vec<f32>,
    /// What they were made from: the cosine of an embedder, the logit of a reranker.
    pub raw: Vec<f32>,
}

/// What names of labels are compared by: their characters in one form (NFC), without those that nobody sees.
pub fn label_key(name: &str) -> Cow<'_, str> {
    if name.is_ascii() || (is_nfc(name) && !name.contains(is_invisible)) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.chars().filter(|c| !is_invisible(*c)).nfc().collect())
}

/// True for two ways to write the name of one label.
pub fn is_same_label(one: &str, other: &str) -> bool {
    one == other || label_key(one) == label_key(other)
}

/// Characters without width: joiners, marks of direction, byte order marks, soft hyphens.
pub fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}'
    )
}

/// The members of a JSON object in their order, each name once.
#[derive(Clone, Debug, PartialEq)]
pub struct InOrder<T>(pub Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for InOrder<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = InOrder<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InOrder<T>, A::Error> {
                let mut members: Vec<(String, T)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, T>()? {
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("{name:?} is given twice")));
                    }
                    members.push((name, value));
                }
                Ok(InOrder(members))
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// Decimals of every printed score. Thresholds are compared with what is printed.
pub const DECIMALS: usize = 4;

/// What has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decider {
    /// A header of the message makes the label certain.
    Header,
    /// The built-in model was sure, so that no other was asked.
    Builtin,
    /// The model `deep`.
    Deep,
}

impl Decider {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Builtin => "builtin",
            Self::Deep => "deep",
        }
    }
}

/// The labels of one set, best first, and the one that was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// The best label if its score reaches the threshold.
    pub label: Option<Arc<str>>,
    /// The best score, whether it reaches the threshold or not.
    pub score: f32,
    /// What decided, where the name of the model does not say it.
    pub by: Option<Decider>,
    /// At most top-k labels with their scores, best first.
    pub top: Vec<(Arc<str>, f32)>,
}

/// A scored document.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// One ranking a label set, in the order of the sets.
    pub rankings: Vec<Ranking>,
    /// Tokens that the model saw.
    pub tokens: usize,
    /// True when the document was longer than what the model saw.
    pub truncated: bool,
}

/// One record of output: exactly one for every document of the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Where the document came from.
    pub origin: Origin,
    /// Its headers.
    pub envelope: Envelope,
    /// The scores, or why there are none.
    pub outcome: Result<Outcome, Reason>,
}

impl Verdict {
    /// The label of the first label set; `None` where no score reaches its threshold, or the document has an error.
    pub fn label(&self) -> Option<&str> {
        self.outcome.as_ref().ok()?.rankings.first()?.label.as_deref()
    }
}
