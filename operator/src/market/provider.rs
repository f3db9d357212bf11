//! The Provider controller: sums the Pools of its namespace.

use std::sync::Arc;

use crds::{Pool, Provider, provider::PROVIDER_NAME};
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
use operator_core::market::provider::status;
use tokio_util::sync::CancellationToken;

use super::{
    Error, Shared,
    error::policy,
    key,
    labels::{Controller, Outcome},
    pace::SUMS,
    status::{Due, api, store},
};
use crate::caches::{Caches, Guarded, all, decoded};

/// Subscribes at once; runs while the future is polled.
///
/// # Errors
/// The controller ended though nobody told it to.
pub fn start(
    shared: Arc<Shared>,
    caches: &mut Caches,
    shutdown: CancellationToken,
) -> BoxFuture<'static, Result<(), Error>> {
    let (providers, pools) = (caches.providers.subscribe(), caches.pools.subscribe());
    let controller = Runner::for_shared_stream(providers, shared.providers.clone())
        .watches_shared_stream(pools, |guard: Arc<Guarded<Pool>>| of_pool(&guard));
    let run = Run {
        name: "provider",
        concurrency: 8,
        shared,
        shutdown,
    };
    Box::pin(async move {
        drive(controller, run, reconcile, failed)
            .await
            .map_err(Error::Ended)
    })
}

fn of_pool(guard: &Guarded<Pool>) -> Option<ObjectRef<Guarded<Provider>>> {
    Some(ObjectRef::new(PROVIDER_NAME).within(&guard.namespace()?))
}

async fn reconcile(guard: Arc<Guarded<Provider>>, shared: Arc<Shared>) -> Result<Action, Error> {
    let provider = guarded::decoded(&guard).map_err(|source| Error::Undecodable { source })?;
    let key = key(Controller::Provider, &*guard);
    if let Some(rest) = shared.pace.again(&key, SUMS) {
        return Ok(Action::requeue(rest));
    }
    let mut measure = shared.ctx.reconciles.measure(Controller::Provider);
    measure.outcome(Outcome::Failed);
    let namespace = &key.1;
    let pools = all(&shared.pools, |pool: &Pool| {
        pool.namespace().as_ref() == Some(namespace)
    });
    let refs: Vec<&Pool> = pools.iter().filter_map(|guard| decoded(guard)).collect();
    let next = status(provider, &refs, shared.ctx.clock.now());
    let before = provider.status.as_ref();
    let conditions = before.map_or(&[][..], |s| &s.conditions);
    let urgent = conditions != next.conditions || before.is_none();
    let due = Due::of(&shared, &key, [before, Some(&next)], urgent);
    if matches!(due, Due::Now) {
        let api = api::<Provider>(&shared, namespace);
        store(&shared, &api, provider, &next, [conditions, &next.conditions]).await?;
    }
    shared.backoff.reset(&key);
    measure.outcome(due.outcome());
    Ok(due.action())
}

fn failed(guard: &Guarded<Provider>, error: &Error, shared: &Shared) -> Action {
    shared.pace.undone(&key(Controller::Provider, guard));
    policy(shared, Controller::Provider, guard, error)
}
