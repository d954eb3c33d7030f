//! What a filter and a daemon say to each other: a line with the length and the mail, and a line of JSON back.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::commands::filter::Answer;

/// The first words of a request; another number means another form.
const GREETING: &str = "mailsort 1 ";

/// A longer first line is no request.
const LONGEST_GREETING: u64 = 64;

/// A longer answer is none.
const LONGEST_REPLY: u64 = 1 << 20;

const TOO_LONG: &str = "the client took too long";

/// What a daemon says.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::commands) enum Reply {
    /// The verdict.
    Answer(Answer),
    /// The mail cannot be scored, here or anywhere.
    Unscored(String),
    /// The daemon cannot score it now.
    Refused(String),
}

/// Asks the daemon that listens on `socket`.
///
/// # Errors
/// When nobody listens there, or what comes back is no reply.
pub(in crate::commands) fn ask(socket: &Path, mail: &[u8], patience: Duration) -> Result<Reply> {
    let shown = socket.display();
    let mut stream = UnixStream::connect(socket).with_context(|| format!("nobody can be asked on {shown}"))?;
    let answered = (|| -> Result<Vec<u8>> {
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        // A daemon that refuses does not read on; what it says is still to be read.
        if let Err(error) = request(&mut stream, mail)
            && !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
        {
            return Err(error.into());
        }
        let mut line = Vec::new();
        // Not to the end of the stream, which is an error where the daemon has not read all of the mail.
        BufReader::new(stream.take(LONGEST_REPLY)).read_until(b'\n', &mut line)?;
        Ok(line)
    })();
    let line = answered.with_context(|| format!("the daemon on {shown} does not answer"))?;
    ensure!(!line.is_empty(), "the daemon on {shown} has ended without an answer");
    serde_json::from_slice(&line)
        .with_context(|| format!("what listens on {shown} is no daemon of this version of mailsort"))
}

fn request(stream: &mut UnixStream, mail: &[u8]) -> io::Result<()> {
    stream.write_all(format!("{GREETING}{}\n", mail.len()).as_bytes())?;
    stream.write_all(mail)
}

/// A client that has so much time for all that it sends: one that sends a byte now and then would else stay for ever.
struct Until<'s> {
    stream: &'s UnixStream,
    end: Instant,
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, TOO_LONG));
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => io::Error::new(io::ErrorKind::TimedOut, TOO_LONG),
            _ => error,
        })
    }
}

/// Reads a request of at most `most` bytes that comes within `patience`.
///
/// # Errors
/// When it is none, longer, or the client is gone or takes too long.
pub(super) fn read(stream: &UnixStream, most: usize, patience: Duration) -> Result<Vec<u8>> {
    let mut stream = BufReader::new(Until { stream, end: Instant::now() + patience });
    let mut line = String::new();
    stream.by_ref().take(LONGEST_GREETING).read_line(&mut line)?;
    let length = line.strip_prefix(GREETING).and_then(|length| length.trim_end().parse::<usize>().ok());
    let length = length.context("this is no request of mailsort")?;
    ensure!(length <= most, "the mail is longer than --max-size {most}");
    let mut mail = Vec::new();
    stream.take(length as u64).read_to_end(&mut mail)?;
    if mail.len() < length {
        bail!("the client went away");
    }
    Ok(mail)
}

/// Says it. A client that has gone away hears nothing, and that is all.
pub(super) fn reply(mut stream: &UnixStream, reply: &Reply) {
    if let Ok(mut line) = serde_json::to_vec(reply) {
        line.push(b'\n');
        drop(stream.write_all(&line));
    }
}
