//! `mailsort models list`: models that have a short name, and those that are in the cache.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::super::size;
use super::print;
use crate::cli::ListForm;
use crate::engine::card::{self, Card};
use crate::engine::hub::{self, Cached, KNOWN, Known};
use crate::engine::{BUILTIN, DEEP, Deep};
use crate::terminal::escape;

/// Bytes of a parameter in f32, which a CPU computes with.
const F32: u64 = 4;

/// Runs the command.
///
/// # Errors
/// When there is no place for a cache, or the output cannot be written.
pub(super) fn run(format: ListForm) -> Result<()> {
    let cached = hub::cached()?;
    let (of_known, others): (Vec<&Cached>, Vec<&Cached>) = cached.iter().partition(|model| known(&model.id).is_some());
    match format {
        ListForm::Text => print(text(&of_known, &others).as_bytes()),
        ListForm::Json => print(&super::json(&values(&of_known, &others))?),
    }
}

fn known(id: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.repository == id)
}

fn kind(known: &Known) -> &'static str {
    if known.dims.is_some() { "embedding" } else { "reranker" }
}

fn text(of_known: &[&Cached], others: &[&Cached]) -> String {
    let columns = ["name", "on the hub", "download", "memory", "licence", "cached"].map(String::from);
    let mut rows = vec![columns];
    let inside = |name: &str, card: Result<Card>, state: &str| {
        let memory = card.ok().and_then(|card| card.memory.first().map(|&(_, bytes)| size(bytes)));
        [name, "", "", &memory.unwrap_or_default(), "", state].map(String::from)
    };
    rows.push(inside(BUILTIN, card::builtin(), "inside mailsort"));
    rows.push(inside(DEEP, card::deep(), if Deep::is_here() { "inside mailsort" } else { "left out" }));
    for known in KNOWN {
        let is_cached = of_known.iter().any(|model| model.id == known.repository);
        rows.push([
            known.name.into(),
            known.repository.into(),
            size(known.bytes()),
            size(known.layers * F32),
            known.licence().into(),
            if is_cached { "yes" } else { "no" }.into(),
        ]);
    }
    let mut out = String::new();
    let widths: Vec<usize> =
        (0..rows[0].len()).map(|at| rows.iter().map(|row| row[at].len()).max().unwrap_or(0)).collect();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out.push_str("\nmemory: of the weights in f32, in f16 or bf16 half of it; inside mailsort as 8-bit\n");
    if !others.is_empty() {
        out.push_str("\nalso in the cache:\n");
    }
    for model in others {
        out.push_str(&format!("{}  {}  {}\n", escape(&model.id), size(bytes_in(&model.path)), &model.commit[..12]));
    }
    out
}

fn values(of_known: &[&Cached], others: &[&Cached]) -> serde_json::Value {
    let states = |id: &str| -> Vec<serde_json::Value> {
        let states = of_known.iter().filter(|model| model.id == id);
        states.map(|model| json!({"revision": model.commit, "path": model.path.to_string_lossy()})).collect()
    };
    let known = KNOWN.iter().map(|known| {
        json!({
            "name": known.name,
            "id": known.repository,
            "kind": kind(known),
            "parameters": known.parameters,
            "dims": known.dims,
            "context": known.context,
            "bytes": known.bytes(),
            "memory_f32": known.layers * F32,
            "licence": known.licence(),
            "cached": states(known.repository),
        })
    });
    let others = others.iter().map(|model| {
        json!({
            "name": null,
            "id": model.id,
            "bytes": bytes_in(&model.path),
            "cached": [{"revision": model.commit, "path": model.path.to_string_lossy()}],
        })
    });
    known.chain(others).collect()
}

/// Bytes of the files in a folder of the cache, which are links, or of one file.
fn bytes_in(path: &Path) -> u64 {
    let Ok(found) = fs::metadata(path) else {
        return 0;
    };
    if found.is_file() {
        return found.len();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| fs::metadata(entry.path()).ok())
        .filter(fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}
