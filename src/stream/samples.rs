//! Labelled samples of all inputs, read and cleaned on every core.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, ensure};
use rayon::ThreadPool;

use super::scheduler::Scheduler;
use crate::classifier::Budget;
use crate::intake::Reading;
use crate::intake::labelled::{self, Candidate, LabelledOptions, Left, Sample, Samples, Unlabelled};
use crate::record::label_key;
use crate::report::Report;

/// How many of the samples that are left out are named without -v.
const NAMED: usize = 5;

/// Folders of most mail clients that are rarely meant as labels.
const HARDLY_LABELS: [&str; 8] =
    ["trash", "deleted items", "deleted messages", "drafts", "sent", "sent items", "sent messages", "outbox"];

/// Where labelled samples are, and how they are read.
#[derive(Clone, Debug, Default)]
pub struct SampleSpec {
    /// Files and folders of samples; `-` is standard input.
    pub samples: Vec<PathBuf>,
    /// Maildir trees whose folders are labels.
    pub maildirs: Vec<PathBuf>,
    /// Which fields, folders and records count.
    pub options: LabelledOptions,
}

impl SampleSpec {
    /// All inputs.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.samples.iter().chain(&self.maildirs)
    }
}

/// One input and its samples.
struct SampleInput {
    path: PathBuf,
    is_folder: bool,
    usable: usize,
    left: Vec<Left>,
    /// How many records have neither id nor subject.
    by_place_alone: usize,
    /// Why the first of the labelled documents that cannot be read cannot be read.
    unreadable: Option<String>,
}

/// The samples of all inputs.
pub struct Gathered {
    /// In order, with those that cannot be read.
    pub samples: Vec<Sample>,
    /// How many were left out unasked: broken rows, messages that are gone, texts without a label.
    pub left_out: usize,
}

/// Reads the samples of all inputs.
///
/// # Errors
/// When an input is missing, bears no labels, or holds no sample that can be used.
pub fn gather(spec: &SampleSpec, reading: &Reading, pool: &ThreadPool, report: &Report) -> Result<Gathered> {
    let options = Arc::new(spec.options.clone());
    let paths = spec.samples.iter().map(|path| (path, false)).chain(spec.maildirs.iter().map(|path| (path, true)));
    let mut inputs = Vec::new();
    let mut opened: Vec<Samples> = Vec::new();
    for (path, tree) in paths {
        opened.push(labelled::open(path, tree, &options)?);
        let path = path.clone();
        inputs.push(SampleInput {
            is_folder: path.is_dir(),
            path,
            usable: 0,
            left: Vec::new(),
            by_place_alone: 0,
            unreadable: None,
        });
    }
    ensure!(!inputs.is_empty(), "no samples are given: name a file or folder of labelled samples, or --maildir");
    let found = opened.into_iter().enumerate().flat_map(|(at, samples)| samples.map(move |found| (at, found)));
    let bytes = |(_, found): &(usize, Candidate)| match found {
        Candidate::Sample(sample) => sample.raw.as_ref().map_or(0, |raw| raw.weight()),
        Candidate::Left(_) => 0,
    };
    let read = |(at, found): (usize, Candidate)| match found {
        Candidate::Sample(sample) => (at, sample.read(reading)),
        Candidate::Left(left) => (at, Err(left)),
    };
    let mut samples = Vec::new();
    let never = || false;
    Scheduler::of_files(pool, Budget::FAST).run(
        found,
        bytes,
        read,
        |_| 1,
        never,
        |batch| {
            for (at, read) in batch {
                match read {
                    Ok(sample) => samples.push(inputs[at].taken(sample)),
                    Err(left) => inputs[at].left.push(left),
                }
            }
            Ok(())
        },
    )?;
    for input in &inputs {
        input.tell(&options, report)?;
    }
    warn_of_folders(&inputs, &samples, report);
    spell_alike(&mut samples);
    Ok(Gathered { samples, left_out: inputs.iter().map(|input| input.odd().count()).sum() })
}

/// Gives labels whose names look alike the spelling that comes first.
fn spell_alike(samples: &mut [Sample]) {
    let mut spelled: HashMap<String, Arc<str>> = HashMap::new();
    for labels in samples.iter_mut().map(|sample| &mut sample.labels) {
        for label in labels.iter_mut() {
            *label = spelled.entry(label_key(label).into_owned()).or_insert_with(|| label.clone()).clone();
        }
        let mut seen = HashSet::new();
        labels.retain(|label| seen.insert(label.clone()));
    }
}

impl SampleInput {
    /// Counts a sample, and drops the parts that are not used any more.
    fn taken(&mut self, mut sample: Sample) -> Sample {
        self.by_place_alone += usize::from(sample.by_place_alone);
        match &mut sample.document {
            Ok(document) => {
                self.usable += 1;
                document.removed = Vec::new();
                document.attachments = Vec::new();
            }
            Err(skip) if self.unreadable.is_none() => {
                let origin = &skip.origin;
                self.unreadable = Some(format!("{} [{}]: {}", origin.source, origin.index, skip.reason));
            }
            Err(_) => {}
        }
        sample
    }

    /// The samples that were left out unasked.
    fn odd(&self) -> impl Iterator<Item = &Left> {
        self.left.iter().filter(|left| left.why != labelled::Why::Doubtful)
    }

    /// Reports what was left out.
    ///
    /// # Errors
    /// When nothing is left of what must have labels. Of many messages some may be empty.
    fn tell(&self, options: &LabelledOptions, report: &Report) -> Result<()> {
        let needs_labels = options.unlabelled == Unlabelled::LeftOut;
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        self.left.iter().for_each(|left| *kinds.entry(left.why.kind()).or_default() += 1);
        let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let named = |left: &Left| format!("{} [{}]: {}", left.origin.source, left.origin.index, left.why);
        let path = self.path.display();
        if self.usable == 0 {
            let first = self.left.first().map(named).or(self.unreadable.clone());
            let what = if needs_labels { "labelled sample" } else { "text" };
            let why = match first {
                Some(first) if self.left.iter().all(|left| left.why == labelled::Why::NoLabel("")) => format!(
                    "{path} holds no {what} that can be used; the first: {first}, which is looked for in {:?}; name another \
                     field with --label-field",
                    options.label_field
                ),
                Some(first) => format!("{path} holds no {what} that can be used; the first: {first}"),
                None => format!("{path} holds no {what}"),
            };
            ensure!(!needs_labels, "{why}");
            report.warn(why);
            return Ok(());
        }
        if self.by_place_alone > 0 {
            report.warn(format_args!(
                "{path}: {} of its records have neither an id nor a subject, so they are known by their places alone; make \
                 sure that nobody has changed the files they are of",
                self.by_place_alone
            ));
        }
        if self.left.is_empty() {
            return Ok(());
        }
        let count = self.left.len();
        let are = if count == 1 { "is no sample" } else { "are no samples" };
        report.warn(format_args!("{path}: {count} of what it holds {are} and left out ({})", kinds.join(", ")));
        self.left.iter().for_each(|left| report.note(named(left)));
        if !report.is_verbose() {
            self.odd().take(NAMED).for_each(|left| report.say(format_args!("  {}", named(left))));
            let more = self.odd().count().saturating_sub(NAMED);
            if more > 0 {
                report.say(format_args!("  and {more} more, which -v names"));
            }
        }
        Ok(())
    }
}

/// Warns of folders such as drafts, which count as labels.
fn warn_of_folders(inputs: &[SampleInput], samples: &[Sample], report: &Report) {
    if !inputs.iter().any(|input| input.is_folder) {
        return;
    }
    let mut seen: Vec<&str> = Vec::new();
    for label in samples.iter().flat_map(|sample| &sample.labels) {
        let last = label.rsplit('/').next().unwrap_or(label).to_lowercase();
        if HARDLY_LABELS.contains(&&*last) && !seen.contains(&&**label) {
            seen.push(label);
        }
    }
    if !seen.is_empty() {
        report.warn(format_args!("{} counts as a label; --exclude NAME leaves a folder out", seen.join(", ")));
    }
}
