//! README and the pages show real output: every command of their `console` blocks is run, and must print what stands
//! there.
//!
//! `UPDATE_DOCS=1 cargo test --test it docs` writes what was printed into the pages.

pub mod examples;
mod flags;
mod links;
pub mod page;

use std::io::Write;

use crate::mailsort::root;
use page::Page;

#[test]
fn commands_print_what_pages_show() {
    let pages = Page::all();
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    let mut broken = Vec::new();
    let (mut commands, mut skipped) = (0, Vec::new());
    let ran = std::thread::scope(|scope| {
        let running: Vec<_> = pages.iter().map(|page| scope.spawn(|| examples::run(page))).collect();
        running.into_iter().map(|page| page.join().unwrap()).collect::<Vec<_>>()
    });
    for (page, ran) in pages.iter().zip(ran) {
        commands += ran.commands;
        skipped.extend(ran.skipped);
        if update && ran.broken.is_empty() {
            std::fs::write(root().join(&page.name), &ran.real).unwrap();
        } else if ran.broken.is_empty() && ran.real != page.text {
            broken.push(format!("{}: {}", page.name, difference(&page.text, &ran.real)));
        }
        broken.extend(ran.broken);
    }
    // Not by `eprintln`, which is only seen when a test fails.
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "docs: {commands} commands run, {} blocks not run", skipped.len()).unwrap();
    skipped.iter().for_each(|block| writeln!(stderr, "docs: not run: {block}").unwrap());
    assert!(broken.is_empty(), "run it with UPDATE_DOCS=1 and look at the difference\n{}", broken.join("\n"));
    assert!(commands >= 20, "the examples were not found");
}

/// The first line that is another, with its number.
fn difference(shown: &str, real: &str) -> String {
    let same = shown.lines().zip(real.lines()).take_while(|(shown, real)| shown == real).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(end)").to_string();
    format!("line {}\n  page: {}\n  now:  {}", same + 1, line(shown), line(real))
}

#[test]
fn recipes_are_those_that_were_run() {
    let pages = Page::all();
    let scripts: String = std::fs::read_dir(root().join("tests/integrations"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    for entry in std::fs::read_dir(root().join("examples/recipes")).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let recipe = std::fs::read_to_string(entry.path()).unwrap();
        let shown = pages.iter().any(|page| page.blocks().iter().any(|block| block.text == recipe));
        assert!(shown, "no page shows {name} as it is");
        let stem = name.split('.').next().unwrap();
        assert!(scripts.contains(stem), "{name} is run by no script");
    }
}
