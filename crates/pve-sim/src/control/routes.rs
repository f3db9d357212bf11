//! The table of control routes.

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, patch, post, put};

use super::{actors, outages, switches, vms};
use crate::sim::Shared;

/// Every control route.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        // What happened, what is.
        .route("/requests", get(switches::requests).delete(switches::clear_requests))
        .route("/vms", get(vms::list).post(actors::create_vm))
        .route("/tasks", get(vms::tasks))
        .route("/guests", get(vms::guests))
        // What shall go wrong.
        .route("/faults", get(switches::list_faults).post(switches::add_fault).delete(switches::clear_faults))
        .route("/faults/{id}", delete(switches::remove_fault))
        .route("/refuse-connections", post(switches::refuse_connections))
        .route("/quorum", post(switches::quorum))
        .route("/nodes/{node}", post(outages::node))
        .route("/nodes/{node}/services", post(outages::services))
        .route("/tasks/{upid}/kill", post(outages::kill_worker))
        .route("/vms/{vmid}/lock-file", post(outages::hold_guest))
        .route("/storages/{name}/lock-file", post(outages::hold_storage))
        .route("/durations", put(switches::durations))
        // Hands that reach past the API.
        .route("/vms/{vmid}", patch(actors::change_vm).delete(actors::delete_vm))
        .route("/templates/{vmid}", delete(actors::delete_vm))
        .route("/privileges/revoke", post(actors::revoke))
        .route("/privileges/restore", post(actors::restore))
        .route("/tokens/{id}/secret", post(actors::change_secret))
        .route("/firewall", put(switches::firewall))
        .route("/storages/{name}", patch(outages::storage).put(outages::add_storage))
        .route("/reset", post(switches::reset))
        .with_state(shared)
}
