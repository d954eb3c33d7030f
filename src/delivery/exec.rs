//! A command that gets a mail: within a time, tried again a few times, and nothing of a mail can become a part of it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::process::{Pid, Signal, kill_process_group};

/// How much of what a command says on stderr is looked at.
const HEARD: u64 = 4096;

/// The longest value of a variable; systems have a limit for all of them together.
const LONGEST_VALUE: usize = 2000;

/// So long a stop waits at most for a wait to end.
const LOOK_UP: Duration = Duration::from_millis(50);

/// No wait before another try is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long a command may take, and how often it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// After this it is killed, with its process group.
    pub timeout: Duration,
    /// How often it is tried again.
    pub retries: u32,
    /// The wait before the first of these, which doubles from one to the next.
    pub wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), retries: 2, wait: Duration::from_secs(1) }
    }
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Words {
    /// A program and its arguments.
    Program(Vec<String>),
    /// A line for a shell.
    Shell(String),
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Exec {
    words: Words,
    limits: Limits,
}

/// How a command ended, at its last try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status, if it has one; 128 and the signal where one ended it.
    pub status: Option<i32>,
    /// Why it counts as failed, if it does.
    pub failure: Option<String>,
}

impl Exec {
    /// # Errors
    /// When there is no command, or a NUL byte in it.
    pub fn new(words: Words, limits: Limits) -> Result<Self> {
        let all = match &words {
            Words::Program(words) => words.as_slice(),
            Words::Shell(line) => std::slice::from_ref(line),
        };
        ensure!(all.first().is_some_and(|first| !first.is_empty()), "`exec` names no command");
        ensure!(!all.iter().any(|word| word.contains('\0')), "the command holds a NUL byte");
        Ok(Self { words, limits })
    }

    /// The program, for people; what follows it may be a secret.
    pub fn name(&self) -> &str {
        match &self.words {
            Words::Program(words) => words.first().map_or("", String::as_str),
            Words::Shell(line) => line.split_whitespace().next().unwrap_or_default(),
        }
    }

    /// Runs it with the mail on stdin, and where `again` is true again if it fails, unless `stop` says that nobody waits any
    /// more.
    pub fn run(&self, mail: &File, variables: &[(&str, String)], again: bool, stop: &dyn Fn() -> bool) -> Ended {
        let mut wait = self.limits.wait;
        let mut left = if again { self.limits.retries } else { 0 };
        loop {
            let ended = self.once(mail, variables);
            if ended.failure.is_none() || left == 0 || !slept(wait, stop) {
                return ended;
            }
            left -= 1;
            wait = (2 * wait).min(LONGEST_WAIT);
        }
    }

    fn once(&self, mail: &File, variables: &[(&str, String)]) -> Ended {
        let said = tempfile::tempfile().ok();
        match self.start(mail, variables, said.as_ref()).and_then(|child| self.wait(child)) {
            Ok(Some(status)) if status.success() => Ended { status: Some(0), failure: None },
            Ok(Some(status)) => {
                let how = match status.signal() {
                    Some(signal) => format!("it was ended by signal {signal}"),
                    None => format!("it ended with {}", status.code().unwrap_or_default()),
                };
                let status = status.code().or(status.signal().map(|signal| 128 + signal));
                Ended { status, failure: Some(how + &last_words(said)) }
            }
            Ok(None) => {
                let failure = format!("it took longer than {} s", self.limits.timeout.as_secs_f64());
                Ended { status: None, failure: Some(failure + &last_words(said)) }
            }
            Err(error) => Ended { status: None, failure: Some(format!("it cannot be run: {error}")) },
        }
    }

    fn start(&self, mut mail: &File, variables: &[(&str, String)], said: Option<&File>) -> io::Result<Child> {
        let mut command = match &self.words {
            Words::Program(words) => {
                let mut command = Command::new(words.first().map_or("", String::as_str));
                command.args(words.iter().skip(1));
                command
            }
            Words::Shell(line) => {
                let mut command = Command::new("sh");
                command.args(["-c", line]);
                command
            }
        };
        mail.seek(SeekFrom::Start(0))?;
        // The file itself and no pipe: a command that does not read all of it stops nobody.
        command.stdin(mail.try_clone()?);
        // Our own stdout is for records.
        command.stdout(Stdio::null()).stderr(match said {
            Some(file) => file.try_clone()?.into(),
            None => Stdio::null(),
        });
        command.envs(variables.iter().map(|(name, value)| (name, harmless(value))));
        // A group of its own, so that all of it can be ended, and Ctrl-C in a terminal is for us alone.
        command.process_group(0).spawn()
    }

    /// Waits for its end; `None` when it took too long and was killed.
    fn wait(&self, mut child: Child) -> io::Result<Option<ExitStatus>> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if started.elapsed() >= self.limits.timeout {
                // It is not waited for yet, so its number is still its own.
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

/// False when it was stopped before its time.
fn slept(time: Duration, stop: &dyn Fn() -> bool) -> bool {
    let started = Instant::now();
    while !stop() {
        let left = time.saturating_sub(started.elapsed());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(LOOK_UP));
    }
    false
}

/// The last line that a command has said, behind a colon.
fn last_words(said: Option<File>) -> String {
    let mut bytes = Vec::new();
    let read = said.map(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(HEARD)))?;
        file.take(HEARD).read_to_end(&mut bytes)
    });
    let text = String::from_utf8_lossy(&bytes);
    match (read, text.lines().rfind(|line| !line.trim().is_empty())) {
        (Some(Ok(_)), Some(line)) => format!(": {}", line.trim()),
        _ => String::new(),
    }
}

/// A value without what a shell script or a log would stumble over.
fn harmless(value: &str) -> String {
    let plain: String = value.chars().filter(|c| !c.is_control()).collect();
    plain[..plain.floor_char_boundary(LONGEST_VALUE)].to_string()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn run(line: &str, timeout: f64, retries: u32) -> Ended {
        let mut mail = tempfile::tempfile().unwrap();
        mail.write_all(&b"Subject: x\n\nbody\n".repeat(20_000)).unwrap();
        let limits = Limits { timeout: Duration::from_secs_f64(timeout), retries, wait: Duration::from_millis(1) };
        let exec = Exec::new(Words::Shell(line.into()), limits).unwrap();
        exec.run(&mail, &[("MAILSORT_SUBJECT", "$(touch x)\n\0\u{1b}'\"".into())], true, &|| false)
    }

    #[test]
    fn commands_end_well_or_are_named() {
        let fine = Ended { status: Some(0), failure: None };
        assert_eq!(run("test $(wc -c) = 340000", 9.0, 0), fine);
        assert_eq!(run("exec 0<&-", 9.0, 0), fine, "nobody has to read the mail");
        assert_eq!(run("test \"$MAILSORT_SUBJECT\" = '$(touch x)'\\''\"'", 9.0, 0), fine);
        assert_eq!(run("exit 7", 9.0, 0), Ended { status: Some(7), failure: Some("it ended with 7".into()) });
        let said = run("echo out; echo one >&2; echo two >&2; kill -9 $$", 9.0, 0);
        assert_eq!(said, Ended { status: Some(137), failure: Some("it was ended by signal 9: two".into()) });
        let exec = Exec::new(Words::Program(vec!["/gone/away".into()]), Limits { retries: 0, ..Limits::default() });
        let ended = exec.unwrap().run(&tempfile::tempfile().unwrap(), &[], true, &|| false);
        assert!(ended.failure.unwrap().starts_with("it cannot be run"));
    }

    #[test]
    fn a_command_that_takes_too_long_ends_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let started = Instant::now();
        let ended = run(&format!("(sleep 1; touch {}) & sleep 30", mark.display()), 0.2, 0);
        assert_eq!(ended, Ended { status: None, failure: Some("it took longer than 0.2 s".into()) });
        assert!(started.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(1300));
        assert!(!mark.exists());
    }

    #[test]
    fn a_command_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let line = format!("cd {}; echo x >> tries; test $(wc -l < tries) = 3", folder.path().display());
        assert_eq!(run(&line, 9.0, 1).status, Some(1));
        assert_eq!(run(&line, 9.0, 1).status, Some(0), "the third try, and the first of this run");
    }
}
