//! `mailsort index`: passages of documents into one file that is searched.

mod reader;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use encoding_rs::Encoding;
use rayon::ThreadPool;
use serde::{Deserialize, Serialize};

use super::{opening, print};
use crate::classifier::{LoadedModel, TextRole};
use crate::cli::IndexCommand;
use crate::intake::{self, Options, Reading, RowFields};
use crate::knowledge::{Index, Status, Updated, VectorModel};
use crate::platform;
use crate::report::Report;
use crate::stream::{self, Stop};
pub(super) use reader::InputReader;

/// Passages that are embedded between two commits.
const BATCH: usize = 1024;
/// Longest file of records.
const LONGEST_RECORDS: u64 = 1 << 30;

/// Runs the command.
///
/// # Errors
/// When an input, the index or the model cannot be used.
pub(super) fn run(arguments: &IndexCommand) -> Result<ExitCode> {
    let IndexCommand { flags, verbosity, .. } = arguments;
    let report = Report::new(verbosity.level(), verbosity.progress);
    if flags.status || flags.verify {
        let index = Index::open(&flags.into)?;
        return if flags.status { status(&index) } else { verify(&index) };
    }
    ensure!(flags.into.exists() || !flags.inputs.is_empty(), "name files or folders to index");
    for input in &flags.inputs {
        // One that cannot be read is not remembered.
        std::fs::metadata(input).with_context(|| format!("cannot read the input {}", input.display()))?;
    }
    let labels = flags.records.as_deref().map(labels).transpose()?.unwrap_or_default();
    let pool = stream::pool(arguments.run.threads)?;
    // Before a text is read: another model is refused at once, and a run that cannot run leaves no index behind.
    let embedder = match flags.no_vectors {
        true => None,
        false => Some(embedder(arguments, &pool, &report)?),
    };
    let mut index = Index::open_to_write(&flags.into)?;
    let roots = roots(&index, arguments)?;
    index.set_roots(&roots.iter().map(|root| intake::shown(root).to_string()).collect::<Vec<_>>())?;
    let way = way(&index, arguments, &report)?;
    let reader = InputReader::new(roots, &flags.into, way.options(), way.reading.clone());
    let stop = flags.watch.then(Stop::listen).transpose()?;
    let stops = || stop.as_ref().is_some_and(Stop::is_asked);
    let mut said = HashSet::new();
    loop {
        let done = index.update(&reader, true, &stops)?;
        index.set_labels(labels.iter().map(|((path, at), label)| (path.as_str(), *at, label.as_deref())))?;
        let embedded = match &embedder {
            Some((model, loaded)) => embed(&mut index, model, flags.reembed, loaded, &pool, &stops)?,
            None => 0,
        };
        let is_whole = say(&report, &index, &reader, &done, embedded, &mut said)?;
        match &stop {
            None if is_whole => return Ok(ExitCode::SUCCESS),
            None => return Ok(ExitCode::from(1)),
            Some(stop) if stop.wait(flags.every) => return Ok(ExitCode::SUCCESS),
            Some(_) => {}
        }
    }
}

/// What is indexed: the inputs of this run and of those before.
///
/// # Errors
/// When a folder of a run before is gone, which may only be a disk that is not there.
fn roots(index: &Index, arguments: &IndexCommand) -> Result<Vec<PathBuf>> {
    let flags = &arguments.flags;
    let whole = |path: &PathBuf| platform::absolute(path).with_context(|| format!("cannot read {}", path.display()));
    let forgotten: BTreeSet<PathBuf> = flags.forget.iter().map(whole).collect::<Result<_>>()?;
    let mut roots: BTreeSet<PathBuf> = flags.inputs.iter().map(whole).collect::<Result<_>>()?;
    let known: Vec<PathBuf> = index.roots()?.iter().map(|root| intake::unshown(root)).collect();
    if let Some(other) = forgotten.iter().find(|path| !known.contains(path)) {
        let shown: Vec<String> = known.iter().map(|root| root.display().to_string()).collect();
        bail!(
            "--forget {}: it is no input of the index, whose inputs are {}; a file of a folder goes out when it is moved or \
             deleted there",
            other.display(),
            shown.join(", ")
        );
    }
    for path in known {
        if forgotten.contains(&path) {
            continue;
        }
        // A single file may be written anew, and is read when it is there again.
        let is_single =
            || anyhow::Ok(path.parent().is_some_and(Path::exists) && !index.is_folder(&intake::shown(&path))?);
        ensure!(
            path.exists() || is_single()?,
            "{} was indexed before and is not there; bring it back, or take it out with --forget {0}",
            path.display()
        );
        roots.insert(path);
    }
    if roots.is_empty() && forgotten.is_empty() {
        bail!("name files or folders to index");
    }
    Ok(roots.into_iter().collect())
}

/// How files are read, which an index remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
struct WayOfReading {
    fields: RowFields,
    sheet: Option<String>,
    encoding: Option<String>,
    reading: Reading,
}

/// The name under which an index has it.
const WAY: &str = "reading";

impl WayOfReading {
    /// What is asked for, and as before where nothing is.
    fn or(self, kept: &Self) -> Self {
        fn either<T: Clone + Default + PartialEq>(asked: T, kept: &T) -> T {
            if asked == T::default() { kept.clone() } else { asked }
        }
        let RowFields { text, subject, id, .. } = self.fields;
        let fields = RowFields {
            text: either(text, &kept.fields.text),
            subject: either(subject, &kept.fields.subject),
            id: either(id, &kept.fields.id),
            ..RowFields::default()
        };
        Self {
            fields,
            sheet: either(self.sheet, &kept.sheet),
            encoding: either(self.encoding, &kept.encoding),
            reading: either(self.reading, &kept.reading),
        }
    }

    fn options(&self) -> Options {
        Options {
            recursive: true,
            encoding: self.encoding.as_deref().and_then(|name| Encoding::for_label(name.as_bytes())),
            fields: self.fields.clone(),
            sheet: self.sheet.clone(),
            ..Options::default()
        }
    }
}

/// How files are read: as the flags say, else as in the run before.
///
/// # Errors
/// When the index cannot be read or written.
fn way(index: &Index, arguments: &IndexCommand, report: &Report) -> Result<WayOfReading> {
    let tables = &arguments.tables;
    let asked = WayOfReading {
        fields: tables.fields(),
        sheet: tables.sheet.clone(),
        encoding: tables.encoding.map(|encoding| encoding.name().to_string()),
        reading: arguments.cleaning.reading(),
    };
    let kept = index.kept(WAY)?.filter(|_| !arguments.flags.forget_flags);
    let kept: Option<WayOfReading> = kept.map(|kept| serde_json::from_slice(&kept)).transpose().context(
        "the flags by which files were read cannot be told; --forget-flags reads all of them again, by the flags of this run",
    )?;
    let way = kept.as_ref().map_or(asked.clone(), |kept| asked.or(kept));
    if kept.is_some_and(|kept| kept != way) {
        report.say("files are read in another way than before, so all are read again");
    }
    index.keep(WAY, &serde_json::to_vec(&way)?)?;
    Ok(way)
}

/// The model of the flags, or that of the index.
fn embedder(arguments: &IndexCommand, pool: &ThreadPool, report: &Report) -> Result<(VectorModel, LoadedModel)> {
    let into = &arguments.flags.into;
    let known = Index::model_at(into)?;
    let mut spec = arguments.model.spec();
    if let Some(known) = known.as_ref().filter(|_| spec.model.is_none() && spec.endpoint.urls.is_empty()) {
        spec.model = Some(known.id.clone());
    }
    let loaded = opening::open_embedder(spec, pool, report, &arguments.verbosity)?;
    let model = opening::index_model(&loaded);
    if let Some(known) = known.filter(|known| !arguments.flags.reembed && !known.is_same(&model)) {
        bail!(
            "the vectors of {} are of {}, and those of {} cannot be compared with them; give --reembed to replace them, or \
             --no-vectors to leave them alone",
            into.display(),
            known.name(),
            model.name()
        );
    }
    Ok((model, loaded))
}

/// Makes the vectors that are missing, and says how many.
///
/// # Errors
/// When the model fails or the index cannot be written.
pub(super) fn embed(
    index: &mut Index,
    model: &VectorModel,
    reembed: bool,
    loaded: &LoadedModel,
    pool: &ThreadPool,
    stops: &dyn Fn() -> bool,
) -> Result<usize> {
    let mut vectors = |texts: &[&str]| {
        let texts = texts.iter().map(|text| text.to_string()).collect();
        pool.install(|| loaded.vectors(texts, TextRole::Passage))
    };
    index.embed(model, reembed, BATCH, &mut vectors, stops)
}

/// Says what was done, and what is wrong and was not said before. False where something is not in the index.
fn say(
    report: &Report,
    index: &Index,
    reader: &InputReader,
    done: &Updated,
    embedded: usize,
    said: &mut HashSet<String>,
) -> Result<bool> {
    let Updated { unchanged, read, recognised, deleted, documents, .. } = done;
    if read + recognised + deleted + embedded > 0 {
        report.say(format_args!(
            "{read} files read, {} unchanged, {deleted} gone; {documents} documents and {embedded} vectors added",
            unchanged + recognised
        ));
    }
    let failures = index.failures()?;
    let failed = failures.iter().map(|(what, why)| format!("{what} is not indexed: {why}"));
    let traces = "another process reads the index, so bytes of what is gone stay in its log until the next run";
    let traces = done.has_traces.then(|| traces.to_string());
    for warning in reader.warnings().into_iter().chain(traces).chain(failed) {
        if said.insert(warning.clone()) {
            report.warn(warning);
        }
    }
    Ok(failures.is_empty())
}

fn status(index: &Index) -> Result<ExitCode> {
    let Status { files, documents, contents, passages, pending, bytes, model, failures } = index.status()?;
    let mut lines = vec![
        format!("inputs     {}", index.roots()?.join(", ")),
        format!("files      {files}"),
        format!("documents  {documents}, {contents} different"),
        format!("passages   {passages}, {pending} without a vector"),
        format!("model      {}", model.map_or_else(|| "none".to_string(), |model| model.name())),
        format!("size       {}", super::size(bytes)),
    ];
    lines.extend(failures.into_iter().map(|(what, why)| format!("failed     {what}: {why}")));
    print(crate::terminal::escape_lines(&(lines.join("\n") + "\n")).as_bytes())
}

fn verify(index: &Index) -> Result<ExitCode> {
    let wrong = index.verify()?;
    if wrong.is_empty() {
        return print(b"ok\n");
    }
    print(crate::terminal::escape_lines(&(wrong.join("\n") + "\n")).as_bytes())?;
    Ok(ExitCode::from(1))
}

/// A record of `classify`.
#[derive(Deserialize)]
struct Record {
    source: String,
    index: u64,
    label: Option<String>,
}

/// The labels of documents, by their files and positions.
fn labels(path: &Path) -> Result<HashMap<(String, u64), Option<String>>> {
    let context = || format!("cannot read --records {}", path.display());
    let bytes = platform::read_file_or_pipe(path, LONGEST_RECORDS).with_context(context)?;
    let mut labels = HashMap::new();
    for (at, line) in bytes.split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty()) {
        let record: Record = serde_json::from_slice(line).with_context(|| {
            format!("--records {}, line {}: no record of `mailsort classify`", path.display(), at + 1)
        })?;
        let source = platform::absolute(&intake::unshown(&record.source)).with_context(context)?;
        labels.insert((intake::shown(&source).to_string(), record.index), record.label);
    }
    Ok(labels)
}
