//! The control port: what happened, what shall go wrong, and hands that reach past the API.

mod actors;
pub mod faults;
mod outages;
pub mod requests;
mod routes;
mod switches;
mod vms;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::sim::Shared;

pub use faults::call;

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
