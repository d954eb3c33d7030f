//! Which files of a repository a model needs. Weights are safetensors or GGUF; what can hold code is never asked for.

use anyhow::{Result, bail, ensure};

use super::names::{is_gguf, is_safe};
use crate::engine::checkpoint::names::{CONFIG, INDEX, OPTIONAL, TOKENIZER, WEIGHTS};

/// What to fetch of a repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// In this order: small files first, so that weights are there only when everything else is.
    pub(super) files: Vec<String>,
    /// Files that the repository does not have and a model may lack.
    pub(super) absent: Vec<&'static str>,
    /// The GGUF file that the model is.
    pub(super) gguf: Option<String>,
}

/// Chooses among all files of a repository, which lists `there`; `wanted` names a GGUF file.
///
/// # Errors
/// When the repository lacks something a model needs, or leaves a choice.
pub(super) fn choose(there: &[String], wanted: Option<&str>) -> Result<Choice> {
    let has = |name: &str| there.iter().any(|file| file == name);
    let ggufs: Vec<&str> = there.iter().map(String::as_str).filter(|name| is_gguf(name) && is_safe(name)).collect();
    let one = |file: &str| Choice { files: vec![file.into()], absent: vec![], gguf: Some(file.into()) };
    if let Some(wanted) = wanted {
        ensure!(has(wanted), "it has no file {wanted}; {}", list(&ggufs));
        return Ok(one(wanted));
    }
    if !has(INDEX) && !has(WEIGHTS) {
        return match ggufs.as_slice() {
            [] => bail!("it has no {WEIGHTS} and no GGUF file; weights in other formats (.bin, .pt) are never opened"),
            [only] => Ok(one(only)),
            several => bail!("it has several models; name one as OWNER/NAME/FILE.gguf: {}", several.join(", ")),
        };
    }
    for needed in [CONFIG, TOKENIZER] {
        ensure!(has(needed), "it has no {needed}, without which its weights are of no use");
    }
    let (optional, absent): (Vec<_>, Vec<_>) = OPTIONAL.into_iter().partition(|name| has(name));
    let mut files: Vec<String> = [CONFIG, TOKENIZER].iter().chain(&optional).map(|name| name.to_string()).collect();
    // The shards are known only when the index is read.
    files.push(if has(INDEX) { INDEX } else { WEIGHTS }.into());
    Ok(Choice { files, absent, gguf: None })
}

fn list(ggufs: &[&str]) -> String {
    if ggufs.is_empty() { "it has no GGUF file at all".into() } else { format!("it has {}", ggufs.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::checkpoint::names::MODULES;

    fn chosen(there: &[&str], wanted: Option<&str>) -> Result<Choice> {
        choose(&there.iter().map(|name| name.to_string()).collect::<Vec<_>>(), wanted)
    }

    #[test]
    fn small_files_come_first_and_code_never() {
        let there = ["pytorch_model.bin", WEIGHTS, "modeling.py", TOKENIZER, "1_Pooling/config.json", CONFIG, MODULES];
        let choice = chosen(&there, None).unwrap();
        assert_eq!(choice.files, [CONFIG, TOKENIZER, MODULES, "1_Pooling/config.json", WEIGHTS]);
        let absent: Vec<&str> = OPTIONAL.into_iter().filter(|name| !there.contains(name)).collect();
        assert_eq!(choice.absent, absent);
        assert!(absent.contains(&"config_sentence_transformers.json"), "its prompts are fetched where there are any");
        let sharded = chosen(&[CONFIG, TOKENIZER, INDEX, "model-00001-of-00002.safetensors"], None).unwrap();
        assert_eq!(sharded.files.last().unwrap(), INDEX);
    }

    #[test]
    fn a_choice_of_gguf_files_is_not_made_silently() {
        assert_eq!(chosen(&["a.gguf", "README.md"], None).unwrap().gguf.unwrap(), "a.gguf");
        let several = chosen(&["a.gguf", "b/c.gguf"], None).unwrap_err().to_string();
        assert!(several.contains("a.gguf, b/c.gguf"), "{several}");
        assert_eq!(chosen(&["a.gguf", "b/c.gguf"], Some("b/c.gguf")).unwrap().files, ["b/c.gguf"]);
        assert!(chosen(&["a.gguf"], Some("x.gguf")).unwrap_err().to_string().contains("it has a.gguf"));
        assert!(chosen(&["../a.gguf"], None).is_err());
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(chosen(&["pytorch_model.bin", CONFIG], None).unwrap_err().to_string().contains("never opened"));
        assert!(chosen(&[WEIGHTS, CONFIG], None).unwrap_err().to_string().contains(TOKENIZER));
    }
}
