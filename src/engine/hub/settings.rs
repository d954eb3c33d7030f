//! What the environment says of the hub, by the names that the hub's own programs read.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use hf_hub::Cache;

use crate::platform;

/// Where models are kept and where they come from.
pub(super) struct HubSettings {
    /// The folder that holds `models--OWNER--NAME`.
    pub(super) cache: PathBuf,
    /// The hub's address without a slash at its end.
    pub(super) endpoint: String,
    /// True when nothing may be asked of it.
    pub(super) offline: bool,
    /// How long a silent connection is waited for.
    pub(super) patience: Duration,
    token: Option<Token>,
}

/// What proves who is asking.
#[derive(Clone)]
pub(super) struct Token {
    /// Never printed.
    pub(super) secret: String,
    /// The variable or file that it comes from.
    pub(super) origin: String,
}

/// Bytes of a file that holds a token, at most.
const LONGEST_TOKEN: u64 = 64 << 10;

const HUB: &str = "https://huggingface.co";

impl HubSettings {
    /// Reads HF_HUB_CACHE, HF_HOME, HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH, HF_HUB_OFFLINE and HF_HUB_DOWNLOAD_TIMEOUT.
    /// hf-hub itself reads HF_HOME and HF_ENDPOINT only.
    ///
    /// # Errors
    /// When there is no home folder and none of them names one, or HF_ENDPOINT is no address.
    pub(super) fn new(offline: bool) -> Result<Self> {
        let home = home();
        let cache = path_of("HF_HUB_CACHE").or_else(|| path_of("HUGGINGFACE_HUB_CACHE"));
        let cache = cache.or_else(|| Some(home.as_ref()?.join("hub")));
        ensure!(cache.is_some(), "there is no home folder to keep models in; set HF_HOME to a folder");
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| HUB.into());
        let named = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
        ensure!(
            named.is_some_and(|host| !host.is_empty() && !host.starts_with('/')) && endpoint.is_ascii(),
            "HF_ENDPOINT is {endpoint:?}, which is no address; it looks like {HUB}"
        );
        let seconds = set("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|seconds| seconds.trim().parse().ok());
        Ok(Self {
            token: token(home.as_deref()),
            cache: cache.unwrap_or_default(),
            endpoint: endpoint.trim_end_matches('/').to_string(),
            offline: offline || set("HF_HUB_OFFLINE").is_some_and(|value| is_true(&value)),
            patience: Duration::from_secs(seconds.filter(|&seconds| seconds > 0).unwrap_or(30)),
        })
    }

    /// What proves who is asking, if anything does.
    pub(super) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }
}

/// A variable that is set to something.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// A variable that holds a path, in which `~` is the home folder, as the hub's own programs read it.
fn path_of(name: &str) -> Option<PathBuf> {
    let value = env::var_os(name).filter(|value| !value.is_empty())?;
    let rest = value.to_str().and_then(|text| text.strip_prefix("~/").map(PathBuf::from));
    match rest {
        Some(rest) => Some(env::home_dir()?.join(rest)),
        None => Some(value.into()),
    }
}

/// The folder of the hub's programs.
fn home() -> Option<PathBuf> {
    let cache = || path_of("XDG_CACHE_HOME").or_else(|| Some(env::home_dir()?.join(".cache")));
    path_of("HF_HOME").or_else(|| Some(cache()?.join("huggingface")))
}

/// As the hub's own programs read a switch.
fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"].iter().any(|truth| value.trim().eq_ignore_ascii_case(truth))
}

fn token(home: Option<&std::path::Path>) -> Option<Token> {
    for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
        if let Some(value) = set(name) {
            return Some(Token { secret: value.trim().into(), origin: name.into() });
        }
    }
    // hf-hub looks for the file `token` beside the folder `hub`; HF_HUB_CACHE does not move it.
    let (secret, path) = match path_of("HF_TOKEN_PATH") {
        Some(path) => {
            let bytes = platform::read_file_or_pipe(&path, LONGEST_TOKEN).ok();
            (bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_string()), path)
        }
        None => {
            let cache = Cache::new(home?.join("hub"));
            (cache.token(), cache.token_path())
        }
    };
    let secret = secret.filter(|secret| !secret.is_empty())?;
    Some(Token { secret, origin: path.display().to_string() })
}
