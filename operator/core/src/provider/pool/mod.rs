//! Pool: what a Proxmox cluster must offer before machines are put there, and how that is told. Pure: facts in, findings
//! and a status out. Must not decide where a machine goes (see [`crate::provider::place`]).

use crate::reason::Reason;

pub mod endpoint;
pub mod facts;
pub mod identity;
pub mod lint;
pub mod overlap;
pub mod preflight;
pub mod privileges;
pub mod status;

pub use facts::{Answered, Contact, Facts, NodeSeen, StorageSeen, StorageState};
pub use preflight::{findings, readiness};

/// Whether a Pool takes machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It takes every tenant's.
    Ready {
        /// Something that should be mended all the same.
        warning: Option<(Reason, String)>,
    },
    /// It takes only those of its owner.
    OwnerOnly {
        /// Why.
        reason: Reason,
        /// The same in sentences.
        message: String,
    },
    /// It takes none.
    Not {
        /// Why.
        reason: Reason,
        /// The same in sentences.
        message: String,
    },
}

impl Readiness {
    /// Whether it takes every tenant's machines.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }
}

/// Whom a finding keeps out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bars {
    /// All machines.
    All,
    /// Machines of other tenants than the owner.
    Tenants,
    /// Nobody.
    Nobody,
}

/// One thing that should be mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Why.
    pub reason: Reason,
    /// Whom it keeps out.
    pub bars: Bars,
    /// What is so and what to do.
    pub message: String,
}

impl Finding {
    pub(crate) fn new(reason: Reason, bars: Bars, message: impl Into<String>) -> Self {
        Self {
            reason,
            bars,
            message: message.into(),
        }
    }
}
