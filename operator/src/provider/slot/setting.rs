//! The changes of a Slot's status, each one write with the version that was read: a change meanwhile is a conflict and
//! everything is looked at again.

use crds::{
    Slot, SlotStatus,
    machine::Teardown,
    slot::{Release, ReleaseCause, SlotPhase},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kit::{events, managers};
use kube::ResourceExt;
use operator_core::{
    condition::{READY, Stated, merged, seconds},
    provider::{machine::status::sentence, slot::words::removing_route},
    reason::Reason,
};

use crate::provider::{Shared, error::Error, machine::report, objects::write_slot_status};

/// Releases a Slot since its Machine is torn down. From now on its route and VM go.
///
/// # Errors
/// The write failed.
pub async fn release(shared: &Shared, slot: &Slot, teardown: &Teardown) -> Result<Slot, Error> {
    let release = Release {
        cause: ReleaseCause::Teardown,
        at: teardown.at.clone(),
        by: teardown.by.clone(),
    };
    // In the words of the wait that follows, so that it needs no write of its own.
    let wait = removing_route(&named(slot));
    put(
        shared,
        slot,
        SlotPhase::Releasing,
        Some(release),
        (wait.reason, &sentence(&wait)),
    )
    .await
}

/// Releases a Slot whose attempt failed on its node; the Machine is placed again.
///
/// # Errors
/// The write failed.
pub async fn supersede(shared: &Shared, slot: &Slot, now: Timestamp) -> Result<Slot, Error> {
    let text = "Given back since the attempt on this node failed; the Machine is placed again.";
    let release = ours(ReleaseCause::Superseded, seconds(now));
    put(
        shared,
        slot,
        SlotPhase::Releasing,
        Some(release),
        (Reason::RemovingRoute, text),
    )
    .await
}

/// Sets a Slot aside: its route goes, nothing at its VMID is touched, its index is not used.
///
/// # Errors
/// The write failed.
pub async fn quarantine(shared: &Shared, slot: &Slot, text: &str) -> Result<Slot, Error> {
    let told = format!(
        "{text} Slot {name} is set aside. Once VMID {vmid} is free, clear it with: kubectl annotate slot {name} -n {namespace} {key}={vmid}",
        name = slot.name_any(),
        namespace = slot.namespace().unwrap_or_default(),
        vmid = slot.spec.vmid,
        key = super::controller::CLEAR,
    );
    let release = ours(ReleaseCause::LostRace, seconds(shared.ctx.clock.now()));
    put(
        shared,
        slot,
        SlotPhase::Quarantined,
        Some(release),
        (Reason::Quarantined, &told),
    )
    .await
}

/// Lets a Slot rest: its VM is proven absent.
///
/// # Errors
/// The write failed.
pub async fn rest(shared: &Shared, slot: &Slot) -> Result<Slot, Error> {
    let text = "Its VM is proven absent; it rests so that its name and ports do not pass on at once.";
    let release = ours(ReleaseCause::LostRace, seconds(shared.ctx.clock.now()));
    put(
        shared,
        slot,
        SlotPhase::Resting,
        Some(release),
        (Reason::Resting, text),
    )
    .await
}

/// Says what a released Slot waits for.
///
/// # Errors
/// The write failed.
pub async fn say(shared: &Shared, slot: &Slot, reason: Reason, text: &str) -> Result<Slot, Error> {
    let phase = slot.phase();
    put(shared, slot, phase, None, (reason, text)).await
}

/// The Slot as kubectl takes it.
pub(super) fn named(slot: &Slot) -> String {
    format!("{} -n {}", slot.name_any(), slot.namespace().unwrap_or_default())
}

fn ours(cause: ReleaseCause, at: Time) -> Release {
    Release {
        cause,
        at,
        by: managers::OPERATOR.to_owned(),
    }
}

/// A release is written once: an earlier one stays.
async fn put(
    shared: &Shared,
    slot: &Slot,
    phase: SlotPhase,
    release: Option<Release>,
    (reason, text): (Reason, &str),
) -> Result<Slot, Error> {
    let prior = slot.status.clone().unwrap_or_default();
    let now = shared.ctx.clock.now();
    let resting_since =
        (phase == SlotPhase::Resting).then(|| prior.resting_since.clone().unwrap_or_else(|| seconds(now)));
    let stated = vec![Stated::new(READY, false, reason, text)];
    let next = SlotStatus {
        phase,
        release: prior.release.clone().or(release),
        resting_since,
        conditions: merged(&prior.conditions, stated, slot.metadata.generation, now),
        route: prior.route.clone(),
    };
    if next == prior {
        return Ok(slot.clone());
    }
    let stored = write_slot_status(&shared.ctx, slot, &next).await?;
    let transitions = events::transitions(&prior.conditions, &next.conditions);
    let name = format!("{}/{}", slot.namespace().unwrap_or_default(), slot.name_any());
    for transition in &transitions {
        tracing::info!(slot = %name, reason = %transition.reason, "slot {name}: {}", transition.message);
    }
    shared.ctx.events.publish(&report::reference(slot), transitions);
    Ok(stored)
}
