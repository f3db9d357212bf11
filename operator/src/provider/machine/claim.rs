//! Claims a Slot: creating the object is the claim and the written intent. Asks the API server itself, not a cache,
//! whether this Machine has one already.

use crds::{
    Machine, Slot, SlotSpec,
    slot::{MachineRef, SlotPhase},
    text::{Label, NodeId, ObjectName, PveId, UidText},
};
use domain::{names, pve::Class};
use jiff::SignedDuration;
use kit::apply::Claim;
use kube::{Api, ResourceExt, api::ObjectMeta};
use operator_core::{
    condition::Wait,
    provider::{
        machine::{plan::Step, status::made},
        place::{Placement, Spot},
        plan::Plan,
        trouble::StepKind,
    },
    reason::Reason,
};

use super::pursue::reached;
use crate::provider::{
    Shared,
    error::Error,
    failed::Failed,
    objects::{Identity, SLOT_FINALIZER, live_slots, slots_of},
    slot::{controller::remove, setting},
};

/// Names tried in one pass when others take them first.
const TRIES: usize = 8;

/// What a Machine holds.
#[derive(Debug)]
pub enum Claimed {
    /// Its Slot.
    Slot(Box<Slot>),
    /// None yet, and why.
    Waiting(Box<Plan<Step>>),
}

/// The Machine's Slot, claimed now if it has none.
///
/// # Errors
/// A call to the API server failed.
pub async fn current(shared: &Shared, machine: &Machine, identity: &Identity) -> Result<Claimed, Error> {
    if let Some(slot) = one(shared, machine, slots_of(&shared.slots, identity)).await? {
        return Ok(Claimed::Slot(Box::new(slot)));
    }
    let live = live_slots(&shared.ctx, &shared.ctx.client, identity).await?;
    if let Some(slot) = one(shared, machine, live).await? {
        return Ok(Claimed::Slot(Box::new(slot)));
    }
    if made(machine.status.as_ref()) {
        return Ok(Claimed::Waiting(Box::new(Plan::blocked(Wait::new(
            Reason::VmMissing,
            "The Slot of this machine is gone; its VM is neither made again nor touched.",
            "The provider looks for the VM by its notes; the tenant may cancel.",
        )))));
    }
    claim(shared, machine, identity).await
}

/// Of several claimed Slots the one in the status counts, else the first; the others are given back.
async fn one(shared: &Shared, machine: &Machine, slots: Vec<Slot>) -> Result<Option<Slot>, Error> {
    let known = machine.status.as_ref().and_then(|s| s.slot.as_deref());
    let mut claimed: Vec<Slot> = slots
        .into_iter()
        .filter(|slot| slot.phase() == SlotPhase::Claimed)
        .collect();
    let kept = claimed
        .iter()
        .position(|slot| known == Some(slot.name_any().as_str()))
        .unwrap_or(0);
    if claimed.is_empty() {
        return Ok(None);
    }
    let kept = claimed.swap_remove(kept);
    // Once a machine was made, or reached, no Slot of it is given back but by its teardown.
    for extra in claimed
        .into_iter()
        .filter(|slot| !made(machine.status.as_ref()) && !reached(slot))
    {
        setting::supersede(shared, &extra, shared.ctx.clock.now()).await?;
    }
    Ok(Some(kept))
}

async fn claim(shared: &Shared, machine: &Machine, identity: &Identity) -> Result<Claimed, Error> {
    for _ in 0..TRIES {
        let decision = shared
            .pools
            .decide(&identity.namespace, machine, shared.ctx.clock.now());
        let spot = match decision.placement {
            Placement::At(spot) => spot,
            Placement::Full { needs } => {
                let mut wait = Wait::new(
                    Reason::WaitingForCapacity,
                    format!("{needs}."),
                    "It is placed in order of arrival; cancelling costs nothing, and without capacity in time it ends with a full refund.",
                );
                wait.position = decision.position.and_then(|p| i32::try_from(p).ok());
                return Ok(waiting(machine, wait, SignedDuration::from_secs(2)));
            }
            Placement::NotReady { reason, message } => {
                let wait = Wait::new(reason, message, "It goes on by itself once that is mended.");
                return Ok(waiting(machine, wait, SignedDuration::from_secs(2)));
            }
        };
        shared
            .pools
            .mark_in_use(&shared.ctx, &identity.namespace, &spot.pool, &spot.gateway)
            .await?;
        if let Some(resting) = &spot.replaces {
            make_room(shared, identity, resting).await?;
        }
        if let Some(slot) = create(shared, machine, identity, &spot).await? {
            return Ok(Claimed::Slot(Box::new(slot)));
        }
        shared.pools.taken(&identity.namespace, &spot.gateway, spot.index);
    }
    let text = "others took every Slot that was tried";
    Err(Error::Step(Failed::new(StepKind::Claim, Class::LostRace, text)))
}

fn waiting(machine: &Machine, wait: Wait, recheck: SignedDuration) -> Claimed {
    let deadline = machine.spec.provision_by.as_ref().map(|t| t.0);
    Claimed::Waiting(Box::new(Plan::wait(wait.until(deadline), recheck)))
}

/// The oldest resting Slot goes early when no index is free.
async fn make_room(shared: &Shared, identity: &Identity, resting: &str) -> Result<(), Error> {
    let api: Api<Slot> = Api::namespaced(shared.ctx.client.clone(), &identity.namespace);
    match shared.ctx.writer.get(&api, resting).await.map_err(Error::kube)? {
        Some(slot) if slot.phase() == SlotPhase::Resting => {
            remove(shared, &slot, &Identity::of(&slot)?).await
        }
        _ => Ok(()),
    }
}

/// None when somebody has that name.
async fn create(
    shared: &Shared,
    machine: &Machine,
    identity: &Identity,
    spot: &Spot,
) -> Result<Option<Slot>, Error> {
    let api: Api<Slot> = Api::namespaced(shared.ctx.client.clone(), &identity.namespace);
    match shared
        .ctx
        .writer
        .create_claim(&api, &object(machine, identity, spot))
        .await
        .map_err(Error::kube)?
    {
        Claim::AlreadyExists => Ok(None),
        Claim::Created(created) => {
            let made = Identity::of(created.as_ref())?;
            shared.memory.created(&made.uid);
            tracing::info!(
                machine = %identity.name, slot = %made.name,
                "machine {}/{}: slot {} claimed (vmid {}, node {})",
                identity.namespace, identity.name, made.name, spot.vmid, spot.node
            );
            Ok(Some(*created))
        }
    }
}

fn object(machine: &Machine, identity: &Identity, spot: &Spot) -> Slot {
    let index = spot.index.0;
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    Slot {
        metadata: ObjectMeta {
            name: Some(names::slot_name(&spot.gateway, index)),
            namespace: Some(identity.namespace.clone()),
            finalizers: Some(vec![SLOT_FINALIZER.to_owned()]),
            ..ObjectMeta::default()
        },
        spec: SlotSpec {
            gateway: Label::from(spot.gateway.as_str()),
            index: number(index),
            pool: ObjectName::from(spot.pool.as_str()),
            vmid: number(spot.vmid),
            node: NodeId::from(spot.node.as_str()),
            storage: PveId::from(spot.storage.as_str()),
            template_vmid: number(spot.template_vmid),
            full_clone: spot.full_clone,
            address: spot.address.to_string(),
            machine_ref: MachineRef {
                name: ObjectName::from(identity.name.as_str()),
                uid: UidText::from(identity.uid.to_string()),
            },
            contract_uid: UidText::from(machine.spec.contract_ref.uid.as_str()),
        },
        status: None,
    }
}
