//! `mailsort mcp`: the tools of a language model. They read what lies in the folders of --root, and write nothing.

mod documents;
mod fitting;
mod models;
mod roots;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};

use super::search::{self, Searcher};
use super::{compare, opening};
use crate::classifier::RankingSpec;
use crate::cli::Mcp;
use crate::contracts::{ComparedContracts, ComparisonFormat, Contract, GivenContract, MOST_CLAUSES};
use crate::intake::{self, Options, Source, WholeText};
use crate::knowledge::{Filters, Index, Query};
use crate::platform;
use crate::report::Report;
use crate::serve::mcp::{
    self, ClassifyCall, CompareCall, ComparisonStyle, IsCancelled, OfferedTools, SearchCall, ShowCall, ToolAnswer,
};
use documents::{DocumentPage, Wanted};
use models::ToolModels;
use roots::Roots;

/// Largest text or contract of a call, in bytes.
const MOST_INPUT: usize = 16 << 20;
/// Labels that a record shows, and passages of an answer.
const MOST_LABELS: usize = 1000;
const MOST_PASSAGES: usize = 100;
const PASSAGES: usize = 10;
/// Passages that a reranker reads.
const RERANKED: usize = 20;

/// Runs the command.
///
/// # Errors
/// When labels, folders or the index cannot be used, or the client does not speak the protocol.
pub(super) fn run(arguments: &Mcp) -> Result<ExitCode> {
    let Mcp { flags, verbosity, .. } = arguments;
    let report = Report::new(verbosity.level(), verbosity.progress);
    let tools = Toolbox {
        roots: Roots::open(&flags.root)?,
        index: flags.index.as_deref().map(WatchedIndex::open).transpose()?.map(Mutex::new),
        models: ToolModels::new(arguments, report)?,
    };
    mcp::run(tools)?;
    Ok(ExitCode::SUCCESS)
}

/// What the tools work with.
struct Toolbox {
    roots: Roots,
    index: Option<Mutex<WatchedIndex>>,
    models: ToolModels,
}

/// An index that is opened again where another file has taken its place.
struct WatchedIndex {
    path: PathBuf,
    /// What tells the file from another one of its name.
    file: Option<(u64, u64)>,
    index: Option<Index>,
}

impl WatchedIndex {
    /// # Errors
    /// When there is none, or it is not ours.
    fn open(path: &Path) -> Result<Self> {
        let mut watched = Self { path: std::path::absolute(path)?, file: None, index: None };
        watched.now()?;
        Ok(watched)
    }

    /// The index as it is now.
    ///
    /// # Errors
    /// When it cannot be opened any more.
    fn now(&mut self) -> Result<&Index> {
        let file = platform::file_number_at(&self.path);
        if self.file != file || file.is_none() {
            // Closed before the other is opened, or the log of the one would be read as that of the other.
            self.index = None;
        }
        let index = match self.index.take() {
            Some(index) => index,
            None => Index::open(&self.path)?,
        };
        self.file = file;
        Ok(self.index.insert(index))
    }
}

impl OfferedTools for Toolbox {
    fn labels(&self) -> Vec<String> {
        self.models.labels()
    }

    fn has_index(&self) -> bool {
        self.index.is_some()
    }

    fn classify(&self, call: ClassifyCall, is_cancelled: &IsCancelled<'_>) -> Result<ToolAnswer> {
        let top_k = call.top_k.unwrap_or(RankingSpec::default().top_k);
        ensure!((1..=MOST_LABELS).contains(&top_k), "`top_k` is 1 to {MOST_LABELS}");
        let sets = call.label_sets()?;
        let wanted = Wanted { text: call.text, path: call.path, offset: call.offset };
        let page = DocumentPage::read(wanted, &self.roots, is_cancelled)?;
        let classifier = self.models.classifier(sets, top_k)?;
        let lines = self.models.classified(&classifier, page.documents, is_cancelled)?;
        fitting::records(lines, &page.rest)
    }

    fn show(&self, call: ShowCall, is_cancelled: &IsCancelled<'_>) -> Result<ToolAnswer> {
        let wanted = Wanted { text: call.text, path: call.path, offset: call.offset };
        let page = DocumentPage::read(wanted, &self.roots, is_cancelled)?;
        let lines = self.models.shown(page.documents, is_cancelled)?;
        fitting::records(lines, &page.rest)
    }

    fn search(&self, call: SearchCall) -> Result<ToolAnswer> {
        let Some(index) = &self.index else { bail!("there is no index; start the server with `--index FILE`") };
        let query = self.query(&call)?;
        let instruct = call.instruct.as_deref().map(str::trim).filter(|instruct| !instruct.is_empty());
        let instruct = instruct.or_else(|| self.models.instruct());
        ensure!(instruct.is_none_or(|instruct| !instruct.contains(['\n', '\r'])), "`instruct` is one line");
        let mut index = index.lock().unwrap_or_else(PoisonError::into_inner);
        let index = index.now()?;
        let embedder = self.models.embedder_of(index, query.mode)?;
        let reranker = self.models.reranker();
        let _turn = self.models.turn();
        let searcher = Searcher {
            index,
            embedder: embedder.as_deref(),
            reranker: reranker.as_ref().map(|made| made.as_deref().map_err(|error| format!("{error:#}"))),
            instruct,
            rerank_top: RERANKED,
            pool: self.models.pool(),
            report: self.models.report(),
        };
        let answer = searcher.answer(&query)?;
        // Another process may have made new vectors while the model was loaded.
        if let Some(embedder) = &embedder {
            let known = index.model()?;
            ensure!(
                known.is_some_and(|known| known.is_same(&opening::index_model(embedder))),
                "the index was given vectors of another model meanwhile; ask again"
            );
        }
        fitting::found(&search::line(&query, &answer)?)
    }

    fn compare(&self, call: CompareCall, is_cancelled: &IsCancelled<'_>) -> Result<ToolAnswer> {
        let CompareCall { old, old_path, new, new_path, template, format } = call;
        let (old_name, old) = self.contract(["old", "old_path"], old, old_path)?;
        let (new_name, new) = self.contract(["new", "new_path"], new, new_path)?;
        let (first, second) = (Contract::read(&old.text), Contract::read(&new.text));
        let clauses = first.clauses.len().max(second.clauses.len());
        ensure!(
            clauses <= MOST_CLAUSES,
            "a contract has {clauses} clauses, more than {MOST_CLAUSES}; `mailsort compare` takes it"
        );
        let model = self.models.embedder()?;
        let vectors = |contract: &Contract| {
            ensure!(!is_cancelled(), "the call was cancelled");
            let _turn = self.models.turn();
            compare::vectors(contract, &model, self.models.pool())
        };
        let (olds, news) = (vectors(&first)?, vectors(&second)?);
        let old = GivenContract { name: &old_name, contract: &first, left_out: &old.left_out };
        let new = GivenContract { name: &new_name, contract: &second, left_out: &new.left_out };
        let compared = ComparedContracts::new(old, new, Some((&olds, &news)), model.id()).of_template(template);
        let written = |format| anyhow::Ok(String::from_utf8_lossy(&compared.write(format)?).into_owned());
        match format {
            ComparisonStyle::Json => fitting::comparison(&written(ComparisonFormat::Json)?),
            ComparisonStyle::Text => Ok(fitting::lines(written(ComparisonFormat::Text)?)),
            ComparisonStyle::Markdown => Ok(fitting::lines(written(ComparisonFormat::Markdown)?)),
        }
    }
}

impl Toolbox {
    /// # Errors
    /// When a parameter makes no sense.
    fn query(&self, call: &SearchCall) -> Result<Query> {
        ensure!(!call.query.trim().is_empty(), "`query` is empty; say what to look for");
        let top = call.top.unwrap_or(PASSAGES);
        ensure!((1..=MOST_PASSAGES).contains(&top), "`top` is 1 to {MOST_PASSAGES}");
        let day = |name: &str, day: &Option<String>| {
            let Some(day) = day else { return Ok(None) };
            intake::mail::day(day).map(Some).with_context(|| format!("`{name}`: {day:?} is no day such as 2024-06-17"))
        };
        let filters = Filters {
            from: call.from.clone(),
            since: day("since", &call.since)?,
            until: day("until", &call.until)?,
            path: call.path.as_deref().map(|path| self.roots.in_full(path)).transpose()?,
            label: call.label.clone(),
            kind: call.kind,
        };
        Ok(Query { text: call.query.clone(), mode: call.mode, top, filters, every_passage: false })
    }

    /// A contract as one text, and its name. `names` are the parameters of its text and of its path.
    fn contract(&self, names: [&str; 2], text: Option<String>, path: Option<String>) -> Result<(String, WholeText)> {
        let [of_text, of_path] = names;
        match (text, path) {
            (Some(text), None) => {
                documents::check_size(of_text, text.len() as u64)?;
                ensure!(!text.trim().is_empty(), "`{of_text}`: there is no text in it");
                Ok((of_text.into(), WholeText { text, left_out: Vec::new() }))
            }
            (None, Some(path)) => {
                let real = self.roots.resolve(of_path, &path)?;
                ensure!(real.is_file(), "`{of_path}`: {path} is a folder; name the file of a contract");
                documents::check_size(of_path, real.metadata().map_or(0, |about| about.len()))?;
                let name = real.to_string_lossy().into_owned();
                Ok((name, whole(&real).with_context(|| format!("`{of_path}`: cannot compare {path}"))?))
            }
            _ => bail!("give either `{of_text}` or `{of_path}`"),
        }
    }
}

fn whole(path: &Path) -> Result<WholeText> {
    intake::whole(Source::new(std::iter::once(path.to_path_buf()), Options::default()))
}
