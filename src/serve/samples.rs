//! A random sample of records for a person to label: the sampled accuracy of a running server, which `eval --recorded`
//! reads.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::platform;
use crate::record::{Document, InOrder, Intake};

/// Which records are kept, and where.
#[derive(Clone, Debug)]
pub struct SamplingSpec {
    /// The file, to which records are appended.
    pub file: PathBuf,
    /// The share of documents, 0 to 1.
    pub rate: f64,
    /// Whether subject, sender and text are kept too.
    pub texts: bool,
}

/// Members of a record that hold words of a message.
const WORDS: [&str; 2] = ["subject", "row"];

/// An open sample.
pub(super) struct Sampling {
    spec: SamplingSpec,
    file: Mutex<File>,
    random: RandomState,
    asked: AtomicU64,
}

impl Sampling {
    /// Opens the file, which only its owner can read.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn open(spec: &SamplingSpec) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        platform::create_for_owner_only(&mut options);
        let file =
            options.open(&spec.file).with_context(|| format!("cannot write --sample-to {}", spec.file.display()))?;
        Ok(Self { spec: spec.clone(), file: Mutex::new(file), random: RandomState::new(), asked: AtomicU64::new(0) })
    }

    /// Whether the next document is one of the sample.
    pub(super) fn chooses(&self) -> bool {
        // Its keys come from the system, so that nobody who sends mail can tell.
        let number = self.random.hash_one(self.asked.fetch_add(1, Ordering::Relaxed));
        (number as f64) < self.spec.rate * 2f64.powi(64)
    }

    /// Whether texts are kept.
    pub(super) fn keeps_texts(&self) -> bool {
        self.spec.texts
    }

    /// Appends a record as JSON, with a place for the truth. `sets` are the names of several label sets.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep(&self, record: &str, sets: &[impl AsRef<str>], read: Option<&Intake>) -> io::Result<()> {
        let InOrder(members) = serde_json::from_str(record)?;
        let document = read.and_then(|read| read.as_ref().ok()).filter(|_| self.spec.texts);
        let sets = if sets.len() > 1 { sets.iter().map(AsRef::as_ref).collect() } else { Vec::new() };
        let mut line = serde_json::to_vec(&Row { members, sets, document, texts: self.spec.texts })?;
        line.push(b'\n');
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
    }
}

/// A line of the sample.
struct Row<'a> {
    members: Vec<(String, Box<RawValue>)>,
    sets: Vec<&'a str>,
    document: Option<&'a Document>,
    texts: bool,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.sets.is_empty() {
            map.serialize_entry("truth", &None::<&str>)?;
        } else {
            let unknown: std::collections::BTreeMap<&str, Option<&str>> =
                self.sets.iter().map(|set| (*set, None)).collect();
            map.serialize_entry("truth", &unknown)?;
        }
        for (name, value) in self.members.iter().filter(|(name, _)| self.texts || !WORDS.contains(&name.as_str())) {
            map.serialize_entry(name, value)?;
        }
        if let Some(document) = self.document {
            map.serialize_entry("from", &document.envelope.from)?;
            map.serialize_entry("text", &document.body)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_where_they_are_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let kept = |texts: bool, sets: &[&str]| {
            let file = folder.path().join("sample.jsonl");
            let samples = Sampling::open(&SamplingSpec { file: file.clone(), rate: 1.0, texts }).unwrap();
            let document = Ok(Document { body: "a secret".into(), ..Document::from("") });
            samples
                .keep(
                    "{\"id\":\"<a>\",\"subject\":\"Hush\",\"label\":\"x\",\"row\":{\"a\":1}}\n",
                    sets,
                    Some(&document),
                )
                .unwrap();
            let said = std::fs::read_to_string(&file).unwrap();
            std::fs::remove_file(file).unwrap();
            said
        };
        assert_eq!(kept(false, &["one"]), "{\"truth\":null,\"id\":\"<a>\",\"label\":\"x\"}\n");
        let all = "{\"truth\":{\"a\":null,\"b\":null},\"id\":\"<a>\",\"subject\":\"Hush\",\"label\":\"x\",\"row\":{\"a\":1},\"from\":null,\
                   \"text\":\"a secret\"}\n";
        assert_eq!(kept(true, &["b", "a"]), all);
    }

    #[test]
    fn the_rate_is_met() {
        let folder = tempfile::tempdir().unwrap();
        let chosen = |rate: f64| {
            let samples = Sampling::open(&SamplingSpec { file: folder.path().join("x"), rate, texts: false }).unwrap();
            (0..20_000).filter(|_| samples.chooses()).count()
        };
        assert_eq!((chosen(0.0), chosen(1.0)), (0, 20_000));
        let some = chosen(0.1);
        assert!((1_700..2_300).contains(&some), "{some}");
    }
}
