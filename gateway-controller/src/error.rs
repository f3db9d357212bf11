//! Why a pass failed, and how soon it is tried again. Logged once, here.

use kit::{
    call::Fault,
    drive::Ended,
    failures::{Again, Failure, settle},
    guarded::Undecodable,
    metrics::Label,
};
use kube::{ResourceExt, runtime::controller::Action};

use crate::ctx::{Ctx, Key};

/// A failed pass.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call to the API server failed.
    #[error("failed to {}", step.act())]
    Call {
        /// What the pass was doing.
        step: Step,
        /// The call.
        #[source]
        source: kit::call::Error,
    },
    /// The object cannot be decoded.
    #[error("a Gateway cannot be read")]
    Undecodable {
        /// Which, and why.
        #[source]
        source: Undecodable,
    },
    /// The Gateway's UID is none.
    #[error("the Gateway has no usable UID")]
    NoUid,
    /// The controller ended though nobody told it to.
    #[error(transparent)]
    Ended(Ended),
}

/// A step of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Its finalizer is added or dropped.
    Finalize,
    /// What its agent is and may do is made.
    Furnish,
    /// Secrets that may enrol a host are looked at.
    Enrol,
    /// The agent's Lease is read.
    Lease,
    /// The Secret with the zone's token is read.
    Token,
    /// The status is written.
    Status,
}

impl Step {
    const fn act(self) -> &'static str {
        match self {
            Self::Finalize => "change the finalizer",
            Self::Furnish => "make what the agent needs",
            Self::Enrol => "look at the Secrets that enrol a host",
            Self::Lease => "read the agent's Lease",
            Self::Token => "read the Secret with the zone's token",
            Self::Status => "write the status",
        }
    }
}

impl Label for Step {
    fn label(self) -> &'static str {
        match self {
            Self::Finalize => "finalize",
            Self::Furnish => "furnish",
            Self::Enrol => "enrol",
            Self::Lease => "lease",
            Self::Token => "token",
            Self::Status => "status",
        }
    }
}

/// What to do about a failed pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Somebody wrote meanwhile.
    Conflict,
    /// Nothing of ours can mend it.
    Spec,
    /// Rights are missing, overload, no answer.
    Later,
    /// We sent what is never right.
    Bug,
}

impl Label for Class {
    fn label(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Spec => "spec",
            Self::Later => "later",
            Self::Bug => "bug",
        }
    }
}

/// The one controller of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gateways;

impl Label for Gateways {
    fn label(self) -> &'static str {
        "gateway"
    }
}

impl Error {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Call { source, .. } => match source.fault() {
                Fault::Conflict | Fault::NotFound => Class::Conflict,
                Fault::Denied | Fault::Terminating | Fault::Retryable => Class::Later,
                Fault::Invalid => Class::Bug,
            },
            Self::Undecodable { .. } => Class::Spec,
            Self::NoUid | Self::Ended(_) => Class::Bug,
        }
    }

    const fn step(&self) -> Step {
        match self {
            Self::Call { step, .. } => *step,
            Self::Undecodable { .. } | Self::NoUid | Self::Ended(_) => Step::Status,
        }
    }
}

/// Names the step of a failed call.
pub(crate) const fn at(step: Step) -> impl Fn(kit::call::Error) -> Error {
    move |source| Error::Call { step, source }
}

/// Counts and tells a failed pass, and says when the next one is.
pub(crate) fn policy(ctx: &Ctx, key: &Key, object: &impl ResourceExt, error: &Error) -> Action {
    let class = error.class();
    ctx.reconciles.failed(Gateways, class, error.step());
    let failure = Failure {
        kind: "gateway",
        class: class.label(),
        error,
        undecodable: match error {
            Error::Undecodable { source } => Some(source),
            _ => None,
        },
        again: match class {
            Class::Conflict => Again::Soon,
            Class::Spec => Again::OnChange,
            Class::Later => Again::Later,
            Class::Bug => Again::Rarely,
        },
    };
    settle(&ctx.events, (&ctx.backoff, key), object, &failure)
}
