//! The Account controller: namespaces and permissions. What it made there is looked at again now and then, not
//! watched: a thousand accounts would mean thousands of cached objects.

mod furnish;
use std::{sync::Arc, time::Duration};

use crds::{Account, AccountStatus, Contract};
use futures::{Stream, StreamExt, future::BoxFuture};
use k8s_openapi::api::core::v1::Namespace;
use kit::drive::{Run, drive};
use kit::guarded;
use kube::{
    Api, ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt,
        controller::{Action, Controller as Runner},
        reflector::ObjectRef,
        watcher::{self, Event},
    },
};
use operator_core::{
    condition::{READY, find, holds},
    market::account::{self, homes},
    reason::Reason,
};
use tokio_util::sync::CancellationToken;

use self::furnish::{furnish, known};
use super::{
    Error, Key, Shared,
    error::policy,
    key,
    labels::{Controller, Outcome},
    status::{Due, store},
};
use crate::caches::{Caches, Guarded, get};

/// What was made is looked at again after this.
const RECHECK: Duration = Duration::from_mins(10);
/// A namespace that stands in the way is looked at again after this.
const RETRY: Duration = Duration::from_secs(10);

/// Subscribes at once; runs while the future is polled.
///
/// # Errors
/// The controller ended though nobody told it to.
pub fn start(
    shared: Arc<Shared>,
    caches: &mut Caches,
    shutdown: CancellationToken,
) -> Option<BoxFuture<'static, Result<(), Error>>> {
    let own = caches.accounts.as_mut()?.subscribe();
    let others = caches.accounts.as_mut()?.subscribe();
    let contracts = caches.contracts.as_mut()?.subscribe();
    let (index, of_other, of_contract) = (Arc::clone(&shared), Arc::clone(&shared), Arc::clone(&shared));
    let own = own.inspect(move |guard| index.indices.account(&index, guard));
    let gone = gone(Arc::clone(&shared));
    let controller = Runner::for_shared_stream(own, shared.accounts.clone())
        .watches_shared_stream(others, move |account: Arc<Guarded<Account>>| {
            rivals(&of_other, &account)
        })
        .watches_shared_stream(contracts, move |contract: Arc<Guarded<Contract>>| {
            claimants(&of_contract, &contract.namespace().unwrap_or_default())
        })
        .reconcile_on(gone);
    let run = Run {
        name: "account",
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

/// Accounts whose namespace is being deleted, or is gone: what was made there has to be looked at.
fn gone(shared: Arc<Shared>) -> impl Stream<Item = ObjectRef<Guarded<Account>>> + Send {
    let api = Api::<PartialObjectMeta<Namespace>>::all(shared.ctx.client.clone());
    let events = watcher::watcher(api, watcher::Config::default()).default_backoff();
    let gone = events.filter_map(|event| {
        std::future::ready(match event {
            Ok(Event::Delete(namespace)) => Some(namespace.name_any()),
            Ok(Event::Apply(n) | Event::InitApply(n)) => {
                n.metadata.deletion_timestamp.as_ref().map(|_| n.name_any())
            }
            Ok(Event::Init | Event::InitDone) => None,
            Err(error) => {
                tracing::warn!(
                    "namespaces: the watch failed and is tried again: {}",
                    kit::chain(&error)
                );
                None
            }
        })
    });
    gone.flat_map(move |namespace| {
        let named = claimants(&shared, &namespace);
        for account in &named {
            look_again(&shared, account);
        }
        futures::stream::iter(named)
    })
}

fn look_again(shared: &Shared, account: &ObjectRef<Guarded<Account>>) {
    if let Some(Ok(account)) = shared.accounts.get(account).as_ref().map(|guard| &guard.0) {
        shared.pace.undone(&work_key(account));
    }
}

fn claimants(shared: &Shared, namespace: &str) -> Vec<ObjectRef<Guarded<Account>>> {
    shared
        .indices
        .by_claim
        .of(namespace)
        .iter()
        .map(|(_, name)| ObjectRef::new(name))
        .collect()
}

/// Others that name a namespace of this Account: who has it may have changed.
fn rivals(shared: &Shared, guard: &Guarded<Account>) -> Vec<ObjectRef<Guarded<Account>>> {
    let Ok(account) = &guard.0 else { return Vec::new() };
    let named = homes(account)
        .into_iter()
        .flat_map(|home| claimants(shared, &home.namespace));
    named.filter(|other| other.name != account.name_any()).collect()
}

/// By generation too: a changed spec is done at once.
fn work_key(account: &Account) -> Key {
    let generation = account.metadata.generation.unwrap_or_default();
    (
        Controller::Account,
        format!("{}/{generation}", account.uid().unwrap_or_default()),
        account.name_any(),
    )
}

async fn reconcile(guard: Arc<Guarded<Account>>, shared: Arc<Shared>) -> Result<Action, Error> {
    let account = guarded::decoded(&guard).map_err(|source| Error::Undecodable { source })?;
    let mut measure = shared.ctx.reconciles.measure(Controller::Account);
    measure.outcome(Outcome::Failed);
    if account.metadata.deletion_timestamp.is_some() {
        measure.outcome(Outcome::Settled);
        return Ok(Action::await_change());
    }
    let (alive, work) = (alive(&shared, account), work_key(account));
    let fresh = shared.pace.again(&work, RECHECK).is_some();
    let done = if fresh {
        Ok(known(&shared, account, alive))
    } else {
        furnish(&shared, account, alive).await
    };
    let (next, failed) = match done {
        Ok(status) => (status, None),
        Err(error) => {
            let text = kit::chain::cut(&kit::chain(&error), 512);
            (
                account::failed(account, &text, alive, shared.ctx.clock.now()),
                Some(error),
            )
        }
    };
    let due = write(&shared, account, &key(Controller::Account, &*guard), &next).await?;
    if let Some(error) = failed {
        return Err(error);
    }
    measure.outcome(due.outcome());
    if !holds(&next.conditions, READY) {
        shared.pace.undone(&work);
        let working = find(&next.conditions, READY).is_some_and(|c| c.reason == Reason::Reconciling.as_str());
        let soon = || shared.backoff.next(&key(Controller::Account, &*guard)).min(RETRY);
        return Ok(Action::requeue(if working { soon() } else { RETRY }));
    }
    shared.backoff.reset(&key(Controller::Account, &*guard));
    Ok(match due {
        Due::Later(rest) => Action::requeue(rest),
        Due::Now | Due::Same => Action::requeue(RECHECK),
    })
}

async fn write(shared: &Shared, account: &Account, key: &Key, next: &AccountStatus) -> Result<Due, Error> {
    let before = account.status.as_ref();
    let conditions = before.map_or(&[][..], |s| &s.conditions);
    let urgent = conditions != next.conditions || before.is_none();
    let due = Due::of(shared, key, [before, Some(next)], urgent);
    if matches!(due, Due::Now) {
        let api = Api::<Account>::all(shared.ctx.client.clone());
        store(shared, &api, account, next, [conditions, &next.conditions]).await?;
    }
    Ok(due)
}

/// The account's Contracts that have not ended.
fn alive(shared: &Shared, account: &Account) -> i32 {
    let names = shared.indices.by_namespace.of(account.spec.namespace.as_str());
    let contracts = names
        .iter()
        .filter_map(|(namespace, name)| get(&shared.contracts, namespace, name));
    let ended = |c: &Contract| c.status.as_ref().is_some_and(|s| s.state.is_terminal());
    let alive = contracts
        .filter(|guard| guard.0.as_ref().is_ok_and(|c| !ended(c)))
        .count();
    i32::try_from(alive).unwrap_or(i32::MAX)
}

fn failed(guard: &Guarded<Account>, error: &Error, shared: &Shared) -> Action {
    if let Ok(account) = &guard.0 {
        shared.pace.undone(&work_key(account));
    }
    policy(shared, Controller::Account, guard, error)
}
