//! Why a pass of this family failed. Classes decide how soon it is tried again; the shell logs it once.

use domain::pve::Class;
use kit::call::Fault;
use operator_core::provider::trouble::StepKind;

/// A failed pass.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call to the API server failed.
    #[error("failed to store or read objects")]
    Kube {
        /// What failed.
        #[source]
        source: kit::call::Error,
    },
    /// A step at Proxmox failed; the status says how.
    #[error("failed at step {}: {text}", step.name())]
    Step {
        /// Which step.
        step: StepKind,
        /// What kind of failure.
        class: Class,
        /// The failure for people.
        text: String,
    },
    /// An object cannot be decoded.
    #[error("an object of this kind cannot be read")]
    Undecodable {
        /// Which, and why.
        #[source]
        source: kit::guarded::Undecodable,
    },
    /// A controller ended though nobody told it to.
    #[error("the {controller} controller ended")]
    Ended {
        /// Which.
        controller: &'static str,
    },
    /// An object lacks what the API server always sets.
    #[error("{what} has no {field}")]
    Incomplete {
        /// Which object.
        what: String,
        /// What it lacks.
        field: &'static str,
    },
}

impl Error {
    /// The class that decides what happens next.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Kube { source } => match source.fault() {
                Fault::Conflict | Fault::NotFound | Fault::Terminating => Class::Conflict,
                Fault::Denied => Class::Denied { privilege: None },
                Fault::Invalid => Class::Bug,
                Fault::Retryable => Class::Retryable { after: None },
            },
            Self::Step { class, .. } => class.clone(),
            Self::Undecodable { .. } => Class::Spec,
            Self::Ended { .. } | Self::Incomplete { .. } => Class::Bug,
        }
    }

    /// A failed call to the API server.
    #[must_use]
    pub const fn kube(source: kit::call::Error) -> Self {
        Self::Kube { source }
    }
}
