//! Holds the source to what `src/lib.rs` states.

use std::path::{Path, PathBuf};

use crate::mailsort::root;

/// No file is longer, tests included.
const LONGEST_FILE: usize = 400;

/// Words that only some files may say, and which files.
const PRIVILEGES: &[(&str, &[&str])] = &[
    ("mail_parser", &["src/intake/mail/"]),
    ("html2text", &["src/intake/html"]),
    ("unpdf", &["src/intake/office/pdf.rs"]),
    ("zip::", &["src/intake/office/docx.rs"]),
    ("quick_xml", &["src/intake/office/word.rs"]),
    (
        "rustix",
        &[
            "src/intake/office/limits.rs",
            "src/classifier/cache/file.rs",
            "src/commands/unix/daemon/listener.rs",
            "src/delivery/exec.rs",
            "src/delivery/files.rs",
            "src/delivery/mailbox.rs",
            "src/delivery/unique.rs",
        ],
    ),
    ("listenfd", &["src/commands/unix/daemon/listener.rs"]),
    ("walkdir", &["src/intake/files.rs"]),
    ("notify::", &["src/watcher/"]),
    ("flate2", &["src/intake/open.rs"]),
    ("safetensors", &["src/engine/"]),
    ("candle", &["src/engine/"]),
    ("memmap2", &["src/engine/checkpoint/map.rs"]),
    (
        "libc::",
        &["src/engine/allocator.rs", "src/engine/kernels/pages.rs", "src/engine/kernels/products/amx/permission.rs"],
    ),
    ("tokenizers", &["src/engine/"]),
    ("hf_hub", &["src/engine/hub/"]),
    ("ureq", &["src/engine/hub/"]),
    ("std::net", &[]),
    ("TcpStream", &[]),
    ("cuda", &["src/engine/device.rs"]),
    ("flash_attn", &["src/engine/flash.rs"]),
    ("flash-attn", &["src/engine/flash.rs"]),
    ("rusqlite", &["src/classifier/cache/", "src/delivery/journal/"]),
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
    ("terminal_size", &["src/output/page.rs"]),
    ("unicode_width", &["src/output/table/fit.rs"]),
    ("unicode_segmentation", &["src/output/table/fit.rs", "src/classifier/linear/ngrams.rs"]),
    ("argmin", &["src/classifier/linear/"]),
    ("ndarray", &["src/classifier/linear/"]),
    ("clap", &["src/main.rs", "src/cli/"]),
    ("tokio", &[]),
    ("axum", &[]),
];

/// The rooms, which do not know each other.
const ROOMS: &[&str] = &["intake", "engine", "evaluation", "watcher", "delivery", "output"];

/// The storeys from the top; a file imports nothing of a storey above its own.
const STOREYS: &[&[&str]] = &[&["commands"], &["cli"], &["stream"], &["classifier"], &["report"]];

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

#[test]
fn only_the_privileged_say_it() {
    let mut broken = Vec::new();
    for file in source(&["src"]) {
        for (word, allowed) in PRIVILEGES {
            if allowed.iter().any(|path| file.name.starts_with(path)) {
                continue;
            }
            broken.extend(
                file.code()
                    .filter(|(_, line)| line.contains(word))
                    .map(|(at, _)| format!("{}:{at} says {word}", file.name)),
            );
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn rooms_do_not_import_each_other() {
    let mut broken = Vec::new();
    for file in source(&["src"]) {
        let Some(own) = ROOMS.iter().find(|room| file.name.starts_with(&format!("src/{room}"))) else {
            continue;
        };
        for other in ROOMS.iter().filter(|room| room != &own).chain(&[
            "commands",
            "cli",
            "stream",
            "classifier",
            "report",
            "labels",
        ]) {
            broken.extend(imports(&file, other));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn arrows_point_downwards() {
    let mut broken = Vec::new();
    for file in source(&["src"]) {
        let storey = |rooms: &&[&str]| rooms.iter().any(|room| file.name.starts_with(&format!("src/{room}")));
        let own = STOREYS.iter().position(storey).unwrap_or(STOREYS.len());
        // The porch and the map name everything.
        if ["src/main.rs", "src/lib.rs"].contains(&&*file.name) {
            continue;
        }
        for above in STOREYS[..own].iter().copied().flatten() {
            broken.extend(imports(&file, above));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The lines of a file that import a room: by its path, or in a list such as `use crate::{intake, record}`.
fn imports(file: &File, room: &str) -> Vec<String> {
    let imports = |line: &str| {
        let list = line.contains("crate::{")
            && line.split(['{', ',', ' ', '}']).any(|word| word.split("::").next() == Some(room));
        line.contains(&format!("crate::{room}")) || list
    };
    let found = file.code().filter(|(_, line)| imports(line));
    found.map(|(at, _)| format!("{}:{at} imports {room}", file.name)).collect()
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut broken = Vec::new();
    let folders = ["src", "tests", "benches", "examples", "fuzz/src", "fuzz/fuzz_targets"];
    for file in source(&folders.map(|f| if root().join(f).exists() { f } else { "src" })) {
        let length = file.text.lines().count();
        if length > LONGEST_FILE {
            broken.push(format!("{} has {length} lines", file.name));
        }
        if !file.text.starts_with("//!") {
            broken.push(format!("{} does not open with //!", file.name));
        }
        let drawer = ["util", "utils", "helpers", "common", "misc", "types"];
        if drawer.iter().any(|name| file.name.ends_with(&format!("/{name}.rs"))) {
            broken.push(format!("{} is a drawer", file.name));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
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
