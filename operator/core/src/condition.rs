//! The conditions that this family of kinds has, and waits as data.

use crds::common::{Actor, Waiting};
use jiff::Timestamp;

pub use crds::condition::{MESSAGE_MAX, READY, Truth, cut, find, holds, merged, seconds};

use crate::reason::Reason;

/// One condition as a planner states it, without its time.
pub type Stated = crds::condition::Stated<Reason>;

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
/// Condition, while true: on the way to what is asked.
pub const RECONCILING: &str = "Reconciling";
/// Condition, while true: it ended otherwise than asked.
pub const STALLED: &str = "Stalled";

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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_wait_is_since_its_reason_began() {
        let wait = Wait::new(Reason::Cloning, "m", "n");
        let first = wait.stored(None, at(5));
        assert_eq!(wait.stored(Some(&first), at(50)).since, seconds(at(5)));
        let other = Wait::new(Reason::Starting, "m", "n");
        assert_eq!(other.stored(Some(&first), at(50)).since, seconds(at(50)));
    }
}
