//! Asks the server on a Unix socket about one message, by HTTP. A client with a runtime would start more slowly.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::commands::answer::{Answer, Reply};

/// Longest answer: with all labels it may name many.
const LONGEST_ANSWER: u64 = 64 << 20;
/// Headers of an answer, at most.
const MOST_HEADERS: usize = 32;
/// Enough for every label that a set can have.
const ALL: usize = 1_000_000;

/// The failure of a request.
#[derive(Deserialize)]
struct Failed {
    error: Told,
}

#[derive(Deserialize)]
struct Told {
    message: String,
}

/// Asks the server that listens on `socket`; with `all_labels`, for every label that a message can have.
///
/// # Errors
/// When no server listens there, or it does not answer within `timeout`.
pub(in crate::commands) fn ask(socket: &Path, message: &[u8], all_labels: bool, timeout: Duration) -> Result<Reply> {
    let shown = socket.display();
    let mut stream = UnixStream::connect(socket).with_context(|| format!("cannot connect to {shown}"))?;
    let top_k = if all_labels { ALL } else { 1 };
    // The line before the headers that a mail server may put there makes a mailbox of it.
    let message = match message.iter().position(|&byte| byte == b'\n').filter(|_| message.starts_with(b"From ")) {
        Some(end) => &message[end + 1..],
        None => message,
    };
    let head = format!(
        "POST /v1/classify?top_k={top_k} HTTP/1.1\r\nHost: localhost\r\nContent-Type: message/rfc822\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        message.len()
    );
    let answered = (|| -> Result<Vec<u8>> {
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        // A server that refuses stops reading; its answer can still be read.
        if let Err(error) = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(message))
            && !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
        {
            return Err(error.into());
        }
        let mut answer = Vec::new();
        match stream.take(LONGEST_ANSWER).read_to_end(&mut answer) {
            // Who has refused before all was read resets the connection behind its answer.
            Err(error) if answer.is_empty() || error.kind() != io::ErrorKind::ConnectionReset => Err(error.into()),
            _ => Ok(answer),
        }
    })();
    let answer = answered.with_context(|| format!("the server on {shown} does not answer"))?;
    ensure!(!answer.is_empty(), "the server on {shown} has ended without an answer");
    read(&answer).with_context(|| format!("what listens on {shown} is not a mailsort server of this version"))
}

/// Reads an answer of HTTP.
fn read(answer: &[u8]) -> Result<Reply> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(answer)? else { bail!("the answer has no end of its head") };
    let body = &answer[length..];
    let claimed = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let claimed = claimed.and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
    ensure!(claimed.is_none_or(|claimed| claimed <= body.len()), "the answer is cut off");
    let status = head.code.unwrap_or_default();
    if status == 200 {
        return Answer::of_record(body);
    }
    let Failed { error } = serde_json::from_slice(body).with_context(|| format!("the status is {status}"))?;
    Ok(match status {
        429 | 503 => Reply::Refused(error.message),
        400..=405 => Reply::SetUp(error.message),
        _ => Reply::Unscored(error.message),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let check = |answer: &str, expected: Option<&str>| {
            let read = read(answer.as_bytes());
            assert_eq!(read.as_ref().ok().map(|reply| format!("{reply:?}")).as_deref(), expected, "{answer} {read:?}");
        };
        let failed = |status: u16| {
            format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n\r\n{{\"error\":{{\"message\":\"so\"}}}}")
        };
        check(&failed(429), Some("Refused(\"so\")"));
        check(&failed(503), Some("Refused(\"so\")"));
        check(&failed(413), Some("Unscored(\"so\")"));
        check(&failed(401), Some("SetUp(\"so\")"));
        check("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{}", None);
        check("HTTP/1.1 200 OK\r\n\r\n{}", None);
        check("HTTP/1.1 404 Not Found\r\n\r\n<html>", None);
        check("SSH-2.0-OpenSSH\r\n", None);
        let error = "{\"error\":\"no text\",\"label\":null,\"labels\":[],\"model\":\"builtin\"}";
        check(&format!("HTTP/1.1 200 OK\r\n\r\n{error}"), Some("Unscored(\"no text\")"));
    }
}
