//! What a pass is made from and what it leaves: the blueprint of a Machine with its Slot, and outcomes without a VM.

use crds::{Machine, Slot, machine::Decision};
use jiff::{SignedDuration, Timestamp};
use operator_core::{
    condition::Wait,
    provider::{
        machine::{
            blueprint::{Blueprint, Sources, blueprint},
            plan::Step,
            status::Found,
        },
        plan::Plan,
    },
    reason::Reason,
};

use crate::provider::{failed::Failed, objects::Identity, pool::PoolHandle};

/// What a pass found, and the step that failed, if one did.
#[derive(Debug)]
pub struct Pass {
    /// For the status.
    pub found: Found,
    /// For metrics and the log.
    pub failed: Option<Failed>,
}

/// A Machine that is not admitted: nothing is done outside.
#[must_use]
pub fn not_admitted(machine: &Machine) -> Pass {
    let decided = machine.status.as_ref().and_then(|s| s.decision);
    let name = machine.metadata.name.clone().unwrap_or_default();
    let namespace = machine.metadata.namespace.clone().unwrap_or_default();
    let wait = match decided {
        None => Wait::new(
            Reason::AwaitingProvider,
            "The provider has not yet accepted or rejected.",
            format!(
                "To accept: kubectl patch machine {name} -n {namespace} --subresource=status --type=merge \
                 -p '{{\"status\":{{\"decision\":\"Accepted\"}}}}' (or Rejected, with decisionMessage)."
            ),
        ),
        Some(Decision::Accepted) => Wait::new(Reason::Accepted, "Accepted; the market admits it.", ""),
        Some(Decision::Rejected) => {
            Wait::new(Reason::RejectedByProvider, "Rejected; the market ends it.", "")
        }
    };
    let by = machine.spec.provision_by.as_ref().map(|t| t.0);
    without_slot(machine, Plan::wait(wait.until(by), SignedDuration::from_mins(10)))
}

/// A Machine without a Slot.
#[must_use]
pub fn without_slot(machine: &Machine, plan: Plan<Step>) -> Pass {
    let found = Found {
        generation: machine.metadata.generation,
        slot: None,
        vm: None,
        task: None,
        verdict: plan.verdict,
        trouble: None,
        restarts: Vec::new(),
        ended: None,
        reached: Vec::new(),
    };
    Pass { found, failed: None }
}

pub(super) fn want(
    machine: &Machine,
    identity: &Identity,
    slot: &Slot,
    slot_identity: &Identity,
    pool: &PoolHandle,
) -> Result<Blueprint, Wait> {
    let unusable = |what: String| {
        Wait::new(
            Reason::GatewayMissing,
            what,
            "The provider mends it; nothing is touched meanwhile.",
        )
    };
    let (gateway, plan) = pool
        .gateway
        .as_ref()
        .ok_or_else(|| unusable(format!("Gateway {} cannot be used.", slot.spec.gateway)))?;
    blueprint(Sources {
        machine_uid: &identity.uid,
        machine: &machine.spec,
        slot_uid: &slot_identity.uid,
        slot: &slot.spec,
        pool: &pool.spec,
        gateway: &gateway.spec,
        plan,
    })
    .map_err(|violation| unusable(format!("{violation}.")))
}

pub(super) fn placed(machine: &Machine, slot: &Slot, plan: Plan<Step>) -> Pass {
    let mut pass = without_slot(machine, plan);
    pass.found.slot = Some(place(slot));
    pass.found.restarts = restarts(machine);
    pass
}

pub(super) fn place(slot: &Slot) -> (String, String) {
    let (name, spec) = (slot.metadata.name.clone().unwrap_or_default(), &slot.spec);
    let text = format!(
        "Slot {name}: VMID {} on node {}, storage {}, address {}.",
        spec.vmid, spec.node, spec.storage, spec.address
    );
    (name, text)
}

pub(super) fn restarts(machine: &Machine) -> Vec<Timestamp> {
    machine
        .status
        .iter()
        .flat_map(|s| s.restarts.iter().map(|t| t.0))
        .collect()
}
