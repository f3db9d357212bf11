//! The control port: what happened, what shall go wrong, and hands that reach past the API.

pub mod faults;
mod hands;
pub mod requests;
mod routes;
mod switches;
mod truth;

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::sim::Shared;

pub use faults::call;

/// An error of the control port.
pub type Problem = (StatusCode, Json<Value>);

/// A text as an error.
pub fn problem(status: StatusCode, text: impl Into<String>) -> Problem {
    (status, Json(json!({"error": text.into()})))
}

/// Serves the control port until it is stopped.
pub async fn serve(shared: Arc<Shared>, listener: TcpListener, stop: CancellationToken) {
    let router = routes::router(shared);
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        result = served => if let Err(error) = result {
            tracing::error!(%error, "the control port ended");
        },
        () = stop.cancelled() => {}
    }
}
