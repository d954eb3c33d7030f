//! Holds the source to what `src/lib.rs` states.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::mailsort::root;

/// A longer file is looked at: it is named, and nothing fails.
const LONG_FILE: usize = 500;
/// A shorter one in src belongs into its neighbour, unless it is the door of a room.
const SHORT_FILE: usize = 40;

/// Words that only some files may say, and which files.
const PRIVILEGES: &[(&str, &[&str])] = &[
    ("mail_parser", &["src/intake/mail/"]),
    ("html2text", &["src/intake/html"]),
    ("unpdf", &["src/intake/office/pdf.rs"]),
    ("zip::", &["src/intake/office/docx.rs", "src/intake/tables/workbook.rs", "src/contracts/render/docx.rs"]),
    ("calamine", &["src/intake/tables/workbook.rs"]),
    ("rust_xlsxwriter", &["src/output/workbook.rs"]),
    ("quick_xml", &["src/intake/office/word.rs", "src/intake/office/numbering.rs", "src/intake/office/xml.rs"]),
    (
        "rustix",
        &[
            "src/platform.rs",
            "src/intake/office/limits.rs",
            "src/classifier/cache/file.rs",
            "src/serve/unix.rs",
            "src/delivery/exec.rs",
            "src/delivery/files.rs",
            "src/delivery/mailbox.rs",
            "src/delivery/unique.rs",
        ],
    ),
    (
        "(unix)",
        &[
            "src/main.rs",
            "src/lib.rs",
            "src/platform.rs",
            "src/commands/mod.rs",
            "src/intake/office/limits.rs",
            "src/serve/mod.rs",
            "src/serve/listener.rs",
        ],
    ),
    ("listenfd", &["src/serve/unix.rs"]),
    ("walkdir", &["src/intake/files.rs"]),
    ("notify::", &["src/watcher/"]),
    ("bcder", &["src/intake/mail/smime.rs"]),
    ("cfb::", &["src/intake/mail/outlook.rs"]),
    ("flate2", &["src/intake/mail/smime.rs", "src/header/stored.rs", "src/knowledge/texts.rs"]),
    ("safetensors", &["src/engine/"]),
    // main.rs sets the environment of its thread pool.
    ("candle", &["src/engine/", "src/main.rs"]),
    ("memmap2", &["src/engine/checkpoint/mod.rs"]),
    // main.rs looks at standard output before there is a runtime.
    (
        "libc::",
        &["src/main.rs", "src/engine/kernels/memory.rs", "src/engine/kernels/products/amx.rs", "src/serve/unix.rs"],
    ),
    ("tokenizers", &["src/engine/"]),
    ("hf_hub", &["src/engine/hub/"]),
    ("ureq", &["src/engine/hub/", "src/engine/remote/client.rs"]),
    ("std::net", &["src/serve/"]),
    ("TcpStream", &["src/serve/"]),
    ("cuda", &["src/engine/device.rs"]),
    ("flash_attn", &["src/engine/backend/candle/flash.rs"]),
    ("flash-attn", &["src/engine/backend/candle/flash.rs"]),
    ("rusqlite", &["src/classifier/cache/", "src/delivery/journal/", "src/knowledge/"]),
    ("plotters", &["src/output/evaluation/pictures.rs"]),
    ("libm", &["src/evaluation/"]),
    ("glob::", &["src/cli/labelled.rs", "src/intake/labelled/"]),
    ("indicatif", &["src/report"]),
    ("stdout()", &["src/output/", "src/intake/office/child.rs"]),
    ("stderr()", &["src/report"]),
    ("println!", &[]),
    ("eprint", &[]),
    ("process::exit", &[]),
    ("anstyle", &["src/output/table/mod.rs"]),
    ("terminal_size", &["src/output/table/mod.rs"]),
    ("unicode_width", &["src/output/table/fit.rs", "src/contracts/render/text.rs"]),
    (
        "unicode_segmentation",
        &[
            "src/output/table/fit.rs",
            "src/classifier/linear/ngrams/count.rs",
            "src/contracts/redline.rs",
            "src/knowledge/passages.rs",
        ],
    ),
    ("clap", &["src/main.rs", "src/cli/"]),
    ("tokio", &["src/serve/"]),
    ("axum", &["src/serve/"]),
    ("hyper", &["src/serve/"]),
    ("tower_http", &["src/serve/"]),
    ("prometheus_client", &["src/serve/metrics.rs"]),
    ("subtle", &["src/serve/gate.rs"]),
    ("httparse", &["src/commands/unix/ask.rs"]),
    ("rmcp", &["src/serve/mcp/"]),
    ("serde_path_to_error", &["src/serve/mcp/", "src/serve/body.rs"]),
];

/// The storeys of the house, from the roof down. A module imports from the storeys below its own only.
const STOREYS: &[&[&str]] = &[
    &["commands"],
    &["cli"],
    &["serve"],
    &["stream"],
    &["classifier"],
    &["contracts", "delivery", "engine", "evaluation", "intake", "knowledge", "labels", "output", "report", "watcher"],
    &["condition", "guard", "header", "maildir"],
    &["charset", "platform", "record", "terminal"],
];

pub struct File {
    pub name: String,
    text: String,
}

impl File {
    /// True for the files of a module that is only there for tests.
    pub fn is_test(&self) -> bool {
        let mut at = root().join(&self.name);
        while at.pop() && at.starts_with(root().join("src")) {
            let parents = [at.join("mod.rs"), at.with_extension("rs")];
            let declares = |parent: &PathBuf| std::fs::read_to_string(parent).unwrap_or_default();
            let inside = self.name.strip_prefix(&format!("{}/", at.strip_prefix(root()).unwrap().display()));
            let module = inside.and_then(|rest| rest.split('/').next()).unwrap_or_default().trim_end_matches(".rs");
            let test = format!("#[cfg(test)]\nmod {module};");
            if parents.iter().any(|parent| declares(parent).contains(&test)) {
                return true;
            }
        }
        false
    }

    /// The lines before the tests at the file's end, without comment lines.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = self.text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or(&self.text);
        let code = if self.is_test() { "" } else { code };
        let lines = code.lines().enumerate().map(|(at, line)| (at + 1, line));
        lines.map(|(at, line)| (at, if line.trim_start().starts_with("//") { "" } else { line }))
    }
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

pub fn source(folders: &[&str]) -> Vec<File> {
    let mut paths = Vec::new();
    for folder in folders {
        rust_files(&root().join(folder), &mut paths);
    }
    assert!(paths.len() > 10, "the source was not found");
    let name = |path: &Path| path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
    paths.iter().map(|path| File { name: name(path), text: std::fs::read_to_string(path).unwrap() }).collect()
}

/// Fails on what breaks a rule, given as who and how.
fn check(rule: &str, broken: Vec<(String, String)>) {
    let broken: Vec<String> = broken.iter().map(|(who, how)| format!("{who} {rule}: {how}")).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Says something that is no failure, where a passing test's output is not captured.
fn say(what: &str) {
    drop(writeln!(std::io::stderr(), "tidy: {what}"));
}

#[test]
fn only_the_privileged_say_it() {
    let files = source(&["src"]);
    for (word, allowed) in PRIVILEGES {
        let others = files.iter().filter(|file| !allowed.iter().any(|path| file.name.starts_with(path)));
        let says = |file: &File| {
            let lines = file.code().filter(|(_, line)| line.contains(word));
            lines.map(|(at, _)| (file.name.clone(), format!("line {at}"))).collect::<Vec<_>>()
        };
        check(&format!("says {word}"), others.flat_map(says).collect());
    }
}

/// The modules of the crate that a file names: by a path such as `crate::intake`, or in a list such as `crate::{intake,
/// record}`.
fn imported(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut add = |path: &str| {
        names.extend(path.trim_start().split(|c: char| !c.is_alphanumeric() && c != '_').next().map(String::from));
    };
    for (at, path) in code.match_indices("crate::") {
        let rest = &code[at + path.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            add(rest);
            continue;
        };
        let mut depth = 1;
        let end = list.find(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth == 0
        });
        let list = &list[..end.unwrap_or(list.len())];
        list.split(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth == 0 && c == ','
        })
        .for_each(&mut add);
    }
    names
}

#[test]
fn imports_are_found_in_every_form() {
    let found = imported(
        "use crate::one::{self, Two};\nuse crate::{\n    three::{Four, five::Six},\n    seven,\n};\ncrate::eight(1)",
    );
    for name in ["one", "three", "seven", "eight"] {
        assert!(found.contains(name), "{name} in {found:?}");
    }
    assert!(["Two", "Four", "five", "Six"].iter().all(|name| !found.contains(*name)), "{found:?}");
}

#[test]
fn modules_import_only_from_below() {
    let rooms = STOREYS.concat();
    let is_there =
        |room: &&&str| root().join(format!("src/{room}.rs")).exists() || root().join(format!("src/{room}")).exists();
    assert_eq!(rooms.iter().find(|room| !is_there(room)), None, "a room of the list is gone");
    let mut broken = Vec::new();
    for file in source(&["src"]) {
        let own = file.name["src/".len()..].split(['/', '.']).next().unwrap_or_default();
        let Some(storey) = STOREYS.iter().position(|storey| storey.contains(&own)) else {
            assert!(own == "main" || own == "lib", "{} stands on no storey", file.name);
            continue;
        };
        let forbidden = STOREYS[..=storey].concat();
        let code: Vec<&str> = file.code().map(|(_, line)| line).collect();
        let imported = imported(&code.join("\n"));
        let wrong = imported.into_iter().filter(|name| name != own && forbidden.contains(&name.as_str()));
        broken.extend(wrong.map(|name| (file.name.clone(), name)));
    }
    check("imports upwards or sideways", broken);
}

#[test]
fn files_have_a_good_length_and_say_what_they_are() {
    let mut crumbs = Vec::new();
    let mut broken = Vec::new();
    for file in source(&["src", "tests", "benches", "examples", "fuzz/src", "fuzz/fuzz_targets"]) {
        let length = file.text.lines().count();
        let stem = file.name.rsplit('/').next().unwrap_or_default();
        let is_door = ["mod.rs", "lib.rs", "main.rs"].contains(&stem);
        if length > LONG_FILE {
            say(&format!("{} has {length} lines; is it one idea?", file.name));
        }
        if length < SHORT_FILE && file.name.starts_with("src/") && !is_door {
            crumbs.push((file.name.clone(), format!("{length} lines, which belong into its neighbour")));
        }
        if !file.text.starts_with("//!") {
            broken.push(format!("{} does not open with //!", file.name));
        }
        if ["util.rs", "utils.rs", "helpers.rs", "common.rs", "misc.rs", "types.rs"].contains(&stem) {
            broken.push(format!("{} is a drawer", file.name));
        }
    }
    check("is short", crumbs);
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Names that had several meanings; now one type has each, public or not.
const WORN_OUT: &[&str] = &["Found", "Kind", "Place", "Rows", "Set"];

#[test]
fn a_type_name_has_one_meaning() {
    let definition = regex::Regex::new(r"^\s*(pub )?(?:pub\([a-z]+\) )?(?:struct|enum|trait|type) ([A-Z]\w*)").unwrap();
    let mut files_by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut hidden: Vec<(String, String)> = Vec::new();
    for file in source(&["src"]) {
        for (_, line) in file.code() {
            let Some(defined) = definition.captures(line) else { continue };
            if defined.get(1).is_some() || WORN_OUT.contains(&&defined[2]) {
                files_by_name.entry(defined[2].into()).or_default().push(file.name.clone());
            } else {
                hidden.push((defined[2].into(), file.name.clone()));
            }
        }
    }
    assert!(files_by_name.len() > 100, "the types were not found");
    // What is hidden in a file may not be called as what another room shows.
    let room = |file: &str| file.split(['/', '.']).nth(1).unwrap_or_default().to_string();
    for (name, file) in hidden.into_iter().filter(|(_, file)| !file.contains("tests")) {
        if let Some(files) = files_by_name.get_mut(&name).filter(|files| room(&files[0]) != room(&file)) {
            files.push(file);
        }
    }
    let several = files_by_name.into_iter().filter(|(_, files)| files.len() > 1);
    check("is defined more than once", several.map(|(name, files)| (name, files.join(", "))).collect());
}

#[test]
fn every_room_is_on_the_map() {
    let map = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for entry in std::fs::read_dir(root().join("src")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().replace(".rs", "");
        if name != "main" && name != "lib" {
            assert!(map.contains(&format!("[`{name}`]")), "{name} is not on the map");
            assert!(map.contains(&format!("pub mod {name};")), "{name} is not a module");
        }
    }
}
