//! Clients of other servers, from PyPI, and what docs/other-programs.md shows of programs that post JSON.

use std::fs;

use serde_json::Value;

use super::Server;
use crate::mailsort::{command, root};
use crate::requirements::lacks;

/// The exit status of the script where a client is not installed.
const MISSING: i32 = 77;

#[test]
fn clients_of_other_servers_are_answered() {
    let Some(python) = std::env::var_os("MAILSORT_CLIENTS") else {
        return lacks("clients", "MAILSORT_CLIENTS names no Python");
    };
    let server = Server::bare(&[]);
    let mut check = command(python);
    check.arg(root().join("tests/clients/check.py")).arg(format!("http://{}", server.address));
    let output = check.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match output.status.code() {
        Some(0) => {}
        Some(MISSING) => lacks("clients", said.lines().last().unwrap_or_default()),
        code => panic!("{code:?}: {said}"),
    }
}

#[test]
fn what_desks_and_workflows_post_is_read() {
    let server = Server::start(&[]);
    for name in ["zammad", "n8n"] {
        let text = fs::read_to_string(root().join(format!("examples/integrations/{name}.json"))).unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        let answer = server.post("/v1/classify", body);
        assert!(answer.status == 200 && answer.json()["label"].is_string(), "{name}: {answer:?}");
    }
}

/// The script that Paperless-ngx runs, with a Paperless that only notes what it is told.
#[cfg(unix)]
#[test]
fn paperless_tags_a_document() {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    if command("curl").arg("-V").output().is_err() || command("python3").arg("-V").output().is_err() {
        return lacks("curl", "the script asks with curl");
    }
    let server = Server::start(&[]);
    let paperless = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = paperless.local_addr().unwrap();
    let told = std::thread::spawn(move || {
        let mut told = Vec::new();
        for body in ["{\"results\":[{\"id\":5}]}", "{}"] {
            let (mut stream, _) = paperless.accept().unwrap();
            let mut bytes = Vec::new();
            let mut piece = [0; 4096];
            // The first has no body, the second one of JSON.
            let end = if told.is_empty() { "\r\n\r\n" } else { "}}" };
            while !String::from_utf8_lossy(&bytes).ends_with(end) {
                let length = stream.read(&mut piece).unwrap();
                assert!(length > 0, "{}", String::from_utf8_lossy(&bytes));
                bytes.extend_from_slice(&piece[..length]);
            }
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).unwrap();
            told.push(String::from_utf8_lossy(&bytes).into_owned());
        }
        told
    });
    let mail = root().join("samples/files/order.eml");
    let mut script = command(root().join("examples/integrations/paperless-tag.sh"));
    script.env("MAILSORT_URL", format!("http://{}", server.address)).env("PAPERLESS_URL", format!("http://{address}"));
    script.env("PAPERLESS_TOKEN", "secret").env("DOCUMENT_ID", "7").env("DOCUMENT_SOURCE_PATH", mail);
    let output = script.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let told = told.join().unwrap();
    assert!(told[0].contains("name__iexact=invoice") && told[0].contains("Token secret"), "{told:?}");
    assert!(
        told[1].ends_with("{\"documents\": [7], \"method\": \"add_tag\", \"parameters\": {\"tag\": 5}}"),
        "{told:?}"
    );
}
