//! The contract's states: one table, and everything that follows from it.
//!
//! Owns which state may follow which and when the paid period ends; must not know why a state is entered.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a contract stands.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum State {
    /// Asked for; also what a contract is before a controller has looked at it.
    #[default]
    Requested,
    /// Reserved for payments that settle later.
    Pending,
    /// The provider takes it.
    Accepted,
    /// The provider does not take it.
    Rejected,
    /// The machine is being made.
    Provisioning,
    /// A host agent reports the machine as made.
    Provisioned,
    /// Reachable, and paid for by the hour.
    Active,
    /// Stopped by a person.
    Paused,
    /// Ended by the tenant.
    Cancelled,
    /// Ended by time.
    Expired,
    /// The machine could not be made in time.
    ProvisioningFailed,
}

/// A change that the table does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a contract that is {from} cannot become {to}")]
pub struct IllegalTransition {
    /// The state it is in.
    pub from: State,
    /// The state that was asked for.
    pub to: State,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 11] = [
        Self::Requested,
        Self::Pending,
        Self::Accepted,
        Self::Rejected,
        Self::Provisioning,
        Self::Provisioned,
        Self::Active,
        Self::Paused,
        Self::Cancelled,
        Self::Expired,
        Self::ProvisioningFailed,
    ];

    /// The states that may follow; none for a terminal state.
    #[must_use]
    pub const fn successors(self) -> &'static [Self] {
        match self {
            Self::Requested => &[
                Self::Pending,
                Self::Accepted,
                Self::Rejected,
                Self::Cancelled,
                Self::Expired,
            ],
            Self::Pending => &[Self::Accepted, Self::Rejected, Self::Cancelled, Self::Expired],
            Self::Accepted => &[
                Self::Provisioning,
                Self::ProvisioningFailed,
                Self::Rejected,
                Self::Cancelled,
            ],
            Self::Provisioning => &[
                Self::Provisioned,
                Self::Active,
                Self::ProvisioningFailed,
                Self::Cancelled,
            ],
            Self::Provisioned => &[Self::Active, Self::Paused, Self::Cancelled],
            Self::Active => &[Self::Paused, Self::Cancelled, Self::Expired],
            Self::Paused => &[Self::Active, Self::Provisioned, Self::Cancelled, Self::Expired],
            Self::Rejected | Self::Cancelled | Self::Expired | Self::ProvisioningFailed => &[],
        }
    }

    /// Whether nothing follows.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        self.successors().is_empty()
    }

    /// The wire's lower-case token.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Provisioning => "provisioning",
            Self::Provisioned => "provisioned",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::ProvisioningFailed => "provisioningFailed",
        }
    }

    /// The name in manifests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "Requested",
            Self::Pending => "Pending",
            Self::Accepted => "Accepted",
            Self::Rejected => "Rejected",
            Self::Provisioning => "Provisioning",
            Self::Provisioned => "Provisioned",
            Self::Active => "Active",
            Self::Paused => "Paused",
            Self::Cancelled => "Cancelled",
            Self::Expired => "Expired",
            Self::ProvisioningFailed => "ProvisioningFailed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token())
    }
}

/// The state after a change; staying is always allowed.
///
/// # Errors
/// [`IllegalTransition`] if the table does not have the change.
pub fn next(from: State, to: State) -> Result<State, IllegalTransition> {
    if from == to || from.successors().contains(&to) {
        Ok(to)
    } else {
        Err(IllegalTransition { from, to })
    }
}

/// The table as a CEL rule on the whole object, which also holds when the status is written for the first time; an
/// absent state is Requested.
#[must_use]
pub fn cel_rule() -> String {
    let old = "has(oldSelf.status) && has(oldSelf.status.state) ? oldSelf.status.state : 'Requested'";
    let new = "has(self.status) && has(self.status.state) ? self.status.state : 'Requested'";
    let mut clauses = vec![format!("({old}) == ({new})")];
    for from in State::ALL.into_iter().filter(|state| !state.is_terminal()) {
        let to: Vec<String> = from
            .successors()
            .iter()
            .map(|state| format!("'{}'", state.name()))
            .collect();
        clauses.push(format!(
            "(({old}) == '{}' && ({new}) in [{}])",
            from.name(),
            to.join(", ")
        ));
    }
    clauses.join(" || ")
}

/// The paid period does not fit the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the end of the paid period lies outside the calendar")]
pub struct EndsOutsideCalendar;

/// The end of the paid period: start + hours + extensions, in contract hours of the given length.
///
/// # Errors
/// [`EndsOutsideCalendar`] if that instant cannot be written.
pub fn ends_at(
    start: Timestamp,
    hours: u32,
    extensions: &[u32],
    hour: SignedDuration,
) -> Result<Timestamp, EndsOutsideCalendar> {
    let total: i128 = extensions.iter().chain([&hours]).map(|h| i128::from(*h)).sum();
    let nanos = start.as_nanosecond() + hour.as_nanos().checked_mul(total).ok_or(EndsOutsideCalendar)?;
    Timestamp::from_nanosecond(nanos).map_err(|_| EndsOutsideCalendar)
}

#[cfg(test)]
#[path = "contract_tests.rs"]
mod tests;
