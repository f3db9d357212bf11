//! Deletes Machines that have ended once their last Slot rests, whether or not their Contract still exists, and has
//! those looked after that lost theirs.

use std::sync::Arc;

use crds::{Machine, Slot};
use futures::future::BoxFuture;
use kit::drive::{Run, drive};
use kit::guarded;
use kube::{
    ResourceExt,
    runtime::{
        controller::{Action, Controller as Runner},
        reflector::ObjectRef,
    },
};
use operator_core::market::reap::is_due;
use tokio_util::sync::CancellationToken;

use super::{
    Error, Shared,
    error::{at, policy},
    key,
    labels::{Controller, Outcome, Step},
    ownerless::look_after,
    status::api,
};
use crate::caches::{Caches, Guarded, decoded, get};

const CONCURRENCY: u16 = 16;

/// Subscribes at once; runs while the future is polled.
///
/// # Errors
/// The controller ended though nobody told it to.
pub fn start(
    shared: Arc<Shared>,
    caches: &mut Caches,
    shutdown: CancellationToken,
) -> BoxFuture<'static, Result<(), Error>> {
    let (machines, slots) = (caches.machines.subscribe(), caches.slots.subscribe());
    let controller = Runner::for_shared_stream(machines, shared.machines.clone())
        .watches_shared_stream(slots, |guard: Arc<Guarded<Slot>>| of_slot(&guard));
    let run = Run {
        name: "reaper",
        concurrency: CONCURRENCY,
        shared,
        shutdown,
    };
    Box::pin(async move {
        drive(controller, run, reconcile, failed)
            .await
            .map_err(Error::Ended)
    })
}

fn of_slot(guard: &Guarded<Slot>) -> Option<ObjectRef<Guarded<Machine>>> {
    let slot = decoded(guard)?;
    Some(ObjectRef::new(slot.spec.machine_ref.name.as_str()).within(&slot.namespace()?))
}

async fn reconcile(guard: Arc<Guarded<Machine>>, shared: Arc<Shared>) -> Result<Action, Error> {
    let machine = guarded::decoded(&guard).map_err(|source| Error::Undecodable { source })?;
    let ended = machine.status.as_ref().is_some_and(|s| s.ended.is_some());
    if !ended && machine.spec.teardown.is_some() {
        return Ok(Action::await_change());
    }
    if !ended {
        let next = look_after(&shared, machine).await?;
        shared.backoff.reset(&key(Controller::Reaper, &*guard));
        return Ok(next);
    }
    let mut measure = shared.ctx.reconciles.measure(Controller::Reaper);
    measure.outcome(Outcome::Failed);
    let slots = slots_of(&shared, machine);
    let refs: Vec<&Slot> = slots.iter().filter_map(|guard| decoded(guard)).collect();
    let due = is_due(machine, &refs);
    if due {
        let api = api::<Machine>(&shared, &machine.namespace().unwrap_or_default());
        shared
            .ctx
            .writer
            .delete_seen(&api, machine, false)
            .await
            .map_err(at(Step::DeleteMachine))?;
    }
    shared.backoff.reset(&key(Controller::Reaper, &*guard));
    measure.outcome(if due { Outcome::Wrote } else { Outcome::Settled });
    Ok(Action::await_change())
}

fn slots_of(shared: &Shared, machine: &Machine) -> Vec<Arc<Guarded<Slot>>> {
    let uid = machine.uid().unwrap_or_default();
    let names = shared
        .indices
        .by_contract
        .of(machine.spec.contract_ref.uid.as_str());
    names
        .iter()
        .filter_map(|(namespace, name)| get(&shared.slots, namespace, name))
        .filter(|guard| {
            guard
                .0
                .as_ref()
                .is_ok_and(|slot| slot.spec.machine_ref.uid.as_str() == uid)
        })
        .collect()
}

fn failed(guard: &Guarded<Machine>, error: &Error, shared: &Shared) -> Action {
    policy(shared, Controller::Reaper, guard, error)
}
