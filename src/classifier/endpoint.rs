//! The servers of `--endpoint`, as a spec asks for them.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::spec::{ModelSpec, Observer};
use crate::engine::Dtype;
use crate::engine::device::DeviceChoice;
use crate::engine::remote::{Endpoint, EndpointSpec};
use crate::platform;

/// Longest file of a key.
const LONGEST_KEY_FILE: u64 = 64 * 1024;

/// Asks the servers of `--endpoint` what they have.
///
/// # Errors
/// When they cannot be asked, or a flag has no meaning for them.
pub(super) fn ask(spec: &ModelSpec, observer: &dyn Observer) -> Result<Endpoint> {
    ensure!(!spec.offline, "--offline forbids the network, and --endpoint needs it; leave one of them out");
    let given = [
        ("--device", spec.shortlist.is_none() && matches!(spec.device, DeviceChoice::Cuda(_))),
        ("--dtype", spec.dtype != Dtype::Auto),
    ];
    for (flag, given) in given {
        ensure!(!given, "{flag} has no meaning for --endpoint, whose server computes");
    }
    let key = spec.endpoint.key_file.as_deref().map(key_of).transpose()?;
    let (urls, model) = (spec.endpoint.urls.clone(), spec.endpoint.model.clone());
    let endpoint = Endpoint::open(&EndpointSpec { urls, model, key })?;
    let (id, embeds) = (endpoint.model(), endpoint.embeds());
    ensure!(spec.shortlist.is_none() || !embeds, "--shortlist is for rerankers; {id} scores all labels at once");
    ensure!(
        spec.dims.is_none() || embeds || spec.shortlist.is_some(),
        "--dims is for embeddings, and {id} is a reranker"
    );
    ensure!(spec.label_prompts || embeds, "--label-prompts is for embeddings; {id} reads a label with the message");
    ensure!(spec.query_prefix.is_none() || embeds, "--query-prefix is for embeddings; {id} is none");
    if let (Some(dims), Some(own)) = (spec.dims.filter(|_| embeds), endpoint.dims()) {
        ensure!((1..=own).contains(&dims), "--dims {dims}: {id} gives {own} dims");
    }
    if ["builtin", "deep"].contains(&id) {
        observer.warn(&format!(
            "{id} is a part of this program too, and --model {id} is more exact: over an endpoint its vectors are compared \
             without what it knows of texts in general"
        ));
    }
    let kind = if embeds { "vectors" } else { "scores" };
    observer.say(&format!("--endpoint: {kind} of {id} by {}, where the texts of messages go", endpoint.shown()));
    Ok(endpoint)
}

/// The key in a file: its first line that is neither blank nor a comment.
fn key_of(path: &Path) -> Result<String> {
    let shown = path.display();
    let bytes = platform::read_file_or_pipe(path, LONGEST_KEY_FILE);
    let bytes = bytes.with_context(|| format!("--endpoint-key-file: cannot read {shown}"))?;
    let text = String::from_utf8(bytes).with_context(|| format!("--endpoint-key-file: {shown} is no text"))?;
    let key = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    key.map(String::from).with_context(|| format!("--endpoint-key-file: there is no key in {shown}"))
}
