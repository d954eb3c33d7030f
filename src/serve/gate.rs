//! Who may ask: holders of a key, and pages of this server alone.
//!
//! On a loopback address without a key, every program of this machine may ask, but no page of another site that a
//! browser has open: its requests name the site in `Origin`, or after DNS rebinding in `Host`.

use std::net::IpAddr;

use anyhow::{Result, bail, ensure};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::failure::Failure;

/// Where a key that is sent as it is stands in some clients.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The shortest key: shorter ones can be guessed.
const SHORTEST_KEY: usize = 16;

/// What is asked of every request.
#[derive(Default)]
pub(super) struct Gate {
    /// SHA-256 of each key, so that the time to compare tells nothing about its length.
    keys: Vec<[u8; 32]>,
    /// Whether `Host` and `Origin` must be those of a loopback address.
    is_local: bool,
    /// Sites whose pages may ask.
    origins: Vec<String>,
    metrics_open: bool,
}

impl Gate {
    /// `keys` is the text of a file with one key a line, `is_local` says that the server listens on loopback only.
    ///
    /// # Errors
    /// When there is no key in the file, or one is too short or holds a blank.
    pub(super) fn new(keys: Option<&str>, is_local: bool, origins: Vec<String>, metrics_open: bool) -> Result<Self> {
        let lines = keys.unwrap_or_default().lines().map(str::trim).enumerate();
        let lines: Vec<(usize, &str)> = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
        for (at, key) in &lines {
            if key.len() < SHORTEST_KEY || key.contains(char::is_whitespace) {
                bail!(
                    "line {}: a key has {SHORTEST_KEY} characters or more and no blank; `openssl rand -hex 32` makes one",
                    at + 1
                );
            }
        }
        ensure!(keys.is_none() || !lines.is_empty(), "there is no key in it; `openssl rand -hex 32` makes one");
        let keys = lines.iter().map(|(_, key)| Sha256::digest(key).into()).collect();
        Ok(Self { keys, is_local, origins, metrics_open })
    }

    /// Refuses a request that may not be answered.
    ///
    /// # Errors
    /// When it comes from a page of another site, or has no key.
    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<(), Failure> {
        let headers = request.headers();
        self.check_host(headers, request.uri())?;
        self.check_origin(headers)?;
        let is_open = match request.uri().path() {
            "/health" => true,
            "/metrics" => self.metrics_open,
            _ => false,
        };
        if is_open || self.keys.is_empty() || self.has_key(headers) {
            return Ok(());
        }
        // A browser asks its user, and then sends the key with everything that the page asks.
        let challenge =
            if request.uri().path() == "/" { "Basic realm=\"mailsort: the key is the password\"" } else { "Bearer" };
        let message = match sent(headers) {
            Some(_) => "the key is wrong: it is none of --api-key-file",
            None => "this server needs a key: send `Authorization: Bearer KEY`",
        };
        Err(Failure::unauthorized(message, challenge))
    }

    fn has_key(&self, headers: &HeaderMap) -> bool {
        let Some(given) = sent(headers) else { return false };
        let given: [u8; 32] = Sha256::digest(given.trim_ascii()).into();
        // All are compared, so that the time does not tell which.
        let any = self.keys.iter().fold(Choice::from(0), |any, key| any | key.ct_eq(&given));
        any.into()
    }

    fn check_host(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Failure> {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).or(uri.authority().map(|host| host.as_str()));
        if !self.is_local || host.is_some_and(is_loopback) {
            return Ok(());
        }
        let message = "this server listens on this machine only, and answers requests to localhost or 127.0.0.1; a proxy \
                       before it must send one of these as Host";
        Err(Failure::new(StatusCode::FORBIDDEN, message))
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Failure> {
        // A browser sends a password again for pages of other sites.
        let is_basic =
            headers.get(AUTHORIZATION).is_some_and(|sent| sent.as_bytes().to_ascii_lowercase().starts_with(b"basic "));
        let Some(origin) = headers.get(ORIGIN).filter(|_| self.is_local || is_basic) else { return Ok(()) };
        let origin = origin.to_str().unwrap_or_default();
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let is_own = origin.strip_prefix("http://").or(origin.strip_prefix("https://")) == Some(host);
        let is_allowed = self.origins.iter().any(|allowed| allowed == "*" || allowed == origin);
        if is_own || is_allowed {
            return Ok(());
        }
        Err(Failure::new(
            StatusCode::FORBIDDEN,
            "a page of another site may not ask this server; --cors-origin allows a site",
        ))
    }
}

/// The key that a request sends: as bearer, as the password of a browser, or as it is, as some clients do.
fn sent(headers: &HeaderMap) -> Option<Vec<u8>> {
    let Some(sent) = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes) else {
        return headers.get(API_KEY).map(|key| key.as_bytes().to_vec());
    };
    let behind = |word: &[u8]| {
        let (first, rest) = sent.split_at_checked(word.len())?;
        first.eq_ignore_ascii_case(word).then_some(rest)
    };
    if let Some(basic) = behind(b"Basic ") {
        let pair = BASE64_STANDARD.decode(basic.trim_ascii()).ok()?;
        let colon = pair.iter().position(|&byte| byte == b':')?;
        return Some(pair[colon + 1..].to_vec());
    }
    Some(behind(b"Bearer ").unwrap_or(sent).to_vec())
}

/// True for a host, with or without a port, that is this machine.
fn is_loopback(host: &str) -> bool {
    let without_port = |host: &str| match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default().to_string(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name).to_string(),
    };
    let name = without_port(host);
    let is_name = name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    is_name || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123";

    fn status(gate: &Gate, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        gate.check(&request.body(()).unwrap()).err().map_or(200, |failure| failure.status.as_u16())
    }

    #[test]
    fn a_key_opens_everything_but_health() {
        let gate =
            Gate::new(Some(&format!("# for the queue\n\n{KEY}\nanother-key-0123456789\n")), false, vec![], false);
        let gate = gate.unwrap();
        let bearer = format!("Bearer {KEY}");
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("ann:{KEY}")));
        for (headers, expected) in [
            (vec![], 401),
            (vec![("authorization", "Bearer wrong")], 401),
            (vec![("authorization", bearer.as_str())], 200),
            (vec![("authorization", "bearer another-key-0123456789")], 200),
            (vec![("authorization", KEY)], 200),
            (vec![("x-api-key", KEY)], 200),
            (vec![("authorization", &basic)], 200),
            (vec![("authorization", "Basic bm9ib2R5Og==")], 401),
            (vec![("authorization", "Basic no base64")], 401),
            (vec![("authorization", "Bearer ")], 401),
            (vec![("authorization", "# for the queue")], 401),
        ] {
            assert_eq!(status(&gate, "/rerank", &headers), expected, "{headers:?}");
            assert_eq!(status(&gate, "/health", &headers), 200);
            assert_eq!(status(&gate, "/metrics", &headers), expected);
        }
        let open = Gate::new(Some(KEY), false, vec![], true).unwrap();
        assert_eq!((status(&open, "/metrics", &[]), status(&open, "/", &[])), (200, 401));
    }

    #[test]
    fn bad_keys_are_refused() {
        for (text, why) in
            [("", "no key"), ("# only\n", "no key"), ("\nshort\n", "line 2"), ("two words of a key\n", "blank")]
        {
            let error = Gate::new(Some(text), false, vec![], false).err().map(|error| error.to_string());
            assert!(error.as_ref().is_some_and(|error| error.contains(why)), "{text:?} {error:?}");
        }
    }

    #[test]
    fn other_sites_are_refused_on_loopback() {
        let gate = Gate::new(None, true, vec!["https://desk.example.com".into()], false).unwrap();
        for (host, origin, expected) in [
            ("127.0.0.1:8080", None, 200),
            ("localhost", None, 200),
            ("[::1]:8080", None, 200),
            ("mail.localhost:80", None, 200),
            ("evil.example", None, 403),
            ("127.0.0.1.evil.example:8080", None, 403),
            ("127.0.0.1:8080", Some("http://127.0.0.1:8080"), 200),
            ("127.0.0.1:8080", Some("http://evil.example"), 403),
            ("127.0.0.1:8080", Some("http://127.0.0.1:9090"), 403),
            ("127.0.0.1:8080", Some("null"), 403),
            ("127.0.0.1:8080", Some("https://desk.example.com"), 200),
        ] {
            let mut headers = vec![("host", host)];
            headers.extend(origin.map(|origin| ("origin", origin)));
            assert_eq!(status(&gate, "/rerank", &headers), expected, "{host} {origin:?}");
        }
        assert_eq!(status(&gate, "/rerank", &[]), 403);
        let elsewhere = Gate::new(Some(KEY), false, vec![], false).unwrap();
        assert_eq!(status(&elsewhere, "/health", &[("host", "mail.example.com")]), 200);
    }
}
