//! The protocol between `filter --socket` and `daemon`: a line with the length of a message, the message, and a line of
//! JSON back.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::commands::answer::Response;

/// Begins a request; the number is the version of the protocol.
const GREETING: &str = "mailsort 1 ";

/// Longest first line of a request.
const LONGEST_GREETING: u64 = 64;

/// Longest response.
const LONGEST_RESPONSE: u64 = 1 << 20;

/// Asks the daemon that listens on `socket`.
///
/// # Errors
/// When no daemon listens there, or it does not answer within `timeout`.
pub(in crate::commands) fn ask(socket: &Path, message: &[u8], timeout: Duration) -> Result<Response> {
    let shown = socket.display();
    let mut stream = UnixStream::connect(socket).with_context(|| format!("cannot connect to {shown}"))?;
    let answered = (|| -> Result<Vec<u8>> {
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        // A daemon that refuses stops reading; its response can still be read.
        if let Err(error) = write_request(&mut stream, message)
            && !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
        {
            return Err(error.into());
        }
        let mut line = Vec::new();
        // Not to the end of the stream, which is an error when the daemon has not read the whole message.
        BufReader::new(stream.take(LONGEST_RESPONSE)).read_until(b'\n', &mut line)?;
        Ok(line)
    })();
    let line = answered.with_context(|| format!("the daemon on {shown} does not answer"))?;
    ensure!(!line.is_empty(), "the daemon on {shown} has ended without an answer");
    serde_json::from_slice(&line)
        .with_context(|| format!("what listens on {shown} is not a mailsort daemon of this version"))
}

fn write_request(stream: &mut UnixStream, message: &[u8]) -> io::Result<()> {
    stream.write_all(format!("{GREETING}{}\n", message.len()).as_bytes())?;
    stream.write_all(message)
}

/// Reads a request with a message of at most `most` bytes.
///
/// # Errors
/// When it is not a request, longer, or cut off.
pub(super) fn read_request(stream: impl Read, most: usize) -> Result<Vec<u8>> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.by_ref().take(LONGEST_GREETING).read_line(&mut line)?;
    let length = line.strip_prefix(GREETING).and_then(|length| length.trim_end().parse::<usize>().ok());
    let length = length.context("this is not a mailsort request")?;
    ensure!(length <= most, "the message is longer than --max-size {most}");
    let mut message = Vec::new();
    stream.take(length as u64).read_to_end(&mut message)?;
    if message.len() < length {
        bail!("the client went away");
    }
    Ok(message)
}

/// Writes a response. A client that has gone away misses it.
pub(super) fn write_response(mut stream: &UnixStream, response: &Response) {
    if let Ok(mut line) = serde_json::to_vec(response) {
        line.push(b'\n');
        drop(stream.write_all(&line));
    }
}
