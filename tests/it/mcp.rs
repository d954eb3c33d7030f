//! `mailsort mcp` as the client of the protocol's own SDK sees it, over a child process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rmcp::model::{CallToolRequestParams, CallToolResult, ContentBlock, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, Peer, ServiceError, serve_client_with_lifecycle};
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Value, json};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::mailsort::{PATIENCE, command, mailsort, root};

const LABELS: [&str; 2] = ["--labels", "labels/mail.txt"];

fn program(flags: &[&str], folder: &Path) -> std::process::Command {
    let mut command = command(env!("CARGO_BIN_EXE_mailsort"));
    command.arg("mcp").args(flags).current_dir(folder);
    command
}

/// A server in a folder, and its standard output and input.
fn started(flags: &[&str], folder: &Path) -> (Child, (ChildStdout, ChildStdin)) {
    let mut command = tokio::process::Command::from(program(flags, folder));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let pipes = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    (child, pipes)
}

/// Runs a conversation with a server in a folder, which ends well when its client goes.
fn talk<T>(flags: &[&str], folder: &Path, conversation: impl AsyncFnOnce(&Peer<RoleClient>) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut child, pipes) = started(flags, folder);
        let running = ().serve(pipes).await.unwrap();
        let done = tokio::time::timeout(PATIENCE, conversation(running.peer())).await.unwrap();
        running.cancel().await.unwrap();
        let status = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(0));
        done
    })
}

async fn call(client: &Peer<RoleClient>, name: &str, arguments: Value) -> Result<CallToolResult, ServiceError> {
    let arguments = arguments.as_object().cloned().unwrap();
    client.call_tool(CallToolRequestParams::new(name.to_string()).with_arguments(arguments)).await
}

fn text(result: &CallToolResult) -> &str {
    &result.content.first().and_then(ContentBlock::as_text).unwrap().text
}

/// The object of an answer, which is there twice.
async fn object(client: &Peer<RoleClient>, name: &str, arguments: Value) -> Value {
    let result = call(client, name, arguments).await.unwrap();
    assert_eq!(result.is_error, Some(false), "{}", text(&result));
    let object = result.structured_content.clone().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text(&result)).unwrap(), object);
    object
}

/// What a tool refuses to do.
async fn refusal(client: &Peer<RoleClient>, name: &str, arguments: Value) -> String {
    let result = call(client, name, arguments).await.unwrap();
    assert_eq!(result.is_error, Some(true), "{}", text(&result));
    text(&result).into()
}

/// A file of the checkout in its real place.
fn file(path: &str) -> String {
    root().canonicalize().unwrap().join(path).to_str().unwrap().into()
}

#[test]
fn classify_and_show_answer_as_the_commands_do() {
    let (order, inbox) = (file("samples/files/order.eml"), file("samples/inbox.mbox"));
    let raw = std::fs::read_to_string(&order).unwrap();
    let classified = |input: &str| mailsort(["classify", input]).args(LABELS).stdin(raw.as_str()).records();
    let own = mailsort(["classify", "-", "-k", "1", "--label", "bill: a bill to pay", "--label", "order"]);
    let own = own.stdin("Please pay the bill by Friday.").records();
    let shown = |input: &str| mailsort(["show", "--removed", input]).stdin(raw.as_str()).records();
    talk(&LABELS, root(), async |client| {
        assert_eq!(object(client, "classify", json!({"text": raw})).await, classified("-")[0]);
        assert_eq!(object(client, "classify", json!({"path": "samples/files/order.eml"})).await, classified(&order)[0]);
        let answer = object(client, "classify", json!({"path": inbox})).await;
        assert_eq!(answer["records"].as_array().unwrap(), &classified(&inbox));
        let labels = json!(["bill: a bill to pay", {"name": "order"}]);
        let given = json!({"text": "Please pay the bill by Friday.", "labels": labels, "top_k": 1});
        assert_eq!(object(client, "classify", given).await, own[0]);
        assert_eq!(object(client, "show", json!({"text": raw})).await, shown("-")[0]);
        assert_eq!(object(client, "show", json!({"path": inbox})).await["records"].as_array().unwrap(), &shown(&inbox));
        // A table that somebody has copied is one text.
        let table = "name,text\nann,please pay\nbob,see you\n";
        assert_eq!(object(client, "show", json!({"text": table})).await["body"], table.trim_end());
    });
}

#[test]
fn compare_and_search_answer_as_the_commands_do() {
    let folder = tempfile::tempdir().unwrap();
    let index = folder.path().join("kb.db").to_str().unwrap().to_string();
    let indexed = mailsort(["index", "examples/contracts", "--into", &index, "--quiet"]).output();
    assert!(indexed.status.success(), "{indexed:?}");
    let question = "may the buyer cancel after a late delivery?";
    let found = mailsort(["search", &index, question, "-k", "3", "--format", "jsonl"]).records();
    let (old, new) = (file("examples/contracts/supply-2025.md"), file("examples/contracts/supply-2026.md"));
    let compared = |format: &str| mailsort(["compare", &old, &new, "--format", format]).output().stdout;
    talk(&["--index", &index], root(), async |client| {
        assert_eq!(object(client, "search", json!({"query": question, "top": 3})).await, found[0]);
        let of_mail = json!({"query": question, "mode": "keyword", "kind": "mail", "since": "2024-06-17"});
        assert_eq!(object(client, "search", of_mail).await["results"], json!([]));
        let paths = json!({"old_path": old, "new_path": "examples/contracts/supply-2026.md"});
        let expected: Value = serde_json::from_slice(&compared("json")).unwrap();
        assert_eq!(object(client, "compare", paths.clone()).await, expected);
        for format in ["text", "markdown"] {
            let mut asked = paths.clone();
            asked["format"] = format.into();
            let result = call(client, "compare", asked).await.unwrap();
            assert_eq!(text(&result).as_bytes(), compared(format), "{format}");
        }
        let texts = json!({"old": "1. Fees\n\nThe fee is EUR 100.", "new": "1. Fees\n\nThe fee is EUR 200."});
        let answer = object(client, "compare", texts).await;
        assert_eq!((&answer["old"]["source"], &answer["pairs"][0]["relation"]), (&json!("old"), &json!("changed")));
    });
}

#[test]
fn a_mailbox_comes_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let mail =
        |at: usize| format!("From a@b Mon Jan  1 00:00:00 2024\nSubject: mail {at}\n\nPlease pay bill {at}.\n\n");
    std::fs::write(folder.path().join("all.mbox"), (0..250).map(mail).collect::<String>()).unwrap();
    talk(&["--label", "bill", "--label", "meeting"], folder.path(), async |client| {
        for tool in ["classify", "show"] {
            let (mut offset, mut subjects) = (json!(0), Vec::new());
            while !offset.is_null() {
                let page = object(client, tool, json!({"path": "all.mbox", "offset": offset})).await;
                let records = page["records"].as_array().unwrap();
                assert!((1..=100).contains(&records.len()), "{page}");
                subjects.extend(records.iter().map(|record| record["subject"].as_str().unwrap().to_string()));
                offset = page["next_offset"].clone();
                assert_eq!(offset.is_null(), page["note"].is_null(), "{page}");
            }
            assert_eq!(subjects, (0..250).map(|at| format!("mail {at}")).collect::<Vec<_>>());
        }
        let past = object(client, "show", json!({"path": "all.mbox", "offset": 250})).await;
        assert!(past["note"].as_str().unwrap().contains("past the end"), "{past}");
    });
}

#[cfg(unix)]
#[test]
fn nothing_outside_of_the_folders_is_read() {
    use std::os::unix::fs::symlink;

    let top = tempfile::tempdir().unwrap();
    let inside = top.path().join("inside");
    std::fs::create_dir_all(inside.join("mail")).unwrap();
    let secret = top.path().join("secret.eml");
    std::fs::write(&secret, "Subject: the password\n\nIt is swordfish.\n").unwrap();
    std::fs::write(inside.join("mail/a.eml"), "Subject: a\n\nNothing to hide.\n").unwrap();
    symlink(&secret, inside.join("mail/link.eml")).unwrap();
    symlink(top.path(), inside.join("up")).unwrap();
    let made = command("mkfifo").arg(inside.join("pipe")).status();
    talk(&["--root", inside.to_str().unwrap(), "--label", "a", "--label", "b"], root(), async |client| {
        for path in ["mail/link.eml", "up/secret.eml", "../secret.eml", secret.to_str().unwrap(), "/etc/passwd", "-"] {
            for (tool, arguments) in [
                ("show", json!({"path": path})),
                ("classify", json!({"path": path})),
                ("compare", json!({"old": "1. a", "new_path": path})),
            ] {
                let said = refusal(client, tool, arguments).await;
                assert!(said.contains("path`") && said.contains("--root"), "{tool} {path}: {said}");
                assert!(!said.contains("swordfish"), "{said}");
            }
        }
        if made.is_ok_and(|made| made.success()) {
            assert!(refusal(client, "show", json!({"path": "pipe"})).await.contains("neither a file nor a folder"));
        }
        let shown = object(client, "show", json!({"path": "mail"})).await;
        assert!(shown["body"].is_string() && shown["records"].is_null(), "one document is left: {shown}");
        // The folder has a link to the one above it, which has the secret.
        let whole = object(client, "show", json!({"path": "."})).await;
        assert!(!whole.to_string().contains("swordfish"), "{whole}");
        assert!(!shown.to_string().contains("swordfish") && !shown.to_string().contains("link.eml"), "{shown}");
    });
    // Whoever starts it at the top of the file system has not said what may be read.
    talk(&[], Path::new("/"), async |client| {
        let said = refusal(client, "show", json!({"path": secret.to_str().unwrap()})).await;
        assert!(said.contains("--root FOLDER"), "{said}");
        assert_eq!(object(client, "show", json!({"text": "a text"})).await["body"], "a text");
    });
}

#[test]
fn wrong_parameters_are_errors_of_the_tool() {
    talk(&[], root(), async |client| {
        for (tool, arguments, named) in [
            ("classify", json!({"labels": ["a", "b"]}), "either `text` or `path`"),
            ("classify", json!({"text": "x", "path": "y", "labels": ["a", "b"]}), "either `text` or `path`"),
            ("classify", json!({"text": "x"}), "start the server with `--labels FILE`"),
            ("classify", json!({"text": "x", "labels": [{"nam": "a"}]}), "`labels`"),
            ("classify", json!({"text": "x", "labels": ["a", "a"]}), "given twice"),
            ("classify", json!({"text": "x", "labels": ["a", "b"], "top_k": 0}), "`top_k` is 1 to"),
            ("classify", json!({"text": 3}), "`text`: invalid type"),
            ("classify", json!({"body": "x"}), "`body`"),
            ("classify", json!({"text": "x", "offset": -1}), "`offset`"),
            ("show", json!({"text": " "}), "`text` is empty"),
            ("show", json!({"text": "x".repeat((16 << 20) + 1)}), "more than 16 MiB"),
            ("compare", json!({"old": "1. a"}), "either `new` or `new_path`"),
            ("compare", json!({"old": "1. a", "new_path": "examples/contracts"}), "is a folder"),
            ("compare", json!({"old": "1. a", "new_path": "samples/labelled.jsonl"}), "`new_path`: cannot compare"),
        ] {
            let said = refusal(client, tool, arguments).await;
            assert!(said.contains(named), "{tool}: {said}");
        }
        let unknown = call(client, "delete", json!({})).await.unwrap_err();
        assert!(matches!(&unknown, ServiceError::McpError(error) if error.code.0 == -32602), "{unknown}");
        assert!(matches!(call(client, "search", json!({"query": "x"})).await, Err(ServiceError::McpError(_))));
        assert_eq!(object(client, "show", json!({"text": "still here"})).await["body"], "still here");
    });
}

#[test]
fn a_model_is_loaded_when_it_is_needed() {
    talk(&["--model", "no-such/folder", "--offline", "--label", "a", "--label", "b"], root(), async |client| {
        assert_eq!(client.list_all_tools().await.unwrap().len(), 3);
        assert_eq!(object(client, "show", json!({"text": "no model reads it"})).await["body"], "no model reads it");
        assert!(refusal(client, "classify", json!({"text": "x"})).await.contains("no-such/folder"));
    });
}

#[test]
fn clients_of_the_newest_protocol_are_answered() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (_child, pipes) = started(&[], root());
        let mode = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::LATEST] };
        let running = serve_client_with_lifecycle((), pipes, mode).await.unwrap();
        assert_eq!(object(running.peer(), "show", json!({"text": "a text"})).await["body"], "a text");
        running.cancel().await.unwrap();
    });
}

const HELLO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;

#[test]
fn garbage_is_passed_over_and_the_end_of_input_ends_it() {
    let show =
        r#"{"jsonrpc":"2.0","id":"two","method":"tools/call","params":{"name":"show","arguments":{"text":"a text"}}}"#;
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}}"#;
    let lines = ["garbage", "", "{", HELLO, initialized, "\u{1b}[2J", "[1, 2]", "{\"a\": 1}", "null", cancelled, show];
    let mut input = lines.join("\n").into_bytes();
    input.extend(b"\n\xff\xfe\n");
    let output = mailsort(["mcp"]).stdin(input).output();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(answers.iter().all(|answer| answer["jsonrpc"] == "2.0"), "{text}");
    let of = |id: Value| answers.iter().find(|answer| answer["id"] == id).unwrap_or_else(|| panic!("{id}: {text}"));
    assert_eq!(of(json!(1))["result"]["serverInfo"]["name"], "mailsort");
    assert_eq!(of(json!(1))["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(of(json!("two"))["result"]["structuredContent"]["body"], "a text");
    let output = mailsort(["mcp"]).output();
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn what_cannot_be_served_is_said_at_once() {
    for (flags, named) in [
        (["--root", "no/such/folder"], "--root no/such/folder"),
        (["--labels", "no/such/file"], "no/such/file"),
        (["--index", "no/such/index"], "no/such/index"),
    ] {
        let output = mailsort(["mcp"]).args(flags).output();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(named), "{said}");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_although_the_client_stays() {
    use std::io::Write;

    let mut child = program(&[], root());
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{HELLO}").unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(answers.next().unwrap().unwrap().contains("serverInfo"));
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    let started = std::time::Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(started.elapsed() < PATIENCE, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(status.code(), Some(0));
    drop(stdin);
}

#[test]
fn settings_of_clients_start_it() {
    let settings = std::fs::read_to_string(root().join("examples/mcp.json")).unwrap();
    let settings: Value = serde_json::from_str(&settings).unwrap();
    let server = &settings["mcpServers"]["mailsort"];
    assert_eq!(server["command"], "mailsort");
    let flags: Vec<PathBuf> =
        server["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap().into()).collect();
    let known = String::from_utf8(mailsort(["mcp", "--help"]).output().stdout).unwrap();
    assert_eq!(flags[0], Path::new("mcp"));
    for flag in flags.iter().map(|flag| flag.to_str().unwrap()).filter(|flag| flag.starts_with("--")) {
        assert!(known.contains(flag), "{flag}");
    }
}
