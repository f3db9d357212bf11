//! The shape of every plan of this family: at most one step, then look again; and why it does not go on.

use jiff::{SignedDuration, Timestamp};

use crate::condition::Wait;

/// One step, or none, and what is so meanwhile.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<S> {
    /// What to do before looking again.
    pub step: Option<S>,
    /// What to show.
    pub verdict: Verdict,
}

/// Where a thing stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is as it must be.
    Settled,
    /// It goes on by itself; look again after `recheck`.
    Waiting {
        /// Why, until when, what next.
        wait: Wait,
        /// When to look again.
        recheck: SignedDuration,
    },
    /// Somebody has to act; look again rarely.
    Blocked {
        /// Why, who, what to do.
        wait: Wait,
    },
}

impl<S> Plan<S> {
    /// Nothing to do, nothing to wait for.
    pub const fn settled() -> Self {
        Self {
            step: None,
            verdict: Verdict::Settled,
        }
    }

    /// Do this; show that meanwhile.
    pub const fn act(step: S, wait: Wait) -> Self {
        Self {
            step: Some(step),
            verdict: Verdict::Waiting {
                wait,
                recheck: SignedDuration::ZERO,
            },
        }
    }

    /// Do nothing now and look again.
    pub const fn wait(wait: Wait, recheck: SignedDuration) -> Self {
        Self {
            step: None,
            verdict: Verdict::Waiting { wait, recheck },
        }
    }

    /// Somebody has to act.
    pub const fn blocked(wait: Wait) -> Self {
        Self {
            step: None,
            verdict: Verdict::Blocked { wait },
        }
    }
}

/// How long until an instant, at least `floor`.
#[must_use]
pub fn until(at: Timestamp, now: Timestamp, floor: SignedDuration) -> SignedDuration {
    at.duration_since(now).max(floor)
}

/// When to ask again about a task: soon at first, every two seconds in the end.
#[must_use]
pub fn poll(since: Timestamp, now: Timestamp) -> SignedDuration {
    let quarter = now.duration_since(since) / 4;
    quarter.clamp(SignedDuration::from_millis(100), SignedDuration::from_secs(2))
}
