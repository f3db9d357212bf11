//! The Slot controller: what a Slot needs in each phase after its use.

use std::{future::Future, sync::Arc, time::Duration};

use crds::{Slot, slot::SlotPhase};
use jiff::SignedDuration;
use kit::drive::{Run, drive};
use kit::guarded;
use kube::{
    Api, ResourceExt,
    runtime::controller::{Action, Controller},
};
use operator_core::{
    provider::{
        machine::status::sentence,
        slot::{release::route_is_gone, words::removing_route},
    },
    reason::Reason,
};
use tokio_util::sync::CancellationToken;

use super::{
    giveback::{self, Ending},
    setting,
};
use crate::{
    caches::{Caches, Guarded},
    provider::{
        Shared,
        error::{Error, policy},
        key,
        labels::{Controller::Slot as Slots, Outcome},
        objects::{Identity, SLOT_FINALIZER},
    },
};

/// Annotation by which a person clears a quarantined Slot.
pub const CLEAR: &str = "decent-cloud.org/clear-quarantine";
const CONCURRENCY: u16 = 64;

/// Subscribes at once; runs while the future is polled.
///
/// # Errors
/// The controller ended before shutdown.
pub fn start(
    shared: Arc<Shared>,
    caches: &mut Caches,
    shutdown: CancellationToken,
) -> impl Future<Output = Result<(), Error>> + use<> {
    let (slots, store) = (caches.slots.subscribe(), caches.slots.store());
    let run = Run {
        name: "slot",
        concurrency: CONCURRENCY,
        shared,
        shutdown,
    };
    let controller = Controller::for_shared_stream(slots, store);
    async move {
        let failed = |slot: &Guarded<Slot>, error: &Error, shared: &Shared| {
            policy(&shared.ctx, &shared.tries, Slots, slot, error)
        };
        drive(controller, run, reconcile, failed)
            .await
            .map_err(Error::Ended)
    }
}

async fn reconcile(guard: Arc<Guarded<Slot>>, shared: Arc<Shared>) -> Result<Action, Error> {
    let slot = guarded::decoded(&guard).map_err(|source| Error::Undecodable { source })?;
    if !shared.serves(&slot.namespace().unwrap_or_default()) {
        return Ok(Action::await_change());
    }
    let identity = Identity::of(slot)?;
    let mut measure = shared.ctx.reconciles.measure(Slots);
    let done = match slot.phase() {
        SlotPhase::Claimed => Ok(Action::await_change()),
        SlotPhase::Releasing => give_back(&shared, slot, &identity).await,
        SlotPhase::Resting => rested(&shared, slot, &identity).await,
        SlotPhase::Quarantined => cleared(&shared, slot, &identity).await,
    };
    measure.outcome(if done.is_ok() {
        shared.tries.reset(&key(Slots, slot));
        Outcome::Done
    } else {
        Outcome::Failed
    });
    done
}

async fn give_back(shared: &Shared, slot: &Slot, identity: &Identity) -> Result<Action, Error> {
    if shared
        .pools
        .is_unchecked(&identity.namespace, slot.spec.pool.as_str())
    {
        return Ok(Action::requeue(Duration::from_millis(100)));
    }
    match giveback::pass(shared, slot, identity).await? {
        Ending::Over => Ok(Action::await_change()),
        Ending::Waiting(wait, recheck) => {
            // Short waits are not worth a write each: only what somebody must act on, or what lasts, is said.
            let lasting =
                recheck >= SignedDuration::from_secs(2) || wait.reason.actor() != crds::common::Actor::Nobody;
            if lasting {
                setting::say(shared, slot, wait.reason, &sentence(&wait)).await?;
            }
            let pause = Duration::try_from(recheck).unwrap_or_default();
            Ok(Action::requeue(
                pause.clamp(Duration::from_millis(50), Duration::from_mins(1)),
            ))
        }
    }
}

/// A rested Slot goes, and its index is free for the next.
async fn rested(shared: &Shared, slot: &Slot, identity: &Identity) -> Result<Action, Error> {
    let since = slot
        .status
        .as_ref()
        .and_then(|s| s.resting_since.as_ref())
        .map(|t| t.0);
    let over = since.and_then(|since| since.checked_add(shared.config.slot_rest).ok());
    let now = shared.ctx.clock.now();
    if let Some(over) = over.filter(|over| *over > now && slot.metadata.deletion_timestamp.is_none()) {
        return Ok(Action::requeue(
            Duration::try_from(over.duration_since(now)).unwrap_or_default(),
        ));
    }
    remove(shared, slot, identity).await?;
    Ok(Action::await_change())
}

/// Deletes a Slot that rests.
///
/// # Errors
/// A call to the API server failed.
pub async fn remove(shared: &Shared, slot: &Slot, identity: &Identity) -> Result<(), Error> {
    let api: Api<Slot> = Api::namespaced(shared.ctx.client.clone(), &identity.namespace);
    let writer = &shared.ctx.writer;
    if slot.metadata.deletion_timestamp.is_none() {
        writer.delete_seen(&api, slot, true).await.map_err(Error::kube)?;
    }
    let seen = writer.get(&api, &identity.name).await.map_err(Error::kube)?;
    if let Some(seen) = seen.filter(|seen| seen.uid() == slot.uid()) {
        writer
            .drop_finalizer(&api, &seen, SLOT_FINALIZER)
            .await
            .map_err(Error::kube)?;
    }
    shared.memory.forget(&identity.uid);
    Ok(())
}

/// A quarantined Slot rests once a person says so and the VMID is proven free.
async fn cleared(shared: &Shared, slot: &Slot, identity: &Identity) -> Result<Action, Error> {
    // Nobody waits for what was begun here, so nobody else has to.
    let cell = shared.memory.of(&identity.uid);
    let mut memory = cell.lock().await;
    (memory.permit, memory.task) = (None, None);
    drop(memory);
    if slot.annotations().get(CLEAR) != Some(&slot.spec.vmid.to_string()) {
        return Ok(Action::await_change());
    }
    let route = slot.status.as_ref().and_then(|s| s.route.as_ref());
    let agent = giveback::agent(shared, slot, &identity.namespace).await?;
    let waived = slot.annotations().contains_key(giveback::ROUTE_REMOVED);
    if !route_is_gone(route, agent, waived) {
        let text = sentence(&removing_route(&setting::named(slot)));
        setting::say(shared, slot, Reason::Quarantined, &text).await?;
        return Ok(Action::requeue(Duration::from_secs(10)));
    }
    let Some(hindrance) = giveback::hindrance(shared, slot, identity).await? else {
        setting::rest(shared, slot).await?;
        return Ok(Action::await_change());
    };
    let text = format!(
        "{hindrance} The Slot stays set aside until VMID {} is proven free.",
        slot.spec.vmid
    );
    setting::say(shared, slot, Reason::Quarantined, &text).await?;
    let pause = Duration::try_from(shared.config.absence_interval).unwrap_or_default();
    Ok(Action::requeue(
        pause.clamp(Duration::from_millis(500), Duration::from_secs(30)),
    ))
}
