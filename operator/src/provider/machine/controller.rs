//! The Machine controller: which pass a Machine gets, and what follows from its outcome. Status is written on every
//! outcome, and only when it says something else.

use std::{future::Future, sync::Arc, time::Duration};

use crds::{Machine, Slot};
use futures::stream::BoxStream;
use kit::drive::{Run, drive};
use kit::guarded;
use kube::{
    ResourceExt,
    runtime::{
        controller::{Action, Controller},
        reflector::ObjectRef,
    },
};
use tokio_util::sync::CancellationToken;

use super::{claim, outcome, pursue, report, teardown};
use crate::{
    caches::{Caches, Guarded, decoded},
    provider::{
        Shared,
        error::{Error, policy},
        key,
        labels::{Controller::Machine as Machines, Outcome},
        objects::{Identity, MACHINE_FINALIZER},
    },
};

/// Passes at once.
const CONCURRENCY: u16 = 128;
/// Pause while the Pools have not been looked at.
const FIRST_LOOK: Duration = Duration::from_millis(100);
/// A settled machine is looked at again after this.
const RESYNC: Duration = Duration::from_mins(10);

/// Subscribes at once; runs while the future is polled.
///
/// # Errors
/// The controller ended before shutdown.
pub fn start(
    shared: Arc<Shared>,
    caches: &mut Caches,
    deviations: BoxStream<'static, ObjectRef<Guarded<Machine>>>,
    shutdown: CancellationToken,
) -> impl Future<Output = Result<(), Error>> + use<> {
    let machines = caches.machines.subscribe();
    let slots = caches.slots.subscribe();
    let store = caches.machines.store();
    let run = Run {
        name: "machine",
        concurrency: CONCURRENCY,
        shared,
        shutdown,
    };
    let controller = Controller::for_shared_stream(machines, store)
        .watches_shared_stream(slots, |slot| machine_of(&slot))
        .reconcile_on(deviations);
    async move {
        let failed = |machine: &Guarded<Machine>, error: &Error, shared: &Shared| {
            policy(&shared.ctx, &shared.tries, Machines, machine, error)
        };
        drive(controller, run, reconcile, failed)
            .await
            .map_err(Error::Ended)
    }
}

/// The Machine that a Slot names.
fn machine_of(guard: &Guarded<Slot>) -> Option<ObjectRef<Guarded<Machine>>> {
    let slot = decoded(guard)?;
    Some(ObjectRef::new(slot.spec.machine_ref.name.as_str()).within(&slot.namespace()?))
}

async fn reconcile(guard: Arc<Guarded<Machine>>, shared: Arc<Shared>) -> Result<Action, Error> {
    let cached = guarded::decoded(&guard).map_err(|source| Error::Undecodable { source })?;
    let newer = shared.written.newer_than(
        Some(cached),
        &cached.namespace().unwrap_or_default(),
        &cached.name_any(),
    );
    let machine = newer.as_deref().unwrap_or(cached);
    if !shared.serves(&machine.namespace().unwrap_or_default()) {
        return Ok(Action::await_change());
    }
    if knows_nothing_yet(&shared, machine) {
        return Ok(Action::requeue(FIRST_LOOK));
    }
    let mut measure = shared.ctx.reconciles.measure(Machines);
    let identity = Identity::of(machine)?;
    let pass = pass(&shared, machine, &identity).await?;
    let now = shared.ctx.clock.now();
    report::store(&shared, machine, &pass.found, now).await?;
    if pass.found.ended.is_some() || machine.status.as_ref().is_some_and(|s| s.ended.is_some()) {
        drop_finalizer(&shared, machine, &identity).await?;
    }
    let Some(failed) = pass.failed else {
        measure.outcome(Outcome::Done);
        shared.tries.reset(&key(Machines, machine));
        return Ok(report::action(&pass.found.verdict, RESYNC));
    };
    measure.outcome(Outcome::Failed);
    Err(Error::Step(failed))
}

/// A new process that has not looked at the Pools once has nothing to say about what is on them.
fn knows_nothing_yet(shared: &Shared, machine: &Machine) -> bool {
    let namespace = machine.namespace().unwrap_or_default();
    machine.spec.admitted
        && machine.spec.teardown.is_none()
        && machine
            .spec
            .offering
            .pools
            .iter()
            .any(|pool| shared.pools.is_unchecked(&namespace, pool.as_str()))
}

async fn pass(shared: &Shared, machine: &Machine, identity: &Identity) -> Result<outcome::Pass, Error> {
    if machine.spec.teardown.is_some() {
        return teardown::pass(shared, machine, identity).await;
    }
    if !machine.spec.admitted {
        return Ok(outcome::not_admitted(machine));
    }
    match claim::current(shared, machine, identity).await? {
        claim::Claimed::Slot(slot) => pursue::pass(shared, machine, identity, &slot).await,
        claim::Claimed::Waiting(plan) => Ok(outcome::without_slot(machine, *plan)),
    }
}

async fn drop_finalizer(shared: &Shared, machine: &Machine, identity: &Identity) -> Result<(), Error> {
    if !machine.finalizers().iter().any(|f| f == MACHINE_FINALIZER) {
        return Ok(());
    }
    let api = kube::Api::namespaced(shared.ctx.client.clone(), &identity.namespace);
    let dropped = shared
        .ctx
        .writer
        .drop_finalizer(&api, machine, MACHINE_FINALIZER)
        .await
        .map_err(Error::kube)?;
    if let Some(stored) = dropped {
        shared.written.wrote(Arc::new(stored));
    }
    Ok(())
}
