//! `mailsort cache`: shows or shrinks a cache.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Serialize;

use super::size;
use crate::classifier::cache::{Cache, ModelStats, Pruned, Stats};
use crate::cli::{CacheAction, CacheCommand as Arguments, CacheFormat, CacheLimits};
use crate::output::Sink;
use crate::report::{Level, Progress, Report};
use crate::terminal::escape;

/// Runs the command.
///
/// # Errors
/// When there is no such cache, or it cannot be read or written.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.action {
        CacheAction::Stats(asked) => {
            let stats = Cache::open_existing(&asked.file)?.stats()?;
            let mut out = Sink::standard_output();
            let text = match asked.format {
                CacheFormat::Text => text(&asked.file, &stats),
                CacheFormat::Json => json(&asked.file, &stats)?,
            };
            out.write_all(text.as_bytes()).context("cannot write the output")?;
            out.finish().context("cannot write the output")?;
        }
        CacheAction::Clear(asked) => {
            let removed = Cache::open_existing(&asked.file)?.clear(asked.model.as_deref())?;
            say(asked.quiet, removed);
        }
        CacheAction::Prune(asked) => {
            let CacheLimits { older_than, max_size } = asked.limits;
            let removed = Cache::open_existing(&asked.file)?.prune(older_than, max_size)?;
            say(asked.quiet, removed);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn say(quiet: bool, removed: Pruned) {
    let report = Report::new(if quiet { Level::Quiet } else { Level::Normal }, Progress::Never);
    let Pruned { scores, vectors, bytes } = removed;
    let (scores, vectors) = (counted(scores, "score"), counted(vectors, "vector"));
    report.say(format_args!("removed {scores} and {vectors}; the cache has {} now", size(bytes)));
}

/// The JSON output.
fn json(file: &Path, stats: &Stats) -> Result<String> {
    #[derive(Serialize)]
    struct Line<'a> {
        file: &'a str,
        #[serde(flatten)]
        stats: &'a Stats,
    }
    let file = &*file.to_string_lossy();
    Ok(serde_json::to_string(&Line { file, stats })? + "\n")
}

/// The text output. Names of models come from the file, so they are escaped.
fn text(file: &Path, stats: &Stats) -> String {
    let Stats { bytes, scores, vectors, oldest_use, newest_use, models } = stats;
    let mut text = format!("{}: {}, ", escape(&file.to_string_lossy()), size(*bytes));
    let _ = writeln!(text, "{} and {}", counted(*scores, "score"), counted(*vectors, "vector"));
    if let (Some(oldest), Some(newest)) = (oldest_use, newest_use) {
        let _ = writeln!(text, "used last from {} to {}", day(oldest), day(newest));
    }
    for ModelStats { model, revision, dtype, scores, vectors, oldest_use, newest_use } in models {
        let _ = writeln!(text, "\n{}", escape(model));
        let used = [oldest_use, newest_use].map(|time| time.as_deref().map_or("", day));
        let lines = [
            ("revision", escape(revision)),
            ("dtype", escape(dtype)),
            ("scores", scores.to_string()),
            ("vectors", vectors.to_string()),
            ("used", format!("{} to {}", used[0], used[1])),
        ];
        for (name, value) in lines {
            let _ = writeln!(text, "  {name:<8}  {value}");
        }
    }
    text
}

/// The date of an RFC 3339 time.
fn day(time: &str) -> &str {
    time.split('T').next().unwrap_or(time)
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_the_file_do_nothing_to_a_terminal() {
        let name = |name: &str| format!("\u{1b}[2J{name}\n");
        let used = Some("2026-01-02T03:04:05Z".to_string());
        let model = ModelStats {
            model: name("model"),
            revision: name("revision"),
            dtype: name("dtype"),
            scores: 1,
            vectors: 0,
            oldest_use: used.clone(),
            newest_use: used.clone(),
        };
        let whole =
            Stats { bytes: 5, scores: 1, vectors: 0, oldest_use: used.clone(), newest_use: used, models: vec![model] };
        let text = text(Path::new("a\u{7}b"), &whole);
        assert!(!text.contains(['\u{1b}', '\u{7}']) && text.lines().count() == 9, "{text}");
        assert!(text.contains("used last from 2026-01-02 to 2026-01-02"), "{text}");
    }
}
