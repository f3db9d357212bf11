//! Writes a Gateway's status: only when it says something else, numbers alone at most every few seconds.

use std::{collections::BTreeSet, time::Duration};

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
    apply(ctx, gateway, next).await?;
    memory.wrote = Some(now);
    let before = prior.map_or(&[][..], |status| &status.conditions);
    ctx.events.publish(
        &gateway.object_ref(&()),
        events::transitions(before, &next.conditions),
    );
    Ok(None)
}

/// Stores where records may stand from now on, before the first of them is written there.
pub async fn note(ctx: &Ctx, gateway: &Gateway, under: &BTreeSet<String>) -> Result<(), Error> {
    let prior = gateway.status.clone().unwrap_or_default();
    let next = GatewayStatus {
        records_under: under.iter().cloned().collect(),
        slots_in_use: None,
        agent: None,
        ..prior
    };
    apply(ctx, gateway, &next).await
}

async fn apply(ctx: &Ctx, gateway: &Gateway, status: &GatewayStatus) -> Result<(), Error> {
    let body = json!({
        "apiVersion": API_VERSION, "kind": "Gateway",
        "metadata": {"name": gateway.name_any(), "namespace": gateway.namespace(), "uid": gateway.uid()},
        "status": status,
    });
    let (api, name) = (api::<Gateway>(ctx, gateway), gateway.name_any());
    let stored = ctx.writer.apply_status_if_present(&api, &name, &body).await;
    stored.map_err(at(Step::Status)).map(drop)
}
