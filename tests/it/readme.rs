//! README shows real output: every command of its `console` blocks is run, and must print what stands there.
//!
//! `UPDATE_README=1 cargo test --test it readme` writes what was printed into README.

use std::process::Command;

use crate::mailsort::root;

#[test]
fn commands_print_what_readme_shows() {
    let path = root().join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (real, commands) = with_real_output(&text);
    assert!(commands >= 5, "the commands of README were not found");
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&path, real).unwrap();
    } else {
        let differs = real.lines().zip(text.lines()).find(|(real, shown)| real != shown);
        assert_eq!(differs, None, "run it with UPDATE_README=1 and look at the difference");
        assert_eq!(real.len(), text.len());
    }
}

/// The text with the output of every command put behind it, and the number of commands.
fn with_real_output(text: &str) -> (String, usize) {
    let mut real = String::new();
    let mut in_block = false;
    let mut commands = 0;
    for line in text.lines() {
        match line {
            "```console" => in_block = true,
            "```" => in_block = false,
            _ => {}
        }
        let command = line.strip_prefix("$ ").filter(|_| in_block);
        if !in_block || command.is_some() || line == "```console" {
            real.extend([line, "\n"]);
        }
        if let Some(command) = command {
            commands += 1;
            real.push_str(&run(command));
        }
    }
    (real, commands)
}

/// Runs a command line of a shell in the repository's root, `mailsort` being the program under test.
fn run(command: &str) -> String {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_mailsort")).parent().unwrap();
    let others = std::env::var_os("PATH").unwrap();
    let path = std::iter::once(program.to_path_buf()).chain(std::env::split_paths(&others));
    // The first command of README builds the program; here that is done.
    let command = command.replace("cargo run --release -- ", "mailsort ");
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .current_dir(root())
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn recipes_are_those_that_were_run() {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let scripts: String = std::fs::read_dir(root().join("tests/integrations"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    for entry in std::fs::read_dir(root().join("examples/recipes")).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let recipe = std::fs::read_to_string(entry.path()).unwrap();
        assert!(text.contains(&format!("```text\n{recipe}```\n")), "README shows another {name}");
        let stem = name.split('.').next().unwrap();
        assert!(scripts.contains(stem), "{name} is run by no script");
    }
}
