//! What the protocol makes of tools, and of tools that panic, take long or refuse.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::bail;
use rmcp::model::{ClientRequest, PingRequest};
use rmcp::service::{ClientInitializeError, Peer, PeerRequestOptions, RoleClient, RunningService, ServiceError};
use serde_json::json;

use super::*;

/// Tools that misbehave.
#[derive(Default)]
struct Odd {
    /// Set when a slow call has begun, and when it has seen that it was cancelled.
    begun: Arc<AtomicBool>,
    cancelled: Arc<AtomicBool>,
    has_index: bool,
}

impl OfferedTools for Odd {
    fn labels(&self) -> Vec<String> {
        (0..40).map(|at| format!("label {at}")).collect()
    }

    fn has_index(&self) -> bool {
        self.has_index
    }

    fn classify(&self, _: ClassifyCall, _: &IsCancelled<'_>) -> Result<ToolAnswer> {
        panic!("no such tensor")
    }

    /// Runs until it is cancelled.
    fn show(&self, _: ShowCall, is_cancelled: &IsCancelled<'_>) -> Result<ToolAnswer> {
        self.begun.store(true, Ordering::Relaxed);
        let started = Instant::now();
        while !is_cancelled() && started.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.cancelled.store(is_cancelled(), Ordering::Relaxed);
        bail!("it was cancelled")
    }

    fn search(&self, call: SearchCall) -> Result<ToolAnswer> {
        Ok(ToolAnswer::Json(json!({"query": call.query, "top": call.top}).to_string()))
    }

    fn compare(&self, call: CompareCall, _: &IsCancelled<'_>) -> Result<ToolAnswer> {
        match call.format {
            ComparisonStyle::Json => bail!("`old`: it is empty"),
            _ => Ok(ToolAnswer::Text("same".into())),
        }
    }
}

/// A client of these tools, and what ends the server.
async fn connected(tools: Odd) -> Result<(RunningService<RoleClient, ()>, watch::Sender<bool>), ClientInitializeError> {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (stops, stopping) = watch::channel(false);
    let (input, output) = tokio::io::split(theirs);
    tokio::spawn(converse(tools, input, output, stopping));
    Ok((().serve(ours).await?, stops))
}

async fn call(client: &Peer<RoleClient>, name: &str, arguments: Value) -> Result<CallToolResult, ServiceError> {
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    client.call_tool(CallToolRequestParams::new(name.to_string()).with_arguments(arguments)).await
}

fn text(result: &CallToolResult) -> &str {
    result.content.first().and_then(ContentBlock::as_text).map(|text| text.text.as_str()).unwrap_or_default()
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_server_lives_on() {
    guard::install_hook();
    let (client, _stops) = connected(Odd { has_index: true, ..Odd::default() }).await.unwrap();
    let broken = call(&client, "classify", json!({})).await.unwrap();
    assert!(broken.is_error == Some(true) && text(&broken).contains("no such tensor"), "{broken:?}");
    let found = call(&client, "search", json!({"query": "q", "top": 3})).await.unwrap();
    assert_eq!(found.structured_content, Some(json!({"query": "q", "top": 3})));
    assert_eq!(serde_json::from_str::<Value>(text(&found)).unwrap(), json!({"query": "q", "top": 3}));
    assert!(text(&call(&client, "compare", json!({})).await.unwrap()).contains("`old`"));
    let written = call(&client, "compare", json!({"format": "text"})).await.unwrap();
    assert_eq!((text(&written), &written.structured_content), ("same", &None));
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let (client, _stops) = connected(Odd { has_index: true, ..Odd::default() }).await.unwrap();
    for (arguments, named) in [
        (json!({}), "`query`"),
        (json!({"query": 7}), "`query`: invalid type"),
        (json!({"query": "q", "top": "many"}), "`top`"),
        (json!({"query": "q", "mode": "fuzzy"}), "`mode`: unknown variant `fuzzy`, expected one of `hybrid`"),
        (json!({"query": "q", "limit": 3}), "`limit`"),
    ] {
        let result = call(&client, "search", arguments.clone()).await.unwrap();
        let said = text(&result);
        assert!(result.is_error == Some(true) && said.contains(named), "{arguments} {said}");
        assert!(said.contains("the parameters of search are "), "{said}");
    }
}

#[tokio::test]
async fn tools_are_described() {
    for has_index in [false, true] {
        let (client, _stops) = connected(Odd { has_index, ..Odd::default() }).await.unwrap();
        let tools = client.list_all_tools().await.unwrap();
        let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
        let expected =
            ["classify", "show", "search", "compare"].into_iter().filter(|name| has_index || *name != "search");
        assert_eq!(names, expected.collect::<Vec<_>>());
        for tool in &tools {
            let description = tool.description.as_deref().unwrap_or_default();
            assert!(description.contains("untrusted") && tool.title.is_some(), "{tool:?}");
            let annotations = tool.annotations.as_ref().unwrap();
            assert_eq!((annotations.read_only_hint, annotations.open_world_hint), (Some(true), Some(false)));
            let schema = &tool.input_schema;
            assert_eq!((&schema["type"], &schema["additionalProperties"]), (&json!("object"), &json!(false)));
            for (name, property) in schema["properties"].as_object().unwrap() {
                assert!(property["description"].is_string(), "{} of {}: {property}", name, tool.name);
            }
            assert!(!schema.contains_key("$defs"), "{schema:?}");
        }
        assert!(tools[0].description.as_ref().unwrap().contains("label 29 and 10 more"), "{:?}", tools[0]);
        let unknown = call(&client, if has_index { "delete" } else { "search" }, json!({})).await.unwrap_err();
        assert!(
            matches!(&unknown, ServiceError::McpError(error) if error.message.contains("there is no tool")),
            "{unknown}"
        );
    }
}

#[tokio::test]
async fn a_ping_is_answered_while_a_call_runs_and_a_cancelled_call_ends() {
    let odd = Odd::default();
    let (begun, cancelled) = (odd.begun.clone(), odd.cancelled.clone());
    let (client, stops) = connected(odd).await.unwrap();
    let parameters = CallToolRequestParams::new("show");
    let slow = ClientRequest::CallToolRequest(rmcp::model::CallToolRequest::new(parameters));
    let slow = client.send_cancellable_request(slow, PeerRequestOptions::no_options()).await.unwrap();
    let seen = async |flag: &AtomicBool| {
        while !flag.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    seen(&begun).await;
    client.send_request(ClientRequest::PingRequest(PingRequest::default())).await.unwrap();
    assert!(!cancelled.load(Ordering::Relaxed));
    slow.cancel(Some("no longer wanted".into())).await.unwrap();
    seen(&cancelled).await;
    client.send_request(ClientRequest::PingRequest(PingRequest::default())).await.unwrap();
    // A signal ends it although the client stays.
    stops.send_replace(true);
    tokio::time::timeout(Duration::from_secs(30), client.waiting()).await.unwrap().unwrap();
}
