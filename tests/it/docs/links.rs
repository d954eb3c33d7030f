//! Links between pages lead somewhere, and every page is reached from README.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::page::Page;
use crate::mailsort::root;

/// A link of a page, as a path from the root and perhaps an anchor; nothing for one that leads to the web.
fn target(page: &Page, link: &str) -> Option<(String, Option<String>)> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor.to_string())));
    let path = if path.is_empty() { page.name.clone() } else { plain(&page.folder().join(path)) };
    Some((path, anchor))
}

/// A path without `..`, which stays where it leads out of the repository.
fn plain(path: &Path) -> String {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain.to_string_lossy().replace('\\', "/")
}

/// What is wrong with a link, if anything.
fn fault(pages: &[Page], page: &Page, link: &str) -> Option<String> {
    let (path, anchor) = target(page, link)?;
    let there = pages.iter().find(|other| other.name == path);
    if there.is_none() && (path.starts_with('/') || path.starts_with("..") || !root().join(&path).exists()) {
        return Some(format!("{path} is not there"));
    }
    let anchor = anchor?;
    let anchors = match there {
        Some(page) => page.anchors(),
        None if path.ends_with(".md") => Page::read(&path).anchors(),
        None => return Some(format!("{path} has no anchors")),
    };
    (!anchors.contains(&anchor)).then(|| format!("{path} has no heading #{anchor}"))
}

#[test]
fn links_lead_somewhere() {
    let pages = Page::all();
    let mut broken = Vec::new();
    let mut links = 0;
    for page in &pages {
        for (line, link) in page.links() {
            links += 1;
            broken.extend(fault(&pages, page, &link).map(|fault| format!("{}:{line}: {link}: {fault}", page.name)));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(links >= 3, "the links were not found");
}

/// The parts of the repository, by which a path of it is told in prose.
const PARTS: &[&str] =
    &["src/", "tests/", "docs/", "examples/", "labels/", "samples/", "benches/", "model/", "fuzz/", ".ci/"];

/// What is only there after a run.
const MADE: &[&str] = &["fuzz/artifacts/"];

#[test]
fn files_that_pages_name_are_there() {
    let span = regex::Regex::new(r"`([^`\s]+)`").unwrap();
    let placeholder = regex::Regex::new("<[a-z]+>").unwrap();
    let mut broken = Vec::new();
    let mut seen = 0;
    for page in Page::all().iter().filter(|page| page.name != "CHANGELOG.md") {
        for (line, text) in page.prose() {
            let paths = span.captures_iter(text).map(|found| found[1].to_string());
            for path in paths.filter(|path| PARTS.iter().any(|part| path.starts_with(part))) {
                seen += 1;
                let pattern = placeholder.replace_all(&path, "*").into_owned();
                let found = glob::glob(&root().join(&pattern).to_string_lossy()).unwrap().next().is_some();
                if !found && !MADE.iter().any(|made| path.starts_with(made)) {
                    broken.push(format!("{}:{line}: {path} is not there", page.name));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(seen >= 10, "the paths were not found");
}

#[test]
fn every_page_is_reached_from_readme() {
    let pages = Page::all();
    let mut reached = BTreeSet::from(["README.md".to_string()]);
    let mut next = vec!["README.md".to_string()];
    while let Some(name) = next.pop() {
        let Some(page) = pages.iter().find(|page| page.name == name) else { continue };
        for (path, _) in page.links().iter().filter_map(|(_, link)| target(page, link)) {
            if reached.insert(path.clone()) {
                next.push(path);
            }
        }
    }
    let missed: Vec<&str> =
        pages.iter().map(|page| page.name.as_str()).filter(|name| !reached.contains(*name)).collect();
    assert!(missed.is_empty(), "not reached from README: {missed:?}");
}

#[test]
fn broken_links_are_told() {
    let page = |name: &str, text: &str| Page { name: name.into(), text: text.into() };
    let pages = [page("docs/a.md", "# One thing\n"), page("README.md", "# Top\n")];
    let check = |link: &str, expected: bool| {
        assert_eq!(fault(&pages, &pages[0], link).is_none(), expected, "{link}");
    };
    check("../README.md#top", true);
    check("#one-thing", true);
    check("../src/lib.rs", true);
    check("https://example.org/x#y", true);
    check("../README.md#bottom", false);
    check("#two", false);
    check("nowhere.md", false);
    check("../src/lib.rs#L1", false);
    check("../../outside.md", false);
    check("/etc/passwd", false);
}
