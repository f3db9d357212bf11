//! The Gateway controller: which changes lead to a pass, and what follows from its end.

use std::sync::Arc;

use crds::{Gateway, Slot};
use futures::future::BoxFuture;
use gateway_core::claim::wants_same;
use kit::{
    cache::{Cache, Guarded, all},
    drive::{Run, drive},
    guarded,
};
use kube::{
    ResourceExt,
    runtime::{
        controller::{Action, Controller},
        reflector::{ObjectRef, Store},
    },
};
use tokio_util::sync::CancellationToken;

use crate::{
    ctx::{Ctx, Key},
    error::{Error, Gateways, policy},
    pass::pass,
};

/// Passes at once.
const CONCURRENCY: u16 = 16;

/// Subscribes at once; runs while the future is polled.
pub fn start(
    ctx: Arc<Ctx>,
    (gateways, slots): (&mut Cache<Gateway>, &mut Cache<Slot>),
    shutdown: CancellationToken,
) -> BoxFuture<'static, Result<(), Error>> {
    let (own, others, slots) = (gateways.subscribe(), gateways.subscribe(), slots.subscribe());
    let store = gateways.store();
    let controller = Controller::for_shared_stream(own, store.clone())
        .watches_shared_stream(others, move |guard: Arc<Guarded<Gateway>>| rivals(&store, &guard))
        .watches_shared_stream(slots, |guard: Arc<Guarded<Slot>>| of_slot(&guard));
    let run = Run {
        name: "gateway",
        concurrency: CONCURRENCY,
        shared: ctx,
        shutdown,
    };
    Box::pin(async move {
        drive(controller, run, reconcile, failed)
            .await
            .map_err(Error::Ended)
    })
}

fn of_slot(guard: &Guarded<Slot>) -> Option<ObjectRef<Guarded<Gateway>>> {
    let slot = guard.0.as_ref().ok()?;
    Some(ObjectRef::new(slot.spec.gateway.as_str()).within(&slot.namespace()?))
}

/// Others that want the name of this Gateway: who has it may have changed.
fn rivals(store: &Store<Guarded<Gateway>>, guard: &Guarded<Gateway>) -> Vec<ObjectRef<Guarded<Gateway>>> {
    let Ok(gateway) = &guard.0 else { return Vec::new() };
    let same = all(store, |other: &Gateway| {
        wants_same(gateway, other) && other.uid() != gateway.uid()
    });
    same.iter()
        .map(|other| ObjectRef::new(&other.name_any()).within(&other.namespace().unwrap_or_default()))
        .collect()
}

fn key(guard: &Guarded<Gateway>) -> Key {
    (guard.namespace().unwrap_or_default(), guard.name_any())
}

async fn reconcile(guard: Arc<Guarded<Gateway>>, ctx: Arc<Ctx>) -> Result<Action, Error> {
    let gateway = guarded::decoded(&guard).map_err(|source| Error::Undecodable { source })?;
    let _measure = ctx.reconciles.measure(Gateways);
    let next = pass(&ctx, gateway).await?;
    ctx.backoff.reset(&key(&guard));
    Ok(next.map_or_else(Action::await_change, Action::requeue))
}

fn failed(guard: &Guarded<Gateway>, error: &Error, ctx: &Ctx) -> Action {
    policy(ctx, &key(guard), guard, error)
}
