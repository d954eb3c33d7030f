//! Classifies an mbox with the library alone: `cargo run --example classify_mbox inbox.mbox labels.txt`.
use std::io::{self, Write};
use std::{env, iter, path::Path, path::PathBuf};

use mailsort::classifier::{Classifier, Spec};
use mailsort::intake::{Options, Source};
use mailsort::{labels::LabelSet, stream, terminal::escape};

fn main() -> anyhow::Result<()> {
    let paths: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [mbox, labels] = &paths[..] else { anyhow::bail!("usage: classify_mbox MBOX LABELS") };
    classify(mbox, labels, &mut io::stdout().lock())
}

pub(crate) fn classify(mbox: &Path, labels: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let classifier = Classifier::open(&Spec::new(vec![LabelSet::read(labels, None)?]))?;
    let messages = Source::new(iter::once(mbox.to_path_buf()), Options::default());
    stream::classify(&classifier, messages, |verdict| {
        let subject = verdict.envelope.subject.as_deref().unwrap_or_default();
        Ok(writeln!(out, "{}\t{}", verdict.label().unwrap_or("-"), escape(subject))?)
    })
}
