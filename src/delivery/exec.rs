//! Runs a command with a message on stdin: with a timeout, with retries, and with nothing of the message in its words.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::process::{Pid, Signal, kill_process_group};

/// How much of the end of stderr is kept, and how much at most: the last line is looked for in it.
const STDERR_TAIL: usize = 32 * 1024;
const MOST_STDERR: usize = 2 * STDERR_TAIL;

/// Longest wait for the rest of stderr, which programs that a command has started may hold open.
const STDERR_WAIT: Duration = Duration::from_millis(200);

/// Longest value of an environment variable; systems limit the sum of all.
const LONGEST_VALUE: usize = 2000;

/// Interval at which a wait checks for a stop.
const STOP_INTERVAL: Duration = Duration::from_millis(50);

/// Longest wait before a retry.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Timeout and retries of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RetryPolicy {
    /// Time after which it is killed with its process group.
    pub timeout: Duration,
    /// Number of retries.
    pub retries: u32,
    /// Wait before the first retry; doubles for each further one.
    pub wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), retries: 2, wait: Duration::from_secs(1) }
    }
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CommandLine {
    /// A program and its arguments.
    Program(Vec<String>),
    /// A line for a shell.
    Shell(String),
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Exec {
    line: CommandLine,
    retry: RetryPolicy,
}

/// Result of the last try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitResult {
    /// Exit status; 128 plus the signal that ended it.
    pub status: Option<i32>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

impl Exec {
    /// # Errors
    /// When the command is empty or holds a NUL byte.
    pub fn new(line: CommandLine, retry: RetryPolicy) -> Result<Self> {
        let words = match &line {
            CommandLine::Program(words) => words.as_slice(),
            CommandLine::Shell(line) => std::slice::from_ref(line),
        };
        ensure!(words.first().is_some_and(|first| !first.is_empty()), "`exec` names no command");
        ensure!(!words.iter().any(|word| word.contains('\0')), "the command holds a NUL byte");
        Ok(Self { line, retry })
    }

    /// The program, for messages; its arguments may be secret.
    pub fn name(&self) -> &str {
        match &self.line {
            CommandLine::Program(words) => words.first().map_or("", String::as_str),
            CommandLine::Shell(line) => line.split_whitespace().next().unwrap_or_default(),
        }
    }

    /// Runs it with the message on stdin. Retries after a failure if `retries` is true and `stop` is false.
    pub fn run(
        &self,
        message: &File,
        environment: &[(&str, String)],
        retries: bool,
        stop: &dyn Fn() -> bool,
    ) -> ExitResult {
        let mut wait = self.retry.wait;
        let mut left = if retries { self.retry.retries } else { 0 };
        loop {
            let ended = self.once(message, environment);
            if ended.failure.is_none() || left == 0 || !slept(wait, stop) {
                return ended;
            }
            left -= 1;
            wait = (2 * wait).min(LONGEST_WAIT);
        }
    }

    fn once(&self, message: &File, environment: &[(&str, String)]) -> ExitResult {
        let ended = self.start(message, environment).and_then(|mut child| {
            let stderr = child.stderr.take().map(drain);
            Ok((self.wait(child)?, stderr))
        });
        match ended {
            Ok((Some(status), _)) if status.success() => ExitResult { status: Some(0), failure: None },
            Ok((Some(status), stderr)) => {
                let how = match status.signal() {
                    Some(signal) => format!("killed by signal {signal}"),
                    None => format!("exited with status {}", status.code().unwrap_or_default()),
                };
                let status = status.code().or(status.signal().map(|signal| 128 + signal));
                ExitResult { status, failure: Some(how + &last_line(stderr)) }
            }
            Ok((None, stderr)) => {
                let failure = format!("timed out after {} s", self.retry.timeout.as_secs_f64());
                ExitResult { status: None, failure: Some(failure + &last_line(stderr)) }
            }
            Err(error) => ExitResult { status: None, failure: Some(format!("cannot be run: {error}")) },
        }
    }

    fn start(&self, mut message: &File, environment: &[(&str, String)]) -> io::Result<Child> {
        let mut command = match &self.line {
            CommandLine::Program(words) => {
                let mut command = Command::new(words.first().map_or("", String::as_str));
                command.args(words.iter().skip(1));
                command
            }
            CommandLine::Shell(line) => {
                let mut command = Command::new("sh");
                command.args(["-c", line]);
                command
            }
        };
        message.seek(SeekFrom::Start(0))?;
        // The file itself and not a pipe: a command need not read all of it.
        command.stdin(message.try_clone()?);
        // Stdout of mailsort is for records.
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.envs(environment.iter().map(|(name, value)| (name, sanitised(value))));
        // A process group of its own, so that it can be killed with its children, and Ctrl-C in a terminal reaches only
        // mailsort.
        command.process_group(0).spawn()
    }

    /// Waits for the end; `None` when it took too long and was killed.
    fn wait(&self, mut child: Child) -> io::Result<Option<ExitStatus>> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if started.elapsed() >= self.retry.timeout {
                // It was not waited for yet, so the system has not reused its process id.
                let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
                if group.is_none_or(|group| kill_process_group(group, Signal::KILL).is_err()) {
                    child.kill()?;
                }
                child.wait()?;
                return Ok(None);
            }
            thread::sleep(pause);
            pause = (2 * pause).min(Duration::from_millis(20));
        }
    }
}

/// Sleeps; false when `stop` cut it short.
fn slept(time: Duration, stop: &dyn Fn() -> bool) -> bool {
    let started = Instant::now();
    while !stop() {
        let left = time.saturating_sub(started.elapsed());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(STOP_INTERVAL));
    }
    false
}

/// The end of a command's stderr, and whether nothing follows.
type Stderr = Arc<(Mutex<(Vec<u8>, bool)>, Condvar)>;

/// Reads all of stderr and keeps its end: a command may write for ever. It is read as long as any program has it open,
/// so that none is stopped by writing to it.
fn drain(mut stderr: ChildStderr) -> Stderr {
    let kept = Stderr::default();
    let own = kept.clone();
    let reading = thread::Builder::new().spawn(move || {
        let (state, has_ended) = &*own;
        let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chunk = vec![0; STDERR_TAIL];
        loop {
            match stderr.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => keep_end(&mut lock().0, &chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        lock().1 = true;
        has_ended.notify_all();
    });
    // Without a thread nothing is said of stderr.
    drop(reading);
    kept
}

fn keep_end(kept: &mut Vec<u8>, more: &[u8]) {
    if kept.len() + more.len() > MOST_STDERR {
        kept.drain(..kept.len().saturating_sub(STDERR_TAIL));
    }
    kept.extend_from_slice(more);
}

/// The last line of stderr, after a colon.
fn last_line(stderr: Option<Stderr>) -> String {
    let Some(stderr) = stderr else { return String::new() };
    let (state, has_ended) = &*stderr;
    let kept = state.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = has_ended.wait_timeout_while(kept, STDERR_WAIT, |(_, has_ended)| !*has_ended);
    let (kept, _) = waited.unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&kept.0);
    text.lines()
        .rfind(|line| !line.trim().is_empty())
        .map_or(String::new(), |line| format!(": {}", shortened(line.trim())))
}

/// A line cut to the longest that is said.
fn shortened(line: &str) -> &str {
    &line[..line.floor_char_boundary(LONGEST_VALUE)]
}

/// A value without control characters, cut to the longest.
fn sanitised(value: &str) -> String {
    let plain: String = value.chars().filter(|c| !c.is_control()).collect();
    plain[..plain.floor_char_boundary(LONGEST_VALUE)].to_string()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    fn run(line: &str, timeout: f64, retries: u32) -> ExitResult {
        let mut mail = tempfile::tempfile().unwrap();
        mail.write_all(&b"Subject: x\n\nbody\n".repeat(20_000)).unwrap();
        let limits = RetryPolicy { timeout: Duration::from_secs_f64(timeout), retries, wait: Duration::from_millis(1) };
        let exec = Exec::new(CommandLine::Shell(line.into()), limits).unwrap();
        exec.run(&mail, &[("MAILSORT_SUBJECT", "$(touch x)\n\0\u{1b}'\"".into())], true, &|| false)
    }

    #[test]
    fn commands_end_well_or_are_named() {
        let fine = ExitResult { status: Some(0), failure: None };
        assert_eq!(run("test $(wc -c) = 340000", 9.0, 0), fine);
        assert_eq!(run("exec 0<&-", 9.0, 0), fine, "nobody has to read the mail");
        assert_eq!(run("test \"$MAILSORT_SUBJECT\" = '$(touch x)'\\''\"'", 9.0, 0), fine);
        assert_eq!(run("exit 7", 9.0, 0), ExitResult { status: Some(7), failure: Some("exited with status 7".into()) });
        let said = run("echo out; echo one >&2; echo two >&2; kill -9 $$", 9.0, 0);
        assert_eq!(said, ExitResult { status: Some(137), failure: Some("killed by signal 9: two".into()) });
        let exec = Exec::new(
            CommandLine::Program(vec!["/gone/away".into()]),
            RetryPolicy { retries: 0, ..RetryPolicy::default() },
        );
        let ended = exec.unwrap().run(&tempfile::tempfile().unwrap(), &[], true, &|| false);
        assert!(ended.failure.unwrap().starts_with("cannot be run"));
    }

    #[test]
    fn stderr_without_end_is_not_kept() {
        let (mut kept, mut written) = (Vec::new(), Vec::new());
        for at in 0..9000 {
            let line = format!("line {at}\n");
            keep_end(&mut kept, line.as_bytes());
            written.extend(line.into_bytes());
            assert!(
                kept.len() <= MOST_STDERR && written.ends_with(&kept) && kept.len() >= STDERR_TAIL.min(written.len())
            );
        }
        let said = run("yes a long line >&2", 0.5, 0).failure.unwrap();
        assert!(said.starts_with("timed out after 0.5 s: "), "{said}");
        let said = run("head -c 300000 /dev/zero | tr '\\0' x >&2; echo >&2; echo last >&2; exit 3", 9.0, 0);
        assert_eq!(said.failure.unwrap(), "exited with status 3: last");
        let said = run("head -c 300000 /dev/zero | tr '\\0' x >&2; exit 3", 9.0, 0).failure.unwrap();
        assert!(said.len() < 3000 && said.ends_with("xxx"), "{}", said.len());
        // A program that goes on holds it open.
        let started = Instant::now();
        assert_eq!(run("sleep 3 & echo said >&2; exit 3", 9.0, 0).failure.unwrap(), "exited with status 3: said");
        assert!(started.elapsed() < Duration::from_secs(9));
    }

    #[test]
    fn a_command_that_takes_too_long_ends_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let started = Instant::now();
        // Reading ends when nobody has the pipe open any more: neither the command nor its children.
        let reading = thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read(pipe).unwrap()
        });
        let ended = run(&format!("exec 3> {}; sleep 60 & sleep 60", pipe.display()), 0.2, 0);
        assert_eq!(ended, ExitResult { status: None, failure: Some("timed out after 0.2 s".into()) });
        // Where the command was ended before it opened the pipe, reading would wait for ever.
        drop(std::fs::OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&pipe));
        assert_eq!(reading.join().unwrap(), b"");
        assert!(started.elapsed() < Duration::from_secs(50));
    }

    #[test]
    fn a_command_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let line = format!("cd {}; echo x >> tries; test $(wc -l < tries) = 3", folder.path().display());
        assert_eq!(run(&line, 9.0, 1).status, Some(1));
        assert_eq!(run(&line, 9.0, 1).status, Some(0), "the third try, and the first of this run");
    }
}
