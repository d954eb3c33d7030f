//! Runs the program itself as a child process that reads one PDF: bytes on stdin, a [`Reply`] as JSON on stdout.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::{MAX_TEXT, Text, limits, pdf};
use crate::guard;
use crate::intake::MAX_DOCUMENT;
use crate::record::Reason;

/// The name of the command that serves as the child.
pub const CHILD: &str = "pdf-text";

/// How long the parent waits for a child that neither answers nor uses CPU time, such as a stopped one.
const PATIENCE: Duration = Duration::from_secs(300);
/// The greatest length of a reply: a character of text is at most six bytes of JSON.
const MAX_REPLY: u64 = 6 * MAX_TEXT as u64 + 64 * 1024;

/// The text that the child found, or its error.
type Reply = Result<Text, String>;

/// The program to run, if the current one has the command [`CHILD`].
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Declares that `program` has the command [`CHILD`]. Otherwise PDFs are read in this process, guarded only against
/// panics.
pub fn serve_with(program: PathBuf) {
    // A second declaration is the same.
    let _ = PROGRAM.set(program);
}

/// Serves as the child: reads a PDF from stdin, writes its text to stdout.
pub fn serve() -> ExitCode {
    limits::apply();
    let mut bytes = Vec::new();
    if io::stdin().take(MAX_DOCUMENT as u64).read_to_end(&mut bytes).is_err() {
        return ExitCode::FAILURE;
    }
    let reply = serde_json::to_vec(&in_process(&bytes)).and_then(|reply| {
        let mut out = io::stdout().lock();
        out.write_all(&reply).and_then(|()| out.flush()).map_err(serde_json::Error::io)
    });
    if reply.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn in_process(bytes: &[u8]) -> Reply {
    guard::catch(|| pdf::extract(bytes)).unwrap_or_else(|_| Err("the PDF is damaged".into()))
}

/// The text of a PDF, read by a child if possible.
pub(super) fn extract(bytes: Vec<u8>) -> Result<Text, Reason> {
    let reply = match PROGRAM.get() {
        Some(program) => by_child(program, bytes).unwrap_or_else(Err),
        None => in_process(&bytes),
    };
    reply.map_err(Reason::Unreadable)
}

/// Asks a child; the error is the child's own.
fn by_child(program: &Path, bytes: Vec<u8>) -> Result<Reply, String> {
    let mut child = start(program).map_err(|error| format!("cannot start the process that reads PDFs: {error}"))?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (done, reply) = mpsc::channel();
    let talk = thread::spawn(move || {
        if let Some(mut stdin) = stdin {
            // The status of a child tells why it died.
            let _ = stdin.write_all(&bytes);
        }
        let mut reply = Vec::new();
        if let Some(stdout) = stdout {
            let _ = stdout.take(MAX_REPLY).read_to_end(&mut reply);
        }
        let _ = done.send(reply);
    });
    let reply = reply.recv_timeout(PATIENCE);
    let late = reply.is_err();
    if late {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| format!("the process that read the PDF was lost: {error}"))?;
    let _ = talk.join();
    if late {
        return Err(format!("the process that reads PDFs did not answer within {} s", PATIENCE.as_secs()));
    }
    if !status.success() {
        return Err(limits::killed_by(status).unwrap_or_else(|| "the PDF is damaged".into()));
    }
    let reply = reply.unwrap_or_default();
    serde_json::from_slice(&reply).map_err(|_| "the process that reads PDFs gave no answer".into())
}

fn start(program: &Path) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.arg(CHILD).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    limits::detach(&mut command);
    command.spawn()
}
