//! Runs the program as a user would.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// The repository's root, in which every test runs the program.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file or folder of ../shared/data, if it is there.
pub fn shared(path: &str) -> Option<PathBuf> {
    let full = root().join("../shared/data").join(path);
    if full.exists() {
        return Some(full);
    }
    eprintln!("skipped: {} is not there", full.display());
    None
}

/// A run of the program being put together.
pub struct Run {
    command: Command,
    input: Vec<u8>,
}

/// Starts to put a run together.
pub fn mailsort<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailsort"));
    command.args(arguments).current_dir(root()).env("NO_COLOR", "1").env("COLUMNS", "100").env_remove("RUST_BACKTRACE");
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
