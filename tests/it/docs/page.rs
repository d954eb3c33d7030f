//! A page of Markdown, taken apart as far as the tests need: fenced blocks, headings, links and code spans.

use std::path::{Path, PathBuf};

use crate::mailsort::root;

/// A page.
pub struct Page {
    /// Its path, from the repository's root.
    pub name: String,
    pub text: String,
}

/// A fenced block.
pub struct Block<'a> {
    /// The number of the line of its fence.
    pub line: usize,
    /// The words behind the fence: a language, and perhaps the path of a file.
    pub language: &'a str,
    pub file: Option<&'a str>,
    /// The lines between the fences, and where they begin in the page.
    pub text: &'a str,
    pub begin: usize,
}

impl Page {
    pub fn read(name: &str) -> Self {
        Self { name: name.into(), text: std::fs::read_to_string(root().join(name)).unwrap() }
    }

    /// README, and every other page that users and contributors read.
    pub fn all() -> Vec<Self> {
        let mut names: Vec<String> =
            ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "model/README.md", "fuzz/README.md"]
                .iter()
                .filter(|name| root().join(name).exists())
                .map(|name| name.to_string())
                .collect();
        let docs = std::fs::read_dir(root().join("docs")).into_iter().flatten();
        let docs = docs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.extend(docs.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")));
        names.sort();
        names.iter().map(|name| Self::read(name)).collect()
    }

    /// The folder that its links are relative to.
    pub fn folder(&self) -> PathBuf {
        Path::new(&self.name).parent().unwrap().to_path_buf()
    }

    /// Its fenced blocks.
    pub fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks: Vec<Block<'_>> = Vec::new();
        let mut begun: Option<(usize, &str, usize)> = None;
        let mut at = 0;
        for (number, line) in self.text.split_inclusive('\n').enumerate() {
            let fence = line.trim_end().strip_prefix("```");
            match (fence, begun) {
                (Some(words), None) => begun = Some((number + 1, words, at + line.len())),
                (Some(""), Some((line, words, from))) => {
                    let mut words = words.split_whitespace();
                    let (language, file) = (words.next().unwrap_or_default(), words.next());
                    blocks.push(Block { line, language, file, text: &self.text[from..at], begin: from });
                    begun = None;
                }
                _ => {}
            }
            at += line.len();
        }
        assert!(begun.is_none(), "{}: a block has no end", self.name);
        blocks
    }

    /// Its lines outside of fenced blocks, with their numbers.
    pub fn prose(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut inside = false;
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(move |(_, line)| {
            let fence = line.starts_with("```");
            inside ^= fence;
            !inside && !fence
        })
    }

    /// Lines of code that is indented rather than fenced: nobody would see that it is not run.
    pub fn indented_code(&self) -> Vec<usize> {
        let mut blank = true;
        let mut found = Vec::new();
        for (number, line) in self.prose() {
            if blank && line.starts_with("    ") {
                found.push(number);
            }
            blank = line.is_empty();
        }
        found
    }

    /// The anchors of its headings, as GitHub makes them.
    pub fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        for (_, line) in self.prose() {
            let title = line.trim_start_matches('#');
            if title.len() == line.len() || !title.starts_with(' ') {
                continue;
            }
            let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
            let slug: String = title.trim().to_lowercase().chars().filter(kept).collect();
            let slug = slug.replace(' ', "-");
            let same = anchors.iter().filter(|other| **other == slug).count();
            anchors.push(if same == 0 { slug } else { format!("{slug}-{same}") });
        }
        anchors
    }

    /// The targets of its links, with the numbers of their lines.
    pub fn links(&self) -> Vec<(usize, String)> {
        let link = regex::Regex::new(r"\]\(([^)\s]+)\)").unwrap();
        let span = regex::Regex::new(r"`[^`]*`").unwrap();
        let mut links = Vec::new();
        for (number, line) in self.prose() {
            // A code span may be the text of a link, but holds none.
            let line = span.replace_all(line, "code");
            links.extend(link.captures_iter(&line).map(|found| (number, found[1].to_string())));
        }
        links
    }
}

#[test]
fn pages_are_taken_apart() {
    let text = "# A `b`: c\n\n```toml labels.toml\nname = 1\n```\n\n## A b c\n[`x](y)`](z.md#q) `[no](link)`\n";
    let page = Page { name: "docs/x.md".into(), text: text.into() };
    let blocks = page.blocks();
    assert_eq!((blocks.len(), blocks[0].line, blocks[0].language), (1, 3, "toml"));
    assert_eq!((blocks[0].file, blocks[0].text), (Some("labels.toml"), "name = 1\n"));
    assert_eq!(page.anchors(), ["a-b-c", "a-b-c-1"]);
    assert_eq!(page.links(), [(8, "z.md#q".to_string())]);
    let page = Page { name: "x.md".into(), text: "- a\n    b\n\n    $ code\n\n```text x\n\n    fenced\n```\n".into() };
    assert_eq!(page.indented_code(), [4]);
}
