//! The client to the API server: who we are, no endless retries, and each
//! answer's `Date` for the clock guard. Must not look for a kubeconfig by itself.

use std::{
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Request, Response, header::USER_AGENT};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, retry::RetryPolicy},
    config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use tower::{Layer, Service, buffer::BufferLayer, retry::RetryLayer};

use crate::server_clock::ServerClock;

const CONNECT: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(1);

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig cannot be read.
    #[error("failed to read the kubeconfig {}", path.display())]
    ReadKubeconfig {
        /// Its path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// The kubeconfig's contents cannot be used.
    #[error("failed to use the kubeconfig {}", path.display())]
    UseKubeconfig {
        /// Its path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// No kubeconfig was named, and this is no pod.
    #[error("failed to use the pod's service account (and no kubeconfig is named)")]
    InCluster(#[source] Box<InClusterError>),
    /// The connection cannot be set up (TLS, proxy, credentials).
    #[error("failed to build the client")]
    Build(#[source] Box<kube::Error>),
    /// The retry policy is impossible.
    #[error("failed to build the retry policy")]
    Retry(#[source] tower::retry::backoff::InvalidBackoff),
}

/// The configuration from a kubeconfig file, or from the pod's service account.
///
/// # Errors
/// When neither can be read or used.
pub async fn config(kubeconfig: Option<PathBuf>, manager: &'static str) -> Result<Config, Error> {
    let mut config = match kubeconfig {
        None => Config::incluster().map_err(|source| Error::InCluster(Box::new(source)))?,
        Some(path) => from_file(path).await?,
    };
    config.connect_timeout = Some(CONNECT);
    // A read timeout would cut watches; each call has a deadline of its own.
    config.read_timeout = None;
    // The default policy waits for minutes; ours is a layer of `connect`.
    config.default_retry = false;
    config
        .headers
        .push((USER_AGENT, HeaderValue::from_static(manager)));
    Ok(config)
}

async fn from_file(path: PathBuf) -> Result<Config, Error> {
    let kubeconfig = match Kubeconfig::read_from(&path) {
        Ok(kubeconfig) => kubeconfig,
        Err(source) => {
            return Err(Error::ReadKubeconfig {
                path,
                source: Box::new(source),
            });
        }
    };
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|source| Error::UseKubeconfig {
            path,
            source: Box::new(source),
        })
}

/// A client that retries overload a few times within a second or two, and
/// shows each answer's `Date` to `guard`.
///
/// # Errors
/// When TLS, proxy or credentials cannot be set up.
pub fn connect(config: Config, guard: Arc<ServerClock>) -> Result<Client, Error> {
    // Not server-aware: a Retry-After of an hour would silence a watch for an hour.
    let retry = RetryPolicy::new(FIRST_RETRY, LAST_RETRY, RETRIES, false).map_err(Error::Retry)?;
    let builder = ClientBuilder::try_from(config).map_err(|source| Error::Build(Box::new(source)))?;
    Ok(builder
        .with_layer(&DateLayer::new(guard))
        .with_layer(&BufferLayer::new(1024))
        .with_layer(&RetryLayer::new(retry))
        .build())
}

/// Shows each answer's headers to the clock guard.
#[derive(Clone)]
pub struct DateLayer {
    guard: Arc<ServerClock>,
}

impl DateLayer {
    /// Feeds `guard`.
    #[must_use]
    pub const fn new(guard: Arc<ServerClock>) -> Self {
        Self { guard }
    }
}

impl<S> Layer<S> for DateLayer {
    type Service = DateService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DateService {
            inner,
            guard: Arc::clone(&self.guard),
        }
    }
}

/// The service made by [`DateLayer`].
#[derive(Clone)]
pub struct DateService<S> {
    inner: S,
    guard: Arc<ServerClock>,
}

impl<S, B> Service<Request<Body>> for DateService<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let guard = Arc::clone(&self.guard);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            guard.saw(answer.headers());
            Ok(answer)
        })
    }
}

/// Reads the server's version every `interval`, so that the clock guard has a
/// recent `Date` also in a quiet process. Runs until dropped.
pub async fn keep_clock_seen(client: Client, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let read = tokio::time::timeout(interval, client.apiserver_version());
        match read.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::debug!(error = %crate::chain(&error), "failed to read the server's clock");
            }
            Err(_) => tracing::debug!("no answer when reading the server's clock"),
        }
    }
}

#[cfg(test)]
mod tests;
