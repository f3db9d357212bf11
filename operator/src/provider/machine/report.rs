//! How a pass is told: status, events, one log line for each transition.

use std::{sync::Arc, time::Duration};

use crds::{Machine, MachineStatus};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use kit::events;
use kube::{Resource, ResourceExt, runtime::controller::Action};
use operator_core::provider::{
    machine::status::{Found, status},
    plan::Verdict,
};

use crate::provider::{Shared, error::Error, objects::write_machine_status};

/// Stores what a pass found, if it says something else than before.
///
/// # Errors
/// The write failed.
pub async fn store(shared: &Shared, machine: &Machine, found: &Found, now: Timestamp) -> Result<(), Error> {
    let next = status(machine.status.as_ref(), found, now);
    let prior = ours(machine.status.clone().unwrap_or_default());
    if next == prior {
        return Ok(());
    }
    if let Some(stored) = write_machine_status(&shared.ctx, machine, &next).await? {
        shared.written.wrote(Arc::new(stored));
    }
    let transitions = events::transitions(&prior.conditions, &next.conditions);
    let name = format!(
        "{}/{}",
        machine.namespace().unwrap_or_default(),
        machine.name_any()
    );
    for transition in &transitions {
        tracing::info!(machine = %name, reason = %transition.reason, "machine {name}: {}", transition.message);
    }
    shared.ctx.events.publish(&reference(machine), transitions);
    Ok(())
}

/// The part of a status that this family writes.
fn ours(status: MachineStatus) -> MachineStatus {
    MachineStatus {
        decision: None,
        decision_message: None,
        ..status
    }
}

/// What events speak of.
#[must_use]
pub fn reference<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    object.object_ref(&())
}

/// When to look again.
#[must_use]
pub fn action(verdict: &Verdict, resync: Duration) -> Action {
    match verdict {
        Verdict::Settled => Action::requeue(resync),
        Verdict::Waiting { recheck, .. } => Action::requeue(bounded(*recheck)),
        Verdict::Blocked { .. } => Action::requeue(Duration::from_secs(30)),
    }
}

fn bounded(recheck: SignedDuration) -> Duration {
    Duration::try_from(recheck)
        .unwrap_or_default()
        .clamp(Duration::from_millis(20), Duration::from_mins(10))
}
