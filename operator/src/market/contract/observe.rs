//! What a pass over a Contract looks at: all from the caches, but a Machine whose absence would be acted on is asked
//! for at the API server.

use std::sync::Arc;

use crds::{Account, Contract, Gateway, Machine, Offering, Provider, Slot, provider::PROVIDER_NAME};
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use operator_core::market::{
    contract::{Facts, MachineSeen, machine_name, needs_read, slot_of},
    owner,
};

use crate::{
    caches::{Guarded, decoded, get},
    market::{Shared, admitted::Deciding, status::api},
};

/// A Machine as it was found.
pub(super) enum Found {
    /// Nobody knows.
    Unread,
    /// Asked for, and not there.
    Absent,
    /// This one.
    Present(Arc<Machine>),
    /// Another Contract's.
    Foreign,
}

impl Found {
    pub(super) fn present(&self) -> Option<&Machine> {
        match self {
            Self::Present(machine) => Some(machine),
            Self::Unread | Self::Absent | Self::Foreign => None,
        }
    }
}

/// What was seen, kept alive for the facts.
pub(super) struct Seen {
    account: Option<Arc<Guarded<Account>>>,
    offering: Option<Arc<Guarded<Offering>>>,
    provider: Option<Arc<Guarded<Provider>>>,
    pub(super) machine: Found,
    slot: Option<Arc<Guarded<Slot>>>,
    gateway: Option<Arc<Guarded<Gateway>>>,
}

impl Seen {
    pub(super) fn facts<'a>(
        &'a self,
        shared: &'a Shared,
        contract: &'a Contract,
        older_alive: usize,
    ) -> Facts<'a> {
        Facts {
            contract,
            account: self.account.as_deref().and_then(decoded),
            older_alive,
            offering: self.offering.as_deref().and_then(decoded),
            provider: self.provider.as_deref().and_then(decoded),
            machine: match &self.machine {
                Found::Unread => MachineSeen::Unread,
                Found::Absent => MachineSeen::Absent,
                Found::Present(machine) => MachineSeen::Present(machine),
                Found::Foreign => MachineSeen::Foreign,
            },
            slot: self.slot.as_deref().and_then(decoded),
            gateway: self.gateway.as_deref().and_then(decoded),
            clock_agreed: !shared.ctx.server_clock.agreement().must_hold(),
            config: &shared.config,
        }
    }
}

pub(super) async fn observe(shared: &Shared, contract: &Contract) -> Seen {
    let offering = &contract.spec.offering_ref;
    let there = offering.namespace.as_str();
    let machine = machine(shared, contract).await;
    let slot = slot(shared, contract, machine.present());
    let gateway = slot
        .as_deref()
        .and_then(decoded)
        .and_then(|slot| get(&shared.gateways, there, slot.spec.gateway.as_str()));
    Seen {
        account: account(shared, contract),
        offering: get(&shared.offerings, there, offering.name.as_str()),
        provider: get(&shared.providers, there, PROVIDER_NAME),
        machine,
        slot,
        gateway,
    }
}

/// The Account that owns the Contract's namespace.
fn account(shared: &Shared, contract: &Contract) -> Option<Arc<Guarded<Account>>> {
    let namespace = contract.namespace()?;
    let names = shared.indices.by_claim.of(&namespace).into_iter();
    let guards: Vec<_> = names
        .filter_map(|(_, name)| shared.accounts.get(&ObjectRef::new(&name)))
        .collect();
    let accounts = guards.iter().filter_map(|guard| decoded(guard));
    let found = owner::tenant_of(accounts, &namespace)?;
    guards
        .iter()
        .find(|guard| decoded(guard).is_some_and(|a| std::ptr::eq(a, found)))
        .cloned()
}

/// Contracts of the same namespace that are alive and come first: those on fixed terms, then by age; the UID decides
/// within a second.
pub(super) fn older_alive(shared: &Shared, contract: &Contract, deciding: &Deciding<'_>) -> usize {
    let age = |c: &Contract| (owner::created(c), c.uid());
    let own = age(contract);
    let first = |c: &Contract| {
        let taken = c.uid().is_some_and(|uid| deciding.holds(&uid));
        let priced = taken || c.status.as_ref().is_some_and(|s| s.price.is_some());
        !c.state().is_terminal() && c.uid() != own.1 && (priced || age(c) < own)
    };
    let namespace = contract.namespace().unwrap_or_default();
    let names = shared.indices.by_namespace.of(&namespace);
    let ahead = names.iter().filter(|(namespace, name)| {
        let cached = get(&shared.contracts, namespace, name);
        let Some(known) = cached.as_deref().and_then(decoded) else {
            return false;
        };
        let newer = shared.written_contracts.newer_than(Some(known), namespace, name);
        first(newer.as_deref().unwrap_or(known))
    });
    ahead.count()
}

async fn machine(shared: &Shared, contract: &Contract) -> Found {
    let namespace = contract.spec.offering_ref.namespace.as_str();
    let Some(name) = machine_name(contract) else {
        return Found::Unread;
    };
    let cached = get(&shared.machines, namespace, &name);
    let known = cached.as_deref().and_then(decoded);
    if let Some(newer) = shared.written_machines.newer_than(known, namespace, &name) {
        return owned(newer, contract);
    }
    if let Some(machine) = known {
        return owned(Arc::new(machine.clone()), contract);
    }
    if !needs_read(contract) {
        return Found::Unread;
    }
    match shared
        .ctx
        .writer
        .get(&api::<Machine>(shared, namespace), &name)
        .await
    {
        Ok(Some(machine)) => {
            let machine = Arc::new(machine);
            shared.written_machines.wrote(Arc::clone(&machine));
            owned(machine, contract)
        }
        Ok(None) => Found::Absent,
        Err(error) => {
            tracing::warn!(machine = %name, "machine {namespace}/{name}: {}", kit::chain(&error));
            Found::Unread
        }
    }
}

fn owned(machine: Arc<Machine>, contract: &Contract) -> Found {
    if Some(machine.spec.contract_ref.uid.as_str()) == contract.uid().as_deref() {
        Found::Present(machine)
    } else {
        Found::Foreign
    }
}

fn slot(shared: &Shared, contract: &Contract, machine: Option<&Machine>) -> Option<Arc<Guarded<Slot>>> {
    let uid = contract.uid()?;
    let there = contract.spec.offering_ref.namespace.as_str();
    let names = shared
        .indices
        .by_contract
        .of(&uid)
        .into_iter()
        .filter(|(namespace, _)| namespace == there);
    let guards: Vec<_> = names
        .filter_map(|(namespace, name)| get(&shared.slots, &namespace, &name))
        .collect();
    let slots: Vec<&Slot> = guards
        .iter()
        .filter_map(|guard| decoded(guard))
        .filter(|slot| slot.spec.contract_uid.as_str() == uid)
        .collect();
    let found = slot_of(machine, &slots)?;
    guards
        .iter()
        .find(|guard| decoded(guard).is_some_and(|s| std::ptr::eq(s, found)))
        .cloned()
}
