//! `mailsort search`: passages of an index that answer a question.

mod answers;
mod bench;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use rayon::ThreadPool;
use serde::Deserialize;

use super::{opening, print};
use crate::classifier::{LoadedModel, ModelSpec, TextPair, TextRole};
use crate::cli::{Search, SearchFormat};
use crate::knowledge::{self, Filters, Index, Mode, Query, SearchAnswer};
use crate::platform;
use crate::report::Report;
use crate::stream;

/// Longest file of questions.
const LONGEST: u64 = 1 << 30;

/// Runs the command.
///
/// # Errors
/// When the index, the model or a file of questions cannot be used.
pub(super) fn run(arguments: &Search) -> Result<ExitCode> {
    let Search { index, question, flags, run, verbosity, .. } = arguments;
    ensure!(
        question.as_ref().is_none_or(|question| !question.trim().is_empty()),
        "the question is empty; say what to look for"
    );
    ensure!(
        flags.queries.is_none() || !matches!(flags.format, SearchFormat::Csv | SearchFormat::Html),
        "--queries writes a line of JSON for each question; leave --format out"
    );
    let report = Report::new(verbosity.level(), verbosity.progress);
    let index = Index::open(index)?;
    let pool = stream::pool(run.threads)?;
    let (embedder, reranker) = (embedder(arguments, &index, &pool, &report)?, reranker(arguments, &pool, &report)?);
    let searcher = Searcher {
        embedder: embedder.as_ref(),
        reranker: reranker.as_ref().map(|made| made.as_ref().map_err(|error| format!("{error:#}"))),
        instruct: arguments.model.instruct.as_deref(),
        rerank_top: flags.rerank_top,
        index: &index,
        pool: &pool,
        report: &report,
    };
    let query = Query {
        text: question.clone().unwrap_or_default(),
        mode: flags.mode(),
        top: flags.top,
        filters: Filters {
            from: flags.from.clone(),
            since: flags.since,
            until: flags.until,
            path: flags.path.as_deref().map(absolute).transpose()?,
            label: flags.label.clone(),
            kind: flags.kind,
        },
        every_passage: flags.every_passage,
    };
    if let Some(path) = &flags.bench {
        return bench::run(&searcher, &query, &questions(path)?);
    }
    if let Some(path) = &flags.queries {
        for Asked { question, .. } in questions(path)? {
            let query = Query { text: question, ..query.clone() };
            print(answers::jsonl(&query, &searcher.answer(&query)?, flags.explain)?.as_bytes())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let answer = searcher.answer(&query)?;
    let shown = match flags.format {
        SearchFormat::Text => answers::text(&query, &answer, flags.explain),
        SearchFormat::Jsonl => answers::jsonl(&query, &answer, flags.explain)?,
        SearchFormat::Csv => answers::csv(&answer)?,
        SearchFormat::Html => answers::html(&query, &answer),
    };
    print(shown.as_bytes())
}

/// Paths stand in the index in full.
fn absolute(path: &str) -> Result<String> {
    let whole = platform::absolute(Path::new(path)).with_context(|| format!("--path {path}"))?;
    Ok(crate::intake::shown(&whole).to_string())
}

/// A question of a file.
#[derive(Deserialize)]
struct Asked {
    question: String,
    /// Ids of what answers it.
    #[serde(default)]
    answers: Vec<serde_json::Value>,
}

/// # Errors
/// When the file cannot be read, or a line is no question.
fn questions(path: &std::path::Path) -> Result<Vec<Asked>> {
    let shown = path.display();
    let bytes = platform::read_file_or_pipe(path, LONGEST).with_context(|| format!("cannot read {shown}"))?;
    let lines = bytes.split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    let questions = lines.map(|(at, line)| {
        serde_json::from_slice(line)
            .with_context(|| format!("{shown}, line {}: no JSON object with a `question`", at + 1))
    });
    let questions: Vec<Asked> = questions.collect::<Result<_>>()?;
    ensure!(!questions.is_empty(), "{shown} has no question");
    Ok(questions)
}

/// The model of the index, unless keywords suffice.
fn embedder(arguments: &Search, index: &Index, pool: &ThreadPool, report: &Report) -> Result<Option<LoadedModel>> {
    let known = index.model()?.filter(|_| arguments.flags.mode() != Mode::Keyword);
    let Some(known) = known else { return Ok(None) };
    let mut spec = arguments.model.spec();
    if spec.model.is_none() && spec.endpoint.urls.is_empty() {
        spec.model = Some(known.id.clone());
    }
    let loaded = opening::open_embedder(spec, pool, report, &arguments.verbosity)?;
    let own = opening::index_model(&loaded);
    ensure!(
        known.is_same(&own),
        "the vectors of the index are of {}, and those of {} cannot be compared with them; name that model, search with \
         --keyword, or make new vectors with `mailsort index --reembed`",
        known.name(),
        own.name()
    );
    Ok(Some(loaded))
}

/// The reranker. One that cannot be had is no end of a search.
fn reranker(arguments: &Search, pool: &ThreadPool, report: &Report) -> Result<Option<Result<LoadedModel>>> {
    let Some(model) = &arguments.flags.rerank else { return Ok(None) };
    let spec = reranker_spec(model, &arguments.model.spec());
    Ok(Some(opening::open_reranker(spec, pool, report, &arguments.verbosity)))
}

/// The reranker of --rerank, a model or the address of a server, beside the model of the flags.
pub(super) fn reranker_spec(model: &str, own: &ModelSpec) -> ModelSpec {
    let mut spec = ModelSpec { offline: own.offline, device: own.device, dtype: own.dtype, ..ModelSpec::default() };
    if model.starts_with("http://") || model.starts_with("https://") {
        spec.endpoint.urls = vec![model.to_string()];
    } else {
        spec.model = Some(model.to_string());
    }
    spec
}

/// The object of an answer, as `--format jsonl` writes it.
///
/// # Errors
/// When it cannot be written.
pub(super) fn line(query: &Query, answer: &SearchAnswer) -> Result<String> {
    answers::jsonl(query, answer, false)
}

/// An index with its models.
pub(super) struct Searcher<'r> {
    pub(super) index: &'r Index,
    pub(super) embedder: Option<&'r LoadedModel>,
    /// The reranker, or why it cannot be had.
    pub(super) reranker: Option<Result<&'r LoadedModel, String>>,
    pub(super) instruct: Option<&'r str>,
    pub(super) rerank_top: usize,
    pub(super) pool: &'r ThreadPool,
    pub(super) report: &'r Report,
}

impl Searcher<'_> {
    /// # Errors
    /// When the index cannot be read, or the model of the questions fails.
    pub(super) fn answer(&self, query: &Query) -> Result<SearchAnswer> {
        let vector = match &self.embedder {
            Some(embedder) => {
                let role = TextRole::Query(self.instruct);
                self.pool.install(|| embedder.vectors(vec![query.text.clone()], role))?.into_iter().next().flatten()
            }
            None => None,
        };
        let mut probabilities = |texts: &[&str]| match &self.reranker {
            Some(Ok(model)) => self.relevance(model, &query.text, texts),
            Some(Err(error)) => Err(anyhow::anyhow!("{error}")),
            None => Ok(Vec::new()),
        };
        let rerank: Option<knowledge::Rerank<'_>> = match self.reranker {
            Some(_) => Some((self.rerank_top, &mut probabilities)),
            None => None,
        };
        if vector.is_none() && query.mode == Mode::Semantic && self.embedder.is_some() {
            self.report.warn(format_args!("the model knows no word of {:?}; --keyword may find something", query.text));
            return Ok(SearchAnswer { answered: true, ..SearchAnswer::default() });
        }
        let mut asked = query.clone();
        // A question without a known word is one for keywords.
        if vector.is_none() && asked.mode == Mode::Hybrid {
            asked.mode = Mode::Keyword;
        }
        let answer = knowledge::search(self.index, &asked, vector.as_deref(), rerank)?;
        if let Some(error) = &answer.rerank_error {
            self.report.warn(format_args!("the passages are not reranked: {error}"));
        }
        Ok(answer)
    }

    fn relevance(&self, model: &LoadedModel, question: &str, texts: &[&str]) -> Result<Vec<f32>> {
        let pairs: Vec<TextPair> =
            texts.iter().map(|document| TextPair { instruct: self.instruct, query: question, document }).collect();
        let made = self.pool.install(|| model.compare(&pairs))?;
        made.into_iter().map(|made| made.map(|made| made.value).map_err(|reason| anyhow::anyhow!("{reason}"))).collect()
    }
}
