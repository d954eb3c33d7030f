//! A small hub on loopback that speaks as the real one does, and misbehaves as it is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sha1::Sha1;
use sha2::{Digest, Sha256};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the hub does that a good one does not.
#[derive(Default)]
pub struct Manners {
    /// Answers to requests whose path holds the text: the whole head after `HTTP/1.1 `, and how often.
    pub answers: Vec<(&'static str, &'static str, usize)>,
    /// Ends the connection after so many bytes of weights, so many times.
    pub breaks_off: Option<(usize, usize)>,
    /// Falls silent after so many bytes of weights, so many times.
    pub falls_silent: Option<(usize, usize)>,
    /// Sends whole files whatever is asked.
    pub ignores_ranges: bool,
    /// Changes a byte of the file on its way.
    pub spoils: Option<&'static str>,
    /// Waits before it sends weights.
    pub slow: Option<Duration>,
    /// Who does not show this token is refused.
    pub token: Option<&'static str>,
    /// A list of files as it is sent, packed with gzip.
    pub packed_list: Option<Vec<u8>>,
    /// The commit in its lists.
    pub commit: Option<&'static str>,
}

struct State {
    repository: &'static str,
    files: BTreeMap<String, Vec<u8>>,
    manners: Manners,
    log: Vec<String>,
}

/// The hub. Its threads end with the test.
pub struct Hub {
    pub address: String,
    state: Arc<Mutex<State>>,
}

impl Hub {
    /// Serves one repository.
    pub fn new(repository: &'static str, files: &[(&str, &[u8])], manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let files = files.iter().map(|(name, bytes)| (name.to_string(), bytes.to_vec())).collect();
        let state = Arc::new(Mutex::new(State { repository, files, manners, log: Vec::new() }));
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                thread::spawn(move || serve(stream, &state));
            }
        });
        Self { address, state }
    }

    /// Changes what it does from now on.
    pub fn behave(&self, manners: Manners) {
        self.state.lock().unwrap().manners = manners;
    }

    /// The requests since this was asked last: method, path, range and authorization.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().log)
    }
}

/// A request as far as it matters.
struct Request {
    method: String,
    path: String,
    range: Option<usize>,
    host: String,
    token: Option<String>,
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_string(), words.next()?.to_string());
    let mut request = Request { method, path, range: None, host: String::new(), token: None };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            return Some(request);
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = value.strip_prefix("bytes=")?.split('-').next()?.parse().ok(),
            "host" => request.host = value.into(),
            "authorization" => request.token = Some(value.trim_start_matches("Bearer ").into()),
            _ => {}
        }
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        let reply = answer(&request, &mut state.lock().unwrap());
        if let Some(wait) = reply.wait {
            thread::sleep(wait);
        }
        if stream.write_all(reply.head.as_bytes()).and_then(|()| stream.write_all(&reply.body)).is_err() {
            return;
        }
        match reply.then {
            Then::GoOn => {}
            Then::Close => return,
            Then::Silence => {
                let _ = stream.read(&mut [0]);
                return;
            }
        }
    }
}

enum Then {
    GoOn,
    Close,
    Silence,
}

struct Reply {
    head: String,
    body: Vec<u8>,
    then: Then,
    wait: Option<Duration>,
}

fn reply(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    Reply { head, body: body.to_vec(), then: Then::GoOn, wait: None }
}

fn answer(request: &Request, state: &mut State) -> Reply {
    let shown = |part: Option<String>| part.map_or(String::new(), |part| format!(" {part}"));
    let range = shown(request.range.map(|from| format!("{from}-")));
    state.log.push(format!("{} {}{range}{}", request.method, request.path, shown(request.token.clone())));
    for (path, head, times) in &mut state.manners.answers {
        if *times > 0 && request.path.contains(*path) {
            *times -= 1;
            let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n");
            return Reply { head, body: vec![], then: Then::Close, wait: None };
        }
    }
    let mut reply = find(request, state);
    if request.method == "HEAD" {
        reply.body.clear();
        reply.then = Then::GoOn;
    }
    reply
}

fn find(request: &Request, state: &mut State) -> Reply {
    let repository = state.repository;
    let wanted = state.manners.token;
    if let Some(hash) = request.path.strip_prefix("/store/") {
        let (name, file) = state.files.iter().find(|(_, file)| sha256(file) == hash).unwrap();
        let (name, file) = (name.clone(), file.clone());
        return send(request, state, &name, &file, "\"of-the-store\"");
    }
    if wanted.is_some() && request.token.as_deref() != wanted {
        let code = if request.path.starts_with("/api/") { "RepoNotFound" } else { "GatedRepo" };
        let status = if request.token.is_some() { "403 Forbidden" } else { "401 Unauthorized" };
        return reply(status, &[("X-Error-Code", code)], b"no");
    }
    let escaped = request.path.replace("%2F", "/").replace("%20", " ");
    if let Some(revision) = escaped.strip_prefix(&format!("/api/models/{repository}/revision/")) {
        if !["main", "refs/pr/1", COMMIT].contains(&revision) {
            return reply("404 Not Found", &[("X-Error-Code", "RevisionNotFound")], b"no");
        }
        if let Some(list) = &state.manners.packed_list {
            return reply("200 OK", &[("Content-Type", "application/json"), ("Content-Encoding", "gzip")], list);
        }
        let commit = state.manners.commit.unwrap_or(COMMIT);
        let files: Vec<_> = state.files.keys().map(|name| serde_json::json!({"rfilename": name})).collect();
        let list = serde_json::json!({"id": repository, "sha": commit, "siblings": files, "gated": false});
        return reply("200 OK", &[("Content-Type", "application/json")], list.to_string().as_bytes());
    }
    let cached = escaped.strip_prefix("/api/resolve-cache/");
    let name = cached.or_else(|| escaped.strip_prefix(&format!("/{repository}/resolve/{COMMIT}/")));
    let Some((name, file)) = name.and_then(|name| Some((name.to_string(), state.files.get(name)?.clone()))) else {
        return reply("404 Not Found", &[("X-Error-Code", "EntryNotFound")], b"no");
    };
    if is_large(&name) {
        // Another name of this machine is another host, to which a token must not go.
        let host = request.host.replace("127.0.0.1", "localhost");
        let (etag, size, place) =
            (sha256(&file), file.len().to_string(), format!("http://{host}/store/{}", sha256(&file)));
        let etag = format!("\"{etag}\"");
        let headers =
            [("X-Repo-Commit", COMMIT), ("X-Linked-Etag", &etag), ("X-Linked-Size", &size), ("Location", &place)];
        return reply("302 Found", &headers, b"elsewhere");
    }
    if cached.is_none() {
        let place = format!("/api/resolve-cache/{name}");
        return reply("307 Temporary Redirect", &[("X-Repo-Commit", COMMIT), ("Location", &place)], b"elsewhere");
    }
    let etag = format!("\"{}\"", git(&file));
    send(request, state, &name, &file, &etag)
}

fn is_large(name: &str) -> bool {
    name.ends_with(".safetensors") || name.ends_with(".gguf")
}

/// Sends a file, or the part of it that is asked for.
fn send(request: &Request, state: &mut State, name: &str, file: &[u8], etag: &str) -> Reply {
    let manners = &mut state.manners;
    let mut bytes = file.to_vec();
    if manners.spoils == Some(name) {
        bytes[file.len() / 2] ^= 1;
    }
    let from = request.range.filter(|_| !manners.ignores_ranges);
    let mut sent = match from {
        Some(from) if from >= bytes.len() => return reply("416 Range Not Satisfiable", &[], b""),
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            reply("206 Partial Content", &[("ETag", etag), ("Content-Range", &range)], &bytes[from..])
        }
        None => reply("200 OK", &[("ETag", etag)], &bytes),
    };
    if is_large(name) && request.method == "GET" {
        sent.wait = manners.slow;
        for (manner, then) in [(&mut manners.breaks_off, Then::Close), (&mut manners.falls_silent, Then::Silence)] {
            if let Some((after, times)) = manner
                && *times > 0
            {
                *times -= 1;
                sent.body.truncate(*after);
                sent.then = then;
            }
        }
    }
    sent
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub fn git(bytes: &[u8]) -> String {
    hex(&Sha1::new_with_prefix(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize())
}
