//! The Pool controller: preflight, one look at the cluster for all machines, status. Each Pool is a pass of its own with
//! bounded waits, so that a dead cluster delays no other.

use std::{future::Future, sync::Arc, time::Duration};

use crds::{Gateway, Pool, Provider, Slot, slot::SlotPhase};
use futures::StreamExt;
use kit::drive::{Run, drive};
use kit::{backoff::Backoff, guarded};
use kube::{
    Api, ResourceExt,
    runtime::{
        controller::{Action, Controller},
        reflector::ObjectRef,
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    Pools,
    pass::{Pass, Poke, tell},
    world,
};
use crate::{
    caches::{Caches, Guarded, all, decoded},
    provider::{
        Error, Tries,
        error::policy,
        key,
        labels::{self, Outcome},
    },
};

/// Finalizer of Pools.
const FINALIZER: &str = "decent-cloud.org/pool";
/// A failed pass is tried again after this.
const TICK: Duration = Duration::from_secs(5);

struct Office {
    pools: Arc<Pools>,
    poke: Poke,
    tries: Tries,
}

/// Subscribes at once; runs while the future is polled.
pub fn start(
    pools: &Arc<Pools>,
    caches: &mut Caches,
    poke: Poke,
    shutdown: CancellationToken,
) -> impl Future<Output = Result<(), Error>> + use<> {
    let (shared, store) = (caches.pools.subscribe(), caches.pools.store());
    let (gateways, providers, slots) = (
        caches.gateways.subscribe(),
        caches.providers.subscribe(),
        caches.slots.subscribe(),
    );
    let office = Arc::new(Office {
        pools: Arc::clone(pools),
        poke,
        tries: Backoff::new(kit::backoff::Config::default(), 0),
    });
    let by_gateway = Arc::clone(pools);
    let by_provider = Arc::clone(pools);
    let freed = freed(Arc::clone(&office), slots);
    let run = Run {
        name: "pool",
        concurrency: 0,
        shared: office,
        shutdown,
    };
    let controller = Controller::for_shared_stream(shared, store)
        .watches_shared_stream(gateways, move |gateway| through(&by_gateway, &gateway))
        .watches_shared_stream(providers, move |provider| within(&by_provider, &provider))
        .reconcile_on(freed);
    async move {
        let failed = |pool: &Guarded<Pool>, error: &Error, office: &Office| {
            policy(
                &office.pools.ctx,
                &office.tries,
                labels::Controller::Pool,
                pool,
                error,
            )
        };
        drive(controller, run, reconcile, failed)
            .await
            .map_err(Error::Ended)
    }
}

fn matching(pools: &Pools, pass: impl FnMut(&Pool) -> bool) -> Vec<ObjectRef<Guarded<Pool>>> {
    all(&pools.stores.pools, pass)
        .iter()
        .map(|pool| ObjectRef::from_obj(pool.as_ref()))
        .collect()
}

/// The Pools behind a Gateway.
fn through(pools: &Pools, gateway: &Guarded<Gateway>) -> Vec<ObjectRef<Guarded<Pool>>> {
    let (namespace, name) = (gateway.namespace(), gateway.name_any());
    matching(pools, |pool| {
        pool.namespace() == namespace && pool.spec.gateway_ref.name.as_str() == name
    })
}

/// The Pools of a Provider.
fn within(pools: &Pools, provider: &Guarded<Provider>) -> Vec<ObjectRef<Guarded<Pool>>> {
    let namespace = provider.namespace();
    matching(pools, |pool| pool.namespace() == namespace)
}

/// Tells waiting machines when a Slot came to rest or went, and gives the Pools whose deletion waited for it.
fn freed(
    office: Arc<Office>,
    slots: impl futures::Stream<Item = Arc<Guarded<Slot>>> + Send + 'static,
) -> impl futures::Stream<Item = ObjectRef<Guarded<Pool>>> + Send + 'static {
    slots.filter_map(move |guard| {
        let pools = &office.pools;
        let freed = decoded(&guard).and_then(|slot| {
            let namespace = slot.namespace()?;
            let gone = pools
                .stores
                .slots
                .get(&ObjectRef::from_obj(guard.as_ref()))
                .is_none();
            if !gone && slot.phase() != SlotPhase::Resting {
                return None;
            }
            if world::anybody_waits(&pools.stores, &namespace) {
                tell(
                    &office.poke,
                    &namespace,
                    pools.world(&namespace, pools.ctx.clock.now()).1,
                );
            }
            let name = slot.spec.pool.as_str();
            let leaving = matching(pools, |pool| {
                pool.namespace().as_deref() == Some(&namespace)
                    && pool.name_any() == name
                    && pool.metadata.deletion_timestamp.is_some()
            });
            leaving.into_iter().next()
        });
        std::future::ready(freed)
    })
}

async fn reconcile(guard: Arc<Guarded<Pool>>, office: Arc<Office>) -> Result<Action, Error> {
    let pool = guarded::decoded(&guard).map_err(|source| Error::Undecodable { source })?;
    let pools = &office.pools;
    let (namespace, name) = (pool.namespace().unwrap_or_default(), pool.name_any());
    if !pools.serves(&namespace) {
        pools.forget(&namespace, &name);
        return Ok(Action::await_change());
    }
    let mut measure = pools.ctx.reconciles.measure(labels::Controller::Pool);
    let slots = naming(pools, &namespace, &name);
    if !keep(pools, pool, &slots).await? {
        pools.forget(&namespace, &name);
        measure.outcome(Outcome::Done);
        return Ok(Action::await_change());
    }
    let entry = pools.entry(&namespace, &name);
    let mut work = entry.work.lock().await;
    let pass = Pass {
        pools,
        poke: &office.poke,
        pool,
        namespace,
        name,
        entry: &entry,
        slots,
        now: pools.ctx.clock.now(),
    };
    pass.run(&mut work).await?;
    office.tries.reset(&key(labels::Controller::Pool, pool));
    measure.outcome(Outcome::Done);
    Ok(Action::requeue(
        Duration::try_from(pools.config.tick_interval).unwrap_or(TICK),
    ))
}

/// The Slots that name this Pool.
fn naming(pools: &Pools, namespace: &str, name: &str) -> Vec<Arc<Guarded<Slot>>> {
    all(&pools.stores.slots, |slot: &Slot| {
        slot.namespace().as_deref() == Some(namespace) && slot.spec.pool.as_str() == name
    })
}

/// Holds the Pool while Slots name it; whether it is still there to look at.
async fn keep(pools: &Pools, pool: &Pool, slots: &[Arc<Guarded<Slot>>]) -> Result<bool, Error> {
    let api: Api<Pool> = Api::namespaced(pools.ctx.client.clone(), &pool.namespace().unwrap_or_default());
    if pool.metadata.deletion_timestamp.is_none() {
        pools
            .ctx
            .writer
            .add_finalizer(&api, pool, FINALIZER)
            .await
            .map_err(Error::kube)?;
        return Ok(true);
    }
    if slots.is_empty() {
        pools
            .ctx
            .writer
            .drop_finalizer(&api, pool, FINALIZER)
            .await
            .map_err(Error::kube)?;
    }
    Ok(!slots.is_empty())
}
