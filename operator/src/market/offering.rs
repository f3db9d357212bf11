//! The Offering controller: whether it can be had, and how many more would fit.

use std::{collections::BTreeMap, sync::Arc};

use crds::{Contract, Gateway, Offering, Pool, Slot, slot::SlotPhase};
use futures::future::BoxFuture;
use kit::drive::{Run, drive};
use kit::guarded;
use kube::{
    Resource, ResourceExt,
    runtime::{
        controller::{Action, Controller as Runner},
        reflector::ObjectRef,
    },
};
use operator_core::market::offering::{Facts, status};
use tokio_util::sync::CancellationToken;

use super::{
    Error, Key, Shared,
    error::policy,
    key,
    labels::{Controller, Outcome},
    pace::SUMS,
    status::{Due, api, store},
};
use crate::caches::{Caches, Guarded, all, decoded, get};

/// Subscribes at once; runs while the future is polled.
///
/// # Errors
/// The controller ended though nobody told it to.
pub fn start(
    shared: Arc<Shared>,
    caches: &mut Caches,
    shutdown: CancellationToken,
) -> Option<BoxFuture<'static, Result<(), Error>>> {
    let offerings = caches.offerings.as_mut()?.subscribe();
    let contracts = caches.contracts.as_mut()?.subscribe();
    let (pools, gateways) = (caches.pools.subscribe(), caches.gateways.subscribe());
    let (of_pool, of_gateway) = (Arc::clone(&shared), Arc::clone(&shared));
    let controller = Runner::for_shared_stream(offerings, shared.offerings.clone())
        .watches_shared_stream(contracts, |guard: Arc<Guarded<Contract>>| of_contract(&guard))
        .watches_shared_stream(pools, move |pool: Arc<Guarded<Pool>>| {
            neighbours(&of_pool, &*pool)
        })
        .watches_shared_stream(gateways, move |gateway: Arc<Guarded<Gateway>>| {
            neighbours(&of_gateway, &*gateway)
        });
    let run = Run {
        name: "offering",
        concurrency: 8,
        shared,
        shutdown,
    };
    Some(Box::pin(async move {
        drive(controller, run, reconcile, failed)
            .await
            .map_err(Error::Ended)
    }))
}

fn of_contract(guard: &Guarded<Contract>) -> Option<ObjectRef<Guarded<Offering>>> {
    let offering = &decoded(guard)?.spec.offering_ref;
    Some(ObjectRef::new(offering.name.as_str()).within(offering.namespace.as_str()))
}

/// All Offerings of an object's namespace.
fn neighbours<K: Resource>(shared: &Shared, object: &K) -> Vec<ObjectRef<Guarded<Offering>>> {
    let namespace = object.namespace();
    let offerings = all(&shared.offerings, |offering: &Offering| {
        offering.namespace() == namespace
    });
    offerings
        .iter()
        .map(|guard| ObjectRef::from_obj(&**guard))
        .collect()
}

async fn reconcile(guard: Arc<Guarded<Offering>>, shared: Arc<Shared>) -> Result<Action, Error> {
    let offering = guarded::decoded(&guard).map_err(|source| Error::Undecodable { source })?;
    let key = key(Controller::Offering, &*guard);
    if let Some(rest) = shared.pace.again(&key, SUMS) {
        return Ok(Action::requeue(rest));
    }
    let mut measure = shared.ctx.reconciles.measure(Controller::Offering);
    measure.outcome(Outcome::Failed);
    let next = next(&shared, offering, &key);
    let before = offering.status.as_ref();
    let conditions = before.map_or(&[][..], |s| &s.conditions);
    let urgent = conditions != next.conditions || before.is_none();
    let due = Due::of(&shared, &key, [before, Some(&next)], urgent);
    if matches!(due, Due::Now) {
        let api = api::<Offering>(&shared, &key.1);
        store(&shared, &api, offering, &next, [conditions, &next.conditions]).await?;
    }
    shared.backoff.reset(&key);
    measure.outcome(due.outcome());
    Ok(due.action())
}

fn next(shared: &Shared, offering: &Offering, key: &Key) -> crds::OfferingStatus {
    let (_, namespace, name) = key;
    let pools = all(&shared.pools, |pool: &Pool| {
        pool.namespace().as_ref() == Some(namespace)
    });
    let gateways = all(&shared.gateways, |gateway: &Gateway| {
        gateway.namespace().as_ref() == Some(namespace)
    });
    let used = used(shared, namespace);
    let taken = |gateway: &Gateway| used.get(&gateway.name_any()).copied().unwrap_or(0);
    let facts = Facts {
        offering,
        pools: pools.iter().filter_map(|guard| decoded(guard)).collect(),
        gateways: gateways
            .iter()
            .filter_map(|guard| decoded(guard))
            .map(|g| (g, taken(g)))
            .collect(),
        active: active(shared, &format!("{namespace}/{name}")),
    };
    status(&facts, shared.ctx.clock.now())
}

/// Slots that are not free, by Gateway. Resting ones are taken early when there is no other.
fn used(shared: &Shared, namespace: &str) -> BTreeMap<String, usize> {
    let mut used = BTreeMap::new();
    for guard in shared.slots.state() {
        let Ok(slot) = &guard.0 else { continue };
        let phase = slot.phase();
        if slot.namespace().as_deref() == Some(namespace) && phase != SlotPhase::Resting {
            count(&mut used, slot);
        }
    }
    used
}

fn count(used: &mut BTreeMap<String, usize>, slot: &Slot) {
    *used.entry(slot.spec.gateway.to_string()).or_default() += 1;
}

fn active(shared: &Shared, path: &str) -> usize {
    let names = shared.indices.by_offering.of(path);
    let contracts = names
        .iter()
        .filter_map(|(namespace, name)| get(&shared.contracts, namespace, name));
    contracts
        .filter(|guard| guard.0.as_ref().is_ok_and(|c| is_active(c, path)))
        .count()
}

fn is_active(contract: &Contract, path: &str) -> bool {
    let offering = &contract.spec.offering_ref;
    let alive = contract
        .status
        .as_ref()
        .is_some_and(|s| s.price.is_some() && !s.state.is_terminal());
    alive && format!("{}/{}", offering.namespace, offering.name) == path
}

fn failed(guard: &Guarded<Offering>, error: &Error, shared: &Shared) -> Action {
    shared.pace.undone(&key(Controller::Offering, guard));
    policy(shared, Controller::Offering, guard, error)
}
