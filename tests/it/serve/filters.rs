//! Filters that ask over a Unix socket: answers, refusals, and an end that loses nothing.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Answer, INVOICE, LABELS, answer, request};
use crate::mailsort::{command, mailsort, started, until};

/// A server on a Unix socket, which is killed when the test is over.
struct Server {
    child: Child,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("mailsort.sock");
        let mut command = command(env!("CARGO_BIN_EXE_mailsort"));
        command.args(["serve", "--quiet", "--socket"]).arg(&socket).args(flags).args(LABELS);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let server = Self { child, socket, _folder: folder };
        until(|| UnixStream::connect(&server.socket).is_ok(), || "nobody listens".into());
        server
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// How it ended, and what it said.
    fn ended(&mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

fn filter(socket: &Path, flags: &[&str], mail: &[u8]) -> (Option<i32>, String, String) {
    let run = mailsort(["filter", "--socket", socket.to_str().unwrap()]).args(flags).stdin(mail);
    let output = run.output();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn ask(socket: &Path, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = UnixStream::connect(socket).unwrap();
    // Who refuses does not read on.
    drop(stream.write_all(&request(method, path, "localhost", headers, body)));
    answer(&mut stream)
}

/// What the server says to these bytes.
fn said(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    drop(stream.write_all(bytes));
    let mut said = Vec::new();
    drop(stream.read_to_end(&mut said));
    String::from_utf8_lossy(&said).into_owned()
}

const MAIL: [(&str, &str); 1] = [("Content-Type", "message/rfc822")];

#[test]
fn a_filter_asks_and_says_the_same_as_alone() {
    let mut server = Server::start(&[]);
    let mode = fs::metadata(&server.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (status, asked, stderr) = filter(&server.socket, &[], INVOICE.as_bytes());
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    let alone = mailsort(["filter"]).args(LABELS).stdin(INVOICE).output().stdout;
    assert_eq!(asked.as_bytes(), alone);
    assert!(asked.contains("X-Mailsort: invoice"), "{asked}");
    assert_eq!(filter(&server.socket, &["--is", "invoice"], INVOICE.as_bytes()).0, Some(0));
    assert_eq!(filter(&server.socket, &["--is", "meeting"], INVOICE.as_bytes()).0, Some(1));
    let (status, _, stderr) = filter(&server.socket, &["--is", "nothing"], INVOICE.as_bytes());
    assert!(status == Some(2) && stderr.contains("there is no such label"), "{stderr}");
    let (status, out, stderr) = filter(&server.socket, &["-v"], b"Subject: \n\n");
    assert!(status == Some(0) && out == "Subject: \n\n" && stderr.contains("no text"), "{stderr}");
    server.signal("-TERM");
    assert_eq!(server.ended(), (Some(0), String::new()));
    assert!(!server.socket.exists());
}

#[test]
fn every_set_has_a_header_in_the_order_of_the_sets() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_string()
    };
    let (zone, area) =
        (file("zone.txt", "invoice: a bill\ntrip: a journey\n"), file("area.txt", "bill: to pay\nday: a date\n"));
    let sets = ["--labels", &zone, "--labels", &area];
    let server = Server::start(&sets);
    let alone = mailsort(["filter"]).args(sets).args(LABELS).stdin(INVOICE).output().stdout;
    assert_eq!(filter(&server.socket, &[], INVOICE.as_bytes()).1.as_bytes(), alone);
    let sure = Server::start(&["--threshold", "1"]);
    let alone = mailsort(["filter", "--threshold", "1"]).args(LABELS).stdin(INVOICE).output().stdout;
    assert!(String::from_utf8_lossy(&alone).contains("X-Mailsort-Unsure: invoice"));
    assert_eq!(filter(&sure.socket, &[], INVOICE.as_bytes()).1.as_bytes(), alone);
}

#[test]
fn without_a_server_the_flags_decide() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("gone.sock");
    let mail = INVOICE.as_bytes();
    for (flags, expected) in
        [(&[][..], (Some(0), INVOICE)), (&["--fail-closed"], (Some(75), "")), (&["-v"], (Some(0), INVOICE))]
    {
        let (status, out, stderr) = filter(&socket, flags, mail);
        assert_eq!((status, out.as_str()), expected, "{flags:?}");
        assert!(stderr.contains("cannot connect to") && stderr.contains("gone.sock"), "{flags:?} {stderr}");
    }
    let (status, _, stderr) = filter(&socket, &["--threshold", "0.9"], mail);
    assert!(status == Some(2) && stderr.contains("the server of --socket has its own"), "{stderr}");
    let flags = [&["--or-else", "score"][..], &LABELS[..]].concat();
    let (status, out, _) = filter(&socket, &flags, mail);
    assert!(status == Some(0) && out.contains("X-Mailsort: invoice"), "{out}");
}

#[test]
fn what_is_no_request_harms_nobody() {
    let server = Server::start(&["--max-size", "1K", "--patience", "0.3"]);
    let head = "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: message/rfc822\r\n";
    let long = [format!("{head}Content-Length: 9999999\r\n\r\n").as_bytes(), &[b'x'; 5000]].concat();
    let requests: [(&[u8], &str); 7] = [
        (b"GET nowhere\r\n\r\n", "HTTP/1.1 400"),
        (b"mailsort 1 5\nhello\r\n\r\n", "HTTP/1.1 400"),
        (&[0xff; 4096], "HTTP/1.1 400"),
        (&long, "longer than --max-size 1024"),
        (
            &[head.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\n", b"800\r\n", &[b'x'; 0x800], b"\r\n0\r\n\r\n"]
                .concat(),
            "longer than",
        ),
        (&[head.as_bytes(), b"Content-Length: 100\r\n\r\nshort"].concat(), "did not come within 0.3 s"),
        (&[head.as_bytes(), b"Content-Length: -1\r\n\r\n"].concat(), "HTTP/1.1 400"),
    ];
    for (bytes, why) in requests {
        let reply = said(&server.socket, bytes);
        assert!(reply.contains(why), "{:?} {reply}", String::from_utf8_lossy(bytes));
    }
    // One that sends a byte now and then is given up on too.
    let mut slow = UnixStream::connect(&server.socket).unwrap();
    let begun = Instant::now();
    while slow.write_all(b"m").is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is waited for without end");
        std::thread::sleep(Duration::from_millis(50));
    }
    // One that says nothing is given up on, and holds up nobody.
    let mut silent = UnixStream::connect(&server.socket).unwrap();
    assert!(filter(&server.socket, &[], INVOICE.as_bytes()).1.contains("X-Mailsort: invoice"));
    assert_eq!(silent.read(&mut [0; 64]).unwrap_or(0), 0);
}

#[test]
fn a_flood_is_answered_or_refused() {
    let mut server = Server::start(&["--queue", "2", "--threads", "1"]);
    let mail = format!("Subject: x\n\n{}", "please pay the bill\n".repeat(2000));
    let flood: Vec<_> = (0..100)
        .map(|_| {
            let (socket, mail) = (server.socket.clone(), mail.clone());
            std::thread::spawn(move || ask(&socket, "POST", "/v1/classify", &MAIL, mail.as_bytes()))
        })
        .collect();
    let replies: Vec<Answer> = flood.into_iter().map(|asking| asking.join().unwrap()).collect();
    let answered = replies.iter().filter(|reply| reply.status == 200).count();
    let refused = replies.iter().filter(|reply| reply.status == 429 && reply.header("retry-after").is_some()).count();
    assert!(answered > 0 && answered + refused == 100, "{answered} answered, {refused} refused");
    assert!(filter(&server.socket, &[], INVOICE.as_bytes()).1.contains("X-Mailsort: invoice"));
    server.signal("-INT");
    assert_eq!(server.ended().0, Some(0));
}

#[test]
fn what_has_come_in_is_answered_before_the_end() {
    let mut server = Server::start(&[]);
    let mut stream = UnixStream::connect(&server.socket).unwrap();
    let whole = request("POST", "/v1/classify", "localhost", &MAIL, INVOICE.as_bytes());
    let (head, mail) = whole.split_at(whole.len() - INVOICE.len());
    stream.write_all(head).unwrap();
    let mut late = UnixStream::connect(&server.socket).unwrap();
    // Clients are taken in their order: when a later one is answered, the first is in hand.
    until(|| ask(&server.socket, "GET", "/health", &[], b"").status == 200, || "it does not load".into());
    server.signal("-TERM");
    // A client that has come before the end may send its request just after it.
    std::thread::sleep(Duration::from_millis(50));
    late.write_all(&request("GET", "/health", "localhost", &[], b"")).unwrap();
    assert_eq!(answer(&mut late).status, 503);
    // Others are told that it ends, as long as it goes on.
    until(|| ask(&server.socket, "GET", "/health", &[], b"").status == 503, || "it does not end".into());
    stream.write_all(mail).unwrap();
    let answer = answer(&mut stream);
    assert!(answer.status == 200 && answer.json()["label"] == "invoice", "{answer:?}");
    assert_eq!(server.ended().0, Some(0));
}

#[test]
fn the_end_is_not_waited_for_without_end() {
    let mut server = Server::start(&["--drain", "0.2", "--patience", "60"]);
    let mut stream = UnixStream::connect(&server.socket).unwrap();
    let whole = request("POST", "/v1/classify", "localhost", &MAIL, INVOICE.as_bytes());
    stream.write_all(&whole[..whole.len() - 5]).unwrap();
    until(|| ask(&server.socket, "GET", "/health", &[], b"").status == 200, || "it does not load".into());
    let begun = Instant::now();
    server.signal("-TERM");
    assert_eq!(server.ended().0, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(!server.socket.exists());
}

#[test]
fn one_server_a_socket() {
    let server = Server::start(&[]);
    let refused = |socket: &Path, why: &str| {
        let output = mailsort(["serve", "--socket", socket.to_str().unwrap()]).args(LABELS).output();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(why), "{said}");
    };
    refused(&server.socket, "listens on");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letter.txt");
    fs::write(&file, "dear me").unwrap();
    refused(&file, "is not a socket");
    assert_eq!(fs::read_to_string(&file).unwrap(), "dear me");
    // A socket that a killed server has left is taken over.
    let mut killed = Server::start(&[]);
    killed.signal("-KILL");
    killed.ended();
    assert!(killed.socket.exists());
    let mut command = command(env!("CARGO_BIN_EXE_mailsort"));
    let mut next = command.args(["serve", "--quiet", "--socket"]).arg(&killed.socket).args(LABELS).spawn().unwrap();
    until(|| UnixStream::connect(&killed.socket).is_ok(), || "nobody listens".into());
    drop(next.kill());
    drop(next.wait());
}

/// systemd-socket-activate of Debian hands over a socket as the units do. The first filter waits while the model loads.
#[test]
fn systemd_may_open_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("handed.sock");
    let mut command = command("systemd-socket-activate");
    command.arg("-l").arg(&socket).arg(env!("CARGO_BIN_EXE_mailsort")).arg("serve").args(LABELS);
    let spawned = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Some(mut child) = started("systemd", spawned) else { return };
    until(|| socket.exists(), || "there is no socket".into());
    let (_, out, stderr) = filter(&socket, &["-v"], INVOICE.as_bytes());
    drop(child.kill());
    drop(child.wait());
    assert!(out.contains("X-Mailsort: invoice"), "{stderr}");
}
