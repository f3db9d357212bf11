//! What an accepted Contract shows of its Machine and Slot, before it is first reached and after.

use crds::{Contract, Slot, common::PowerState};
use domain::contract::State;
use kube::ResourceExt;

use super::{
    Facts,
    advance::{self, Next},
    project::{accepted, again, connection, held, moving, paid, stored},
    text,
};
use crate::{
    condition::{PROVISIONED, REACHABLE, READY, SCHEDULED, Stated, Truth, Wait, find},
    market::{keys, names::say},
    reason::Reason,
};

pub(super) fn under_way(facts: &Facts<'_>, next: &Next) -> (Vec<Stated>, Option<Wait>) {
    let wait = if next.accepted.is_some() {
        text::unseen()
    } else {
        text::hindrance(facts)
    };
    let wait = held(next, wait);
    let until = next.deadline.map(say).unwrap_or_default();
    let promise = format!(
        "You can cancel without charge; unless it is reached by {until} this ends provisioningFailed with a full refund."
    );
    let mut all = vec![accepted(facts, next), paid(facts, next)];
    all.extend([mirrored(facts, SCHEDULED), mirrored(facts, PROVISIONED)]);
    all.push(Stated::new(
        REACHABLE,
        false,
        Reason::WaitingForReach,
        "SSH through the gateway has not answered yet.",
    ));
    all.extend(moving(&wait, format!("{} {promise}", wait.message)));
    (all, Some(wait))
}

/// The Machine's condition of the same type; when it cannot be seen, what was last said of it.
fn mirrored(facts: &Facts<'_>, kind: &'static str) -> Stated {
    if advance::is_lost(facts) && facts.state() != State::Accepted && facts.state() != State::Requested {
        let wait = text::lost(facts);
        return Stated::new(kind, Truth::Unknown, wait.reason, wait.message);
    }
    if let Some(slot) = text::news(facts) {
        return news(kind, slot);
    }
    let seen = facts
        .present()
        .and_then(|m| m.status.as_ref())
        .map(|s| &s.conditions[..]);
    let known = seen
        .and_then(|conditions| find(conditions, kind))
        .or_else(|| find(stored(facts), kind));
    match known {
        Some(condition) if seen.is_some() || condition.status != "Unknown" => again(kind, condition),
        _ => Stated::new(
            kind,
            Truth::Unknown,
            Reason::WaitingForMachine,
            text::unseen().message,
        ),
    }
}

/// What a Slot says before its Machine does.
fn news(kind: &'static str, slot: &Slot) -> Stated {
    if kind == PROVISIONED {
        return Stated::new(kind, false, Reason::Scheduled, "The VM is being made.");
    }
    let (name, spec) = (slot.name_any(), &slot.spec);
    let says = format!(
        "Slot {name}: VMID {} on node {}, storage {}, address {}.",
        spec.vmid, spec.node, spec.storage, spec.address
    );
    Stated::new(kind, true, Reason::Scheduled, says)
}

pub(super) fn running(facts: &Facts<'_>, next: &Next) -> (Vec<Stated>, Option<Wait>) {
    let lost = advance::is_lost(facts);
    let reach = if lost { unknown_reach(facts) } else { reach(facts) };
    let hindered = if lost {
        Some(text::lost(facts))
    } else {
        power(facts).or_else(|| unreached(&reach))
    };
    let mut all = vec![accepted(facts, next), paid(facts, next)];
    all.extend([mirrored(facts, SCHEDULED), mirrored(facts, PROVISIONED)]);
    let says = reach.message.clone();
    all.push(reach);
    match &hindered {
        None => all.push(Stated::new(READY, true, Reason::Reachable, says)),
        Some(wait) if next.state == State::Paused && wait.reason == Reason::Stopped => {
            all.push(Stated::new(READY, false, wait.reason, wait.message.clone()));
        }
        Some(wait) => all.extend(moving(wait, wait.message.clone())),
    }
    let settled = |wait: &Wait| wait.reason == Reason::Stopped && next.state == State::Paused;
    let wait = Some(text::skewed(next.deadline))
        .filter(|_| next.late)
        .or_else(|| hindered.filter(|wait| !settled(wait)))
        .or_else(|| keys::first_bad(&facts.contract.spec.ssh_keys).map(text::bad_key));
    (all, wait)
}

fn host(contract: &Contract, facts: &Facts<'_>) -> String {
    let known = connection(facts).or_else(|| contract.status.as_ref()?.connection.clone());
    known.map_or_else(
        || "its public port".to_owned(),
        |c| format!("{}:{}", c.host, c.ssh_port),
    )
}

fn unknown_reach(facts: &Facts<'_>) -> Stated {
    let wait = text::lost(facts);
    Stated::new(REACHABLE, Truth::Unknown, wait.reason, wait.message)
}

fn reach(facts: &Facts<'_>) -> Stated {
    let host = host(facts.contract, facts);
    let Some(slot) = facts.slot else {
        return Stated::new(
            REACHABLE,
            Truth::Unknown,
            Reason::SlotLost,
            "Its Slot cannot be seen.",
        );
    };
    let route = slot.status.as_ref().and_then(|s| s.route.as_ref());
    if route.is_some_and(|r| r.programmed) {
        return Stated::new(
            REACHABLE,
            true,
            Reason::Reachable,
            format!("SSH answers at {host}."),
        );
    }
    if advance::power(facts) == Some(PowerState::Stopped) {
        return Stated::new(REACHABLE, false, Reason::Stopped, "The machine is stopped.");
    }
    let last = route.and_then(|r| r.probed_at.as_ref());
    let since = last.map_or_else(String::new, |at| format!(" since {}", say(at.0)));
    Stated::new(
        REACHABLE,
        false,
        Reason::Unreachable,
        format!("SSH has not answered at {host}{since}."),
    )
}

fn unreached(reach: &Stated) -> Option<Wait> {
    if reach.truth == Truth::True {
        return None;
    }
    let step =
        "Look at the machine's SSH server and firewall; power it off and on with spec.powerState if need be.";
    Some(Wait::new(reach.reason, reach.message.clone(), step))
}

/// The VM was last seen as asked, but what is there now is not it. Not being able to look is something else: then
/// nothing is said about the machine.
fn is_gone(facts: &Facts<'_>) -> bool {
    let waiting = facts
        .present()
        .and_then(|m| m.status.as_ref())
        .and_then(|s| s.waiting.as_ref());
    let gone = [Reason::VmMissing, Reason::OwnershipMismatch];
    waiting.is_some_and(|waiting| gone.iter().any(|reason| reason.as_str() == waiting.reason))
}

/// What keeps the machine from running, or from being stopped, as asked.
fn power(facts: &Facts<'_>) -> Option<Wait> {
    let ours = facts.present()?.status.as_ref()?.waiting.is_some();
    let (reason, says, step) = match (facts.contract.spec.power_state, advance::power(facts)?) {
        _ if is_gone(facts) => return Some(text::hindrance(facts)),
        (PowerState::Running, PowerState::Running) => return None,
        (PowerState::Stopped, PowerState::Stopped) => (
            Reason::Stopped,
            "Stopped as asked; the rented time goes on.",
            "Set spec.powerState to Running to start it.",
        ),
        _ if ours => return Some(text::hindrance(facts)),
        (PowerState::Running, PowerState::Stopped) => (
            Reason::Starting,
            "The machine is being started.",
            "It goes on by itself.",
        ),
        (PowerState::Stopped, PowerState::Running) => (
            Reason::Stopping,
            "The machine is being stopped as asked.",
            "It goes on by itself.",
        ),
    };
    Some(Wait::new(reason, says, step))
}
