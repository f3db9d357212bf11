//! The transport under the generated endpoints: one HTTP exchange, its envelope, its failure.
//!
//! Owns endpoints, failover of reads, deadlines and the decoding of answers; must not know any single API call.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::ext::ReasonPhrase;
use proxmox_api::client::{Client, Method};
use reqwest::header::{AUTHORIZATION, HeaderMap, RETRY_AFTER};
use reqwest::{Request, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::classify::Answer;
use crate::config::{Config, ConfigError, Endpoint, Fingerprint};
use crate::error::TransportKind;
use crate::tls::{self, Seen};
use crate::turns::Turns;

/// Proxmox closes idle connections after 5 s; ours are never older than this when used again.
const IDLE: Duration = Duration::from_secs(4);
/// No wait for a connection is longer.
const CONNECT: Duration = Duration::from_secs(5);

/// How one exchange failed; the caller adds what was being done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Proxmox answered with an error.
    Answer(Box<Answer>),
    /// There was no usable answer.
    Transport {
        kind: TransportKind,
        sent: bool,
        source: Option<reqwest::Error>,
    },
    /// The answer's data is not what it should be.
    Unreadable { sent: bool, source: serde_json::Error },
    /// A path that must not be sent.
    Path { path: String },
    /// Parameters that cannot be encoded.
    Encode { source: serde_json::Error },
}

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    endpoints: Vec<Endpoint>,
    current: AtomicUsize,
    seen: Arc<Seen>,
    turns: Turns,
}

/// One cluster's API.
#[derive(Debug, Clone)]
pub(crate) struct Transport(Arc<Inner>);

impl Transport {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let Config {
            endpoints,
            token,
            trust,
            deadline,
        } = config;
        if endpoints.is_empty() {
            return Err(ConfigError::NoEndpoint);
        }
        let seen = Arc::new(Seen::default());
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(trust, Arc::clone(&seen))?)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, token.header())]))
            .user_agent("decent-operator")
            .pool_idle_timeout(IDLE)
            .connect_timeout(CONNECT.min(*deadline / 2))
            .timeout(*deadline)
            .build()
            .map_err(|source| ConfigError::Http { source })?;
        let (endpoints, current) = (endpoints.clone(), AtomicUsize::new(0));
        Ok(Self(Arc::new(Inner {
            http,
            endpoints,
            current,
            seen,
            turns: Turns::default(),
        })))
    }

    /// The certificate that the endpoint in use presented last.
    pub(crate) fn presented(&self) -> Option<Fingerprint> {
        self.0
            .seen
            .of(self.endpoint(self.0.current.load(Ordering::Relaxed))?.host())
    }

    fn endpoint(&self, turn: usize) -> Option<&Endpoint> {
        self.0.endpoints.get(turn % self.0.endpoints.len())
    }

    /// Sends to the endpoint in use. A host that cannot be reached is left for the next one; only reads follow at once.
    async fn send(&self, method: Method, draft: &Draft) -> Result<Response, Failure> {
        let start = self.0.current.load(Ordering::Relaxed);
        let tries = if matches!(method, Method::Get) {
            self.0.endpoints.len()
        } else {
            1
        };
        let mut last = Failure::Path {
            path: draft.path.clone(),
        };
        for turn in start..start + tries {
            let Some(endpoint) = self.endpoint(turn) else {
                return Err(last);
            };
            let request = self.request(method, draft, endpoint)?;
            let error = match self.0.http.execute(request).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let kind = kind(&error, || self.0.seen.of(endpoint.host()));
            let connecting = error.is_connect();
            let sent = !(connecting || error.is_builder() || matches!(method, Method::Get));
            last = Failure::Transport {
                kind,
                sent,
                source: Some(error.without_url()),
            };
            if !connecting || matches!(kind, TransportKind::Tls { .. }) {
                return Err(last);
            }
            self.0
                .current
                .compare_exchange(turn, turn + 1, Ordering::Relaxed, Ordering::Relaxed)
                .ok();
        }
        Err(last)
    }

    fn request(&self, method: Method, draft: &Draft, endpoint: &Endpoint) -> Result<Request, Failure> {
        let unsendable = || Failure::Path {
            path: draft.path.clone(),
        };
        let url = endpoint
            .base()
            .join(&format!("/api2/json{}", draft.path))
            .map_err(|_| unsendable())?;
        let method = match method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = self.0.http.request(method, url).query(&draft.query);
        if let Some(body) = &draft.body {
            builder = builder
                .header("content-type", "application/json")
                .body(body.clone());
        }
        builder.build().map_err(|_| unsendable())
    }
}

/// A request before it has an endpoint.
struct Draft {
    path: String,
    query: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// Path elements go in raw, so none may change the path's meaning. `%2F` alone is allowed, for networks.
fn safe(path: &str) -> bool {
    let plain = path.replace("%2F", "");
    path.starts_with('/')
        && !plain.contains(['?', '#', '%', '\\', ' '])
        && !plain.contains("..")
        && !plain.contains("//")
        && !plain.chars().any(char::is_control)
}

/// Flat parameters as pairs; generated types, maps and `()` all serialize to an object or nothing.
fn pairs<Q: Serialize>(query: Option<&Q>) -> Result<Vec<(String, String)>, Failure> {
    let value = serde_json::to_value(query).map_err(|source| Failure::Encode { source })?;
    let serde_json::Value::Object(fields) = value else {
        return Ok(Vec::new());
    };
    Ok(fields
        .into_iter()
        .filter_map(|(key, value)| match value {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some((key, text)),
            serde_json::Value::Bool(flag) => Some((key, u8::from(flag).to_string())),
            other => Some((key, other.to_string())),
        })
        .collect())
}

impl Client for Transport {
    type Error = Failure;

    async fn request_with_body_and_query<B, Q, R>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
        query: Option<&Q>,
    ) -> Result<R, Failure>
    where
        B: Serialize,
        Q: Serialize,
        R: DeserializeOwned,
    {
        if !safe(path) {
            return Err(Failure::Path {
                path: path.to_owned(),
            });
        }
        let body = body
            .map(serde_json::to_vec)
            .transpose()
            .map_err(|source| Failure::Encode { source })?;
        let draft = Draft {
            path: path.to_owned(),
            query: pairs(query)?,
            body,
        };
        // Until the answer is read: the time of waiting is no time of the request's deadline.
        let _turn = self.0.turns.wait(path).await;
        let response = self.send(method, &draft).await?;
        let sent = !matches!(method, Method::Get);
        if response.status().is_success() {
            accept(response, sent).await
        } else {
            Err(refuse(response).await)
        }
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

async fn accept<R: DeserializeOwned>(response: Response, sent: bool) -> Result<R, Failure> {
    let body = response.bytes().await.map_err(|error| Failure::Transport {
        kind: kind(&error, || None),
        sent,
        source: Some(error.without_url()),
    })?;
    // From text, never through a JSON value: numbered fields of generated types need borrowed keys.
    let unreadable = |source| Failure::Unreadable { sent, source };
    let envelope: Envelope<'_> = serde_json::from_slice(&body).map_err(unreadable)?;
    serde_json::from_str(envelope.data.map_or("null", RawValue::get)).map_err(unreadable)
}

#[derive(Deserialize, Default)]
struct Refusal {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    errors: BTreeMap<String, serde_json::Value>,
}

async fn refuse(response: Response) -> Failure {
    let status = response.status();
    let phrase = response.extensions().get::<ReasonPhrase>();
    let phrase = phrase.map(|phrase| String::from_utf8_lossy(phrase.as_bytes()).into_owned());
    let seconds = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    // A body that is missing or cut changes nothing: the reason phrase says it all.
    let body = response.bytes().await.unwrap_or_default();
    let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
    let reason = phrase
        .filter(|text| !text.trim().is_empty())
        .or_else(|| refusal.message.map(|text| text.trim_end().to_owned()))
        .or_else(|| status.canonical_reason().map(str::to_owned))
        .unwrap_or_default();
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    let errors = refusal
        .errors
        .into_iter()
        .map(|(key, value)| (key, text(value)))
        .collect();
    Failure::Answer(Box::new(Answer {
        status: status.as_u16(),
        reason,
        errors,
        retry_after: seconds,
    }))
}

/// Walks the chain for what really happened.
fn kind(error: &reqwest::Error, presented: impl FnOnce() -> Option<Fingerprint>) -> TransportKind {
    let mut link: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = link {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return match tls {
                rustls::Error::InvalidCertificate(_) => TransportKind::Tls {
                    presented: presented(),
                },
                _ => TransportKind::Handshake,
            };
        }
        let io = cause.downcast_ref::<io::Error>();
        if let Some(kind) = io.and_then(plain) {
            return kind;
        }
        // The source of a wrapping I/O error is its content's source: the content itself would be skipped.
        link = match io.and_then(io::Error::get_ref) {
            Some(content) => Some(content),
            None => cause.source(),
        };
    }
    if error.is_timeout() {
        TransportKind::Timeout
    } else if error.is_connect() {
        TransportKind::Unreachable
    } else {
        TransportKind::Reset
    }
}

/// What the system says.
fn plain(error: &io::Error) -> Option<TransportKind> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(TransportKind::Refused),
        io::ErrorKind::TimedOut => Some(TransportKind::Timeout),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Some(TransportKind::Unreachable)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_mean_something_else_are_refused() {
        for good in [
            "/nodes/pve1/tasks/UPID:pve1:0:0:0:qmclone:9:a@pve!t:/status",
            "/x/10.0.0.0%2F24",
        ] {
            assert!(safe(good), "{good}");
        }
        for bad in [
            "/nodes/../x",
            "/a?b",
            "/a#b",
            "/a%2e",
            "/a b",
            "a",
            "/a//b",
            "/a\n",
            "/a\\b",
            "//h",
        ] {
            assert!(!safe(bad), "{bad}");
        }
    }

    #[test]
    fn parameters_become_pairs() {
        let query = serde_json::json!({"purge": true, "n": 1, "t": "a b", "none": null});
        let want = [("n", "1"), ("purge", "1"), ("t", "a b")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(pairs(Some(&query)).unwrap(), want);
        assert!(pairs(Some(&())).unwrap().is_empty());
        assert!(pairs::<()>(None).unwrap().is_empty());
    }
}
