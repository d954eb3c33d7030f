//! `mailsort serve` as its clients see it.
//!
//! - `api`: what every route answers, in every shape that clients know
//! - `browser`: the page in a real browser
//! - `clients`: clients of other servers, and programs that post JSON
//! - `filters`: filters that ask over a Unix socket: answers, refusals, and an end that loses nothing
//! - `limits`: floods, slow clients, lies about lengths, hang-ups, keys and pages of other sites
//! - `monitoring`: metrics, the dashboard that shows them, and samples for a person to label
//! - `search`: questions to an index, by the command and over HTTP
//! - `tabs`: the page's tabs for questions and contracts, in a real browser

mod api;
mod browser;
mod clients;
#[cfg(unix)]
mod filters;
mod limits;
mod monitoring;
mod search;
mod tabs;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::mailsort::{PATIENCE, command, root};

/// Two labels, one in words of a bill, one of a date.
pub const LABELS: [&str; 4] = ["--label", "invoice: a bill to pay", "--label", "meeting: a date to meet and talk"];
pub const INVOICE: &str = "Subject: Your invoice\n\nPlease pay the bill that is attached.\n";

/// A server on a free port, which is killed when the test is over.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// What it said before it listened.
    pub said: String,
    /// Held, or what it says would end it.
    _stderr: BufReader<std::process::ChildStderr>,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An answer of HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The message of a failure.
    pub fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_else(|| panic!("no failure: {self:?}")).to_string()
    }
}

impl Server {
    /// A server with two labels.
    pub fn start(flags: &[&str]) -> Self {
        Self::bare(&[&LABELS, flags].concat())
    }

    /// A server with nothing but these flags.
    pub fn bare(flags: &[&str]) -> Self {
        let mut command = command(env!("CARGO_BIN_EXE_mailsort"));
        command.current_dir(root()).args(["serve", "--listen", "127.0.0.1:0"]).args(flags);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it does not listen: {said}");
            said += &line;
            if let Some(rest) = line.strip_prefix("mailsort: listening on http://") {
                break rest.split(',').next().unwrap().parse().unwrap();
            }
        };
        Self { child, address, said, _stderr: stderr }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request and reads its answer.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let host = self.address.to_string();
        // A server that refuses does not read on.
        drop(stream.write_all(&request(method, path, &host, headers, body)));
        answer(&mut stream)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// The most memory that it has held, in MB.
    #[cfg(target_os = "linux")]
    pub fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        most.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
    }

    /// The value of a metric without labels.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }
}

/// A request as bytes. The connection ends with its answer unless `Connection` is among the headers.
pub fn request(method: &str, path: &str, host: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let has = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !has("host") {
        head += &format!("Host: {host}\r\n");
    }
    if !has("connection") {
        head += "Connection: close\r\n";
    }
    if !has("content-length") && !has("transfer-encoding") {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    [head.as_bytes(), b"\r\n", body].concat()
}

/// Reads an answer: as long as it says it is, or to the end of the connection.
pub fn answer(stream: &mut impl Read) -> Answer {
    let mut bytes = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        // Who refuses before all was read may reset the connection behind its answer.
        let length = stream.read(&mut piece).unwrap_or(0);
        bytes.extend_from_slice(&piece[..length]);
        if length == 0 || is_whole(&bytes) {
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_string()));
    Answer { status, headers: lines.filter_map(header).collect(), body: body.to_string() }
}

fn is_whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| bytes.len() >= end + 4 + length)
}
