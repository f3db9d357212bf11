//! A Machine's status from what a pass found. `decision` and `decisionMessage` belong to the provider and are never
//! written here.

use crds::{
    common::PowerState,
    machine::{Ended, LastError, MachineStatus, Outcome, PhaseTime, TaskRef, VmStatus},
};
use jiff::Timestamp;

use crate::{
    condition::{
        MESSAGE_MAX, PROVISIONED, READY, RECONCILING, SCHEDULED, STALLED, Stated, Wait, cut, merged, seconds,
    },
    provider::{plan::Verdict, trouble::Trouble},
    reason::Reason,
};

/// Phase that is recorded once the VM is complete: from then on it is never cloned again.
pub const MADE: &str = "Provisioned";

/// What a pass found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Generation of the Machine that was read.
    pub generation: Option<i64>,
    /// The Slot it holds and the sentence that says where.
    pub slot: Option<(String, String)>,
    /// The VM, where it was seen.
    pub vm: Option<VmStatus>,
    /// Task under way at the end of the pass.
    pub task: Option<TaskRef>,
    /// Where it stands.
    pub verdict: Verdict,
    /// The last failure.
    pub trouble: Option<Trouble>,
    /// Starts by us after it stopped by itself.
    pub restarts: Vec<Timestamp>,
    /// The teardown is finished.
    pub ended: Option<Ended>,
    /// Steps reached in this pass.
    pub reached: Vec<&'static str>,
}

/// Whether the machine was once complete.
#[must_use]
pub fn made(status: Option<&MachineStatus>) -> bool {
    status.is_some_and(|s| s.phase_times.iter().any(|p| p.phase == MADE))
}

/// The status to store.
#[must_use]
pub fn status(prior: Option<&MachineStatus>, found: &Found, now: Timestamp) -> MachineStatus {
    let empty = MachineStatus::default();
    let old = prior.unwrap_or(&empty);
    let phase_times = phase_times(old, &found.reached, now);
    let made = phase_times.iter().any(|p| p.phase == MADE);
    MachineStatus {
        observed_generation: found.generation,
        decision: None,
        decision_message: None,
        slot: found.slot.as_ref().map(|(name, _)| name.clone()),
        task: found.task.clone(),
        vm: found
            .vm
            .clone()
            .or_else(|| old.vm.clone().filter(|_| found.ended.is_none())),
        waiting: wait(&found.verdict).map(|w| w.stored(old.waiting.as_ref(), now)),
        last_error: found
            .trouble
            .as_ref()
            .map(last_error)
            .or_else(|| old.last_error.clone().filter(|_| !made)),
        phase_times,
        restarts: found.restarts.iter().copied().map(seconds).collect(),
        ended: old.ended.clone().or_else(|| found.ended.clone()),
        conditions: merged(&old.conditions, stated(found, made), found.generation, now),
    }
}

/// Kept until the machine is made, so that a further attempt does not hide why the one before it failed.
fn last_error(trouble: &Trouble) -> LastError {
    LastError {
        class: trouble.class.name().to_owned(),
        reason: trouble.reason().as_str().to_owned(),
        text: cut(trouble.text.clone(), MESSAGE_MAX),
    }
}

fn wait(verdict: &Verdict) -> Option<&Wait> {
    match verdict {
        Verdict::Settled => None,
        Verdict::Waiting { wait, .. } | Verdict::Blocked { wait } => Some(wait),
    }
}

fn phase_times(old: &MachineStatus, reached: &[&'static str], now: Timestamp) -> Vec<PhaseTime> {
    let mut times = old.phase_times.clone();
    for phase in reached {
        if !times.iter().any(|p| p.phase == *phase) {
            times.push(PhaseTime {
                phase: (*phase).to_owned(),
                at: seconds(now),
            });
        }
    }
    times
}

fn stated(found: &Found, made: bool) -> Vec<Stated> {
    let waited = wait(&found.verdict);
    let (reason, message) = waited.map_or_else(|| at_rest(found), |wait| (wait.reason, sentence(wait)));
    let scheduled = match &found.slot {
        Some((_, place)) => Stated::new(SCHEDULED, true, Reason::Scheduled, place.clone()),
        None => Stated::new(SCHEDULED, false, reason, message.clone()),
    };
    let provisioned = if made && found.ended.is_none() {
        Stated::new(PROVISIONED, true, Reason::Provisioned, "The VM is made as asked.")
    } else {
        Stated::new(PROVISIONED, false, reason, message.clone())
    };
    let mut all = vec![scheduled, provisioned, ready(found, reason, &message)];
    match &found.verdict {
        Verdict::Settled => {}
        Verdict::Waiting { .. } => all.push(Stated::new(RECONCILING, true, reason, message)),
        Verdict::Blocked { .. } => all.push(Stated::new(STALLED, true, reason, message)),
    }
    all
}

/// What is said of a machine that waits for nothing and has no VM: it has ended.
fn at_rest(found: &Found) -> (Reason, String) {
    match found
        .ended
        .as_ref()
        .map(|ended| (ended.outcome, ended.reason.clone()))
    {
        Some((Outcome::Abandoned, why)) => (
            Reason::Abandoned,
            why.unwrap_or_else(|| "Nobody could prove that the VM is gone.".to_owned()),
        ),
        Some((Outcome::NeverCreated, _)) => (Reason::Destroyed, "There never was a VM.".to_owned()),
        Some((Outcome::Deleted, Some(aside))) => {
            (Reason::Destroyed, format!("The VM is proven absent. {aside}"))
        }
        Some((Outcome::Deleted, None)) | None => (Reason::Destroyed, "The VM is proven absent.".to_owned()),
    }
}

fn ready(found: &Found, reason: Reason, message: &str) -> Stated {
    if found.verdict != Verdict::Settled {
        return Stated::new(READY, false, reason, message);
    }
    match found.vm.as_ref().map(|vm| vm.power) {
        Some(PowerState::Running) => Stated::new(READY, true, Reason::Running, "The VM runs."),
        Some(PowerState::Stopped) => Stated::new(READY, true, Reason::Stopped, "The VM is stopped as asked."),
        None => Stated::new(READY, false, reason, message),
    }
}

/// What is so and what to do, in one text.
#[must_use]
pub fn sentence(wait: &Wait) -> String {
    if wait.next_step.is_empty() {
        wait.message.clone()
    } else {
        format!("{} {}", wait.message, wait.next_step)
    }
}

#[cfg(test)]
mod tests {
    //! What stays told when an attempt gives way to the next.

    use domain::pve::Class;
    use jiff::SignedDuration;

    use super::*;
    use crate::provider::trouble::StepKind;

    fn found(trouble: Option<Trouble>, reached: Vec<&'static str>) -> Found {
        Found {
            generation: Some(1),
            slot: None,
            vm: None,
            task: None,
            verdict: Verdict::Waiting {
                wait: Wait::new(Reason::Cloning, "Cloning.", "It goes on."),
                recheck: SignedDuration::ZERO,
            },
            trouble,
            restarts: Vec::new(),
            ended: None,
            reached,
        }
    }

    #[test]
    fn a_failure_is_told_until_the_machine_is_made() {
        let now = Timestamp::UNIX_EPOCH;
        let trouble = Trouble::again(
            None,
            StepKind::Clone,
            Class::Provider,
            "The clone ended with: disk of sorrow".to_owned(),
            now,
        );
        let failed = status(None, &found(Some(trouble), vec![]), now);
        let told = failed.last_error.clone().unwrap();
        assert_eq!(
            (told.reason.as_str(), told.class.as_str()),
            ("TaskFailed", "Provider")
        );
        let again = status(Some(&failed), &found(None, vec!["Claimed"]), now);
        assert_eq!(
            again.last_error,
            Some(told),
            "the next attempt has not failed yet"
        );
        let made = status(Some(&again), &found(None, vec![MADE]), now);
        assert_eq!(made.last_error, None);
    }
}
