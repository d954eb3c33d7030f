//! Input made to hang, to fill memory or to crash: each bounded in both, each with its record.
//!
//! The bounds are limits of the process. Processor time is limited rather than time on the clock, so that a busy
//! machine makes no test fail: the program promises a second a mail when built for release, the build that tests run is
//! up to three times slower, and the worst case here takes 1.3 seconds. Memory is a gigabyte of addresses, of which the
//! threads' stacks and the model are the half.

use crate::mailsort::command;

mod archives;
mod files;
mod headers;
mod html;
mod mime;
mod models;
mod texts;

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Processor seconds of one mail.
const A_MAIL: u32 = 3;
/// Kilobytes of addresses.
const MEMORY: u32 = 1 << 20;
/// A run that is stuck without using the processor ends here.
const STUCK: Duration = Duration::from_secs(120);
/// What most cases are about stands behind these headers.
const HEAD: &str = "From: A <a@example.org>\nSubject: the invoice\n";

/// What came of a run.
struct Outcome {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

/// Runs `mailsort classify` within `seconds` and [`MEMORY`], feeding it as it reads.
fn run<F>(arguments: &[&str], folder: &Path, seconds: u32, feed: F) -> Outcome
where
    F: FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
{
    let limits = format!("ulimit -v {MEMORY}; ulimit -t {seconds}; exec \"$@\"");
    let mut child = command("sh")
        .args(["-c", &limits, "sh", env!("CARGO_BIN_EXE_mailsort"), "classify", "--threads", "2"])
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let mut stdin = BufWriter::with_capacity(1 << 16, stdin);
        // The program may have seen enough before the end.
        let _ = feed(&mut stdin).and_then(|()| stdin.flush());
    });
    let id = child.id().to_string();
    let (done, waiting) = mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        if waiting.recv_timeout(STUCK) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-KILL", &id]).status();
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(done);
    watch.join().unwrap();
    writer.join().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into(),
    }
}

/// The records of a run on standard input, read as `format` says, or as the bytes say.
fn records<F>(case: &str, format: Option<&str>, seconds: u32, feed: F) -> Vec<Value>
where
    F: FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
{
    let mut arguments = vec!["-", "--label", "invoice", "--label", "meeting"];
    arguments.extend(format.iter().flat_map(|format| ["--input-format", format]));
    let started = Instant::now();
    let outcome = run(&arguments, crate::mailsort::root(), seconds, feed);
    eprintln!("{:>6.2} s  {case}", started.elapsed().as_secs_f32());
    parsed(case, &outcome)
}

fn parsed(case: &str, outcome: &Outcome) -> Vec<Value> {
    let Outcome { code, stdout, stderr } = outcome;
    assert!(code.is_some_and(|code| code < 2), "{case}: {code:?} (None is a signal: time or memory), {stderr}");
    let records: Vec<Value> = stdout
        .split(|&b| b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert!(records.iter().all(|record| record["error"] != "parser failed"), "{case}: a parser panicked");
    records
}

/// One mail or page gives one record, within its time.
fn one(case: &str, format: Option<&str>, bytes: impl Into<Vec<u8>>) -> Value {
    let bytes = bytes.into();
    let mut records = records(case, format, A_MAIL, move |out| out.write_all(&bytes));
    assert_eq!(records.len(), 1, "{case}");
    records.remove(0)
}

/// One mail, which gets a verdict: its subject is text, whatever its body is.
fn scored(case: &str, mail: impl Into<Vec<u8>>) {
    let record = one(case, Some("eml"), mail);
    assert!(record["label"].is_string() && record["subject"].is_string(), "{case}: {record:.500}");
}

/// Writes `part` until about `total` bytes are written, without holding them.
fn repeat(out: &mut dyn Write, part: &[u8], total: usize) -> io::Result<()> {
    if part.is_empty() {
        return Ok(());
    }
    let block = part.repeat(((1 << 16) / part.len()).max(1));
    (0..total.div_ceil(block.len())).try_for_each(|_| out.write_all(&block))
}
