//! The transport under the endpoint specifications: one HTTP exchange within its deadline, its envelope, its failure.
//! Must not know any single call, and never asks twice.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use cloudflare::framework::Environment;
use cloudflare::framework::endpoint::RequestBody;
use cloudflare::framework::endpoint::spec::EndpointSpec;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Request, Response};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::access::{Access, AccessError, Trust};
use crate::act::Act;
use crate::class::Class;
use crate::error::{Answer, Error, TransportKind, errors_of, line};

/// No wait for a connection is longer.
const CONNECT: Duration = Duration::from_secs(5);
/// Connections are not used again after so long.
const IDLE: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const LONGEST: usize = 16 << 20;
/// The longest ray id that is kept.
const RAY: usize = 64;

/// One Cloudflare user's way to the API.
#[derive(Debug)]
pub(crate) struct Transport {
    http: reqwest::Client,
    environment: Environment,
    deadline: Duration,
}

/// A good answer.
#[derive(Debug)]
pub(crate) struct Reply<T> {
    /// What was asked for.
    pub result: T,
    /// How many there are in all, of a list.
    pub total: Option<u64>,
    /// How long to let nobody call, where the answer says that the budget is used up.
    pub pause: Option<Duration>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    success: bool,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    result_info: Option<ResultInfo>,
}

#[derive(Deserialize)]
struct ResultInfo {
    #[serde(default)]
    total_count: Option<u64>,
}

impl Transport {
    pub(crate) fn new(access: &Access) -> Result<Self, AccessError> {
        let Access {
            endpoint,
            token,
            trust,
            deadline,
            page: _,
        } = access;
        // An error only says that the process has a provider already.
        let _present = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder();
        if let Trust::Ca(pem) = trust {
            let roots = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
            let roots = roots.map_err(|source| AccessError::Ca { source: Some(source) })?;
            if roots.is_empty() {
                return Err(AccessError::Ca { source: None });
            }
            http = http.tls_certs_only(roots);
        }
        let http = http
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .default_headers(token.headers()?)
            .user_agent("decent-gateway")
            .pool_idle_timeout(IDLE)
            .connect_timeout(CONNECT.min(*deadline / 2))
            .timeout(*deadline)
            .build()
            .map_err(|source| AccessError::Http { source })?;
        Ok(Self {
            http,
            environment: endpoint.environment(),
            deadline: *deadline,
        })
    }

    /// Makes a call.
    pub(crate) async fn call<E: EndpointSpec>(
        &self,
        act: Act,
        endpoint: &E,
    ) -> Result<Reply<E::JsonResponse>, Error> {
        let request = self.request(act, endpoint)?;
        let exchange = async {
            let response = self
                .http
                .execute(request)
                .await
                .map_err(|error| lost(act, error))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = read(act, response).await?;
            let ray = ray(&headers);
            if status.is_success() {
                accept(act, &body, (&headers, ray))
            } else {
                Err(refuse(act, status.as_u16(), &body, (&headers, ray)))
            }
        };
        // The client's own timeout rests between the parts of a body; ours does not.
        let ended = tokio::time::timeout(self.deadline, exchange).await;
        ended.unwrap_or_else(|_| {
            Err(Error::Transport {
                act,
                kind: TransportKind::Timeout,
                sent: act.mutates(),
                source: None,
            })
        })
    }

    fn request<E: EndpointSpec>(&self, act: Act, endpoint: &E) -> Result<Request, Error> {
        let unsendable = || Error::Build { act };
        let url = endpoint.url(&self.environment);
        let method = endpoint.method().as_str().parse().map_err(|_| unsendable())?;
        let mut builder = self.http.request(method, url);
        builder = match endpoint.body() {
            None => builder,
            Some(RequestBody::Json(text)) => builder.header(CONTENT_TYPE, "application/json").body(text),
            Some(RequestBody::Raw(_) | RequestBody::MultiPart(_)) => return Err(unsendable()),
        };
        builder.build().map_err(|_| unsendable())
    }
}

/// The body, as long as it is not too long.
async fn read(act: Act, mut response: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| lost(act, error))? {
        if body.len() + part.len() > LONGEST {
            return Err(Error::Transport {
                act,
                kind: TransportKind::TooLong,
                sent: act.mutates(),
                source: None,
            });
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

fn accept<T: serde::de::DeserializeOwned>(
    act: Act,
    body: &[u8],
    (headers, ray): (&HeaderMap, Option<String>),
) -> Result<Reply<T>, Error> {
    let unreadable = |source| Error::Unreadable {
        act,
        sent: act.mutates(),
        ray: ray.clone(),
        source,
    };
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    if !envelope.success {
        return Err(refuse(act, 200, body, (headers, ray)));
    }
    let text = envelope.result.map_or("null", RawValue::get);
    Ok(Reply {
        result: serde_json::from_str(text).map_err(unreadable)?,
        total: envelope.result_info.and_then(|info| info.total_count),
        pause: spent(headers),
    })
}

fn refuse(act: Act, status: u16, body: &[u8], (headers, ray): (&HeaderMap, Option<String>)) -> Error {
    // A body that is no JSON changes nothing: the status says it.
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let seconds = text(headers, RETRY_AFTER.as_str()).and_then(|text| text.trim().parse().ok());
    Error::Answer {
        act,
        answer: Box::new(Answer {
            status,
            errors: errors_of(&body),
            retry_after: seconds.map(Duration::from_secs),
            ray,
        }),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn ray(headers: &HeaderMap) -> Option<String> {
    let ray = line(text(headers, "cf-ray")?);
    Some(ray.chars().take(RAY).collect())
}

/// How long nothing is left, where the answer says so: `Ratelimit: "default";r=0;t=30`.
fn spent(headers: &HeaderMap) -> Option<Duration> {
    let header = text(headers, "ratelimit")?;
    let value = |key: &str| {
        let mut fields = header.split(';').map(str::trim);
        fields.find_map(|field| field.strip_prefix(key)?.strip_prefix('=')?.parse::<u64>().ok())
    };
    let (left, seconds) = (value("r")?, value("t")?);
    (left == 0).then(|| Duration::from_secs(seconds))
}

/// How long nobody should call after an error.
pub(crate) fn pause(error: &Error) -> Option<Duration> {
    match error.class() {
        Class::RateLimited { retry_after } => Some(retry_after),
        _ => None,
    }
}

/// An exchange without an answer.
fn lost(act: Act, error: reqwest::Error) -> Error {
    let connecting = error.is_connect() || error.is_builder();
    Error::Transport {
        act,
        kind: kind(&error),
        sent: act.mutates() && !connecting,
        source: Some(error.without_url()),
    }
}

/// Walks the chain for what really happened.
fn kind(error: &reqwest::Error) -> TransportKind {
    let mut link: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = link {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return match tls {
                rustls::Error::InvalidCertificate(_) => TransportKind::Tls,
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
    fn an_answer_that_leaves_nothing_says_for_how_long() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("ratelimit", value.parse().unwrap());
            spent(&headers)
        };
        assert_eq!(of("\"default\";r=0;t=30"), Some(Duration::from_secs(30)));
        assert_eq!(of("\"default\"; r=0; t=7"), Some(Duration::from_secs(7)));
        for none in ["\"default\";r=1;t=30", "r=0", "", "r=x;t=y"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
