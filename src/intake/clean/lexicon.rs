//! The words of each language, such as `lexicon::attribution::VERBS`, which `build.rs` reads from `lexicon/*.toml`
//!
//! `docs/adding-a-language.md` explains the keys. The tests below hold every file to them.

use unicode_normalization::UnicodeNormalization;

use super::lines::is_direction_mark;

include!(concat!(env!("OUT_DIR"), "/lexicon.rs"));

/// The form in which the lexicon has its words: lower case, composed, without marks of text direction, with plain
/// quotes in Hebrew abbreviations
pub(in crate::intake) fn lower(text: &str) -> String {
    let lower = text.to_lowercase();
    let is_variant = |c| matches!(c, '\u{300}'..='\u{36f}' | '\u{64b}'..='\u{655}' | '׳' | '״') || is_direction_mark(c);
    if lower.is_ascii() || !lower.contains(is_variant) {
        return lower;
    }
    // The lower case of the Turkish "İ" is "i" and a combining dot. Windows-1258 writes the accents of Vietnamese as
    // combining characters.
    let plain = lower.replace("i\u{307}", "i").replace('׳', "'").replace('״', "\"").replace(is_direction_mark, "");
    plain.nfc().collect()
}

/// True if a list has the word; lists are sorted
pub(super) fn has(list: &[&str], word: &str) -> bool {
    list.binary_search(&word).is_ok()
}

/// The words of a list that start with the first byte of `text`
pub(super) fn bucket<'l>(list: &'l [&'static str], text: &str) -> impl Iterator<Item = &'static str> + use<'l> {
    let first = text.bytes().next();
    let from = list.partition_point(|word| word.bytes().next() < first);
    list[from..].iter().copied().take_while(move |word| word.bytes().next() == first)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use toml::{Table, Value};

    use super::super::{Step, Switches, ThreadPlace, clean, devices, headers, lines, phrases::Phrases, signoffs};
    use super::*;

    /// Names and products in every language: this file needs neither all sections nor tests
    const EVERY_LANGUAGE: &str = "mul.toml";

    /// Lists of one file that must not share a word, because only one of them would be looked at
    const EXCLUSIVE: &[&[&str]] = &[
        &["headers.from", "headers.date", "headers.to", "headers.subject", "headers.other"],
        &["separators.original", "separators.forwarded"],
        &["signoffs.words", "signoffs.fillers"],
        &["devices.sent_from", "devices.get"],
        &["devices.my", "devices.articles"],
        &["disclaimers.notices", "footers.phrases", "footers.web_version", "footers.tops"],
    ];

    const PHRASES: &[&str] = &[
        "prose.cover_notes",
        "prose.answers_inside",
        "disclaimers.notices",
        "footers.phrases",
        "footers.web_version",
        "footers.tops",
    ];

    /// Compared with the text as it is written
    const AS_WRITTEN: &[&str] = &["disclaimers.openings", "footers.copyright"];

    struct LexiconFile {
        name: String,
        table: Table,
        lists: BTreeMap<String, Vec<String>>,
    }

    fn files() -> Vec<LexiconFile> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/intake/clean/lexicon");
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(paths.len() > 20, "the files were not found");
        paths.iter().map(|path| file(path)).collect()
    }

    fn file(path: &Path) -> LexiconFile {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let table: Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
        let mut lists = BTreeMap::new();
        for (section, keys) in table.iter().filter(|(section, _)| !matches!(section.as_str(), "tests" | "absent")) {
            for (key, list) in keys.as_table().unwrap_or_else(|| panic!("{name}: {section} is no section")) {
                let words = list.as_array().unwrap_or_else(|| panic!("{name}: {section}.{key} is no list"));
                let text = |word: &Value| word.as_str().unwrap_or_else(|| panic!("{name}: {word:?} is no text")).into();
                lists.insert(format!("{section}.{key}"), words.iter().map(text).collect());
            }
        }
        LexiconFile { name, table, lists }
    }

    /// The keys in the first column of the table in the page
    fn documented() -> BTreeSet<String> {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/adding-a-language.md");
        let text = std::fs::read_to_string(page).unwrap();
        let rows = text.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
        let keys = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_string));
        keys.filter(|key| !key.starts_with("absent.")).collect()
    }

    #[test]
    fn every_key_is_documented_and_used() {
        let documented = documented();
        for file in files() {
            for key in file.lists.keys() {
                assert!(documented.contains(key), "{}: docs/adding-a-language.md does not know {key}", file.name);
            }
        }
        let used: BTreeSet<String> = files().into_iter().flat_map(|file| file.lists.into_keys()).collect();
        assert_eq!(documented, used);
    }

    #[test]
    fn every_section_is_there_or_says_why_not() {
        let sections: BTreeSet<String> =
            documented().iter().filter_map(|key| key.split_once('.')).map(|(section, _)| section.to_string()).collect();
        for file in files().iter().filter(|file| file.name != EVERY_LANGUAGE) {
            let empty = Table::new();
            let absent = file.table.get("absent").map_or(&empty, |absent| absent.as_table().unwrap());
            for (section, why) in absent {
                assert!(sections.contains(section), "{}: absent.{section} is no section", file.name);
                assert!(
                    why.as_str().is_some_and(|why| why.len() > 5),
                    "{}: absent.{section} says no reason",
                    file.name
                );
            }
            for section in &sections {
                let there = file.lists.keys().any(|key| key.split('.').next() == Some(section));
                let why = absent.contains_key(section);
                assert!(there != why, "{}: the section {section} must be there or in [absent]", file.name);
            }
        }
    }

    #[test]
    fn lists_are_clean() {
        for file in files() {
            for (key, words) in &file.lists {
                let at = format!("{}: {key}", file.name);
                assert!(!words.is_empty(), "{at} is empty");
                let mut known = BTreeSet::new();
                for word in words {
                    assert!(
                        !word.trim().is_empty() && word.trim_start() == word,
                        "{at}: {word:?} has spaces around it"
                    );
                    assert!(known.insert(word), "{at}: {word:?} is listed twice");
                    let plain = AS_WRITTEN.contains(&key.as_str()) || lower(word) == *word;
                    assert!(plain, "{at}: {word:?} is not in lower case and NFC");
                }
                let fits = |word: &&String| match key.as_str() {
                    "devices.frames" => word.contains('…'),
                    "signoffs.phrases" => word.len() <= signoffs::LONGEST_PHRASE || word.contains(lines::is_cjk),
                    key if key.starts_with("headers.") => word.len() <= headers::LONGEST_NAME,
                    _ => true,
                };
                let unfit: Vec<&String> = words.iter().filter(|word| !fits(word)).collect();
                assert!(unfit.is_empty(), "{at}: these would never be found: {unfit:?}");
                if PHRASES.contains(&key.as_str()) {
                    Phrases::new(words.iter().map(|word| &*word.clone().leak()));
                }
            }
            for keys in EXCLUSIVE {
                let mut known: BTreeMap<&String, &str> = BTreeMap::new();
                for key in *keys {
                    for word in file.lists.get(*key).into_iter().flatten() {
                        let other = known.insert(word, key);
                        assert_eq!(other, None, "{}: {word:?} is in {key} too", file.name);
                    }
                }
            }
        }
    }

    #[test]
    fn a_header_name_means_the_same_in_every_language() {
        let mut known: BTreeMap<String, (String, String)> = BTreeMap::new();
        for file in files() {
            for (key, words) in file.lists.iter().filter(|(key, _)| key.starts_with("headers.")) {
                for word in words {
                    let (other, at) = known.entry(word.clone()).or_insert((key.clone(), file.name.clone()));
                    assert!(other == key, "{word:?} is {key} in {} and {other} in {at}", file.name);
                }
            }
        }
    }

    /// The test messages of a file, each with what is kept of it
    fn messages(file: &LexiconFile) -> Vec<(String, String)> {
        let tests = file.table.get("tests").map_or(&[][..], |tests| tests.as_array().unwrap());
        let both = |test: &Value| {
            let text = |key| test.get(key).map(|text| text.as_str().unwrap().to_string());
            let mail = text("mail").unwrap();
            (mail.clone(), text("keeps").unwrap_or(mail))
        };
        tests.iter().map(both).collect()
    }

    /// Cleans a message and returns the steps that removed something; a device line counts as a step
    #[track_caller]
    fn check(file: &LexiconFile, mail: &str, keeps: &str) -> BTreeSet<&'static str> {
        let cleaned = clean(mail, &Switches::default(), ThreadPlace::Reply);
        assert_eq!(cleaned.text.trim(), keeps.trim(), "{}: of {mail}", file.name);
        let mut lines = cleaned.removed.iter().flat_map(|removed| removed.text.lines());
        let device = lines.any(devices::is_device_line).then_some("device lines");
        cleaned.removed.iter().map(|removed| removed.step.name()).chain(device).collect()
    }

    #[test]
    fn messages_of_every_language() {
        for file in files().iter().filter(|file| file.name != EVERY_LANGUAGE) {
            let messages = messages(file);
            let steps: BTreeSet<_> = messages.iter().flat_map(|(mail, keeps)| check(file, mail, keeps)).collect();
            for (section, step) in [
                ("attribution", Step::Quotes.name()),
                ("separators", Step::Forwards.name()),
                ("footers", Step::Footers.name()),
                ("disclaimers", Step::Disclaimers.name()),
                ("signoffs", Step::Signatures.name()),
                ("devices", "device lines"),
            ] {
                let tested = steps.contains(step) || !file.table.contains_key(section);
                assert!(tested, "{}: no message from which {step} are removed", file.name);
            }
            let whole = messages.iter().any(|(mail, keeps)| mail == keeps);
            assert!(whole, "{}: no message of which everything stays", file.name);
        }
    }

    #[test]
    fn accents_may_be_characters_of_their_own() {
        let decomposed = |text: &str| text.nfd().collect::<String>();
        for file in files() {
            for (mail, keeps) in messages(&file).iter().filter(|(mail, _)| !mail.contains(lines::is_cjk)) {
                check(&file, &decomposed(mail), &decomposed(keeps));
            }
        }
    }

    #[test]
    fn marks_of_direction_hide_nothing() {
        let marked = |text: &str| {
            let line = |line: &str| if line.is_empty() { String::new() } else { format!("\u{202b}{line}\u{202c}") };
            text.lines().map(line).collect::<Vec<_>>().join("\n")
        };
        for file in files().iter().filter(|file| file.name == "he.toml") {
            for (mail, keeps) in messages(file).iter().filter(|(mail, _)| !mail.contains("\n>")) {
                check(file, &marked(mail), &marked(keeps));
            }
        }
    }
}
