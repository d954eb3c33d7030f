//! Classifies an mbox with the library alone: `cargo run --example classify_mbox inbox.mbox labels.txt`.
#![allow(clippy::print_stdout)]

use std::{env, iter, path::PathBuf};

use mailsort::classifier::{Classifier, Spec};
use mailsort::intake::{Options, Source};
use mailsort::{labels::LabelSet, stream, terminal::escape};

fn main() -> anyhow::Result<()> {
    let paths: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [mbox, labels] = &paths[..] else { anyhow::bail!("usage: classify_mbox MBOX LABELS") };
    let classifier = Classifier::open(&Spec::new(vec![LabelSet::read(labels)?]))?;
    let messages = Source::new(iter::once(mbox.clone()), Options::default());
    stream::classify(&classifier, messages, |verdict| {
        let subject = verdict.envelope.subject.as_deref().unwrap_or_default();
        println!("{}\t{}", verdict.label().unwrap_or("-"), escape(subject));
        Ok(())
    })
}
