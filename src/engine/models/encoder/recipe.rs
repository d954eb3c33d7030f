//! How a repository wants its vectors made: the files that sentence-transformers puts beside the weights.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::engine::checkpoint::names::{CONFIG, MODULES, POOLING};
use crate::engine::checkpoint::read_described;

/// Which of the last hidden states become the vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    /// That of the first token.
    Cls,
    /// The mean of all, special ones included.
    Mean,
}

/// What stands before a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Prompts {
    pub(super) query: String,
    pub(super) passage: String,
    /// True where the query's prompt has a place for an instruction, `{task}`.
    pub(super) has_task: bool,
}

impl Prompts {
    /// What stands before a text that asks, with the instruction filled in where it has a place.
    pub(super) fn asking(&self, instruct: Option<&str>) -> String {
        match self.has_task {
            true => self.query.replace("{task}", instruct.unwrap_or(TASK)),
            false => self.query.clone(),
        }
    }
}

/// How vectors are made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Recipe {
    pub(super) pooling: Pooling,
    /// The longest input that the repository says, in tokens, special ones included.
    pub(super) max_seq_length: Option<usize>,
    pub(super) lower_case: bool,
    pub(super) prompts: Prompts,
    /// What a user should know.
    pub(super) notes: Vec<String>,
}

/// What multilingual-e5-large-instruct and its kin want before a query.
const E5_INSTRUCT: &str = "Instruct: {task}\nQuery: ";
/// What they are asked to do unless told otherwise.
const TASK: &str = "Given an email, retrieve the category that describes it";
/// Names of the file that holds `max_seq_length`: older versions wrote that of the architecture.
const LENGTHS: [&str; 3] =
    ["sentence_bert_config.json", "sentence_xlm-roberta_config.json", "sentence_roberta_config.json"];

impl Recipe {
    /// Reads what the folder says; `id` is the model's name, by which the e5 family is known.
    ///
    /// # Errors
    /// When the folder asks for a step that mailsort does not have.
    pub(super) fn of(folder: &Path, id: &str) -> Result<Self> {
        let mut notes = Vec::new();
        let pooling = match pooling_folder(folder)? {
            Some(name) => pooling(folder, &name)?,
            None => {
                notes.push("it does not say how its vectors are pooled, so their mean is taken".into());
                Pooling::Mean
            }
        };
        let lengths = LENGTHS.iter().find(|name| folder.join(name).exists());
        let lengths = lengths.map_or(Ok(Value::Null), |name| read(folder, name))?;
        // transformers notes where a checkpoint was made from.
        let origin = read(folder, CONFIG).ok().and_then(|config| config["_name_or_path"].as_str().map(String::from));
        let names = [Some(id.to_string()), folder.file_name().map(|name| name.to_string_lossy().into()), origin];
        let e5 = names.iter().flatten().find(|name| is_e5(name));
        let prompts = prompts(folder, e5.map(String::as_str))?;
        Ok(Self {
            pooling,
            max_seq_length: lengths["max_seq_length"].as_u64().map(|length| length as usize),
            lower_case: lengths["do_lower_case"] == true,
            prompts,
            notes,
        })
    }

    /// All of it that a vector depends on, in words: files that say it may come and go, and of the prompts some are
    /// known by the model's name. How much of a text is read is counted elsewhere.
    pub(super) fn words(&self) -> String {
        let Prompts { query, passage, has_task } = &self.prompts;
        let mut words = format!("{:?}", self.pooling).to_lowercase();
        if self.lower_case {
            words.push_str(", in lower case");
        }
        if !query.is_empty() || !passage.is_empty() {
            let task = if *has_task { TASK } else { "" };
            words.push_str(&format!(", behind {query:?} or {passage:?} {task}"));
        }
        words.trim_end().to_string()
    }
}

/// True for names such as `multilingual-e5-small` and `e5-base-v2`.
fn is_e5(name: &str) -> bool {
    name.to_lowercase().split(|c: char| !c.is_alphanumeric()).any(|word| word == "e5")
}

/// The folder of the pooling step, after checking that there is no step that mailsort does not have.
fn pooling_folder(folder: &Path) -> Result<Option<String>> {
    if !folder.join(MODULES).exists() {
        return Ok(folder.join(POOLING).exists().then(|| "1_Pooling".to_string()));
    }
    let modules = read(folder, MODULES)?;
    let modules = modules.as_array().context("modules.json is not a list")?;
    let mut found = None;
    for module in modules {
        let (kind, path) = (module["type"].as_str().unwrap_or(""), module["path"].as_str().unwrap_or(""));
        match kind.rsplit('.').next().unwrap_or("") {
            "Transformer" => ensure!(path.is_empty(), "modules.json: the weights lie in {path:?}; give that folder"),
            "Pooling" => {
                let inside = !path.is_empty() && !path.contains(['/', '\\']) && path != "..";
                ensure!(inside, "modules.json: the pooling lies in {path:?}, which is no folder of this one");
                found = Some(path.to_string());
            }
            // Vectors are always normalised here.
            "Normalize" => {}
            _ => bail!("modules.json asks for the step {kind:?} ({path}), which mailsort does not have"),
        }
    }
    Ok(found)
}

fn pooling(folder: &Path, name: &str) -> Result<Pooling> {
    let file = format!("{name}/config.json");
    let config = read(folder, &file)?;
    ensure!(config["include_prompt"] != false, "{file}: `include_prompt` is false, which mailsort does not have");
    let fields = config.as_object().with_context(|| format!("{file} is not an object"))?;
    // Newer files name the way, older ones have a switch for each.
    let modes: Vec<&str> = match &config["pooling_mode"] {
        Value::String(mode) => vec![mode],
        Value::Array(modes) => modes.iter().filter_map(Value::as_str).collect(),
        _ => fields
            .iter()
            .filter(|(_, on)| **on == true)
            .filter_map(|(key, _)| key.strip_prefix("pooling_mode_"))
            .collect(),
    };
    match modes[..] {
        ["cls" | "cls_token"] => Ok(Pooling::Cls),
        ["mean" | "mean_tokens"] => Ok(Pooling::Mean),
        _ => bail!("{file}: pooling by {modes:?} is not supported; mailsort has cls and mean"),
    }
}

/// The mail is the query, a label the passage. `e5` is the name by which a model of that family is known.
fn prompts(folder: &Path, e5: Option<&str>) -> Result<Prompts> {
    let file = "config_sentence_transformers.json";
    let config = if folder.join(file).exists() { read(folder, file)? } else { Value::Null };
    let said = |names: &[&str]| names.iter().find_map(|name| config["prompts"][*name].as_str());
    let default = config["default_prompt_name"].as_str().and_then(|name| said(&[name])).unwrap_or("");
    let written = Prompts {
        query: said(&["query"]).unwrap_or(default).to_string(),
        passage: said(&["passage", "document"]).unwrap_or(default).to_string(),
        has_task: false,
    };
    // sentence-transformers itself writes empty prompts into folders that it saves.
    let empty = written.query.is_empty() && written.passage.is_empty();
    let Some(name) = e5.filter(|_| empty) else {
        return Ok(written);
    };
    Ok(if name.to_lowercase().contains("instruct") {
        Prompts { query: E5_INSTRUCT.into(), passage: String::new(), has_task: true }
    } else {
        // A label is no passage that answers: labels and texts are much alike, and so are read alike.
        Prompts { query: "query: ".into(), passage: "query: ".into(), has_task: false }
    })
}

fn read(folder: &Path, name: &str) -> Result<Value> {
    let path = folder.join(name);
    let text = read_described(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    const MODULES: &str = r#"[{"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]"#;

    #[test]
    fn pooling_is_what_the_folder_says() {
        let check = |config: &str, expected: Option<Pooling>| {
            let folder = folder(&[("modules.json", MODULES), ("1_Pooling/config.json", config)]);
            assert_eq!(Recipe::of(folder.path(), "x").ok().map(|recipe| recipe.pooling), expected, "{config}");
        };
        check(r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#, Some(Pooling::Cls));
        check(r#"{"pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true}"#, Some(Pooling::Mean));
        check(r#"{"embedding_dimension": 384, "pooling_mode": "cls"}"#, Some(Pooling::Cls));
        check(r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}"#, None);
        check(r#"{"pooling_mode_max_tokens": true}"#, None);
        check(r#"{"pooling_mode_mean_tokens": true, "include_prompt": false}"#, None);
    }

    #[test]
    fn no_pooling_is_the_mean_and_a_note() {
        let recipe = Recipe::of(folder(&[]).path(), "x").unwrap();
        assert_eq!((recipe.pooling, recipe.notes.len()), (Pooling::Mean, 1));
    }

    #[test]
    fn unknown_steps_are_named() {
        let modules = r#"[{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]"#;
        let error = Recipe::of(folder(&[("modules.json", modules)]).path(), "x").unwrap_err().to_string();
        assert!(error.contains("2_Dense") && error.contains("models.Dense"), "{error}");
        let modules = r#"[{"path": "../x", "type": "a.Pooling"}]"#;
        assert!(Recipe::of(folder(&[("modules.json", modules)]).path(), "x").is_err());
    }

    #[test]
    fn prompts_are_read_or_known() {
        let file = "config_sentence_transformers.json";
        let check = |text: &str, id: &str, query: &str, passage: &str| {
            let prompts = Recipe::of(folder(&[(file, text)]).path(), id).unwrap().prompts;
            assert_eq!((&prompts.query[..], &prompts.passage[..]), (query, passage), "{id}");
        };
        check("{}", "all-MiniLM-L6-v2", "", "");
        check("{}", "intfloat/multilingual-e5-small", "query: ", "query: ");
        check("{}", "multilingual-e5-large-instruct", E5_INSTRUCT, "");
        check(r#"{"prompts": {"query": "", "document": ""}}"#, "e5-base-v2", "query: ", "query: ");
        check(r#"{"prompts": {"query": "Q: ", "document": "D: "}}"#, "bge", "Q: ", "D: ");
        check(r#"{"prompts": {"a": "A: "}, "default_prompt_name": "a"}"#, "x", "A: ", "A: ");
        assert!(!is_e5("bge5") && is_e5("E5_small"));
    }

    #[test]
    fn whatever_makes_another_vector_is_in_its_words() {
        let words = |files: &[(&str, &str)], id: &str| Recipe::of(folder(files).path(), id).unwrap().words();
        let prompts = |text| ("config_sentence_transformers.json", text);
        let cls = [("modules.json", MODULES), ("1_Pooling/config.json", r#"{"pooling_mode": "cls"}"#)];
        let all = [
            words(&[], "x"),
            words(&cls, "x"),
            words(&[(LENGTHS[0], r#"{"do_lower_case": true}"#)], "x"),
            words(&[prompts(r#"{"prompts": {"query": "Q: "}}"#)], "x"),
            words(&[prompts(r#"{"prompts": {"passage": "Q: "}}"#)], "x"),
            words(&[], "e5"),
            words(&[], "e5-instruct"),
        ];
        assert_eq!((&all[0][..], &all[1][..], &all[5][..]), ("mean", "cls", "mean, behind \"query: \" or \"query: \""));
        let distinct: std::collections::HashSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len(), "{all:?}");
    }

    #[test]
    fn lengths_and_case() {
        let folder = folder(&[(LENGTHS[0], r#"{"max_seq_length": 256, "do_lower_case": true}"#)]);
        let recipe = Recipe::of(folder.path(), "e5").unwrap();
        assert_eq!((recipe.max_seq_length, recipe.lower_case), (Some(256), true));
    }
}
