//! Completions complete, and manual pages format without a warning.

use std::process::Stdio;

use crate::mailsort::{command, mailsort, started};

fn printed(arguments: &[&str]) -> String {
    let output = mailsort(arguments).output();
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a program on a file, which must please it, and gives what it printed; `None` if the test lacks it.
fn run(program: &str, arguments: &[&str], file: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, file).unwrap();
    let output = command(program).args(arguments).arg(&path).stdin(Stdio::null()).output();
    let output = started(program, output)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{program} {arguments:?}: {stderr}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Asks bash what it would offer for a command line.
const ASK: &str = r#"
source "$1"
complete -p mailsort > /dev/null || exit 1
ask() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _mailsort mailsort "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\n' "$*: ${COMPREPLY[*]}"
}
ask mailsort cl
ask mailsort classify --for
ask mailsort classify --format ta
ask mailsort classify --color ''
ask mailsort completions z
"#;

#[test]
fn bash_completes() {
    let Some(said) = run("bash", &["-c", ASK, "bash"], &printed(&["completions", "bash"])) else {
        return;
    };
    let expected = "mailsort cl: classify\n\
        mailsort classify --for: --format\n\
        mailsort classify --format ta: table\n\
        mailsort classify --color : auto always never\n\
        mailsort completions z: zsh\n";
    assert_eq!(said, expected);
}

/// Rust's runtime opens the null device in place of a closed standard output; other programs hand it over on purpose.
#[cfg(unix)]
#[test]
fn a_closed_output_is_an_error_and_the_null_device_is_none() {
    let check = |script: &str, code: i32, said: &str| {
        let program = env!("CARGO_BIN_EXE_mailsort");
        let mut shell = command("sh");
        let output = shell.args(["-c", script, "sh", program]).current_dir(crate::mailsort::root()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{script}: {stderr}");
        assert!(stderr.contains(said) && stderr.is_empty() == said.is_empty(), "{script}: {stderr}");
    };
    let classify = "\"$1\" classify samples/inbox.mbox --label invoice --label meeting --threshold 0";
    let closed = "standard output: it is closed";
    check(&format!("{classify} >&-"), 2, closed);
    check(&format!("{classify} --output - >&-"), 2, closed);
    check(&format!("{classify} >&- <&- 2>/dev/null"), 2, "");
    check("\"$1\" models list >&-", 2, "it is closed");
    check("echo x | \"$1\" filter --verbose --label invoice --label meeting >&-", 75, "it is closed");
    for open in [">/dev/null", "1<>/dev/null", "--output /dev/null >&-", "| cat >/dev/null"] {
        check(&format!("{classify} --quiet {open}"), 0, "");
    }
}

#[test]
fn every_shell_can_read_its_script() {
    for shell in ["bash", "zsh", "fish"] {
        run(shell, &["-n"], &printed(&["completions", shell]));
    }
    for shell in ["elvish", "powershell"] {
        assert!(printed(&["completions", shell]).contains("--tag-prefix"), "{shell}");
    }
}

#[test]
fn manual_pages_format_without_a_warning() {
    let main = printed(&["man"]);
    let verbs: Vec<&str> =
        main.lines().filter_map(|line| line.strip_prefix("mailsort\\-")?.strip_suffix("(1)")).collect();
    assert!(verbs.contains(&"classify") && verbs.contains(&"man"), "{verbs:?}");
    for verb in [None].into_iter().chain(verbs.into_iter().map(Some)) {
        let page = printed(&["man"].into_iter().chain(verb).collect::<Vec<_>>());
        let Some(text) = run("groff", &["-man", "-ww", "-Tutf8", "-P-cbou"], &page) else {
            return;
        };
        let name = verb.map_or("mailsort".into(), |verb| format!("mailsort-{verb}"));
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.starts_with(&format!("{}(1) User Commands", name.to_uppercase())), "{text}");
        assert!(text.contains(&format!("NAME {name} - ")) && text.contains("SEE ALSO"), "{text}");
    }
}

#[test]
fn a_page_shows_what_the_help_says() {
    let page = printed(&["man", "classify"]);
    for part in [".SH EXAMPLES\n.nf\nmailsort classify inbox.mbox", ".SH \"EXIT STATUS\"", "\\-\\-tag\\-prefix"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let unknown = mailsort(["man", "nothing"]).output();
    assert_eq!(unknown.status.code(), Some(2));
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert!(said.starts_with("mailsort: no command is called \"nothing\"; there are: classify, "), "{said}");
}
