//! Writes a Gateway's status: only when it says something else, numbers alone at most every few seconds.

use std::time::Duration;

use crds::{Gateway, GatewayStatus, common::API_VERSION};
use gateway_core::status::speaks_up;
use kit::events;
use kube::{Resource, ResourceExt};
use serde_json::json;

use crate::{
    access::api,
    ctx::Ctx,
    error::{Error, Step, at},
    names::Memory,
};

/// Numbers are written at most this often.
const NUMBERS: Duration = Duration::from_secs(5);

/// Stores the status if need be; how long until numbers that moved may be written.
pub async fn store(
    ctx: &Ctx,
    gateway: &Gateway,
    next: &GatewayStatus,
    memory: &mut Memory,
) -> Result<Option<Duration>, Error> {
    let prior = gateway.status.as_ref();
    let now = ctx.clock.monotonic();
    if !speaks_up(prior, next) {
        if prior.and_then(|status| status.used) == next.used {
            return Ok(None);
        }
        let since = memory.wrote.map_or(NUMBERS, |at| now.saturating_sub(at));
        if since < NUMBERS {
            return Ok(Some(NUMBERS.saturating_sub(since)));
        }
    }
    let body = json!({
        "apiVersion": API_VERSION, "kind": "Gateway",
        "metadata": {"name": gateway.name_any(), "namespace": gateway.namespace(), "uid": gateway.uid()},
        "status": next,
    });
    let (api, name) = (api::<Gateway>(ctx, gateway), gateway.name_any());
    let stored = ctx.writer.apply_status_if_present(&api, &name, &body).await;
    stored.map_err(at(Step::Status))?;
    memory.wrote = Some(now);
    let before = prior.map_or(&[][..], |status| &status.conditions);
    ctx.events.publish(
        &gateway.object_ref(&()),
        events::transitions(before, &next.conditions),
    );
    Ok(None)
}
