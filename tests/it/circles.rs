//! No two modules of a folder import each other, not even by way of others.
//!
//! Reads `use` lines and inline paths. An import between two folders counts for the modules in which their paths part.
//! What a module takes from the module above it counts for neither, unless that module only re-exports it from a
//! sibling.

use std::collections::{BTreeMap, BTreeSet};

use crate::tidy::source;

/// Folders in which modules may import each other, and why.
const ALLOWED: &[(&str, &str)] = &[
    ("commands/train", "`embed` keeps what `screen` lets through, and `screen` looks at vectors of `embed`"),
    ("engine", "models, their loader and their arithmetic are one piece until they stand behind traits"),
    ("engine/models/qwen3", "the loader opens both models, and each takes what the loader has read"),
    ("engine/kernels/products", "a task chooses the kernel, and each kernel takes a task"),
    (
        "intake",
        "where a message of an mbox file ends depends on lengths, on separators and on what the bytes look like",
    ),
    ("intake/mail", "a sealed part may hold a body, and a body sealed parts"),
    ("output/evaluation", "each form of a report prints comparisons too"),
    ("classifier/linear", "folds train, and training holds folds out"),
];

/// A module's path, from the crate's root.
type Module = Vec<String>;

/// A path of a `use` line, and the name that it has from then on.
struct Import {
    path: Vec<String>,
    name: String,
}

/// All modules, and what each of them imports.
type Imports = BTreeMap<Module, Vec<Import>>;

fn module_of(file: &str) -> Module {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let path = path.trim_end_matches("/mod");
    path.split('/').filter(|part| *part != "lib").map(String::from).collect()
}

fn imports_of(code: &str) -> Vec<Import> {
    let mut imports = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let (before, after) = rest.split_at(at);
        rest = &after["use ".len()..];
        let line = before.rsplit('\n').next().unwrap_or_default().trim();
        if !(line.is_empty() || line == "pub" || (line.starts_with("pub(") && line.ends_with(')'))) {
            continue;
        }
        let (tree, behind) = rest.split_once(';').unwrap_or((rest, ""));
        let tree: String = tree.split_whitespace().collect::<Vec<_>>().join(" ");
        flatten(&[], &tree, &mut imports);
        rest = behind;
    }
    for root in ["crate::", "super::"] {
        for (at, _) in code.match_indices(root) {
            let path = code[at..].split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).next();
            let path: Vec<String> = path.unwrap_or_default().split("::").map(String::from).collect();
            // In the midst of a longer path, or the beginning of a list.
            if !code[..at].ends_with("::") && !path.contains(&String::new()) {
                imports.push(Import { path, name: String::new() });
            }
        }
    }
    imports
}

/// Takes `a::{b, c as d, e::{f}}` apart.
fn flatten(prefix: &[String], tree: &str, imports: &mut Vec<Import>) {
    let tree = tree.trim();
    if let Some((head, list)) = tree.split_once('{') {
        let segments = head.split("::").map(str::trim).filter(|segment| !segment.is_empty());
        let prefix: Vec<String> = prefix.iter().cloned().chain(segments.map(String::from)).collect();
        let list = list.strip_suffix('}').unwrap_or(list);
        let (mut depth, mut start) = (0, 0);
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    flatten(&prefix, &list[start..at], imports);
                    start = at + 1;
                }
                _ => {}
            }
        }
        return flatten(&prefix, &list[start..], imports);
    }
    let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias)));
    let segments = path.split("::").filter(|segment| !matches!(*segment, "" | "self"));
    let path: Vec<String> = prefix.iter().filter(|s| *s != "self").cloned().chain(segments.map(String::from)).collect();
    let name = alias.map(String::from).or(path.last().cloned()).unwrap_or_default();
    if !tree.is_empty() {
        imports.push(Import { path, name });
    }
}

/// The module that a path leads to, seen from `module`; `None` for other crates.
fn target(imports: &Imports, module: &Module, path: &[String], depth: usize) -> Option<Module> {
    let first = path.first()?;
    let (mut at, rest) = match first.as_str() {
        "crate" => (Module::new(), &path[1..]),
        "super" => {
            let ups = path.iter().take_while(|segment| *segment == "super").count();
            (module[..module.len().checked_sub(ups)?].to_vec(), &path[ups..])
        }
        _ if imports.contains_key(&[&module[..], &path[..1]].concat()) => (module.clone(), path),
        _ => return None,
    };
    for segment in rest {
        let inner = [&at[..], std::slice::from_ref(segment)].concat();
        if imports.contains_key(&inner) {
            at = inner;
            continue;
        }
        let passed_on = imports.get(&at).and_then(|imports| imports.iter().find(|import| import.name == *segment));
        return match passed_on {
            Some(import) if depth < 8 => target(imports, &at, &import.path, depth + 1),
            _ => Some(at),
        };
    }
    Some(at)
}

/// In each folder, which of its modules imports which other, and one file that does.
fn arrows(imports: &Imports) -> BTreeMap<Module, BTreeMap<(String, String), String>> {
    let mut arrows: BTreeMap<Module, BTreeMap<(String, String), String>> = BTreeMap::new();
    for (module, own) in imports {
        for to in own.iter().filter_map(|import| target(imports, module, &import.path, 0)) {
            let shared = module.iter().zip(&to).take_while(|(one, other)| one == other).count();
            if shared < module.len() && shared < to.len() {
                let arrow = (module[shared].clone(), to[shared].clone());
                let file = format!("{} imports {}", module.join("::"), to.join("::"));
                arrows.entry(module[..shared].to_vec()).or_default().entry(arrow).or_insert(file);
            }
        }
    }
    arrows
}

/// The arrows of a folder from which one comes back to where it began.
fn circular(arrows: &BTreeMap<(String, String), String>) -> Vec<&str> {
    let reaches = |from: &str, to: &str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(at) = next.pop() {
            if seen.insert(at) {
                next.extend(arrows.keys().filter(|(from, _)| from == at).map(|(_, to)| to.as_str()));
            }
        }
        seen.contains(to)
    };
    arrows.iter().filter(|((from, to), _)| reaches(to, from)).map(|(_, file)| file.as_str()).collect()
}

fn imports_of_source() -> Imports {
    let mut imports = Imports::new();
    for file in source(&["src"]).iter().filter(|file| file.name != "src/main.rs" && !file.is_test()) {
        let code: Vec<&str> = file.code().map(|(_, line)| line).collect();
        imports.insert(module_of(&file.name), imports_of(&code.join("\n")));
    }
    imports
}

#[test]
fn modules_do_not_import_each_other() {
    let circles: BTreeMap<String, String> = arrows(&imports_of_source())
        .iter()
        .map(|(folder, arrows)| (folder.join("/"), circular(arrows).join("; ")))
        .filter(|(_, circle)| !circle.is_empty())
        .collect();
    let is_allowed = |folder: &str| ALLOWED.iter().any(|(allowed, _)| *allowed == folder);
    let new = circles.iter().filter(|(folder, _)| !is_allowed(folder));
    let mut broken: Vec<String> = new.map(|(folder, circle)| format!("in src/{folder}: {circle}")).collect();
    let gone = ALLOWED.iter().filter(|(folder, _)| !circles.contains_key(*folder));
    broken.extend(gone.map(|(folder, _)| format!("src/{folder} has no circle any more: it need not be listed")));
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn circles_are_seen() {
    let check = |files: &[(&str, &str)], expected: usize| {
        let imports = files.iter().map(|(file, code)| (module_of(file), imports_of(code))).collect();
        let found: usize = arrows(&imports).values().map(|arrows| circular(arrows).len()).sum();
        assert_eq!(found, expected, "{files:?}");
    };
    for (a, expected) in [
        ("use super::b::X;", 2),
        ("use super::X;", 2),
        ("pub(super) use crate::r::{self, W};", 2),
        ("use crate::{\n    q,\n    r::b::{X as Y, y::{self}},\n};", 2),
        ("fn f() -> super::b::X { g() }", 2),
        ("use super::c::D;", 3),
        ("use super::{c, U};", 3),
        ("use b::X;", 0),
        ("use super::U;", 0),
        ("use std::collections::{BTreeMap, BTreeSet};", 0),
    ] {
        let rest =
            [("src/lib.rs", ""), ("src/r/mod.rs", "pub use b::{X, y::Z as W};"), ("src/r/c.rs", "use super::b;")];
        let b = [("src/r/b/mod.rs", "use crate::r::a::V;"), ("src/r/b/y.rs", ""), ("src/r/a.rs", a)];
        check(&[&rest[..], &b].concat(), expected);
    }
    let of_folders = |c: &'static str| [("src/a.rs", "use crate::b;"), ("src/b/mod.rs", ""), ("src/b/c.rs", c)];
    check(&of_folders("use super::d;"), 0);
    check(&of_folders("use crate::a;"), 2);
}
