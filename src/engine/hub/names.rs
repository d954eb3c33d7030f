//! What a model may be called: a short name, a repository of the hub, a file in one, a folder, a GGUF file.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use crate::engine::EMBEDDED;

/// A model that has a short name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What to write after `--model`.
    pub name: &'static str,
    /// Its repository on the hub.
    pub repository: &'static str,
    /// Parameters in the files; the shapes of `config.json` multiplied out.
    pub parameters: u64,
    /// Parameters that a run copies into memory: the layers. Of the table of tokens rows are read where they lie.
    pub layers: u64,
    /// Values of a vector; `None` for a reranker.
    pub dims: Option<usize>,
    /// Tokens that a text may have.
    pub context: usize,
}

/// Bytes of a parameter in the published files, which are bf16.
const PUBLISHED: u64 = 2;

impl Known {
    /// Bytes of the weights on the hub.
    pub fn bytes(&self) -> u64 {
        self.parameters * PUBLISHED
    }

    /// The licence of all of them, as their pages on the hub state it.
    pub fn licence(&self) -> &'static str {
        "Apache-2.0"
    }
}

/// Parameters of the layers of Qwen3 0.6B, 4B and 8B, and of their tables of tokens.
const TRUNK: [u64; 3] = [440_467_456, 3_633_511_936, 6_946_075_648];
const TABLE: [u64; 3] = [151_669 * 1024, 151_669 * 2560, 151_669 * 4096];

const fn known(name: &'static str, repository: &'static str, size: usize, dims: Option<usize>) -> Known {
    // Only the 8B has a head of its own, and an embedder has none.
    let tables = if size == 2 && dims.is_none() { 2 } else { 1 };
    let layers = TRUNK[size];
    Known { name, repository, parameters: layers + tables * TABLE[size], layers, dims, context: 32_768 }
}

/// The models that have a short name.
pub const KNOWN: [Known; 6] = [
    known("qwen3-embedding-0.6b", "Qwen/Qwen3-Embedding-0.6B", 0, Some(1024)),
    known("qwen3-embedding-4b", "Qwen/Qwen3-Embedding-4B", 1, Some(2560)),
    known("qwen3-embedding-8b", "Qwen/Qwen3-Embedding-8B", 2, Some(4096)),
    known("qwen3-reranker-0.6b", "Qwen/Qwen3-Reranker-0.6B", 0, None),
    known("qwen3-reranker-4b", "Qwen/Qwen3-Reranker-4B", 1, None),
    known("qwen3-reranker-8b", "Qwen/Qwen3-Reranker-8B", 2, None),
];

/// What a model's name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A folder or file on this machine.
    Local(PathBuf),
    /// A repository of the hub, or one GGUF file of it.
    Hub { repository: String, file: Option<String> },
}

impl Named {
    /// What records print.
    pub(super) fn id(&self) -> String {
        match self {
            Self::Local(path) => path.display().to_string(),
            Self::Hub { repository, file: None } => repository.clone(),
            Self::Hub { repository, file: Some(file) } => format!("{repository}/{file}"),
        }
    }
}

/// Finds out what `model` means. What exists on this machine wins over everything else of the same name.
///
/// # Errors
/// When it is none of what a model may be called, or a file of another kind.
pub(super) fn parse(model: &str) -> Result<Named> {
    let path = Path::new(model);
    if path.is_dir() {
        return Ok(Named::Local(path.into()));
    }
    if path.exists() {
        ensure!(is_gguf(model), "{model:?} is no model: of files only GGUF is read, and else a folder is wanted");
        return Ok(Named::Local(path.into()));
    }
    if let Some(known) = KNOWN.iter().find(|known| known.name.eq_ignore_ascii_case(model)) {
        return Ok(Named::Hub { repository: known.repository.into(), file: None });
    }
    let parts: Vec<&str> = model.split('/').collect();
    match parts.as_slice() {
        [owner, name] if is_part(owner) && is_part(name) && !is_gguf(name) => {
            Ok(Named::Hub { repository: model.into(), file: None })
        }
        [owner, name, file @ ..] if is_part(owner) && is_part(name) && !file.is_empty() && is_gguf(model) => {
            let file = file.join("/");
            ensure!(is_safe(&file), "{file:?} cannot be the name of a file on the hub");
            Ok(Named::Hub { repository: format!("{owner}/{name}"), file: Some(file) })
        }
        _ => bail!("{model:?} is no model that mailsort knows, and {}", what_else(model)),
    }
}

fn what_else(model: &str) -> String {
    let names: Vec<&str> = EMBEDDED.into_iter().chain(KNOWN.iter().map(|known| known.name)).collect();
    let missing = if model.contains(['/', '\\']) || is_gguf(model) { "no such file or folder" } else { "no folder" };
    format!(
        "{missing} here; a model is one of {}, or OWNER/NAME on the hub, OWNER/NAME/FILE.gguf, a folder with config.json \
         and safetensors, or a .gguf file",
        names.join(", ")
    )
}

/// True for names of files that hold a model in GGUF.
pub(super) fn is_gguf(name: &str) -> bool {
    name.len() > 5 && name.to_ascii_lowercase().ends_with(".gguf")
}

/// True for what the hub allows as the name of an owner or a repository.
fn is_part(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let ends = |c: char| matches!(c, '-' | '.');
    !part.is_empty()
        && part.len() <= 96
        && part.chars().all(allowed)
        && !part.starts_with(ends)
        && !part.ends_with(ends)
        && !part.contains("--")
        && !part.contains("..")
}

/// True for a path that stays within the folder it is put under, on any system, and needs no care in an address.
pub(super) fn is_safe(path: &str) -> bool {
    let shown_as_it_is = |c: char| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let allowed =
        |c: char| shown_as_it_is(c) && !matches!(c, '\\' | ':' | '?' | '#' | '%' | '*' | '"' | '<' | '>' | '|');
    path.len() <= 500
        && path.chars().all(allowed)
        && path.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(['.', ' ']))
}

/// True for the hash that names a state of a repository.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Refuses what cannot be a branch, tag or commit.
///
/// # Errors
/// When it is none.
pub(super) fn check_revision(revision: &str) -> Result<()> {
    let good = is_safe(revision) && revision.is_ascii() && !revision.contains(' ') && !revision.starts_with('-');
    ensure!(good, "--revision {revision:?} is no branch, tag or commit");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(repository: &str, file: Option<&str>) -> Named {
        Named::Hub { repository: repository.into(), file: file.map(Into::into) }
    }

    #[test]
    fn names() {
        assert_eq!(parse("qwen3-reranker-0.6b").unwrap(), hub("Qwen/Qwen3-Reranker-0.6B", None));
        assert_eq!(parse("Qwen3-Embedding-8B").unwrap(), hub("Qwen/Qwen3-Embedding-8B", None));
        assert_eq!(parse("BAAI/bge-m3").unwrap(), hub("BAAI/bge-m3", None));
        assert_eq!(parse("o/n/sub/f.Q8_0.gguf").unwrap(), hub("o/n", Some("sub/f.Q8_0.gguf")));
        assert_eq!(parse("src").unwrap(), Named::Local("src".into()));
        for wrong in
            ["", "x", "qwen3-reranker-9b", "a/b/c", "a/../b.gguf", "../a/b", "/no/such", "a/b.gguf", "a//b", "-/b"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse("Cargo.toml").unwrap_err().to_string().contains("only GGUF"));
    }

    #[test]
    fn paths_that_leave_their_folder_are_not_safe() {
        for good in
            ["config.json", "1_Pooling/config.json", "model-00001-of-00002.safetensors", "a b.gguf", "模型.gguf"]
        {
            assert!(is_safe(good), "{good}");
        }
        for bad in
            ["", "/etc/passwd", "../x", "a/../x", "a//b", "a\\..\\b", "C:/x", "a/.", ".git/x", "a\0b", "a\nb", "x%2e"]
        {
            assert!(!is_safe(bad), "{bad}");
        }
        assert!(check_revision("refs/pr/1").is_ok() && check_revision("v1.0").is_ok());
        assert!(check_revision("../../x").is_err() && check_revision("-x").is_err() && check_revision("").is_err());
    }

    #[test]
    fn sizes_are_those_of_the_published_files() {
        let bytes = |name: &str| KNOWN.iter().find(|known| known.name == name).unwrap().bytes();
        // The sizes of model.safetensors on the hub, in units of 10 MB.
        assert_eq!(bytes("qwen3-embedding-0.6b") / 10_000_000, 119);
        assert_eq!(bytes("qwen3-embedding-4b") / 10_000_000, 804);
        assert_eq!(bytes("qwen3-reranker-8b") / 10_000_000, 1637);
    }
}
