//! The examples of docs/evaluation-in-ci.md that check a label set: the steps of the GitHub workflow, and the hook of
//! git.

use std::fs;
use std::path::Path;

use crate::docs::examples::commands;
use crate::docs::page::Page;
use crate::mailsort::{command, root};
use crate::requirements::lacks;

const PAGE: &str = "docs/evaluation-in-ci.md";

/// The block of the page that is a file of this name.
fn block(file: &str) -> String {
    let page = Page::read(PAGE);
    let blocks = page.blocks();
    let found = blocks.iter().find(|block| block.file == Some(file));
    found.unwrap_or_else(|| panic!("{PAGE} does not show {file}")).text.to_string()
}

/// The command of the page that writes the baseline.
fn baseline() -> String {
    let page = Page::read(PAGE);
    let commands = page.blocks().iter().flat_map(commands).map(|(_, command)| command).collect::<Vec<_>>();
    commands.into_iter().find(|command| command.ends_with("--output baseline.json")).unwrap()
}

/// Runs a script in a folder, with the program under test on the path.
fn shell(folder: &Path, script: &str) -> std::process::Output {
    let program = Path::new(env!("CARGO_BIN_EXE_mailsort")).parent().unwrap().to_path_buf();
    let others = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths([program].into_iter().chain(std::env::split_paths(&others))).unwrap();
    let mut command = command("sh");
    command.args(["-ec", script]).current_dir(folder).env("PATH", path).env("HOME", folder).env("NO_COLOR", "1");
    command.env("GITHUB_STEP_SUMMARY", folder.join("summary.md")).output().unwrap()
}

/// The files that the examples read.
fn copy_of_examples() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["labels/tickets.toml", "samples/labelled.jsonl"] {
        let copy = folder.path().join(name);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(root().join(name), copy).unwrap();
    }
    folder
}

#[test]
fn the_workflow_runs() {
    let workflow = block(".github/workflows/labels.yml");
    let steps: Vec<&str> = workflow.lines().filter_map(|line| line.trim().strip_prefix("- run: ")).collect();
    assert!(steps.len() >= 2, "{workflow}");
    let folder = copy_of_examples();
    for step in [baseline().as_str()].iter().chain(&steps) {
        let output = shell(folder.path(), step);
        assert!(output.status.success(), "{step}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let summary = fs::read_to_string(folder.path().join("summary.md")).unwrap();
    assert!(
        summary.contains("## mailsort eval") && fs::metadata(folder.path().join("report.xml")).is_ok(),
        "{summary}"
    );
    // A day on which everything was right.
    let baseline = folder.path().join("baseline.json");
    let mut better: serde_json::Value = serde_json::from_slice(&fs::read(&baseline).unwrap()).unwrap();
    for said in better["predictions"].as_array_mut().unwrap() {
        said["predicted"] = said["truth"][0].clone();
    }
    fs::write(&baseline, better.to_string()).unwrap();
    let output = shell(folder.path(), steps.last().unwrap());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && stderr.contains("missed: accuracy against the baseline"), "{stderr}");
}

#[test]
fn the_hook_lets_good_labels_pass_and_no_others() {
    let hook = block(".git/hooks/pre-commit");
    let folder = copy_of_examples();
    let git = "git init -q && git add . && git -c user.name=a -c user.email=a@b commit -qm begin";
    let begun = shell(folder.path(), git);
    if !begun.status.success() {
        return lacks("git", String::from_utf8_lossy(&begun.stderr));
    }
    let untouched = shell(folder.path(), &hook);
    assert!(
        untouched.status.success() && untouched.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&untouched.stderr)
    );
    let labels = folder.path().join("labels/tickets.toml");
    let text = fs::read_to_string(&labels).unwrap();
    fs::write(&labels, text.replace("parcels", "boxes")).unwrap();
    let fine = shell(folder.path(), &format!("git add .\n{hook}"));
    assert!(fine.status.success(), "{}", String::from_utf8_lossy(&fine.stderr));
    // Examples would make up for descriptions.
    let spoilt = regex::Regex::new(r"(?s)examples = \[.*?\]\n").unwrap().replace_all(&text, "");
    fs::write(&labels, spoilt.replace("description = ", "description = \"recipes and cooking\" # ")).unwrap();
    let spoilt = shell(folder.path(), &format!("git add .\n{hook}"));
    let said = String::from_utf8_lossy(&spoilt.stderr);
    assert!(spoilt.status.code() == Some(1) && said.contains("missed: accuracy"), "{said}");
}
