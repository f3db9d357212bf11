//! Conditions and waits as data: the transition time moves with the status only, so equal facts give equal bytes.

use crds::common::{Actor, Waiting};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::reason::Reason;

/// Condition: the provider takes it.
pub const ACCEPTED: &str = "Accepted";
/// Condition: paid, or free.
pub const PAID: &str = "Paid";
/// Condition: node, storage and Slot are fixed.
pub const SCHEDULED: &str = "Scheduled";
/// Condition: the VM is made as asked.
pub const PROVISIONED: &str = "Provisioned";
/// Condition: SSH answers through the gateway.
pub const REACHABLE: &str = "Reachable";
/// Condition: the summary.
pub const READY: &str = "Ready";
/// Condition, while true: on the way to what is asked.
pub const RECONCILING: &str = "Reconciling";
/// Condition, while true: it ended otherwise than asked.
pub const STALLED: &str = "Stalled";

/// Longest message of a condition that we write.
pub const MESSAGE_MAX: usize = 1024;

/// A condition's three values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody can tell.
    Unknown,
}

impl Truth {
    /// As written in conditions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// One condition as a planner states it, without its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// Type of the condition.
    pub kind: &'static str,
    /// Whether it holds.
    pub truth: Truth,
    /// Why.
    pub reason: Reason,
    /// One sentence that a person can act on: no counters, absolute times only.
    pub message: String,
}

impl Stated {
    /// A condition of this type.
    #[must_use]
    pub fn new(
        kind: &'static str,
        truth: impl Into<Truth>,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            truth: truth.into(),
            reason,
            message: cut(message.into(), MESSAGE_MAX),
        }
    }
}

/// The conditions to store: what is stated, with the old transition time where the status is the same.
#[must_use]
pub fn merged(
    prior: &[Condition],
    stated: Vec<Stated>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    stated
        .into_iter()
        .map(|new| {
            let same = find(prior, new.kind).filter(|old| old.status == new.truth.as_str());
            Condition {
                type_: new.kind.to_owned(),
                status: new.truth.as_str().to_owned(),
                reason: new.reason.as_str().to_owned(),
                message: new.message,
                observed_generation: generation,
                last_transition_time: same
                    .map_or_else(|| seconds(now), |old| old.last_transition_time.clone()),
            }
        })
        .collect()
}

/// The condition of this type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == kind)
}

/// Whether the condition of this type is True.
#[must_use]
pub fn holds(conditions: &[Condition], kind: &str) -> bool {
    find(conditions, kind).is_some_and(|c| c.status == "True")
}

/// Why something does not go on, as a planner states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Why.
    pub reason: Reason,
    /// Who has to act.
    pub actor: Actor,
    /// What is so, in one sentence.
    pub message: String,
    /// What to do, or what happens next.
    pub next_step: String,
    /// Until when at most.
    pub deadline: Option<Timestamp>,
    /// Place in the queue, from 1.
    pub position: Option<i32>,
}

impl Wait {
    /// A wait whose actor is the reason's usual one.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self {
            reason,
            actor: reason.actor(),
            message: message.into(),
            next_step: next_step.into(),
            deadline: None,
            position: None,
        }
    }

    /// The same with a deadline.
    #[must_use]
    pub fn until(mut self, deadline: Option<Timestamp>) -> Self {
        self.deadline = deadline;
        self
    }

    /// What to store: `since` stays while the reason stays.
    #[must_use]
    pub fn stored(&self, prior: Option<&Waiting>, now: Timestamp) -> Waiting {
        let same = prior.filter(|old| old.reason == self.reason.as_str());
        Waiting {
            reason: self.reason.as_str().to_owned(),
            actor: self.actor,
            since: same.map_or_else(|| seconds(now), |old| old.since.clone()),
            deadline: self.deadline.map(seconds),
            next_step: cut(self.next_step.clone(), MESSAGE_MAX),
            position: self.position,
        }
    }
}

/// An instant as objects carry it: whole seconds.
#[must_use]
pub fn seconds(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// Cuts a text at a character boundary.
#[must_use]
pub fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let end = (0..=max.saturating_sub(3))
            .rev()
            .find(|i| text.is_char_boundary(*i))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn transition_time_moves_with_the_status_only() {
        let first = merged(
            &[],
            vec![Stated::new("Ready", false, Reason::Cloning, "a")],
            Some(1),
            at(10),
        );
        let same = merged(
            &first,
            vec![Stated::new("Ready", false, Reason::Starting, "b")],
            Some(1),
            at(20),
        );
        assert_eq!(same[0].last_transition_time, seconds(at(10)));
        assert_eq!(same[0].reason, "Starting");
        let moved = merged(
            &same,
            vec![Stated::new("Ready", true, Reason::Ready, "c")],
            Some(1),
            at(30),
        );
        assert_eq!(moved[0].last_transition_time, seconds(at(30)));
    }

    #[test]
    fn a_wait_is_since_its_reason_began() {
        let wait = Wait::new(Reason::Cloning, "m", "n");
        let first = wait.stored(None, at(5));
        assert_eq!(wait.stored(Some(&first), at(50)).since, seconds(at(5)));
        let other = Wait::new(Reason::Starting, "m", "n");
        assert_eq!(other.stored(Some(&first), at(50)).since, seconds(at(50)));
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let text = "ü".repeat(600);
        let short = cut(text, MESSAGE_MAX);
        assert!(short.len() <= MESSAGE_MAX && short.ends_with('…'));
    }
}
