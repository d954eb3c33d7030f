//! Runs the examples of a page as a reader would, in a copy of the files that they read.
//!
//! Every `console` block of a page is one session of a shell, and the blocks of a page follow each other in one folder.
//! A block whose first line begins with `# needs` or `# takes` is not run; a reader sees there what it needs. What a block
//! leaves in the background ends with it, but for a server, which answers to the end of the page, and on a free port.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use super::page::{Block, Page};
use crate::mailsort::root;
use crate::requirements::lacks;

/// What a block says that is not run.
const MARKS: [&str; 2] = ["# needs ", "# takes "];

/// The parts of a checkout that examples read.
const READ: [&str; 5] = ["samples", "labels", "examples", "tests/documents", "tests/models"];

/// Files that pages show and other tests run.
const RUN_BY_TESTS: [&str; 2] = [".github/workflows/labels.yml", ".git/hooks/pre-commit"];

/// Where a server listens in pages.
const ADDRESS: &str = "127.0.0.1:8080";

/// Stands between the outputs of two commands.
const SEPARATOR: &str = "\n\u{1e}\n";

/// What became of the examples of a page.
#[derive(Default)]
pub struct Ran {
    /// The page with the output of every command that was run.
    pub real: String,
    pub commands: usize,
    /// The blocks that were not run: where, and why.
    pub skipped: Vec<String>,
    /// What is wrong with blocks.
    pub broken: Vec<String>,
}

/// Why a block is not run, if it says so.
pub fn mark<'a>(block: &Block<'a>) -> Option<&'a str> {
    let first = block.text.lines().next().unwrap_or_default();
    MARKS.iter().any(|mark| first.starts_with(mark)).then(|| first.trim_start_matches("# "))
}

/// The commands of a block, each with its lines as they stand there.
pub fn commands(block: &Block<'_>) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut goes_on = false;
    for line in block.text.lines() {
        let first = line.strip_prefix("$ ");
        let further = line.strip_prefix("> ").filter(|_| goes_on);
        if let Some(first) = first {
            found.push((format!("{line}\n"), first.into()));
        } else if let (Some(further), Some((shown, command))) = (further, found.last_mut()) {
            shown.extend([line, "\n"]);
            command.extend(["\n", further]);
        }
        goes_on = (first.is_some() || further.is_some()) && line.ends_with('\\');
    }
    found
}

/// True when a command names a file outside of the folder that it runs in.
pub fn leads_outside(command: &str) -> bool {
    let words = command.split(|c: char| c.is_whitespace() || "'\"=<>|;&()`".contains(c));
    words
        .filter(|word| *word != "/dev/null")
        .any(|word| word.starts_with(['/', '~']) || word.split('/').any(|part| part == "..") || word.contains("$HOME"))
}

/// Runs what a page shows.
pub fn run(page: &Page) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    for part in READ {
        copy(&root().join(part), &folder.path().join("checkout").join(part));
    }
    let mut ran = Ran { broken: unread_files(page), ..Ran::default() };
    let indented = page.indented_code().into_iter();
    ran.broken.extend(indented.map(|line| format!("{}:{line}: code outside of a fenced block", page.name)));
    let mut done = 0;
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).unwrap();
    let mut background = Background::default();
    for block in page.blocks() {
        let here = format!("{}:{}", page.name, block.line);
        match (block.language, block.file, mark(&block)) {
            ("console", None, Some(why)) => ran.skipped.push(format!("{here}: {why}")),
            ("console", None, None) => {
                ran.real.push_str(&page.text[done..block.begin]);
                done = block.begin + block.text.len();
                if block.text.contains("curl ") && Command::new("curl").arg("-V").output().is_err() {
                    lacks("curl", format!("{here} is not run"));
                    ran.real.push_str(block.text);
                    continue;
                }
                let shell = Shell { folder: folder.path(), address: &port.to_string() };
                run_block(&shell, &block, &here, &mut ran, &mut background);
            }
            (_, Some(file), _) => write(&folder.path().join("checkout"), file, &block, &here, &mut ran.broken),
            (_, None, _) => ran.broken.push(format!("{here}: neither `console` nor the name of a file")),
        }
    }
    ran.real.push_str(&page.text[done..]);
    ran
}

/// Runs a block, unless one of its commands names a file outside.
fn run_block(shell: &Shell<'_>, block: &Block<'_>, here: &str, ran: &mut Ran, background: &mut Background) {
    let commands = commands(block);
    if commands.is_empty() {
        ran.broken.push(format!("{here}: neither a command nor `# needs` or `# takes`"));
    }
    if let Some((_, command)) = commands.iter().find(|(_, command)| leads_outside(command)) {
        return ran.broken.push(format!("{here}: not run, for it names a file outside: {command}"));
    }
    ran.commands += commands.len();
    for ((shown, _), output) in commands.iter().zip(session(shell, &commands, background)) {
        ran.real.extend([shown.as_str(), &output]);
    }
}

/// Files that a page shows but that neither its commands nor the repository nor other tests use.
fn unread_files(page: &Page) -> Vec<String> {
    let blocks = page.blocks();
    let commands: String = blocks.iter().flat_map(commands).map(|(_, command)| command).collect();
    let read = |file: &str| root().join(file).exists() || RUN_BY_TESTS.contains(&file) || commands.contains(file);
    let files = blocks.iter().filter_map(|block| Some((block.line, block.file?)));
    let unread = files.filter(|(_, file)| !read(file));
    unread.map(|(line, file)| format!("{}:{line}: no command reads {file}", page.name)).collect()
}

/// A block with the name of a file is that file: the same as in the repository, or written for the commands that
/// follow.
fn write(checkout: &Path, file: &str, block: &Block<'_>, here: &str, broken: &mut Vec<String>) {
    let original = root().join(file);
    if original.exists() {
        if fs::read_to_string(original).unwrap() != block.text {
            broken.push(format!("{here}: {file} is another in the repository"));
        }
        return;
    }
    let path = checkout.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, block.text).unwrap();
}

/// Where the commands of a page run.
struct Shell<'a> {
    folder: &'a Path,
    /// What stands for [`ADDRESS`].
    address: &'a str,
}

impl Shell<'_> {
    /// A command as it is run: in README the first one builds the program, which is done here.
    fn command(&self, shown: &str) -> String {
        let command = shown.replace("cargo run --release -- ", "mailsort ");
        let is_default =
            command.contains("mailsort serve") && !["--listen", "--socket"].iter().any(|f| command.contains(f));
        let command = if is_default {
            command.replace("mailsort serve", &format!("mailsort serve --listen {ADDRESS}"))
        } else {
            command
        };
        command.replace(ADDRESS, self.address)
    }
}

/// What each command of a session printed, on stdout and stderr.
fn session(shell: &Shell<'_>, commands: &[(String, String)], background: &mut Background) -> Vec<String> {
    let folder = shell.folder;
    let program = Path::new(env!("CARGO_BIN_EXE_mailsort")).parent().unwrap();
    let others = std::env::var_os("PATH").unwrap();
    let path = std::iter::once(program.to_path_buf()).chain(std::env::split_paths(&others));
    let mut script = String::new();
    for (_, command) in commands {
        script.push_str(&shell.command(command));
        // The next command may ask for the status of this one.
        script.push_str("\nmailsort_status=$?; printf '\\n\\036\\n'; (exit $mailsort_status)\n");
    }
    // A file rather than a pipe: what is left in the background holds nothing up.
    let output = folder.join("output");
    let file = File::create(&output).unwrap();
    let mut sh = Command::new("sh");
    sh.args(["-c", &script]).current_dir(folder.join("checkout")).stdin(Stdio::null());
    sh.stdout(file.try_clone().unwrap()).stderr(file);
    sh.env_clear().env("PATH", std::env::join_paths(path).unwrap()).env("LANG", "C.UTF-8");
    sh.env("NO_COLOR", "1").env("COLUMNS", "100");
    for (name, part) in [
        ("HOME", "home"),
        ("TMPDIR", "tmp"),
        ("XDG_CACHE_HOME", "home/.cache"),
        ("XDG_CONFIG_HOME", "home/.config"),
        ("XDG_DATA_HOME", "home/.local/share"),
        ("XDG_STATE_HOME", "home/.local/state"),
        ("XDG_RUNTIME_DIR", "run"),
    ] {
        fs::create_dir_all(folder.join(part)).unwrap();
        sh.env(name, folder.join(part));
    }
    run_in_group(&mut sh, script.contains("mailsort serve --listen"), background);
    let said = String::from_utf8(fs::read(output).unwrap()).unwrap().replace(shell.address, ADDRESS);
    let mut said: Vec<String> = said.split(SEPARATOR).map(String::from).collect();
    for text in &mut said {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
    }
    said.resize(commands.len(), String::new());
    said
}

/// Servers of a page, which end with it.
#[cfg(unix)]
#[derive(Default)]
struct Background(Vec<rustix::process::Pid>);

#[cfg(unix)]
impl Drop for Background {
    fn drop(&mut self) {
        for group in &self.0 {
            let _ = rustix::process::kill_process_group(*group, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(not(unix))]
#[derive(Default)]
struct Background;

/// Runs a shell to its end, and then ends what it left in the background, unless it `stays`.
#[cfg(unix)]
fn run_in_group(shell: &mut Command, stays: bool, background: &mut Background) {
    use std::os::unix::process::CommandExt;
    use std::time::{Duration, Instant};

    // An example that waits in vain is killed, and fails.
    const PATIENCE: Duration = Duration::from_secs(300);
    let mut child = shell.process_group(0).spawn().unwrap();
    let group = rustix::process::Pid::from_child(&child);
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    if stays {
        background.0.push(group);
    } else {
        // There is none any more if nothing was left.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    child.wait().unwrap();
}

#[cfg(not(unix))]
fn run_in_group(shell: &mut Command, _: bool, _: &mut Background) {
    shell.status().unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn commands_that_lead_outside_are_told() {
    let check = |command: &str, expected: bool| assert_eq!(leads_outside(command), expected, "{command}");
    check("mailsort classify samples/inbox.mbox -l labels/mail.txt 2>/dev/null", false);
    check("rm -rf /tmp/Maildir", true);
    check("HF_HOME=/nowhere mailsort models list", true);
    check("mailsort classify x >/tmp/y", true);
    check("cat ~/labels.txt", true);
    check("cat \"$HOME\"/labels.txt", true);
    check("cat samples/../../x", true);
    check("git diff a..b", false);
}

#[test]
fn examples_run_in_a_folder_of_their_own() {
    let text = "```text name\nAnn\n```\n\n```console\n$ x=1; cat name \\\n>   -\n$ printf %s \"$x\"\n```\n\nThen\n\n\
                ```console\n$ ls; for i in \"$HOME\" \"$TMPDIR\" \"$XDG_RUNTIME_DIR\"; do ls \"$i\" | wc -l; done\n```\n\n\
                ```console\n# needs a GPU\n$ false\n```\n\n```console\nnothing\n```\n";
    let text = text.replace("\"$HOME\" \"$TMPDIR\"", "\"$XDG_CACHE_HOME\" \"$TMPDIR\"");
    let ran = run(&Page { name: "x.md".into(), text });
    assert!(ran.real.contains(">   -\nAnn\n$ printf %s \"$x\"\n1\n```"), "{}", ran.real);
    assert!(ran.real.contains("done\nexamples\nlabels\nname\nsamples\ntests\n0\n0\n0\n```"), "{}", ran.real);
    assert_eq!((ran.commands, ran.skipped.len()), (3, 1));
    assert_eq!(ran.broken, ["x.md:22: neither a command nor `# needs` or `# takes`"]);
}
