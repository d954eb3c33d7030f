//! `mailsort daemon` and the filters that ask it: answers, refusals, and an end that loses nothing.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::mailsort::{command, mailsort, started, until};

const LABELS: [&str; 4] = ["--label", "invoice: a bill to pay", "--label", "meeting: a date to meet and talk"];
const INVOICE: &str = "Subject: Your invoice\n\nPlease pay the bill that is attached.\n";

/// A daemon that is killed when the test is over.
struct Daemon {
    child: Child,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Daemon {
    fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("mailsort.sock");
        let mut command = command(env!("CARGO_BIN_EXE_mailsort"));
        command.args(["daemon", "--socket"]).arg(&socket).args(flags).args(LABELS);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let daemon = Self { child, socket, _folder: folder };
        until(|| UnixStream::connect(&daemon.socket).is_ok(), || "nobody listens".into());
        daemon
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

fn ask(socket: &Path, flags: &[&str], mail: &[u8]) -> (Option<i32>, String, String) {
    let run = mailsort(["filter", "--socket", socket.to_str().unwrap()]).args(flags).stdin(mail);
    let output = run.output();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// What the daemon says to these bytes.
fn said(socket: &Path, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    // Who refuses does not read on.
    drop(stream.write_all(request));
    drop(stream.shutdown(std::net::Shutdown::Write));
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply).unwrap();
    reply
}

#[test]
fn a_filter_asks_and_says_the_same_as_alone() {
    let mut daemon = Daemon::start(&[]);
    let mode = fs::metadata(&daemon.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (status, asked, stderr) = ask(&daemon.socket, &[], INVOICE.as_bytes());
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    let alone = mailsort(["filter"]).args(LABELS).stdin(INVOICE).output().stdout;
    assert_eq!(asked.as_bytes(), alone);
    assert!(asked.contains("X-Mailsort: invoice"), "{asked}");
    assert_eq!(ask(&daemon.socket, &["--is", "invoice"], INVOICE.as_bytes()).0, Some(0));
    let (status, out, stderr) = ask(&daemon.socket, &["-v"], b"Subject: \n\n");
    assert!(status == Some(0) && out == "Subject: \n\n" && stderr.contains("no text"), "{stderr}");
    daemon.signal("-TERM");
    assert_eq!(daemon.ended(), (Some(0), String::new()));
    assert!(!daemon.socket.exists());
}

#[test]
fn without_a_daemon_the_flags_decide() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("gone.sock");
    let mail = INVOICE.as_bytes();
    for (flags, expected) in
        [(&[][..], (Some(0), INVOICE)), (&["--fail-closed"], (Some(75), "")), (&["-v"], (Some(0), INVOICE))]
    {
        let (status, out, stderr) = ask(&socket, flags, mail);
        assert_eq!((status, out.as_str()), expected, "{flags:?}");
        assert!(stderr.contains("cannot connect to") && stderr.contains("gone.sock"), "{flags:?} {stderr}");
    }
    let (status, _, stderr) = ask(&socket, &["--threshold", "0.9"], mail);
    assert!(status == Some(2) && stderr.contains("the daemon of --socket has its own"), "{stderr}");
    let flags = [&["--or-else", "score"][..], &LABELS[..]].concat();
    let (status, out, _) = ask(&socket, &flags, mail);
    assert!(status == Some(0) && out.contains("X-Mailsort: invoice"), "{out}");
}

#[test]
fn what_is_no_request_harms_nobody() {
    let daemon = Daemon::start(&["--max-size", "1K", "--patience", "0.3"]);
    let long = [&b"mailsort 1 9999999\n"[..], &[b'x'; 5000]].concat();
    let requests: [(&[u8], &str); 6] = [
        (b"", "not a mailsort request"),
        (b"GET / HTTP/1.1\r\n\r\n", "not a mailsort request"),
        (&[0xff; 4096], "UTF-8"),
        (&long, "longer than --max-size 1024"),
        (b"mailsort 1 100\nshort", "went away"),
        (b"mailsort 1 -1\n", "not a mailsort request"),
    ];
    for (request, why) in requests {
        let reply = said(&daemon.socket, request);
        assert!(reply.contains(why), "{:?} {reply}", String::from_utf8_lossy(request));
    }
    // One that sends a byte now and then is given up on too.
    let mut slow = UnixStream::connect(&daemon.socket).unwrap();
    let begun = Instant::now();
    while slow.write_all(b"m").is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is waited for without end");
        std::thread::sleep(Duration::from_millis(50));
    }
    // One that says nothing is given up on, and holds up nobody.
    let _silent = UnixStream::connect(&daemon.socket).unwrap();
    assert!(ask(&daemon.socket, &[], INVOICE.as_bytes()).1.contains("X-Mailsort: invoice"));
}

#[test]
fn a_flood_is_answered_or_refused() {
    let mut daemon = Daemon::start(&["--queue", "2", "--threads", "1"]);
    let mail = format!("Subject: x\n\n{}", "please pay the bill\n".repeat(2000));
    let request = format!("mailsort 1 {}\n{mail}", mail.len());
    let flood: Vec<_> = (0..100)
        .map(|_| {
            let (socket, request) = (daemon.socket.clone(), request.clone());
            std::thread::spawn(move || said(&socket, request.as_bytes()))
        })
        .collect();
    let replies: Vec<String> = flood.into_iter().map(|asking| asking.join().unwrap_or_default()).collect();
    let answered = replies.iter().filter(|reply| reply.contains("\"answer\"")).count();
    let refused = replies.iter().filter(|reply| reply.contains("busy")).count();
    assert!(answered > 0 && answered + refused >= 90, "{answered} answered, {refused} refused");
    assert!(ask(&daemon.socket, &[], INVOICE.as_bytes()).1.contains("X-Mailsort: invoice"));
    daemon.signal("-INT");
    assert_eq!(daemon.ended().0, Some(0));
}

#[test]
fn what_has_come_in_is_answered_before_the_end() {
    let mut daemon = Daemon::start(&[]);
    let mut stream = UnixStream::connect(&daemon.socket).unwrap();
    stream.write_all(format!("mailsort 1 {}\n", INVOICE.len()).as_bytes()).unwrap();
    // Clients are taken in their order: when a later one is answered, the first is in hand.
    assert!(said(&daemon.socket, b"mailsort 1 -1\n").contains("not a mailsort request"));
    daemon.signal("-TERM");
    // Nothing tells when the signal was noticed; the test holds whenever that is.
    std::thread::sleep(Duration::from_millis(50));
    stream.write_all(INVOICE.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.contains("\"invoice\""), "{reply}");
    assert_eq!(daemon.ended().0, Some(0));
}

#[test]
fn one_daemon_a_socket() {
    let daemon = Daemon::start(&[]);
    let refused = |socket: &Path, why: &str| {
        let output = mailsort(["daemon", "--socket", socket.to_str().unwrap()]).args(LABELS).output();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(why), "{said}");
    };
    refused(&daemon.socket, "listens on");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letter.txt");
    fs::write(&file, "dear me").unwrap();
    refused(&file, "is not a socket");
    assert_eq!(fs::read_to_string(&file).unwrap(), "dear me");
    let none = mailsort(["daemon"]).args(LABELS).output();
    assert!(String::from_utf8_lossy(&none.stderr).contains("--socket PATH is needed"));
    // A socket that a killed daemon has left is taken over.
    let mut killed = Daemon::start(&[]);
    killed.signal("-KILL");
    killed.ended();
    assert!(killed.socket.exists());
    let mut command = command(env!("CARGO_BIN_EXE_mailsort"));
    let mut next = command.args(["daemon", "--socket"]).arg(&killed.socket).args(LABELS).spawn().unwrap();
    until(|| UnixStream::connect(&killed.socket).is_ok(), || "nobody listens".into());
    drop(next.kill());
    drop(next.wait());
}

/// systemd-socket-activate of Debian hands over a socket as the units do.
#[test]
fn systemd_may_open_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("handed.sock");
    let mut command = command("systemd-socket-activate");
    command.arg("-l").arg(&socket).arg(env!("CARGO_BIN_EXE_mailsort")).arg("daemon").args(LABELS);
    let spawned = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Some(mut child) = started("systemd", spawned) else { return };
    until(|| socket.exists(), || "there is no socket".into());
    let (_, out, stderr) = ask(&socket, &["-v"], INVOICE.as_bytes());
    drop(child.kill());
    drop(child.wait());
    assert!(out.contains("X-Mailsort: invoice"), "{stderr}");
}
