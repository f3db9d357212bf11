//! What the Machine's spec should say. Must not read its status except to project it elsewhere: it is the other half.

use crds::{
    Machine, MachineSpec, Offering,
    machine::{ContractRef, OfferingCopy, Teardown, TeardownCause},
    text::UidText,
};
use domain::contract::State;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::{Facts, MachineSeen, Step, advance::Next};
use crate::{
    condition::seconds,
    market::{
        admit, keys,
        names::{LABEL_CONTRACT_UID, MACHINE_FINALIZER},
    },
};

pub(super) fn steps(facts: &Facts<'_>, next: &Next, now: Timestamp) -> Option<Step> {
    match facts.machine {
        MachineSeen::Present(machine) if machine.spec.teardown.is_some() => None,
        MachineSeen::Present(machine) if next.state.is_terminal() => {
            let mut spec = machine.spec.clone();
            spec.teardown = Some(teardown(facts, next.state, now));
            Some(Step::Teardown(Box::new(spec)))
        }
        MachineSeen::Present(machine) => {
            let wanted = updated(facts, next, &machine.spec);
            (wanted != machine.spec).then(|| Step::ApplyMachine(Box::new(wanted)))
        }
        MachineSeen::Absent => create(facts, next),
        MachineSeen::Unread if !super::needs_read(facts.contract) => create(facts, next),
        MachineSeen::Unread | MachineSeen::Foreign => None,
    }
}

fn create(facts: &Facts<'_>, next: &Next) -> Option<Step> {
    let priced = next.terms.is_some() || facts.contract.status.as_ref().is_some_and(|s| s.price.is_some());
    let early = matches!(next.state, State::Requested | State::Accepted);
    let usable = next.state == State::Requested || keys_usable(facts);
    if !(priced && early && usable) {
        return None;
    }
    let uid = facts.uid()?;
    let mut machine = Machine::new(
        &super::machine_name(facts.contract)?,
        first(facts, next, facts.offering?),
    );
    machine.metadata = ObjectMeta {
        namespace: Some(facts.contract.spec.offering_ref.namespace.to_string()),
        labels: Some([(LABEL_CONTRACT_UID.to_owned(), uid.to_string())].into()),
        finalizers: Some(vec![MACHINE_FINALIZER.to_owned()]),
        ..machine.metadata
    };
    Some(Step::CreateMachine(Box::new(machine)))
}

fn first(facts: &Facts<'_>, next: &Next, offering: &Offering) -> MachineSpec {
    let contract = facts.contract;
    let spec = &contract.spec;
    let blank = MachineSpec {
        contract_ref: ContractRef {
            namespace: contract.namespace().unwrap_or_default().into(),
            name: contract.name_any().into(),
            uid: UidText::from(contract.uid().unwrap_or_default()),
        },
        hub_uid: facts.config.hub_uid.to_string().into(),
        offering: OfferingCopy {
            name: spec.offering_ref.name.clone(),
            resources: offering.spec.resources.clone(),
            template: offering.spec.template.clone(),
            pools: offering.spec.pools.clone(),
            user: offering.spec.user.clone(),
            self_rental: facts.account.is_some_and(|a| admit::owns(a, contract)),
        },
        ssh_keys: spec.ssh_keys.clone(),
        ..MachineSpec::default()
    };
    updated(facts, next, &blank)
}

/// The spec with what may change: admission, keys, power, and once the time to give up.
fn updated(facts: &Facts<'_>, next: &Next, before: &MachineSpec) -> MachineSpec {
    let accepted = !matches!(next.state, State::Requested | State::Pending);
    let usable = keys_usable(facts);
    let admitted = before.admitted || (accepted && usable);
    let waits = matches!(
        next.state,
        State::Requested | State::Pending | State::Accepted | State::Provisioning
    );
    let by = next.deadline.filter(|_| waits).map(seconds);
    MachineSpec {
        ssh_keys: if usable {
            facts.contract.spec.ssh_keys.clone()
        } else {
            before.ssh_keys.clone()
        },
        power_state: facts.contract.spec.power_state,
        admitted,
        provision_by: if admitted == before.admitted {
            before.provision_by.clone().or(by)
        } else {
            by.or_else(|| before.provision_by.clone())
        },
        ..before.clone()
    }
}

fn keys_usable(facts: &Facts<'_>) -> bool {
    keys::first_bad(&facts.contract.spec.ssh_keys).is_none()
}

/// The cause follows from the state alone, so that a pass that was cut off is finished by the next.
fn teardown(facts: &Facts<'_>, state: State, now: Timestamp) -> Teardown {
    let (cause, by) = match state {
        State::Expired => (TeardownCause::Expired, "market"),
        State::Rejected => (TeardownCause::Rejected, "provider"),
        State::ProvisioningFailed => (TeardownCause::ProvisioningFailed, "market"),
        _ if facts.contract.spec.cancel.is_some() => (TeardownCause::Cancelled, "tenant"),
        _ => (TeardownCause::Deleted, "tenant"),
    };
    Teardown {
        cause,
        at: seconds(now),
        by: by.to_owned(),
    }
}
