//! What each stage of `classify` costs, on one thread and in one process.
//!
//! `cargo bench --bench stages [FILTER]` prints the time of one pass over all mails, mails a second and bytes a second
//! of each stage's input: the committed samples, and the mixed mail of `../shared/data/mail` where it is there.
//! `benches/compare.py` measures the program itself. Machines are noisy; ratios within one run are what counts.

#![allow(clippy::print_stderr, clippy::expect_used, reason = "it talks to its user, who built it")]

use std::collections::BTreeSet;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use mail_parser::{MessageParser, PartType};
use mailsort::classifier::ZeroShot;
use mailsort::engine::{Builtin, Embedder, LabelText};
use mailsort::intake::clean::{Switches, ThreadPlace};
use mailsort::intake::mbox::Mbox;
use mailsort::intake::sniff::SourceFormat;
use mailsort::intake::{self, MAX_DOCUMENT, Options, Raw, Reading, Source, clean, html, mail};
use mailsort::labels::LabelSet;
use mailsort::record::Origin;

fn main() {
    if !given_folder().is_dir() {
        eprintln!("{} is not there: only the samples are measured", given_folder().display());
    }
    // The engine's pool is this thread, so that nothing is handed over.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global();
    pool.expect("the first pool");
    divan::Divan::from_args().sample_count(10).sample_size(1).main();
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn given_folder() -> PathBuf {
    root().join("../shared/data/mail")
}

/// The mails of some inputs, as they stand before each stage.
struct Corpus {
    mails: Vec<Vec<u8>>,
    pages: Vec<String>,
    bodies: Vec<String>,
    texts: Vec<String>,
}

static SAMPLES: LazyLock<Corpus> =
    LazyLock::new(|| Corpus::read(["inbox.mbox", "maildir", "files"].map(|name| root().join("samples").join(name))));

static MIXED: LazyLock<Corpus> = LazyLock::new(|| {
    Corpus::read(["easy_ham", "hard_ham", "spam", "newsgroups", "lists"].map(|name| given_folder().join(name)))
});

static ENGINE: LazyLock<Builtin> = LazyLock::new(|| Builtin::new().expect("the embedded model"));

impl Corpus {
    fn read<const N: usize>(inputs: [PathBuf; N]) -> Self {
        let raws: Vec<Raw> = Source::new(inputs.into_iter(), Options::default())
            .flatten()
            .filter(|raw| raw.format == SourceFormat::Mail)
            .collect();
        let mails: Vec<Vec<u8>> = raws.into_iter().map(|raw| raw.bytes).collect();
        let parsed = mails.iter().filter_map(|bytes| mail::parse(bytes, &Switches::default(), &BTreeSet::new()).ok());
        Self {
            pages: mails.iter().flat_map(|bytes| pages(bytes)).collect(),
            bodies: parsed.map(|mail| mail.body).collect(),
            texts: mails
                .iter()
                .filter_map(|bytes| Some(intake::read(raw(bytes), &Reading::default()).ok()?.text()))
                .collect(),
            mails,
        }
    }

    /// All mails as one archive.
    fn archive(&self) -> Vec<u8> {
        let from = b"From mailsort@example.org Sat Jan  1 00:00:00 2000\n".as_slice();
        self.mails.iter().flat_map(|bytes| [from, bytes, b"\n\n"]).flatten().copied().collect()
    }
}

fn raw(bytes: &[u8]) -> Raw {
    let origin = Origin { source: "bench".into(), index: 0, offset: 0 };
    Raw { origin, format: SourceFormat::Mail, bytes: bytes.to_vec(), truncated: false }
}

/// The HTML parts of a mail.
fn pages(bytes: &[u8]) -> Vec<String> {
    let message = MessageParser::default().parse(bytes);
    let parts = message.iter().flat_map(|message| &message.parts);
    parts.filter_map(|part| if let PartType::Html(page) = &part.body { Some(page.to_string()) } else { None }).collect()
}

/// The corpora that are there, by name.
fn corpora() -> Vec<&'static str> {
    if given_folder().is_dir() { vec!["samples", "mixed"] } else { vec!["samples"] }
}

fn corpus(name: &str) -> &'static Corpus {
    if name == "mixed" { &MIXED } else { &SAMPLES }
}

/// Runs `stage` over all `items`, counted as mails or pages, and their bytes.
fn each<T: AsRef<[u8]> + Sync, U>(bencher: Bencher, items: &[T], stage: impl Fn(&T) -> U + Sync) {
    let bytes: usize = items.iter().map(|item| item.as_ref().len()).sum();
    bencher.counter(ItemsCount::new(items.len())).counter(BytesCount::new(bytes)).bench(|| {
        items.iter().for_each(|item| {
            divan::black_box(stage(item));
        });
    });
}

#[divan::bench(args = corpora())]
fn mbox(bencher: Bencher, name: &str) {
    let archive = corpus(name).archive();
    let mails = corpus(name).mails.len();
    bencher.counter(ItemsCount::new(mails)).counter(BytesCount::new(archive.len())).bench(|| {
        let mut mbox = Mbox::new(BufReader::new(archive.as_slice()), MAX_DOCUMENT);
        while let Ok(Some(message)) = mbox.next_message() {
            divan::black_box(message);
        }
    });
}

#[divan::bench(args = corpora())]
fn parse(bencher: Bencher, name: &str) {
    each(bencher, &corpus(name).mails, |bytes| mail::parse(bytes, &Switches::default(), &BTreeSet::new()));
}

#[divan::bench(args = corpora())]
fn html(bencher: Bencher, name: &str) {
    each(bencher, &corpus(name).pages, |page| html::to_text(page, true));
}

#[divan::bench(args = corpora())]
fn clean(bencher: Bencher, name: &str) {
    each(bencher, &corpus(name).bodies, |body| clean::clean(body, &Switches::default(), ThreadPlace::Reply));
}

#[divan::bench(args = corpora())]
fn tokenise(bencher: Bencher, name: &str) {
    each(bencher, &corpus(name).texts, |text| ENGINE.tokens(text, ENGINE.default_max_tokens()));
}

/// Tokenises too: a model takes texts.
#[divan::bench(args = corpora())]
fn embed(bencher: Bencher, name: &str) {
    each(bencher, &corpus(name).texts, |text| ENGINE.vector(text));
}

/// Everything but splitting archives and writing records.
#[divan::bench(args = corpora())]
fn end_to_end(bencher: Bencher, name: &str) {
    let set = LabelSet::read(&root().join("labels/mail.txt"), None).expect("the sample labels");
    let label =
        |label: &mailsort::labels::Label| LabelText { name: label.words(), description: label.description.clone() };
    let labels: Vec<LabelText> = set.labels.iter().map(label).collect();
    let vectors: Vec<Vec<f32>> = ENGINE.embed_labels(&labels).into_iter().flatten().flatten().collect();
    let temperature = ENGINE.temperature(&vectors);
    let sorter = ZeroShot::new(vectors, temperature);
    each(bencher, &corpus(name).mails, |bytes| {
        let document = intake::read(raw(bytes), &Reading::default()).ok()?;
        let embedding = ENGINE.embed(&[document.text()], None, ENGINE.default_max_tokens()).ok()?.pop()??;
        Some(sorter.scores(&embedding.vector))
    });
}
