//! `mailsort models show`: describes a model.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::super::size;
use super::{embedded, find, print};
use crate::cli::{ListForm, ShowModel};
use crate::engine::DEEP;
use crate::engine::card::{self, Card};
use crate::engine::hub::{self, Located};
use crate::terminal::escape;

/// Runs the command.
///
/// # Errors
/// When the model is not here or is none, or the output cannot be written.
pub(super) fn run(arguments: &ShowModel) -> Result<()> {
    let located = find(&arguments.model, arguments.revision.as_deref())?;
    let card = match embedded(&arguments.model)? {
        Some(DEEP) => card::deep()?,
        Some(_) => card::builtin()?,
        None => card::describe(&located.path)?,
    };
    let files = files(&located.path);
    match arguments.format {
        ListForm::Text => print(text(&located, &card, &files).as_bytes()),
        ListForm::Json => print(&super::json(&value(&located, &card, &files))?),
    }
}

fn value(located: &Located, card: &Card, files: &[(String, u64)]) -> Value {
    let mut value = json!({
        "id": located.id,
        "revision": located.revision,
        "path": located.path.to_string_lossy(),
    });
    let files: Vec<Value> = files.iter().map(|(name, bytes)| json!({"name": name, "bytes": bytes})).collect();
    if let (Value::Object(whole), Value::Object(rest)) = (&mut value, card.to_json()) {
        whole.extend(rest);
        whole.insert("files".into(), files.into());
    }
    value
}

fn text(located: &Located, card: &Card, files: &[(String, u64)]) -> String {
    let mut lines: Vec<(&str, String)> = vec![("model", located.id.clone())];
    lines.extend(located.revision.clone().map(|revision| ("revision", revision)));
    lines.push(("path", located.path.display().to_string()));
    lines.push(("architecture", format!("{}, {}", card.architecture, card.kind)));
    lines.push(("parameters", format!("{}, as {}", count(card.parameters), card.dtype)));
    let shape = [("layers", card.layers), ("width", card.hidden), ("context", card.context)];
    lines.extend(shape.into_iter().filter_map(|(name, value)| Some((name, value?.to_string()))));
    lines.extend(card.dims.map(|dims| ("dims", dims.to_string())));
    lines.extend(card.yes_no.map(|(yes, no)| ("answers", format!("yes = {yes}, no = {no}"))));
    let memory: Vec<String> = card.memory.iter().map(|(name, bytes)| format!("{} as {name}", size(*bytes))).collect();
    let auto = if memory.len() > 1 { format!("; --dtype auto takes {} here", card.auto) } else { String::new() };
    lines.push(("memory", format!("{} on a CPU{auto}", memory.join(", "))));
    lines.extend(files.iter().map(|(name, bytes)| ("file", format!("{name}, {}", size(*bytes)))));
    lines.extend(card.instruct.map(|instruct| ("instruct", instruct.to_string())));
    let template = card.template.iter().flat_map(|template| template.split('\n'));
    lines.extend(template.map(|line| ("template", line.to_string())));
    lines.extend(card.problem.iter().map(|problem| ("problem", problem.clone())));
    let mut out = String::new();
    let mut before = "";
    for (name, value) in lines {
        // A name is written once over lines that share it.
        let shown = if name == before { "" } else { name };
        out.push_str(format!("{shown:13} {}", escape(&value)).trim_end());
        out.push('\n');
        before = name;
    }
    out
}

/// A parameter count such as `0.6 B`.
fn count(parameters: u64) -> String {
    match parameters {
        0..1_000_000 => parameters.to_string(),
        1_000_000..1_000_000_000 => format!("{:.1} million", parameters as f64 / 1e6),
        _ => format!("{:.2} billion", parameters as f64 / 1e9),
    }
}

/// The files of a folder with their lengths, or the one file.
fn files(path: &Path) -> Vec<(String, u64)> {
    let named = |path: &Path| {
        let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some((path.file_name()?.to_string_lossy().into_owned(), found.len()))
    };
    let mut files: Vec<_> = match fs::read_dir(path) {
        Ok(entries) => entries.flatten().filter_map(|entry| named(&entry.path())).collect(),
        Err(_) => named(path).into_iter().collect(),
    };
    files.retain(|(name, _)| hub::is_used(name));
    files.sort();
    files
}
