//! Floods, slow clients, lies about lengths, hang-ups, keys and pages of other sites.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{INVOICE, LABELS, Server, answer, request};
use crate::mailsort::{mailsort, until};

const MAIL: [(&str, &str); 1] = [("Content-Type", "message/rfc822")];
const KEY: &str = "c0ffee00c0ffee00c0ffee00";

#[test]
fn a_key_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.txt");
    std::fs::write(&keys, format!("# of the desk\n{KEY}\n")).unwrap();
    let file = keys.to_str().unwrap();
    let server = Server::start(&["--api-key-file", file]);
    let bearer = format!("Bearer {KEY}");
    for path in ["/v1/models", "/info", "/metrics", "/openapi.json"] {
        assert_eq!(server.get(path).status, 401, "{path}");
        assert_eq!(server.ask("GET", path, &[("Authorization", &bearer)], b"").status, 200, "{path}");
    }
    assert_eq!(server.get("/health").status, 200);
    let refused = server.ask("POST", "/v1/classify", &MAIL, INVOICE.as_bytes());
    assert!(refused.status == 401 && refused.message().contains("Authorization: Bearer KEY"), "{refused:?}");
    let open = Server::start(&["--api-key-file", file, "--metrics-open"]);
    assert_eq!((open.get("/metrics").status, open.get("/v1/models").status), (200, 401));
    // Other machines can reach every address.
    let refused = |flags: &[&str], why: &str| {
        let output = mailsort(["serve"]).args(LABELS).args(flags).output();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(why), "{said}");
    };
    refused(&["--listen", "0.0.0.0:0"], "give --api-key-file FILE");
    refused(&["--listen", "nowhere"], "HOST:PORT");
    refused(&["--listen", &server.address.to_string()], "cannot listen on");
    refused(&["--api-key-file", "no/such/file"], "cannot read the file of API keys no/such/file");
    std::fs::write(&keys, "secret\n").unwrap();
    refused(&["--api-key-file", file], "line 1: a key has 16 characters or more");
}

#[test]
fn pages_of_other_sites_may_not_ask() {
    let server = Server::start(&["--cors-origin", "https://desk.example.com"]);
    let own = format!("http://{}", server.address);
    for (headers, status) in [
        (vec![("Origin", "https://evil.example")], 403),
        (vec![("Origin", "null")], 403),
        (vec![("Host", "rebound.example")], 403),
        (vec![("Origin", own.as_str())], 200),
        (vec![("Origin", "https://desk.example.com")], 200),
        (vec![("Host", "localhost:8080")], 200),
    ] {
        let answer = server.ask("GET", "/v1/models", &headers, b"");
        assert_eq!(answer.status, status, "{headers:?}");
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed.is_some(), headers[0].1.contains("desk"), "{headers:?} {allowed:?}");
    }
    let preflight = [("Origin", "https://desk.example.com"), ("Access-Control-Request-Method", "POST")];
    let answer = server.ask("OPTIONS", "/v1/classify", &preflight, b"");
    assert!(answer.status == 200 && answer.header("access-control-allow-headers").unwrap().contains("authorization"));
    let closed = Server::start(&[]);
    let answer = closed.ask("OPTIONS", "/v1/classify", &preflight, b"");
    assert!(answer.status == 403 && answer.header("access-control-allow-origin").is_none(), "{answer:?}");
}

#[test]
fn lies_about_lengths_take_no_memory() {
    let server = Server::start(&[]);
    let form = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n".to_string()
        + &"pay ".repeat(1 << 20);
    let form = form + "\r\n--x--\r\n";
    let answer =
        server.ask("POST", "/v1/classify", &[("Content-Type", "multipart/form-data; boundary=x")], form.as_bytes());
    assert_eq!((answer.status, &answer.json()["records"][0]["label"]), (200, &json!("invoice")));
    let many = json!({"input": vec!["a"; 10_001]});
    assert_eq!(server.post("/v1/embeddings", many).status, 413);
    let labels: Vec<String> = (0..10_001).map(|at| format!("label {at}")).collect();
    let answer = server.post("/v1/classify", json!({"text": "pay", "labels": labels}));
    assert!(answer.status == 413 && answer.message().contains("10001 of `labels`"), "{answer:?}");
    let server = Server::start(&["--max-size", "64K"]);
    let claimed = [("Content-Type", "message/rfc822"), ("Content-Length", "10000000000")];
    let answer = server.ask("POST", "/v1/classify", &claimed, b"Subject: x");
    assert!(answer.status == 413 && answer.message().contains("--max-size 65536"), "{answer:?}");
    let mut endless = server.connect();
    endless.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
    let begun = Instant::now();
    while endless.write_all(&[b'x'; 1024]).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(20), "a head without an end is read");
    }
    // A small body that is large when it is decompressed.
    let text = "From a@b Mon Jan  1 00:00:00 2024\nSubject: x\n\npay\n\n".repeat(40_000);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(text.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let answer = server.ask("POST", "/v1/classify", &[("Content-Type", "application/gzip")], &packed);
    assert!(answer.status == 413 && answer.message().contains("run `mailsort classify`"), "{answer:?}");
    assert_eq!(server.post("/v1/classify", json!({"text": "pay"})).status, 200);
}

#[test]
fn many_clients_get_what_one_gets() {
    let server = Arc::new(Server::start(&["--model", "deep"]));
    let texts = mailsort(["show", "samples/inbox.mbox"]).output().stdout;
    let texts = texts.split(|&b| b == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let row = |text: Value| json!({"subject": text["subject"], "from": text["from"], "text": text["body"]});
    let texts: Vec<Value> = texts.map(row).collect();
    let rows = texts.iter().map(|text| text.to_string() + "\n").collect::<String>();
    let flags = ["classify", "-", "--input-format", "jsonl", "--model", "deep"];
    let output = mailsort(flags).args(LABELS).stdin(rows).output().stdout;
    let alone = output.split(|&b| b == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let alone: Vec<Value> = alone.collect();
    assert!(alone.len() > 10);
    let clients: Vec<_> = (0..24)
        .map(|client| {
            let (server, texts, alone) = (server.clone(), texts.clone(), alone.clone());
            std::thread::spawn(move || {
                for at in (0..texts.len()).map(|at| (at * 7 + client) % texts.len()) {
                    let record = server.post("/v1/classify", texts[at].clone()).json();
                    assert_eq!(record["labels"], alone[at]["labels"], "{at}");
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(server.metric("mailsort_queue_pairs"), 0.0);
}

#[test]
fn a_large_request_is_split_and_one_that_hangs_up_is_dropped() {
    let server = Server::start(&["--model", "deep", "--deep", "all", "--queue", "8", "--threads", "1"]);
    let some: Vec<String> = (0..40).map(|at| format!("bill number {at} is due on Friday")).collect();
    let answer = server.post("/v1/classify", json!({"documents": some}));
    assert_eq!((answer.status, answer.json()["records"].as_array().unwrap().len()), (200, 40));
    let many: Vec<String> =
        (0..9000).map(|at| format!("bill number {at} is due, {}", "please pay it ".repeat(20))).collect();
    let body = json!({"documents": many}).to_string();
    let mut stream = server.connect();
    let host = server.address.to_string();
    stream
        .write_all(&request("POST", "/v1/classify", &host, &[("Content-Type", "application/json")], body.as_bytes()))
        .unwrap();
    until(|| server.metric("mailsort_queue_pairs") > 8.0, || "it is not accepted".into());
    let refused = server.post("/v1/classify", json!({"text": "pay"}));
    assert!(refused.status == 429 && refused.header("retry-after").is_some(), "{refused:?}");
    drop(stream);
    // Nine thousand would take minutes.
    until(|| server.metric("mailsort_queue_pairs") == 0.0, || "it goes on for nobody".into());
    // The sizes of all batches are what the model was given.
    assert!(server.metric("mailsort_batch_size_sum") < 2000.0);
    assert_eq!(server.post("/v1/classify", json!({"text": "pay"})).status, 200);
}

#[test]
fn a_request_may_take_so_long_and_no_longer() {
    let server = Server::start(&["--model", "deep", "--deep", "all", "--timeout", "0.3", "--threads", "1"]);
    let many: Vec<String> =
        (0..5000).map(|at| format!("bill number {at} is due, {}", "please pay it ".repeat(20))).collect();
    let answer = server.post("/v1/classify", json!({"documents": many}));
    assert!(answer.status == 503 && answer.message().contains("--timeout"), "{answer:?}");
    until(|| server.metric("mailsort_queue_pairs") == 0.0, || "it goes on for nobody".into());
}

#[test]
fn a_connection_is_used_again_and_closed_when_it_is_idle() {
    let server = Server::start(&["--patience", "0.5"]);
    let mut stream = server.connect();
    let host = server.address.to_string();
    let asked = request("GET", "/health", &host, &[("Connection", "keep-alive")], b"");
    for _ in 0..3 {
        stream.write_all(&asked).unwrap();
        let mut read = [0; 1024];
        let length = stream.read(&mut read).unwrap();
        assert!(read[..length].starts_with(b"HTTP/1.1 200"));
    }
    assert_eq!(stream.read(&mut [0; 64]).unwrap_or(0), 0, "it is left open");
}

/// Holds idle connections to the address in MAILSORT_FLOOD, as many as the system lets one process open, up to ten
/// thousand.
#[cfg(target_os = "linux")]
fn flood() -> Option<()> {
    let address = std::env::var("MAILSORT_FLOOD").ok()?;
    let mut idle: Vec<TcpStream> = Vec::new();
    while let (true, Ok(stream)) = (idle.len() < 10_000, TcpStream::connect(&address)) {
        idle.push(stream);
    }
    let mut out = std::io::stdout();
    writeln!(out, "holding {}", idle.len()).unwrap();
    // They are there until the parent has seen enough.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    Some(())
}

/// The connections are those of another process, so that the tests beside this one can open files.
#[cfg(target_os = "linux")]
#[test]
fn idle_connections_hold_up_nobody() {
    if flood().is_some() {
        return;
    }
    // They stay open as long as the test goes on.
    let server = Server::start(&["--patience", "120"]);
    let before = server.memory();
    let mut child = std::process::Command::new("sh");
    child.args(["-c", "ulimit -n \"$(ulimit -H -n)\"; echo \"limit $(ulimit -n)\"; exec \"$0\" \"$@\""]);
    child.arg(std::env::current_exe().unwrap());
    child.args(["--exact", "serve::limits::idle_connections_hold_up_nobody", "--nocapture"]);
    child.env("MAILSORT_FLOOD", server.address.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut number = |what: &str| said.find_map(|line| line.split(what).nth(1)?.parse::<usize>().ok()).unwrap();
    let (limit, held) = (number("limit "), number("holding "));
    assert!(held >= limit.saturating_sub(100).min(10_000), "{held} of {limit}");
    for _ in 0..20 {
        let begun = Instant::now();
        assert_eq!(server.post("/v1/classify", json!({"text": "pay"})).status, 200);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?} beside {held}", begun.elapsed());
    }
    let taken = server.memory() - before;
    assert!(taken < 32 * held / 1024 + 64, "{taken} MB for {held}");
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[cfg(unix)]
#[test]
fn a_server_that_is_loading_says_so_and_lets_others_wait() {
    use std::process::Command;

    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("labels.txt");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Found free, and taken again at once.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = crate::mailsort::command(env!("CARGO_BIN_EXE_mailsort"));
    command.args(["serve", "--quiet", "--listen", &address.to_string(), "--labels"]).arg(&pipe);
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let host = address.to_string();
    let ask = |method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]| {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.write_all(&request(method, path, &host, headers, body)).ok()?;
        Some(answer(&mut stream))
    };
    until(|| TcpStream::connect(address).is_ok(), || "nobody listens".into());
    let health = ask("GET", "/health", &[], b"").unwrap();
    assert_eq!((health.status, health.json()), (503, json!({"status": "loading"})));
    let waiting = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&request("POST", "/v1/classify", "localhost", &MAIL, INVOICE.as_bytes())).unwrap();
        answer(&mut stream)
    });
    std::fs::write(&pipe, "invoice: a bill to pay\nmeeting: a date to meet\n").unwrap();
    let answered = waiting.join().unwrap();
    drop(child.kill());
    drop(child.wait());
    assert!(answered.status == 200 && answered.json()["label"] == "invoice", "{answered:?}");
}
