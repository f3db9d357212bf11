//! Why a pass of this family failed, and how soon it is tried again. The shell logs it once, here.

use kit::drive::Ended;
use kit::failures::{Again, Failure, settle};
use kit::{call::Fault, metrics::Label};
use kube::{ResourceExt, runtime::controller::Action};

use super::{
    Shared, key,
    labels::{Controller, Step},
};

/// A failed pass.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call to the API server failed.
    #[error("failed at step {}", step.name())]
    Call {
        /// What the pass was doing.
        step: Step,
        /// The call.
        #[source]
        source: kit::call::Error,
    },
    /// An object cannot be decoded.
    #[error("an object of this kind cannot be read")]
    Undecodable {
        /// Which, and why.
        #[source]
        source: kit::guarded::Undecodable,
    },
    /// A controller ended though nobody told it to.
    #[error(transparent)]
    Ended(Ended),
    /// Somebody made the namespace between our read and our write.
    #[error("namespace {name} appeared meanwhile")]
    NamespaceAppeared {
        /// Its name.
        name: String,
    },
    /// The caches of the market's own kinds were not set up.
    #[error("the market's caches were not set up")]
    NoCaches,
}

/// What to do about a failed pass: exhaustive, so that a new class must be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Somebody wrote meanwhile: look again soon.
    Conflict,
    /// Nothing of ours can mend it: wait for a change.
    Spec,
    /// Rights are missing.
    Denied,
    /// A namespace is going away.
    Terminating,
    /// Overload, no answer.
    Retryable,
    /// We sent what is never right.
    Bug,
}

impl Error {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Call { source, .. } => match source.fault() {
                Fault::Conflict | Fault::NotFound => Class::Conflict,
                Fault::Denied => Class::Denied,
                Fault::Invalid => Class::Bug,
                Fault::Terminating => Class::Terminating,
                Fault::Retryable => Class::Retryable,
            },
            Self::Undecodable { .. } => Class::Spec,
            Self::NamespaceAppeared { .. } => Class::Conflict,
            Self::Ended(_) | Self::NoCaches => Class::Bug,
        }
    }

    /// The step that failed.
    #[must_use]
    pub const fn step(&self) -> Step {
        match self {
            Self::Call { step, .. } => *step,
            Self::NamespaceAppeared { .. } => Step::CreateNamespace,
            Self::Undecodable { .. } | Self::Ended(_) | Self::NoCaches => Step::Observe,
        }
    }
}

/// Names the step of a failed call.
pub(super) const fn at(step: Step) -> impl Fn(kit::call::Error) -> Error {
    move |source| Error::Call { step, source }
}

/// Counts and tells a failed pass, and says when the next one is.
pub(super) fn policy(
    shared: &Shared,
    controller: Controller,
    object: &impl ResourceExt,
    error: &Error,
) -> Action {
    let class = error.class();
    shared.ctx.reconciles.failed(controller, class, error.step());
    let failure = Failure {
        kind: controller.name(),
        class: class.label(),
        error,
        undecodable: match error {
            Error::Undecodable { source } => Some(source),
            _ => None,
        },
        again: match class {
            Class::Conflict => Again::Soon,
            Class::Spec => Again::OnChange,
            Class::Denied | Class::Terminating | Class::Retryable => Again::Later,
            Class::Bug => Again::Rarely,
        },
    };
    settle(
        &shared.ctx.events,
        (&shared.backoff, &key(controller, object)),
        object,
        &failure,
    )
}
