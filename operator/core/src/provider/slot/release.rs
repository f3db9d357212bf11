//! What a released Slot needs next: route gone, VM proven ours and destroyed, absence proven, rest. The only planner
//! that destroys; without a written release it plans nothing.

use crds::{
    common::PowerState,
    machine::TaskKind,
    slot::{Release, Route},
};
use domain::{ids::Vmid, stamp::Stamp};
use jiff::{SignedDuration, Timestamp};

use super::words;
use crate::provider::{
    hang::{Hang, deaf, judge},
    plan::{Plan, poll, until},
    rests::half_clone,
    seen::{Guest, Ownership, Presence, Running, TaskSeen, Why},
    trouble::{Asker, StepKind, Trouble},
};

/// A step of giving a Slot back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// End our own task: a clone that is still under way, after which Proxmox cleans up, or what runs for too long.
    Cancel,
    /// Ask the guest to shut down.
    Shutdown(Ownership),
    /// Stop it.
    Stop(Ownership),
    /// Lift the protection, bound to the digest of the proof.
    Unprotect(Ownership),
    /// Destroy it; quorum was seen in the same look.
    Destroy(Ownership),
    /// Its VM is proven absent: let the Slot rest.
    Rest,
    /// Set the Slot aside; nothing at its VMID is touched.
    Quarantine(String),
}

/// Whether the gateway's agent lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// Its Lease was never renewed: the gateway controller makes it beforehand. It has never been here if the Slot has no
    /// route either.
    Never,
    /// Its lease has expired.
    Expired,
    /// It lives.
    Alive,
}

impl Agent {
    /// What a Lease says that was `renewed` then and holds so long.
    #[must_use]
    pub fn of(renewed: Option<Timestamp>, holds: SignedDuration, now: Timestamp) -> Self {
        match renewed {
            None => Self::Never,
            Some(at) if now.duration_since(at) > holds => Self::Expired,
            Some(_) => Self::Alive,
        }
    }
}

/// What a look at a released Slot found.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The stamp of the Slot's VM.
    pub stamp: Stamp,
    /// The Slot's VMID.
    pub vmid: Vmid,
    /// Why it was released.
    pub release: Option<Release>,
    /// What the agent says of its route.
    pub route: Option<Route>,
    /// Whether the agent lives.
    pub agent: Agent,
    /// A person states that the route is gone.
    pub route_waived: bool,
    /// The VM.
    pub guest: Presence<Guest>,
    /// Our last task on it.
    pub task: TaskSeen,
    /// Whether the cluster has quorum; None when it did not say.
    pub quorate: Option<bool>,
    /// The last failure.
    pub trouble: Option<Trouble>,
    /// Who asks, for messages.
    pub asker: Asker,
    /// The Slot as kubectl takes it, for messages: `NAME -n NAMESPACE`.
    pub slot: String,
    /// The instant of looking.
    pub now: Timestamp,
    /// Bounds.
    pub bounds: Bounds,
}

/// Bounds of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Destruction waits this long for the route at most.
    pub route: SignedDuration,
    /// The guest has this long to shut down.
    pub shutdown: SignedDuration,
    /// A task that runs longer is ended; see [`judge`].
    pub task: SignedDuration,
}

const SOON: SignedDuration = SignedDuration::from_millis(300);
const LATER: SignedDuration = SignedDuration::from_secs(2);

/// The next step, or why there is none.
pub fn plan(facts: &Facts) -> Plan<Step> {
    let Some(release) = &facts.release else {
        return Plan::settled();
    };
    if let TaskSeen::Running(task) = facts.task {
        return under_way(facts, task);
    }
    if let Some(trouble) = facts.trouble.as_ref().filter(|t| t.retry_at > facts.now) {
        return Plan::wait(
            trouble.wait(&facts.asker),
            until(trouble.retry_at, facts.now, SOON),
        );
    }
    let unrouted = route_is_gone(facts.route.as_ref(), facts.agent, facts.route_waived);
    let may_destroy_at = release.at.0.checked_add(facts.bounds.route).unwrap_or(facts.now);
    match &facts.guest {
        Presence::Absent if unrouted => Plan::act(Step::Rest, words::proving(facts.vmid)),
        Presence::Absent => Plan::wait(words::removing_route(&facts.slot), LATER),
        Presence::Unknown(why) => unknown(facts, why),
        Presence::Present(_) if !unrouted && facts.agent == Agent::Alive && facts.now < may_destroy_at => {
            Plan::wait(
                words::removing_route(&facts.slot),
                until(may_destroy_at, facts.now, SOON),
            )
        }
        Presence::Present(guest) => present(facts, release, guest),
    }
}

/// A clone is not wanted any more; anything else may end by itself first.
fn under_way(facts: &Facts, task: Running) -> Plan<Step> {
    let end = |what| Plan::act(Step::Cancel, words::destroying(facts.vmid, what));
    match judge(task, facts.now, facts.bounds.task) {
        Hang::No if task.kind == TaskKind::Clone => end("Ending the clone to"),
        Hang::No => Plan::wait(
            words::destroying(facts.vmid, "Destroying"),
            poll(task.since, facts.now),
        ),
        Hang::End => end("Ending a task that hangs on"),
        Hang::Deaf => Plan::wait(deaf(facts.vmid), LATER),
    }
}

/// Whether a Slot's route is gone: the agent or a person says so, or there never was an agent to make one.
#[must_use]
pub fn route_is_gone(route: Option<&Route>, agent: Agent, waived: bool) -> bool {
    (agent == Agent::Never && route.is_none())
        || waived
        || route.is_some_and(|route| route.removed_at.is_some())
}

fn unknown(facts: &Facts, why: &Why) -> Plan<Step> {
    match why {
        Why::NoAnswer { class, text } => {
            let trouble = Trouble::again(None, StepKind::Observe, class.clone(), text.clone(), facts.now);
            Plan::wait(trouble.wait(&facts.asker), LATER)
        }
        Why::LooksFree { again_at } => {
            Plan::wait(words::proving(facts.vmid), until(*again_at, facts.now, SOON))
        }
        Why::Hidden { .. } => Plan::wait(words::hidden(facts.vmid), LATER),
        Why::NoQuorum => Plan::wait(words::no_quorum(), LATER),
    }
}

fn present(facts: &Facts, release: &Release, guest: &Guest) -> Plan<Step> {
    let Ok(proof) = Ownership::prove(guest, &facts.stamp) else {
        let text = words::foreign(guest, &facts.stamp);
        return Plan::act(Step::Quarantine(text), words::proving(facts.vmid));
    };
    match guest.lock() {
        Some("clone") => {
            return Plan::act(Step::Quarantine(half_clone(guest)), words::proving(facts.vmid));
        }
        Some(lock) => return Plan::wait(words::locked(facts.vmid, lock), LATER),
        None => {}
    }
    match guest.power {
        None => Plan::wait(words::proving(facts.vmid), LATER),
        Some(PowerState::Running) => {
            let patience = release
                .at
                .0
                .checked_add(facts.bounds.route)
                .and_then(|at| at.checked_add(facts.bounds.shutdown));
            if patience.is_ok_and(|end| facts.now < end) && !failed_to_stop(facts) {
                Plan::act(
                    Step::Shutdown(proof),
                    words::destroying(facts.vmid, "Shutting down"),
                )
            } else {
                Plan::act(Step::Stop(proof), words::destroying(facts.vmid, "Stopping"))
            }
        }
        Some(PowerState::Stopped) => destroy(facts, guest, proof),
    }
}

fn failed_to_stop(facts: &Facts) -> bool {
    facts.trouble.as_ref().is_some_and(|t| t.at == StepKind::Stop)
}

fn destroy(facts: &Facts, guest: &Guest, proof: Ownership) -> Plan<Step> {
    match facts.quorate {
        Some(true) => {}
        Some(false) => return Plan::wait(words::no_quorum(), LATER),
        None => return Plan::wait(words::unasked(), LATER),
    }
    if guest.is_protected() {
        Plan::act(
            Step::Unprotect(proof),
            words::destroying(facts.vmid, "Destroying"),
        )
    } else {
        Plan::act(Step::Destroy(proof), words::destroying(facts.vmid, "Destroying"))
    }
}
