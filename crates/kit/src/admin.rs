//! The admin port: `/livez`, `/readyz`, `/metrics` and `PUT /log-level`. Must
//! not serve anything to users. The log level changes from the host itself only.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{ConnectInfo, DefaultBodyLimit, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, ready::Ready, telemetry::LogLevel};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The admin port failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("failed to listen on {address}")]
    Bind {
        /// The address as asked for.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Serving ended with an error.
    #[error("failed to serve the admin port")]
    Serve(#[source] std::io::Error),
}

/// What the port shows and changes.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The readiness gates.
    pub ready: Ready,
    /// The metrics.
    pub metrics: Metrics,
    /// The log level.
    pub log_level: LogLevel,
}

/// A bound admin port.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    shown: Shown,
}

impl Admin {
    /// Listens on `address`; port 0 picks a free one.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(address: SocketAddr, shown: Shown) -> Result<Self, Error> {
        let named = |source| Error::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(named)?;
        let address = listener.local_addr().map_err(named)?;
        Ok(Self {
            listener,
            address,
            shown,
        })
    }

    /// The address in use.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is cancelled.
    ///
    /// # Errors
    /// When serving fails.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), Error> {
        let service = router(self.shown).into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(self.listener, service)
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await
            .map_err(Error::Serve)
    }
}

fn router(shown: Shown) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/log-level", put(log_level))
        .layer(DefaultBodyLimit::max(1024))
        .with_state(shown)
}

async fn readyz(State(shown): State<Shown>) -> (StatusCode, String) {
    let missing = shown.ready.missing();
    if missing.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        format!("waiting for: {}\n", missing.join(", ")),
    )
}

async fn metrics(State(shown): State<Shown>) -> Response {
    match shown.metrics.render() {
        Ok(text) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn log_level(
    State(shown): State<Shown>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    filter: String,
) -> (StatusCode, String) {
    if !peer.ip().to_canonical().is_loopback() {
        return (
            StatusCode::FORBIDDEN,
            "the log level changes from this host only\n".to_owned(),
        );
    }
    match shown.log_level.set(filter.trim()) {
        Ok(()) => {
            tracing::info!(filter = filter.trim(), "log level changed");
            (StatusCode::OK, "ok\n".to_owned())
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{}\n", crate::chain(&error))),
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    fn scene() -> (Ready, Router, impl Sized) {
        let (layer, log_level) = crate::telemetry::detached();
        let ready = Ready::new();
        let shown = Shown {
            ready: ready.clone(),
            metrics: Metrics::new("test"),
            log_level,
        };
        (ready, router(shown), layer)
    }

    async fn call(router: &Router, method: &str, path: &str, body: &str, peer: &str) -> (u16, String) {
        let peer: SocketAddr = peer.parse().unwrap();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .extension(ConnectInfo(peer))
            .body(Body::from(body.to_owned()))
            .unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let code = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (code, String::from_utf8(bytes.to_vec()).unwrap())
    }

    const HERE: &str = "127.0.0.1:5";

    #[tokio::test]
    async fn readiness_names_what_is_missing() {
        let (ready, router, _layer) = scene();
        let gate = ready.gate("crds");
        let (code, text) = call(&router, "GET", "/readyz", "", HERE).await;
        assert_eq!((code, text.as_str()), (503, "waiting for: crds\n"));
        assert_eq!(call(&router, "GET", "/livez", "", HERE).await.0, 200);
        gate.set();
        assert_eq!(call(&router, "GET", "/readyz", "", HERE).await.0, 200);
    }

    #[tokio::test]
    async fn metrics_are_served_as_text() {
        let (_, router, _layer) = scene();
        let (code, text) = call(&router, "GET", "/metrics", "", HERE).await;
        assert_eq!((code, text.as_str()), (200, "# EOF\n"));
    }

    #[tokio::test]
    async fn the_log_level_changes_from_this_host_only() {
        let (_, router, _layer) = scene();
        assert_eq!(call(&router, "PUT", "/log-level", "debug\n", HERE).await.0, 200);
        assert_eq!(call(&router, "PUT", "/log-level", "kit=loud", HERE).await.0, 400);
        assert_eq!(
            call(&router, "PUT", "/log-level", "debug", "10.0.0.9:5").await.0,
            403
        );
        let long = "x".repeat(2000);
        assert_eq!(call(&router, "PUT", "/log-level", &long, HERE).await.0, 413);
    }

    #[tokio::test]
    async fn a_bound_port_is_known_and_closes_on_shutdown() {
        let (_, log_level) = crate::telemetry::detached();
        let shown = Shown {
            ready: Ready::new(),
            metrics: Metrics::new("test"),
            log_level,
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let admin = Admin::bind(address, shown).await.unwrap();
        assert_ne!(admin.address().port(), 0);
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        admin.serve(shutdown).await.unwrap();
    }
}
