//! Runs the program as a user would.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::requirements::lacks;

/// The repository's root, in which every test runs the program.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file or folder of ../shared/data, or the requirement of it as lacking.
pub fn shared(path: &str) -> Option<PathBuf> {
    let full = root().join("../shared/data").join(path);
    if full.exists() {
        return Some(full);
    }
    lacks("shared", format!("{} is not there", full.display()));
    None
}

/// What starting another program gave, or the requirement of it as lacking if it is not installed.
pub fn started<T>(requirement: &str, result: std::io::Result<T>) -> Option<T> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            lacks(requirement, error);
            None
        }
        result => Some(result.unwrap()),
    }
}

/// Longer than anything takes that is waited for, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until something is so, and fails with `why` if it never is.
pub fn until(mut is_so: impl FnMut() -> bool, why: impl Fn() -> String) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {}", why());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a process has computed for a second and a half: it is in the middle of something slow.
#[cfg(target_os = "linux")]
pub fn until_it_computes(child: &Child) {
    // In hundredths of a second; the name before these fields, which may hold blanks, ends with a bracket.
    let computed = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>()
    };
    let before = computed();
    until(|| computed() >= before + 150, || "it does not compute".into());
}

/// A run of the program being put together.
pub struct Run {
    command: Command,
    input: Vec<u8>,
}

/// A folder that neither is there nor can be made, also by root.
const NOWHERE: &str = "/dev/null/home";

/// Another program, or ours, in an environment that is the same on every machine and for every user. What it would keep
/// for a user it cannot keep; its temporary files lie in a folder of cargo's.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    static TEMPORARY: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("children");
        std::fs::create_dir_all(&folder).unwrap();
        // Some run as another user.
        #[cfg(unix)]
        std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
        folder
    });
    let mut command = Command::new(program);
    let is_ours = |name: &OsString| {
        let name = name.to_string_lossy();
        ["MAILSORT_", "HF_", "HUGGINGFACE_", "XDG_", "NOTMUCH_"].iter().any(|begin| name.starts_with(begin))
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(name)) {
        command.env_remove(name);
    }
    for name in ["HOME", "HF_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env(name, NOWHERE);
    }
    command.env("TMPDIR", &*TEMPORARY).env_remove("RUST_BACKTRACE");
    command
}

/// Starts to put a run together.
pub fn mailsort<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
    let mut command = command(env!("CARGO_BIN_EXE_mailsort"));
    command.args(arguments).current_dir(root()).env("NO_COLOR", "1").env("COLUMNS", "100");
    Run { command, input: Vec::new() }
}

impl Run {
    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Gives the program its standard input.
    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Runs it as somebody to whom permissions mean something: not as root.
    #[cfg(unix)]
    pub fn unprivileged(mut self) -> Self {
        use std::os::unix::process::CommandExt;
        const NOBODY: u32 = 65534;
        if rustix::process::geteuid().is_root() {
            self.command.uid(NOBODY).gid(NOBODY);
        }
        self
    }

    /// Runs it in another folder.
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Starts it without waiting for its end, and without input.
    pub fn start(mut self) -> Child {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs it to the end.
    pub fn output(mut self) -> Output {
        let mut child =
            self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = std::mem::take(&mut self.input);
        let writer = std::thread::spawn(move || {
            // The program may end before it has read everything.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    }

    /// Status, stdout and stderr as one text, for snapshots.
    pub fn transcript(self) -> String {
        let output = self.output();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        format!(
            "status: {}\n--- stdout\n{}--- stderr\n{}",
            output.status.code().map_or("killed".into(), |code| code.to_string()),
            text(&output.stdout),
            text(&output.stderr)
        )
    }

    /// The records of a run that wrote JSON Lines.
    pub fn records(self) -> Vec<Value> {
        let output = self.output();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&output.stderr));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
