//! The next step that brings a VM to its blueprint, from what was seen. Creates only through the once-only clone;
//! everything else needs a proof of ownership. Never destroys: that is `slot::release`.

use crds::{common::PowerState, machine::TaskKind};
use domain::{pve::Class, quantity::Bytes};
use jiff::{SignedDuration, Timestamp};

use super::{
    blueprint::Blueprint,
    configure::{self, Change},
    isolate::{self, FirewallOp},
    words,
};
use crate::provider::{
    hang::{Hang, deaf, judge},
    plan::{Plan, poll, until},
    rests::half_clone,
    seen::{Guest, Ownership, Presence, TaskSeen, Why},
    trouble::{Asker, StepKind, Trouble},
};

/// A step towards the blueprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Clone the template to the Slot's VMID: a VMID can be created once.
    Clone,
    /// Change the configuration, bound to the digest of the proof.
    Configure(Ownership, Change),
    /// Set the firewall; the proof is renewed before each call.
    Isolate(Ownership, Vec<FirewallOp>),
    /// Grow a disk to an absolute size.
    Grow(Ownership, String, Bytes),
    /// Start it.
    Start(Ownership),
    /// Ask the guest to shut down.
    Shutdown(Ownership),
    /// Stop it, since the guest did not shut down in time.
    Stop(Ownership),
    /// End our own task, which has run for too long.
    Cancel,
    /// Set the Slot aside and claim another; the VM there is not touched.
    Quarantine(String),
    /// Give the Slot back since it failed on this node, and place the machine again.
    Supersede,
}

/// What was seen of the VM and its last task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The VM.
    pub guest: Presence<Guest>,
    /// Our last task on it.
    pub task: TaskSeen,
    /// The instant of looking.
    pub now: Timestamp,
}

/// What became of the clone under a Slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloned {
    /// It was never asked for.
    Never,
    /// It may have been asked for.
    Perhaps,
    /// It is known to have ended well: what hides at the VMID is ours.
    Well,
}

/// What is known of earlier passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// What became of the clone under this Slot.
    pub cloned: Cloned,
    /// Something unseen at the VMID counts as another's after this.
    pub hidden_limit: SignedDuration,
    /// A task that runs longer is ended; see [`judge`].
    pub task_limit: SignedDuration,
    /// A cluster with quorum has called its node offline for too long: an attempt there is given up.
    pub node_lost: bool,
    /// The machine was once complete: never clone again, never leave the Slot.
    pub made: bool,
    /// The last failure.
    pub trouble: Option<Trouble>,
    /// Starts by us after it stopped by itself.
    pub restarts: Vec<Timestamp>,
    /// When the market gives up.
    pub deadline: Option<Timestamp>,
    /// Who asks, for messages.
    pub asker: Asker,
}

const SOON: SignedDuration = SignedDuration::from_millis(300);
const LATER: SignedDuration = SignedDuration::from_secs(2);
/// Failed clones in a row after which another node is tried.
const CLONE_TRIES: u32 = 3;
/// Restarts within [`BRAKE_WINDOW`] after which we stop restarting.
pub const BRAKE_STARTS: usize = 3;
/// Window of the restart brake.
pub const BRAKE_WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// The next step, or why there is none.
pub fn plan(want: &Blueprint, seen: &Seen, history: &History) -> Plan<Step> {
    let with_deadline = |plan: Plan<Step>| limited(plan, history.deadline.filter(|_| !history.made));
    if let TaskSeen::Running(task) = seen.task {
        let shown = words::running(want, task.kind);
        return with_deadline(match judge(task, seen.now, history.task_limit) {
            Hang::No => Plan::wait(shown, poll(task.since, seen.now)),
            Hang::End => Plan::act(Step::Cancel, shown),
            Hang::Deaf => Plan::wait(deaf(want.place.vmid), LATER),
        });
    }
    if let Some(trouble) = history
        .trouble
        .as_ref()
        .filter(|t| t.retry_at > seen.now && !lost_clone(t))
    {
        let pause = until(trouble.retry_at, seen.now, SOON);
        return with_deadline(Plan::wait(trouble.wait(&history.asker), pause));
    }
    with_deadline(match &seen.guest {
        Presence::Unknown(why) => unknown(want, why, seen.now, history),
        Presence::Absent => absent(want, history),
        Presence::Present(guest) => present(want, guest, seen.now, history),
    })
}

fn lost_clone(trouble: &Trouble) -> bool {
    trouble.at == StepKind::Clone && trouble.class == Class::LostRace
}

fn limited(mut plan: Plan<Step>, deadline: Option<Timestamp>) -> Plan<Step> {
    use crate::provider::plan::Verdict::{Blocked, Settled, Waiting};
    match &mut plan.verdict {
        Waiting { wait, .. } | Blocked { wait } => wait.deadline = deadline,
        Settled => {}
    }
    plan
}

fn unknown(want: &Blueprint, why: &Why, now: Timestamp, history: &History) -> Plan<Step> {
    let lost = history.trouble.as_ref().is_some_and(lost_clone);
    match why {
        Why::NoAnswer { .. } if history.node_lost && !history.made => {
            Plan::act(Step::Supersede, words::node_lost(want))
        }
        Why::NoAnswer { class, text } => {
            let trouble = Trouble::again(None, StepKind::Observe, class.clone(), text.clone(), now);
            Plan::wait(trouble.wait(&history.asker), LATER)
        }
        Why::NoQuorum => Plan::wait(words::no_quorum(), LATER),
        _ if history.cloned == Cloned::Never && !history.made => {
            Plan::act(Step::Clone, words::running(want, TaskKind::Clone))
        }
        // The id was somebody else's when ours was refused: it is never touched again, free or not.
        Why::LooksFree { .. } if lost && !history.made => {
            Plan::act(Step::Quarantine(words::was_taken(want)), words::lost(want))
        }
        Why::LooksFree { .. } if !history.made && !gives_up(history) => {
            Plan::act(Step::Clone, words::running(want, TaskKind::Clone))
        }
        Why::LooksFree { again_at } => Plan::wait(words::looking(want), until(*again_at, now, SOON)),
        Why::Hidden { .. } if lost && !history.made => {
            Plan::act(Step::Quarantine(words::taken(want)), words::lost(want))
        }
        Why::Hidden { .. } if history.made || history.cloned == Cloned::Well => {
            Plan::wait(words::hidden(want), LATER)
        }
        Why::Hidden { since } if now.duration_since(*since) >= history.hidden_limit => {
            Plan::act(Step::Quarantine(words::taken(want)), words::lost(want))
        }
        Why::Hidden { .. } => Plan::wait(words::looking(want), LATER),
    }
}

/// Another node is tried after repeated failures, or one that is the node's fault.
fn gives_up(history: &History) -> bool {
    history
        .trouble
        .as_ref()
        .is_some_and(|t| t.at == StepKind::Clone && (t.class == Class::ReplaceNode || t.count >= CLONE_TRIES))
}

fn absent(want: &Blueprint, history: &History) -> Plan<Step> {
    if history.made {
        return Plan::blocked(words::missing(want));
    }
    if history.trouble.as_ref().is_some_and(lost_clone) {
        return Plan::act(Step::Quarantine(words::was_taken(want)), words::lost(want));
    }
    if gives_up(history) {
        return Plan::act(Step::Supersede, words::placed_again(want));
    }
    Plan::act(Step::Clone, words::running(want, TaskKind::Clone))
}

fn present(want: &Blueprint, guest: &Guest, now: Timestamp, history: &History) -> Plan<Step> {
    let Ok(proof) = Ownership::prove(guest, &want.stamp) else {
        return if history.made {
            Plan::blocked(words::not_ours(want, guest))
        } else {
            Plan::act(Step::Quarantine(words::foreign(want, guest)), words::lost(want))
        };
    };
    match guest.lock() {
        Some("clone") if !history.made => {
            return Plan::act(Step::Quarantine(half_clone(guest)), words::lost(want));
        }
        Some(lock) => return Plan::wait(words::locked(want, lock), LATER),
        None => {}
    }
    let change = configure::change(want, guest, !history.made);
    if !change.is_empty() {
        return Plan::act(Step::Configure(proof, change), words::configuring(want));
    }
    if want.isolated {
        let Some(firewall) = &guest.firewall else {
            return Plan::wait(words::looking(want), SOON);
        };
        let ops = isolate::missing(want, firewall);
        if !ops.is_empty() {
            return Plan::act(Step::Isolate(proof, ops), words::isolating(want));
        }
    }
    match configure::boot_disk(guest) {
        Some((disk, size)) if size < want.disk => Plan::act(
            Step::Grow(proof, disk, want.disk),
            words::running(want, TaskKind::Resize),
        ),
        Some(_) => power(want, guest, proof, now, history),
        None => Plan::blocked(words::no_disk(want)),
    }
}

fn power(want: &Blueprint, guest: &Guest, proof: Ownership, now: Timestamp, history: &History) -> Plan<Step> {
    match (want.power, guest.power) {
        (_, None) => Plan::wait(words::looking(want), LATER),
        (PowerState::Running, Some(PowerState::Stopped)) => match braked_until(&history.restarts, now) {
            Some(until) => Plan::wait(words::braked(want, until), until.duration_since(now)),
            None => Plan::act(Step::Start(proof), words::running(want, TaskKind::Start)),
        },
        (PowerState::Stopped, Some(PowerState::Running)) => {
            let deaf = history.trouble.as_ref().is_some_and(|trouble| trouble.deaf);
            let (step, kind) = if deaf {
                (Step::Stop(proof), TaskKind::Stop)
            } else {
                (Step::Shutdown(proof), TaskKind::Shutdown)
            };
            Plan::act(step, words::running(want, kind))
        }
        _ => Plan::settled(),
    }
}

/// Whether the firewall has to be read before planning can go on.
#[must_use]
pub fn needs_firewall(want: &Blueprint, guest: &Guest, made: bool) -> bool {
    want.isolated && guest.lock().is_none() && configure::change(want, guest, !made).is_empty()
}

/// Until when no restart is tried, if there were too many lately.
#[must_use]
pub fn braked_until(restarts: &[Timestamp], now: Timestamp) -> Option<Timestamp> {
    let lately: Vec<Timestamp> = restarts
        .iter()
        .copied()
        .filter(|at| now.duration_since(*at) < BRAKE_WINDOW)
        .collect();
    let oldest = lately.iter().copied().min()?;
    (lately.len() >= BRAKE_STARTS).then(|| oldest.checked_add(BRAKE_WINDOW).unwrap_or(now))
}
