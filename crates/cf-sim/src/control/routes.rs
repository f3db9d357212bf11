//! The table of control routes.

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, patch, post, put};

use super::{hands, switches, truth};
use crate::sim::Shared;

/// Every control route.
#[rustfmt::skip]
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        // What happened, what is.
        .route("/requests", get(truth::requests).delete(truth::clear_requests))
        .route("/questions", get(truth::questions))
        .route("/zones", get(truth::zones).post(hands::create_zone))
        .route("/tokens", get(truth::tokens).post(hands::create_token))
        // What shall go wrong.
        .route("/faults", get(switches::list_faults).post(switches::add_fault).delete(switches::clear_faults))
        .route("/faults/{id}", delete(switches::remove_fault))
        .route("/refuse-connections", post(switches::refuse_connections))
        .route("/dns", put(switches::dns))
        .route("/resolver/flush", post(switches::flush))
        .route("/rate", put(switches::rate).delete(switches::forget_rates))
        .route("/answers", put(switches::answers))
        .route("/clock", post(switches::clock))
        // Hands that reach past the API.
        .route("/zones/{zone}", patch(hands::change_zone).delete(hands::delete_zone))
        .route("/zones/{zone}/records", get(truth::records).post(hands::create_record))
        .route("/zones/{zone}/records/{id}", patch(hands::change_record).delete(hands::delete_record))
        .route("/tokens/{id}", patch(hands::change_token).delete(hands::delete_token))
        .route("/reset", post(switches::reset))
        .with_state(shared)
}
