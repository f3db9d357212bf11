//! Writes of this controller: the Pool's status, the marks that fix what Slots depend on, the finalizer. One writer at a
//! time for each Pool; what was written last counts, not what a cache still shows.

use crds::{
    Gateway, Pool, PoolStatus,
    common::{GROUP, VERSION},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kit::events;
use kube::{Api, Resource, ResourceExt};
use operator_core::provider::pool::status::{Outcome, status};
use serde_json::{Value, json};

use super::registry::{Entry, Pools};
use crate::{
    caches::{decoded, get},
    ctx::Ctx,
    provider::Error,
};

fn body(kind: &str, name: &str, status: &Value) -> Value {
    json!({"apiVersion": format!("{GROUP}/{VERSION}"), "kind": kind, "metadata": {"name": name}, "status": status})
}

async fn write(ctx: &Ctx, namespace: &str, name: &str, status: &PoolStatus) -> Result<bool, Error> {
    let api: Api<Pool> = Api::namespaced(ctx.client.clone(), namespace);
    let body = body("Pool", name, &json!(status));
    ctx.writer
        .apply_status_if_present(&api, name, &body)
        .await
        .map_err(Error::kube)
        .map(|found| found.is_some())
}

/// Stores what a look found, if it says something else than before.
///
/// # Errors
/// The write failed.
pub(super) async fn outcome(
    pools: &Pools,
    entry: &Entry,
    pool: &Pool,
    out: Outcome<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let (namespace, name) = (pool.namespace().unwrap_or_default(), pool.name_any());
    let mut written = entry.written.lock().await;
    let prior = written.clone().or_else(|| pool.status.clone());
    let slots = out.slots || entry.in_use();
    let next = status(
        prior.as_ref(),
        pool.metadata.generation,
        Outcome { slots, ..out },
        now,
    );
    if prior.as_ref() == Some(&next) {
        *written = Some(next);
        return Ok(());
    }
    if !write(&pools.ctx, &namespace, &name, &next).await? {
        return Ok(());
    }
    let before = prior.map(|status| status.conditions).unwrap_or_default();
    let transitions = events::transitions(&before, &next.conditions);
    for transition in &transitions {
        tracing::info!(
            pool = %format!("{namespace}/{name}"), reason = %transition.reason,
            "pool {namespace}/{name}: {}: {}", transition.reason, transition.message
        );
    }
    pools.ctx.events.publish(&reference(pool), transitions);
    *written = Some(next);
    Ok(())
}

fn reference(pool: &Pool) -> ObjectReference {
    pool.object_ref(&())
}

/// Marks the Pool as in use; nothing is written if it is already.
///
/// # Errors
/// The write failed.
pub(super) async fn pool_in_use(
    ctx: &Ctx,
    pools: &Pools,
    entry: &Entry,
    namespace: &str,
    name: &str,
) -> Result<(), Error> {
    let mut written = entry.written.lock().await;
    let cached = get(&pools.stores.pools, namespace, name);
    let cached = cached
        .as_ref()
        .and_then(|guard| decoded(guard))
        .and_then(|pool| pool.status.clone());
    let mut next = written.clone().or(cached).unwrap_or_default();
    if next.slots_in_use == Some(true) {
        return Ok(());
    }
    next.slots_in_use = Some(true);
    if write(ctx, namespace, name, &next).await? {
        *written = Some(next);
    }
    Ok(())
}

/// Marks the Gateway as in use, and says nothing else about it.
///
/// # Errors
/// The write failed.
pub(super) async fn gateway_in_use(
    ctx: &Ctx,
    pools: &Pools,
    namespace: &str,
    name: &str,
) -> Result<(), Error> {
    let cached = get(&pools.stores.gateways, namespace, name);
    let status = cached
        .as_ref()
        .and_then(|guard| decoded(guard))
        .and_then(|gateway| gateway.status.as_ref());
    if status.and_then(|status| status.slots_in_use) == Some(true) {
        return Ok(());
    }
    let api: Api<Gateway> = Api::namespaced(ctx.client.clone(), namespace);
    let body = body("Gateway", name, &json!({"slotsInUse": true}));
    ctx.writer
        .apply_status(&api, name, &body)
        .await
        .map_err(Error::kube)
        .map(drop)
}
