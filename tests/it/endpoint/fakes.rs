//! Servers on loopback that answer in the forms of others, as recorded from them. Their model counts words that two
//! texts share.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub key: Option<String>,
    pub body: Value,
}

/// Status, headers and body.
pub type Reply = (u16, Vec<(&'static str, String)>, Value);

/// A server that answers with `reply`, and remembers what it was asked.
pub struct Fake {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    most: Arc<AtomicUsize>,
}

impl Fake {
    pub fn start(reply: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, most, now) =
            (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (reply, all, peak) = (Arc::new(reply), asked.clone(), most.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (reply, all, peak, now) = (reply.clone(), all.clone(), peak.clone(), now.clone());
                thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    peak.fetch_max(now.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
                    let count = {
                        let mut all = all.lock().unwrap();
                        all.push(request.clone());
                        all.len()
                    };
                    let answer = reply(&request, count);
                    now.fetch_sub(1, Ordering::AcqRel);
                    write(&stream, answer);
                });
            }
        });
        Self { address, asked, most }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How many requests were in hand at the same time.
    pub fn most(&self) -> usize {
        self.most.load(Ordering::Acquire)
    }
}

fn read(mut stream: &TcpStream) -> Option<Asked> {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut bytes = Vec::new();
    let mut piece = [0; 65536];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = |name: &str| {
                let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
                lines
                    .filter(|(own, _)| own.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.trim().to_string())
                    .next()
            };
            let length = header("content-length").map_or(0, |length| length.parse::<usize>().unwrap());
            if body.len() >= length {
                let mut words = head.split(' ');
                let (method, path) = (words.next()?.to_string(), words.next()?.to_string());
                let key = header("authorization").map(|key| key.trim_start_matches("Bearer ").to_string());
                return Some(Asked { method, path, key, body: serde_json::from_str(body).unwrap_or_default() });
            }
        }
        let length = stream.read(&mut piece).ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&piece[..length]);
    }
}

fn write(mut stream: &TcpStream, (status, headers, body): Reply) {
    let body = body.to_string();
    let mut head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    drop(stream.write_all(format!("{head}\r\n{body}").as_bytes()));
}

pub fn ok(body: Value) -> Reply {
    (200, Vec::new(), body)
}

pub fn not_found() -> Reply {
    (404, Vec::new(), json!({"detail": "Not Found"}))
}

/// A failure as vLLM tells it.
pub fn failure(status: u16, message: &str) -> Reply {
    (
        status,
        Vec::new(),
        json!({"error": {"message": message, "type": "BadRequestError", "param": null, "code": status}}),
    )
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 3);
    words.map(|word| word.to_lowercase().trim_end_matches('s').to_string()).collect()
}

/// From 0 to 1: more where more words are shared.
pub fn relevance(query: &str, document: &str) -> f64 {
    let (query, document) = (words(query), words(document));
    let shared = document.iter().filter(|word| query.contains(word)).count();
    if shared == 0 { 0.05 } else { 1.0 - 0.4 / (1.0 + shared as f64) }
}

/// Without what stands around texts in the prompt of Qwen3, if it does.
pub fn bare<'a>(query: &'a str, document: &'a str) -> (&'a str, &'a str, bool) {
    let inner = query.split_once("<Query>: ").map(|(_, query)| query.trim_end());
    let text = document.strip_prefix("<Document>: ").and_then(|text| text.split("<|im_end|>").next());
    match (inner, text) {
        (Some(query), Some(document)) => (query, document, true),
        _ => (query, document, false),
    }
}

/// The query and the documents of a request.
pub fn pair(body: &Value) -> (String, Vec<String>) {
    let texts = body["documents"].as_array().or(body["texts"].as_array()).unwrap();
    (body["query"].as_str().unwrap().into(), texts.iter().map(|text| text.as_str().unwrap().into()).collect())
}

/// A list of indices and scores, best first, as all servers sort them.
pub fn sorted(scores: &[f64]) -> Vec<(usize, f64)> {
    let mut order: Vec<(usize, f64)> = scores.iter().copied().enumerate().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    order
}

/// A vector of the words of a text.
pub fn vector(text: &str) -> Vec<f64> {
    let mut vector = vec![0.01; 64];
    for word in words(text) {
        let place = word.bytes().fold(7usize, |hash, byte| (hash * 31 + usize::from(byte)) % 64);
        vector[place] += 1.0;
    }
    vector
}
