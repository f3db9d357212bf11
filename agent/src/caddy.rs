//! The web server's admin API. Owns the calls and the watch over a server that restarts; the configuration is the
//! core's. Must not touch a server that has somebody else's sites.

use std::path::PathBuf;
use std::time::Duration;

use agent_core::caddy::{Configuration, Web, configuration, foreign_servers};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long a call may take; a load waits for the old configuration's end.
const LIMIT: Duration = Duration::from_secs(30);
/// How often is looked whether the server has our configuration.
const LOOK: Duration = Duration::from_secs(1);
/// What is shown of a refusal.
const MAX_SAID: usize = 500;

/// Where the admin API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admin {
    /// A TCP address on loopback, such as `127.0.0.1:2019`.
    Address(std::net::SocketAddr),
    /// A Unix socket.
    Socket(PathBuf),
}

impl std::str::FromStr for Admin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix/") {
            return Ok(Self::Socket(path.into()));
        }
        let address: std::net::SocketAddr = text
            .parse()
            .map_err(|_| format!("{text:?} is neither an address nor unix/ and a path"))?;
        if address.ip().is_loopback() {
            Ok(Self::Address(address))
        } else {
            Err(format!(
                "{address} is no loopback address: whoever reaches the admin API owns the web server"
            ))
        }
    }
}

impl std::fmt::Display for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Socket(path) => write!(f, "unix/{}", path.display()),
        }
    }
}

/// Why the web server does not have our configuration.
#[derive(Debug, thiserror::Error)]
pub enum CaddyError {
    /// No client could be built.
    #[error("failed to build a client for the web server")]
    Client(#[source] reqwest::Error),
    /// It does not answer.
    #[error("failed to reach the web server's admin API")]
    Reach(#[source] reqwest::Error),
    /// It answered what it should not.
    #[error("the web server refused with {status}: {said}")]
    Refused {
        /// Its status.
        status: StatusCode,
        /// Its reason.
        said: String,
    },
    /// It has sites that are none of ours, which our configuration would remove.
    #[error("the web server has sites that are none of ours: {}", .0.join(", "))]
    Foreign(Vec<String>),
}

/// How it is with the web server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing was asked of it yet.
    Unknown,
    /// It has the configuration with this mark.
    Serving(String),
    /// It does not; the text says why.
    Failing(String),
}

/// A client of the admin API.
#[derive(Debug, Clone)]
pub struct Caddy {
    client: Client,
    base: String,
}

impl Caddy {
    /// A client.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn new(admin: &Admin) -> Result<Self, CaddyError> {
        let client = Client::builder().no_proxy().timeout(LIMIT);
        let (client, base) = match admin {
            Admin::Address(address) => (client, format!("http://{address}")),
            Admin::Socket(path) => (client.unix_socket(path.as_path()), "http://127.0.0.1".to_owned()),
        };
        Ok(Self {
            client: client.build().map_err(CaddyError::Client)?,
            base,
        })
    }

    /// Makes the server have this configuration; nothing is sent if it has it already.
    ///
    /// # Errors
    /// Why it does not have it.
    pub async fn ensure(&self, wanted: &Configuration) -> Result<(), CaddyError> {
        let known = self
            .send(self.ask(Method::GET, &format!("/id/{}/@id", wanted.mark)))
            .await?;
        if known.0.is_success() {
            return Ok(());
        }
        let foreign = self.foreign().await?;
        if !foreign.is_empty() {
            return Err(CaddyError::Foreign(foreign));
        }
        self.accepted(self.ask(Method::POST, "/load").json(&wanted.json))
            .await
            .map(drop)
    }

    /// Sites in the running configuration that are none of ours.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn foreign(&self) -> Result<Vec<String>, CaddyError> {
        let running = self.accepted(self.ask(Method::GET, "/config/")).await?;
        // What cannot be read is nobody's site; a server without configuration says null.
        Ok(foreign_servers(
            &serde_json::from_str(&running).unwrap_or(Value::Null),
        ))
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, String), CaddyError> {
        let answer = request.send().await.map_err(CaddyError::Reach)?;
        let status = answer.status();
        Ok((status, answer.text().await.map_err(CaddyError::Reach)?))
    }

    async fn accepted(&self, request: RequestBuilder) -> Result<String, CaddyError> {
        let (status, text) = self.send(request).await?;
        if status.is_success() {
            return Ok(text);
        }
        Err(CaddyError::Refused {
            status,
            said: text.chars().take(MAX_SAID).collect(),
        })
    }
}

/// Keeps the server at what is wanted until the shutdown: at once when that changes, and when the server restarted.
pub async fn keep(
    caddy: Caddy,
    mut wanted: watch::Receiver<Option<Web>>,
    state: watch::Sender<State>,
    shutdown: CancellationToken,
) {
    loop {
        let web = wanted.borrow_and_update().clone();
        if let Some(web) = web {
            let configuration = configuration(&web);
            let now = match caddy.ensure(&configuration).await {
                Ok(()) => State::Serving(configuration.mark),
                Err(error) => State::Failing(kit::chain(&error)),
            };
            state.send_if_modified(|before| {
                let changed = *before != now;
                if changed {
                    announce(&now);
                    *before = now;
                }
                changed
            });
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = wanted.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn announce(state: &State) {
    match state {
        State::Unknown => {}
        State::Serving(mark) => tracing::info!(mark, "the web server has configuration {mark}"),
        State::Failing(why) => tracing::warn!("the web server does not have our configuration: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_api_is_on_this_host() {
        for text in ["127.0.0.1:2019", "unix//run/caddy/admin.sock"] {
            assert_eq!(text.parse::<Admin>().unwrap().to_string(), text);
        }
        assert!("0.0.0.0:2019".parse::<Admin>().is_err());
        assert!("caddy".parse::<Admin>().is_err());
    }
}
