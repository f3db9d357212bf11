//! When a Contract is looked at: it changed, its Machine or Slot did, what it waits for did, or its time has come.

use std::{sync::Arc, time::Duration};

use crds::{Account, Contract, ContractStatus, Machine, Offering, Provider, Slot};
use domain::contract::State;
use futures::{StreamExt, future::BoxFuture};
use jiff::Timestamp;
use kit::drive::{Run, drive};
use kit::guarded;
use kube::{
    ResourceExt,
    runtime::{
        controller::{Action, Controller as Runner},
        reflector::ObjectRef,
    },
};
use operator_core::market::contract::{Plan, plan};
use tokio_util::sync::CancellationToken;

use super::{
    execute::execute,
    observe::{Seen, observe, older_alive},
};
use crate::{
    caches::{Caches, Guarded, decoded, get},
    market::{
        Error, Shared,
        error::policy,
        index::Name,
        key,
        labels::{Controller, Outcome},
    },
};

/// Passes at once.
const CONCURRENCY: u16 = 64;
/// A live Contract is looked at again after this at the latest.
const RESYNC: Duration = Duration::from_mins(10);

type Ref = ObjectRef<Guarded<Contract>>;

/// Subscribes at once; runs while the future is polled.
///
/// # Errors
/// The controller ended though nobody told it to.
pub fn start(
    shared: Arc<Shared>,
    caches: &mut Caches,
    shutdown: CancellationToken,
) -> Option<BoxFuture<'static, Result<(), Error>>> {
    let own = caches.contracts.as_mut()?.subscribe();
    let ended = caches.contracts.as_mut()?.subscribe();
    let accounts = caches.accounts.as_mut()?.subscribe();
    let offerings = caches.offerings.as_mut()?.subscribe();
    let providers = caches.providers.subscribe();
    let machines = caches.machines.subscribe();
    let slots = caches.slots.subscribe();
    let with = || Arc::clone(&shared);
    // Indexed before it is queued: a younger Contract never misses an older one.
    let (index, slot_index, account_index) = (with(), with(), with());
    let own = own.inspect(move |guard| index.indices.contract(&index, guard));
    let slots = slots.inspect(move |guard| slot_index.indices.slot(&slot_index, guard));
    let accounts = accounts.inspect(move |guard| account_index.indices.account(&account_index, guard));
    let (of_ended, of_slot, of_offering, of_provider, of_account) = (with(), with(), with(), with(), with());
    let controller = Runner::for_shared_stream(own, shared.contracts.clone())
        .watches_shared_stream(machines, |guard: Arc<Guarded<Machine>>| of_machine(&guard))
        .watches_shared_stream(slots, move |slot| by_slot(&of_slot, &slot))
        .watches_shared_stream(offerings, move |offering| by_offering(&of_offering, &offering))
        .watches_shared_stream(providers, move |provider| by_provider(&of_provider, &provider))
        .watches_shared_stream(accounts, move |account| by_account(&of_account, &account))
        .watches_shared_stream(ended, move |contract| by_ended(&of_ended, &contract));
    let run = Run {
        name: "contract",
        concurrency: CONCURRENCY,
        shared,
        shutdown,
    };
    Some(Box::pin(async move {
        drive(controller, run, reconcile, failed)
            .await
            .map_err(Error::Ended)
    }))
}

fn of_machine(guard: &Guarded<Machine>) -> Option<Ref> {
    let contract = &decoded(guard)?.spec.contract_ref;
    Some(ObjectRef::new(contract.name.as_str()).within(contract.namespace.as_str()))
}

fn by_slot(shared: &Shared, guard: &Guarded<Slot>) -> Option<Ref> {
    let slot = decoded(guard)?;
    let machine = slot.spec.machine_ref.name.as_str();
    of_machine(&*get(&shared.machines, &slot.namespace()?, machine)?)
}

fn by_offering(shared: &Shared, guard: &Guarded<Offering>) -> Vec<Ref> {
    let path = format!("{}/{}", guard.namespace().unwrap_or_default(), guard.name_any());
    waiting(shared, shared.indices.by_offering.of(&path))
}

fn by_provider(shared: &Shared, guard: &Guarded<Provider>) -> Vec<Ref> {
    waiting(
        shared,
        shared
            .indices
            .by_provider
            .of(&guard.namespace().unwrap_or_default()),
    )
}

fn by_account(shared: &Shared, guard: &Guarded<Account>) -> Vec<Ref> {
    let Ok(account) = &guard.0 else { return Vec::new() };
    waiting(
        shared,
        shared.indices.by_namespace.of(account.spec.namespace.as_str()),
    )
}

/// A Contract that ended, or went, makes room for others of its account.
fn by_ended(shared: &Shared, guard: &Guarded<Contract>) -> Vec<Ref> {
    let live = guard
        .0
        .as_ref()
        .is_ok_and(|contract| !contract.state().is_terminal());
    let there = shared.contracts.get(&ObjectRef::from_obj(guard)).is_some();
    if live && there {
        return Vec::new();
    }
    waiting(
        shared,
        shared
            .indices
            .by_namespace
            .of(&guard.namespace().unwrap_or_default()),
    )
}

/// Those that are not accepted yet: nothing else depends on what others do.
fn waiting(shared: &Shared, names: Vec<Name>) -> Vec<Ref> {
    let early = |(namespace, name): &Name| {
        let guard = get(&shared.contracts, namespace, name);
        guard.is_some_and(|guard| {
            guard
                .0
                .as_ref()
                .is_ok_and(|c| matches!(c.state(), State::Requested | State::Accepted))
        })
    };
    names
        .into_iter()
        .filter(early)
        .map(|(namespace, name)| ObjectRef::new(&name).within(&namespace))
        .collect()
}

async fn reconcile(guard: Arc<Guarded<Contract>>, shared: Arc<Shared>) -> Result<Action, Error> {
    let cached = guarded::decoded(&guard).map_err(|source| Error::Undecodable { source })?;
    let mut measure = shared.ctx.reconciles.measure(Controller::Contract);
    measure.outcome(Outcome::Failed);
    let (_, namespace, name) = key(Controller::Contract, &*guard);
    let newer = shared
        .written_contracts
        .newer_than(Some(cached), &namespace, &name);
    let contract = newer
        .as_deref()
        .filter(|newer| newer.uid() == cached.uid())
        .unwrap_or(cached);
    let seen = observe(&shared, contract).await;
    let plan = decided(&shared, contract, &seen);
    let wrote = !plan.steps.is_empty();
    let wake = plan.wake;
    let done = execute(&shared, contract, seen.machine.present(), plan.steps).await;
    shared.admitted.settled(&contract.uid().unwrap_or_default());
    done?;
    shared.backoff.reset(&key(Controller::Contract, &*guard));
    measure.outcome(if wrote { Outcome::Wrote } else { Outcome::Settled });
    Ok(next_pass(contract.state(), wake, shared.ctx.clock.now()))
}

/// The plan; a place that it takes in the account's limit counts for others at once.
fn decided(shared: &Shared, contract: &Contract, seen: &Seen) -> Plan {
    let priced = |status: Option<&ContractStatus>| status.is_some_and(|s| s.price.is_some());
    let now = shared.ctx.clock.now();
    if priced(contract.status.as_ref()) {
        return plan(&seen.facts(shared, contract, 0), now);
    }
    let mut deciding = shared.admitted.decide();
    let older = older_alive(shared, contract, &deciding);
    let plan = plan(&seen.facts(shared, contract, older), now);
    if priced(Some(&plan.status)) {
        deciding.take(&contract.uid().unwrap_or_default());
    }
    plan
}

fn next_pass(state: State, wake: Option<Timestamp>, now: Timestamp) -> Action {
    let until = wake.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO));
    match until {
        Some(until) => Action::requeue(until.min(RESYNC)),
        None if state.is_terminal() => Action::await_change(),
        None => Action::requeue(RESYNC),
    }
}

fn failed(guard: &Guarded<Contract>, error: &Error, shared: &Shared) -> Action {
    policy(shared, Controller::Contract, guard, error)
}

#[cfg(test)]
#[path = "controller_tests.rs"]
mod tests;
