//! The end of a Machine: every Slot of it is released with the written cause; it has ended when all of them rest, or
//! when absence can't be proven and a person or the time limit says so.

use crds::{
    Machine, Slot,
    common::Actor,
    machine::{Ended, Outcome, Teardown},
    slot::SlotPhase,
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use operator_core::{
    condition::{READY, Wait, find, seconds},
    provider::{
        machine::status::Found,
        plan::{Plan, Verdict, until},
    },
    reason::Reason,
};

use super::outcome::{Pass, without_slot};
use crate::provider::{
    Shared,
    error::Error,
    objects::{Identity, live_slots},
    slot::setting,
};

/// Annotation by which a person gives up on a teardown that can't be proven.
pub const ABANDON: &str = "decent-cloud.org/abandon";

/// Slots wake the Machine when they change; this is for what changes nothing.
const CALM: SignedDuration = SignedDuration::from_secs(30);

/// One pass over a Machine that is being torn down.
///
/// # Errors
/// A call to the API server failed.
pub async fn pass(shared: &Shared, machine: &Machine, identity: &Identity) -> Result<Pass, Error> {
    let now = shared.ctx.clock.now();
    let Some(teardown) = &machine.spec.teardown else {
        return Ok(settled(machine, None));
    };
    if machine.status.as_ref().is_some_and(|s| s.ended.is_some()) {
        return Ok(settled(machine, None));
    }
    // Live, not cached: a Slot that the cache has not seen yet must not be left behind.
    let mut slots = live_slots(&shared.ctx, &shared.ctx.client, identity).await?;
    for slot in slots.iter_mut().filter(|slot| slot.phase() == SlotPhase::Claimed) {
        *slot = setting::release(shared, slot, teardown).await?;
    }
    let open: Vec<&Slot> = slots
        .iter()
        .filter(|slot| matches!(slot.phase(), SlotPhase::Claimed | SlotPhase::Releasing))
        .collect();
    if open.is_empty() {
        return Ok(settled(machine, Some(ended(machine, &slots, now))));
    }
    if let Some(reason) = abandoned(shared, machine, teardown, now) {
        for slot in open {
            setting::quarantine(shared, slot, &reason).await?;
        }
        let ended = Ended {
            outcome: Outcome::Abandoned,
            at: seconds(now),
            reason: Some(reason),
        };
        return Ok(settled(machine, Some(ended)));
    }
    let given_up = given_up_at(shared, teardown);
    let pause = given_up.map_or(CALM, |at| until(at, now, SignedDuration::from_secs(1)).min(CALM));
    let mut pass = without_slot(machine, Plan::wait(waiting(&open).until(given_up), pause));
    pass.found.slot = machine.status.as_ref().and_then(|s| s.slot.clone()).map(|name| {
        let text = format!("Slot {name} is being given back.");
        (name, text)
    });
    Ok(pass)
}

fn settled(machine: &Machine, ended: Option<Ended>) -> Pass {
    let plan = Plan {
        step: None,
        verdict: Verdict::Settled,
    };
    let Pass { found, failed } = without_slot(machine, plan);
    Pass {
        found: Found {
            ended: ended.or_else(|| machine.status.as_ref().and_then(|s| s.ended.clone())),
            ..found
        },
        failed,
    }
}

fn ended(machine: &Machine, slots: &[Slot], now: Timestamp) -> Ended {
    let status = machine.status.as_ref();
    let had_vm = status.is_some_and(|s| s.vm.is_some());
    let current = status.and_then(|s| s.slot.as_deref());
    let aside: Vec<String> = slots
        .iter()
        .filter(|slot| slot.phase() == SlotPhase::Quarantined)
        .map(ResourceExt::name_any)
        .collect();
    // A Slot that is set aside may hide a VM that was once asked for: then nothing is said to be gone.
    let open = aside.iter().any(|name| !had_vm || current == Some(name.as_str()));
    let reason = (!aside.is_empty()).then(|| {
        format!(
            "Slot {} is quarantined; what is at its VMID is not touched.",
            aside.join(" and ")
        )
    });
    let outcome = match (open, had_vm) {
        (true, _) => Outcome::Abandoned,
        (false, true) => Outcome::Deleted,
        (false, false) => Outcome::NeverCreated,
    };
    Ended {
        outcome,
        at: seconds(now),
        reason,
    }
}

fn abandoned(shared: &Shared, machine: &Machine, teardown: &Teardown, now: Timestamp) -> Option<String> {
    if machine.annotations().contains_key(ABANDON) {
        return Some(format!(
            "Given up by annotation {ABANDON}: nobody proved that the VM is gone."
        ));
    }
    let limit = given_up_at(shared, teardown)?;
    (now >= limit && !shared.ctx.server_clock.agreement().must_hold())
        .then(|| format!("Given up since nobody could prove by {limit:.0} that the VM is gone."))
}

fn given_up_at(shared: &Shared, teardown: &Teardown) -> Option<Timestamp> {
    teardown.at.0.checked_add(shared.config.abandon_after).ok()
}

/// What the Slot waits for is what the Machine waits for.
fn waiting(open: &[&Slot]) -> Wait {
    let told = open.iter().find_map(|slot| {
        let condition = find(&slot.status.as_ref()?.conditions, READY)?;
        Some((slot, Reason::named(&condition.reason)?, &condition.message))
    });
    match told {
        Some((slot, reason, message)) => {
            let (name, namespace) = (slot.name_any(), slot.namespace().unwrap_or_default());
            let mut next = format!("Slot {name} says more: kubectl describe slot {name} -n {namespace}");
            if reason.actor() != Actor::Nobody {
                let machine = &slot.spec.machine_ref.name;
                next = format!(
                    "{next} To give its VM up unproven: kubectl annotate machine {machine} -n {namespace} {ABANDON}=true"
                );
            }
            Wait::new(reason, message.clone(), next)
        }
        None => Wait::new(
            Reason::Destroying,
            "The Slots are being given back.",
            "Nothing to do.",
        ),
    }
}
