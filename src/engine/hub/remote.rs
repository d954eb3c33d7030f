//! Questions to the hub, and what its answers mean. Nothing here panics, whatever is answered.

use std::io::{self, Read};
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use hf_hub::api::RepoInfo;
use ureq::config::RedirectAuthHeaders;
use ureq::http::{HeaderMap, Response, StatusCode, Uri};
use ureq::{Agent, Body};

use super::names::is_commit;
use super::settings::HubSettings;

/// No list of files is longer.
const LONGEST_LIST: u64 = 32 << 20;
const MOST_REDIRECTS: usize = 10;
/// A hub that asks for more patience is not waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Why there is no answer.
pub(super) enum Fault {
    /// It may come later, at the earliest after the time that the hub named.
    Passing(Error, Option<Duration>),
    /// It will not.
    Lasting(Error),
}

impl Fault {
    fn lasting(error: impl Into<Error>) -> Self {
        Self::Lasting(error.into())
    }
}

/// What the hub says of a file.
pub(super) struct Described {
    /// Its hash, mostly.
    pub(super) etag: String,
    /// Its length in bytes, where it is told.
    pub(super) size: Option<u64>,
}

/// A file coming in.
pub(super) struct Incoming {
    /// The first byte that comes.
    pub(super) start: u64,
    /// The whole file's length, where it is told.
    pub(super) total: Option<u64>,
    /// The bytes.
    pub(super) body: Box<dyn Read>,
}

/// One repository on the hub.
pub(super) struct Remote<'a> {
    settings: &'a HubSettings,
    repository: &'a str,
    agent: Agent,
}

impl<'a> Remote<'a> {
    /// Makes ready to ask; nothing is sent yet.
    pub(super) fn new(settings: &'a HubSettings, repository: &'a str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // The token is for the hub, not for the stores it sends us to.
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .max_redirects(MOST_REDIRECTS as u32)
            // Files are wanted as they are: ranges of a packed answer mean nothing.
            .accept_encoding("identity")
            .user_agent(concat!("mailsort/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(settings.patience))
            .timeout_connect(Some(settings.patience))
            .timeout_per_read(Some(settings.patience))
            .timeout_per_write(Some(settings.patience));
        Self { settings, repository, agent: config.build().into() }
    }

    /// The commit that a revision means, and the names of its files.
    pub(super) fn list(&self, revision: &str) -> Result<(String, Vec<String>), Fault> {
        let escaped = revision.replace('/', "%2F");
        let url = format!("{}/api/models/{}/revision/{escaped}", self.settings.endpoint, self.repository);
        let mut answer = self.get(&url, None, false)?;
        self.check(&answer, revision, None)?;
        let mut body = Vec::new();
        // The limit of the client counts the bytes before they are unpacked.
        let packed = answer.body_mut().with_config().limit(LONGEST_LIST).reader();
        packed.take(LONGEST_LIST + 1).read_to_end(&mut body).map_err(|error| self.broke_off(error))?;
        if body.len() as u64 > LONGEST_LIST {
            let most = LONGEST_LIST >> 20;
            return Err(Fault::lasting(anyhow!(
                "{url} answers with a list of more than {most} MiB; no repository has one"
            )));
        }
        let said = || format!("what {url} answers is not what the hub answers; is HF_ENDPOINT right?");
        let list: RepoInfo = serde_json::from_slice(&body).with_context(said).map_err(Fault::Lasting)?;
        if !is_commit(&list.sha) {
            return Err(Fault::lasting(anyhow!("{} names the commit {:?}", url, list.sha).context(said())));
        }
        Ok((list.sha, list.siblings.into_iter().map(|file| file.rfilename).collect()))
    }

    /// What the hub says of a file. hf-hub asks this too, and panics when a redirect names no place.
    pub(super) fn describe(&self, commit: &str, file: &str) -> Result<Described, Fault> {
        let mut url = self.url(commit, file);
        for _ in 0..MOST_REDIRECTS {
            let answer = self.ask_head(&url)?;
            let headers = answer.headers();
            if let Some(etag) = header(headers, "x-linked-etag") {
                let size = header(headers, "x-linked-size").and_then(|size| size.parse().ok());
                return Ok(Described { etag: bare(etag), size });
            }
            if !answer.status().is_redirection() {
                self.check(&answer, commit, Some(file))?;
                let size = header(headers, "content-length").and_then(|size| size.parse().ok());
                let etag = header(headers, "etag").context("the hub gives no ETag for it; is HF_ENDPOINT right?");
                return Ok(Described { etag: bare(etag.map_err(Fault::Lasting)?), size });
            }
            let place = header(headers, "location").context("the hub sends us elsewhere without saying where");
            url = joined(&url, place.map_err(Fault::Lasting)?).map_err(Fault::Lasting)?;
        }
        Err(Fault::lasting(anyhow!("the hub sends us around in circles")))
    }

    /// Begins to fetch a file from the byte `start` on. The answer may begin at its first byte all the same.
    pub(super) fn fetch(&self, commit: &str, file: &str, start: u64) -> Result<Incoming, Fault> {
        let answer = self.get(&self.url(commit, file), (start > 0).then_some(start), false)?;
        let status = answer.status();
        if status == StatusCode::RANGE_NOT_SATISFIABLE && start > 0 {
            return self.fetch(commit, file, 0);
        }
        self.check(&answer, commit, Some(file))?;
        let length = header(answer.headers(), "content-length").and_then(|length| length.parse().ok());
        let (start, total) = if status == StatusCode::PARTIAL_CONTENT {
            let range = header(answer.headers(), "content-range").and_then(content_range);
            range.context("the hub sends a part of the file without saying which").map_err(Fault::Lasting)?
        } else {
            (0, length)
        };
        Ok(Incoming { start, total, body: Box::new(answer.into_body().into_with_config().limit(u64::MAX).reader()) })
    }

    /// What reading an answer failed with.
    pub(super) fn broke_off(&self, error: io::Error) -> Fault {
        self.failed(ureq::Error::from(error))
    }

    fn url(&self, commit: &str, file: &str) -> String {
        let escaped: String = file.bytes().map(escape).collect();
        format!("{}/{}/resolve/{commit}/{escaped}", self.settings.endpoint, self.repository)
    }

    fn ask_head(&self, url: &str) -> Result<Response<Body>, Fault> {
        self.get(url, None, true)
    }

    /// Sends a request. One for the headers alone follows no redirect, because the first answer has those of the hub.
    fn get(&self, url: &str, start: Option<u64>, head: bool) -> Result<Response<Body>, Fault> {
        let request = if head { self.agent.head(url) } else { self.agent.get(url) };
        let mut request = request.config().max_redirects(if head { 0 } else { MOST_REDIRECTS as u32 });
        request = request.max_redirects_will_error(!head);
        let mut request = request.build();
        if let Some(start) = start {
            request = request.header("Range", format!("bytes={start}-"));
        }
        if let Some(token) = self.settings.token().filter(|_| self.is_hub(url)) {
            request = request.header("Authorization", format!("Bearer {}", token.secret));
        }
        request.call().map_err(|error| self.failed(error))
    }

    fn is_hub(&self, url: &str) -> bool {
        url.strip_prefix(&self.settings.endpoint).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Refuses answers other than success.
    fn check(&self, answer: &Response<Body>, revision: &str, file: Option<&str>) -> Result<(), Fault> {
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let host = &self.settings.endpoint;
        let page = format!("{host}/{}", self.repository);
        let code = header(answer.headers(), "x-error-code").unwrap_or_default();
        let wait = header(answer.headers(), "retry-after").and_then(|seconds| seconds.trim().parse().ok());
        let wait = wait.map(Duration::from_secs).filter(|wait| *wait <= LONGEST_WAIT);
        Err(match status.as_u16() {
            401 | 403 => Fault::Lasting(self.refused(status, code, &page)),
            404 if code == "RevisionNotFound" => {
                Fault::lasting(anyhow!("there is no revision {revision:?} of it (404); see {page}/commits/main"))
            }
            404 => Fault::lasting(match file {
                Some(file) => anyhow!("the file {file} is not there (404); see {page}/tree/{revision}"),
                None => anyhow!("{host} has no such model, or it has no revision {revision:?} (404); check the name"),
            }),
            429 => {
                let hint =
                    if self.settings.token().is_some() { "" } else { "; with a token in HF_TOKEN it allows more" };
                Fault::Passing(anyhow!("{host} answers that it is asked too often (429){hint}"), wait)
            }
            408 | 500.. => Fault::Passing(anyhow!("{host} is out of order ({status}); try again later"), wait),
            _ => Fault::lasting(anyhow!("{host} answers {status}")),
        })
    }

    fn refused(&self, status: StatusCode, code: &str, page: &str) -> Error {
        let number = status.as_u16();
        let terms = format!("open {page} to see whether its terms must be accepted");
        match self.settings.token() {
            None if code == "GatedRepo" => {
                anyhow!("access to it is restricted ({number}): {terms}, and set HF_TOKEN to a token of your account")
            }
            None => anyhow!(
                "the hub does not show it to everybody ({number}): it does not exist, is private, or is gated; check \
                 the name, {terms}, and set HF_TOKEN to a token of your account"
            ),
            Some(token) if number == 401 => anyhow!(
                "the hub does not accept the token from {} (401), or the model does not exist; check both",
                token.origin
            ),
            Some(token) => anyhow!("the token from {} gives no access to it ({number}): {terms}", token.origin),
        }
    }

    /// What a request failed with, before there was an answer or in its middle.
    fn failed(&self, error: ureq::Error) -> Fault {
        let host = &self.settings.endpoint;
        let passing = matches!(&error, ureq::Error::Timeout(_) | ureq::Error::Protocol(_))
            || matches!(&error, ureq::Error::Io(cause) if cause.kind() != io::ErrorKind::ConnectionRefused);
        let text = match &error {
            ureq::Error::HostNotFound => format!("{host} is not found: is this machine connected to a network?"),
            ureq::Error::ConnectionFailed => {
                format!("{host} cannot be reached: is this machine connected to a network?")
            }
            ureq::Error::Timeout(_) => format!("{host} was silent for {} s", self.settings.patience.as_secs()),
            ureq::Error::Io(cause) => format!("the connection to {host} failed ({cause})"),
            // It may quote the header that holds the token.
            ureq::Error::Http(_) => "HF_TOKEN or HF_ENDPOINT holds characters that cannot be sent".to_string(),
            other => format!("the connection to {host} failed ({other})"),
        };
        if passing { Fault::Passing(anyhow!(text), None) } else { Fault::Lasting(anyhow!(text)) }
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// An ETag without its quotes and the mark of a weak one.
fn bare(etag: &str) -> String {
    etag.trim().trim_start_matches("W/").trim_matches('"').to_string()
}

/// The place that a redirect names, which may leave out the host.
fn joined(url: &str, place: &str) -> Result<String> {
    let target: Uri = place.parse().with_context(|| format!("the hub sends us to {place:?}, which is no address"))?;
    if let Some(scheme) = target.scheme_str() {
        ensure!(matches!(scheme, "http" | "https"), "the hub sends us to {place:?}");
        return Ok(place.into());
    }
    let from: Uri = url.parse()?;
    let (Some(scheme), Some(host), true) = (from.scheme_str(), from.authority(), place.starts_with('/')) else {
        bail!("the hub sends us to {place:?}");
    };
    // `//HOST/PATH` leaves out the scheme only.
    let joined =
        if place.starts_with("//") { format!("{scheme}:{place}") } else { format!("{scheme}://{host}{place}") };
    let whole = joined.parse::<Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    ensure!(whole, "the hub sends us to {place:?}");
    Ok(joined)
}

/// `bytes 5-9/10`: the first byte, and the whole length where it is told.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, total.trim().parse().ok()))
}

/// A byte of a path as an address has it.
fn escape(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for wrong in ["", "bytes", "bytes */10", "bytes -9/10", "5-9/10", "bytes 99999999999999999999-/1"] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn redirects() {
        assert_eq!(joined("http://a:1/b/c", "/d?e").unwrap(), "http://a:1/d?e");
        assert_eq!(joined("http://a/b", "https://c/d").unwrap(), "https://c/d");
        assert_eq!(joined("https://a/b", "//c/d").unwrap(), "https://c/d");
        for wrong in ["", "//", "file:///etc/passwd", "ftp://x/y", "d", "//x/y z", "http://"] {
            assert!(joined("http://a/b", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn etags_and_addresses() {
        assert_eq!(bare("\"abc\""), "abc");
        assert_eq!(bare("W/\"abc\""), "abc");
        assert_eq!("a b/模.gguf".bytes().map(escape).collect::<String>(), "a%20b/%E6%A8%A1.gguf");
    }
}
