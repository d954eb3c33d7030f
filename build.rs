//! Turns `src/intake/clean/lexicon/*.toml`, the words of each language, into the constants of `OUT_DIR/lexicon.rs`.
//!
//! Each list becomes the sorted union over all files, because one message often mixes languages. This happens at
//! compile time because parsing the files costs `filter` a tenth of its start.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write;
use std::{env, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = "src/intake/clean/lexicon";
    println!("cargo::rerun-if-changed={folder}");
    let mut lists: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let file: toml::Table = fs::read_to_string(&path)?.parse().map_err(|e| format!("{}: {e}", path.display()))?;
        for (section, keys) in file.iter().filter_map(|(name, value)| Some((name, value.as_table()?))) {
            for (key, list) in keys.iter().filter_map(|(key, value)| Some((key, value.as_array()?))) {
                let words = list.iter().filter_map(|word| word.as_str().map(str::to_string));
                lists.entry((section.clone(), key.to_uppercase())).or_default().extend(words);
            }
        }
    }
    let mut code = String::new();
    let sections: BTreeSet<&String> = lists.keys().map(|(section, _)| section).collect();
    for section in sections {
        writeln!(code, "pub(in crate::intake) mod {section} {{")?;
        for ((_, key), words) in lists.iter().filter(|((of, _), _)| of == section) {
            writeln!(code, "    pub(in crate::intake) const {key}: &[&str] = &{:?};", Vec::from_iter(words))?;
        }
        writeln!(code, "}}")?;
    }
    Ok(fs::write(Path::new(&env::var("OUT_DIR")?).join("lexicon.rs"), code)?)
}
