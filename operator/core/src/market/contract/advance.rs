//! Which state follows, and why: every transition goes through `domain::contract::next`.

use crds::{
    common::PowerState,
    machine::{Decision, TeardownCause},
};
use domain::contract::{State, ends_at, next as table};
use jiff::{SignedDuration, Timestamp};

use super::{
    Facts, MachineSeen,
    request::{decision, rejected, requested},
    text,
};
use crate::{
    condition::{ACCEPTED, find, seconds},
    market::{
        admit::{Refusal, Terms},
        keys,
        names::say,
        owner::created,
    },
    reason::Reason,
};

/// What a pass has to say.
#[derive(Clone, Debug)]
pub(super) enum Word {
    /// It had ended before.
    Ended,
    /// It ends now.
    Ending {
        /// Why, for the summary.
        reason: Reason,
        /// What hindered it, for the conditions that never came true.
        cause: Reason,
        /// One sentence or two.
        text: String,
    },
    /// It is not taken, or not yet.
    Refused(Refusal),
    /// The provider decides.
    AwaitingProvider,
    /// Being made.
    UnderWay,
    /// Reached at least once.
    Running,
}

/// The step that a pass makes.
#[derive(Clone, Debug)]
pub(super) struct Next {
    /// The state from now on.
    pub state: State,
    /// What is to be said.
    pub word: Word,
    /// The terms, when they are fixed now.
    pub terms: Option<Terms>,
    /// Why it is accepted, when it is accepted now.
    pub accepted: Option<(Reason, &'static str)>,
    /// When this state ends by time.
    pub deadline: Option<Timestamp>,
    /// That instant has come, but the clock cannot be trusted.
    pub late: bool,
    /// Start of the paid period.
    pub starts_at: Option<Timestamp>,
}

impl Next {
    pub(super) fn new(state: State, word: Word) -> Self {
        Self {
            state,
            word,
            terms: None,
            accepted: None,
            deadline: None,
            late: false,
            starts_at: None,
        }
    }

    pub(super) fn end(state: State, reason: Reason, text: impl Into<String>) -> Self {
        Self::new(
            state,
            Word::Ending {
                reason,
                cause: reason,
                text: text.into(),
            },
        )
    }
}

/// An end by time.
pub(super) enum Time {
    Ahead,
    Over,
    Held,
}

pub(super) fn time(facts: &Facts<'_>, deadline: Option<Timestamp>, now: Timestamp) -> Time {
    match deadline {
        Some(at) if at <= now && facts.clock_agreed => Time::Over,
        Some(at) if at <= now => Time::Held,
        _ => Time::Ahead,
    }
}

pub(super) fn next(facts: &Facts<'_>, now: Timestamp) -> Next {
    let state = facts.state();
    if state.is_terminal() {
        return Next::new(state, Word::Ended);
    }
    let mut next = by_people(facts).unwrap_or_else(|| match state {
        State::Requested | State::Pending => requested(facts, now),
        State::Accepted => accepted(facts, now),
        State::Provisioning | State::Provisioned => provisioning(facts, now),
        _ => running(facts, now),
    });
    if table(state, next.state).is_err() {
        next.state = state;
        next.word = Word::UnderWay;
    }
    next
}

/// Ended by somebody's word.
fn by_people(facts: &Facts<'_>) -> Option<Next> {
    if facts.deleting() {
        return Some(Next::end(
            State::Cancelled,
            Reason::Deleted,
            "The Contract was deleted. Its machine, name and ports are removed.",
        ));
    }
    if let Some(cancel) = &facts.contract.spec.cancel {
        let why = cancel
            .reason
            .as_ref()
            .map_or_else(String::new, |why| format!(": {why}"));
        let text = format!("Cancelled by the tenant{why}. Its machine, name and ports are removed.");
        return Some(Next::end(State::Cancelled, Reason::Cancelled, text));
    }
    let teardown = facts.present()?.spec.teardown.as_ref()?;
    let (state, reason) = match teardown.cause {
        TeardownCause::Cancelled | TeardownCause::Deleted | TeardownCause::DisputeLost => {
            (State::Cancelled, Reason::Cancelled)
        }
        TeardownCause::Expired => (State::Expired, Reason::Expired),
        TeardownCause::Rejected => (State::Rejected, Reason::RejectedByProvider),
        TeardownCause::ProvisioningFailed => (State::ProvisioningFailed, Reason::ProvisioningFailed),
    };
    let state = table(facts.state(), state).unwrap_or(State::Cancelled);
    let text = format!(
        "Its Machine was told to end ({:?}) by {}.",
        teardown.cause, teardown.by
    );
    Some(Next::end(state, reason, text))
}

fn accepted(facts: &Facts<'_>, now: Timestamp) -> Next {
    if decision(facts) == Some(Decision::Rejected) {
        return rejected(facts);
    }
    if let Some(position) = keys::first_bad(&facts.contract.spec.ssh_keys) {
        let text = format!(
            "{} No machine was started. Refunded in full.",
            keys::says(position)
        );
        return Next::end(State::ProvisioningFailed, Reason::InvalidKey, text);
    }
    if facts.slot.is_some() {
        let mut next = Next::new(State::Provisioning, Word::UnderWay);
        next.deadline = provision_by(facts);
        return next;
    }
    under_way(facts, State::Accepted, now)
}

fn provisioning(facts: &Facts<'_>, now: Timestamp) -> Next {
    let route = facts.slot.and_then(|slot| slot.status.as_ref()?.route.as_ref());
    let probed = route
        .filter(|route| route.programmed)
        .and_then(|route| route.probed_at.as_ref());
    match probed {
        Some(probed) if facts.present().is_some() => {
            let from = created(facts.contract).min(now);
            let start = seconds(probed.0.clamp(from, now)).0;
            let mut next = Next::new(State::Active, Word::Running);
            next.starts_at = Some(start);
            next.deadline = end_of(facts, Some(start));
            next
        }
        _ => under_way(facts, facts.state(), now),
    }
}

/// Goes on being made, or fails at its deadline with the cause.
fn under_way(facts: &Facts<'_>, state: State, now: Timestamp) -> Next {
    let deadline = provision_by(facts);
    let over = time(facts, deadline, now);
    if matches!(over, Time::Over) && table(state, State::ProvisioningFailed).is_ok() {
        let cause = text::blame(facts);
        let until = deadline.map(say).unwrap_or_default();
        let text = format!("Not provided by {until}: {} Refunded in full.", cause.message);
        let word = Word::Ending {
            reason: Reason::ProvisioningFailed,
            cause: cause.reason,
            text,
        };
        return Next::new(State::ProvisioningFailed, word);
    }
    let mut next = Next::new(state, Word::UnderWay);
    next.deadline = deadline;
    next.late = matches!(over, Time::Held);
    next
}

/// When the market gives up, counted from the acceptance.
pub(super) fn provision_by(facts: &Facts<'_>) -> Option<Timestamp> {
    let status = facts.contract.status.as_ref()?;
    let accepted = find(&status.conditions, ACCEPTED).filter(|c| c.status == "True");
    let from = accepted.map_or_else(|| created(facts.contract), |c| c.last_transition_time.0);
    from.checked_add(facts.config.provisioning_limit).ok()
}

fn running(facts: &Facts<'_>, now: Timestamp) -> Next {
    let state = facts.state();
    let start = facts
        .contract
        .status
        .as_ref()
        .and_then(|s| s.starts_at.as_ref())
        .map(|t| t.0);
    let end = end_of(facts, start);
    let over = time(facts, end, now);
    if matches!(over, Time::Over) {
        let until = end.map(say).unwrap_or_default();
        let text = format!("The rented time ended at {until}. Its machine, name and ports are removed.");
        return Next::end(State::Expired, Reason::Expired, text);
    }
    let state = match (facts.contract.spec.power_state, power(facts)) {
        (PowerState::Stopped, Some(PowerState::Stopped)) => State::Paused,
        (PowerState::Running, Some(PowerState::Running)) => State::Active,
        _ => state,
    };
    let mut next = Next::new(state, Word::Running);
    next.starts_at = start;
    next.deadline = end;
    next.late = matches!(over, Time::Held);
    next
}

/// Whether the VM runs, as the Machine last saw it.
pub(super) fn power(facts: &Facts<'_>) -> Option<PowerState> {
    Some(facts.present()?.status.as_ref()?.vm.as_ref()?.power)
}

/// Whether the Machine is known to be missing though it was made.
pub(super) fn is_lost(facts: &Facts<'_>) -> bool {
    matches!(facts.machine, MachineSeen::Absent | MachineSeen::Foreign)
}

fn end_of(facts: &Facts<'_>, start: Option<Timestamp>) -> Option<Timestamp> {
    let spec = &facts.contract.spec;
    let hours = |h: i32| u32::try_from(h).unwrap_or(0);
    let extensions: Vec<u32> = spec.extend_hours.iter().copied().map(hours).collect();
    let hour: SignedDuration = facts.config.contract_hour;
    ends_at(start?, hours(spec.duration_hours), &extensions, hour).ok()
}
