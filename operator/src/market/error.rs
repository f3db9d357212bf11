//! Why a pass of this family failed, and how soon it is tried again. The shell logs it once, here.

use std::time::Duration;

use crds::common::API_VERSION;
use k8s_openapi::api::core::v1::ObjectReference;
use kit::{call::Fault, events::Transition, guarded::Undecodable};
use kube::runtime::{controller::Action, events::EventType};
use operator_core::reason::Reason;

use super::{Key, Shared, labels::Step};

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
    #[error("the {controller} controller ended")]
    Ended {
        /// Which.
        controller: &'static str,
    },
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
            Self::Ended { .. } | Self::NoCaches => Class::Bug,
        }
    }

    /// The step that failed.
    #[must_use]
    pub const fn step(&self) -> Step {
        match self {
            Self::Call { step, .. } => *step,
            Self::NamespaceAppeared { .. } => Step::CreateNamespace,
            Self::Undecodable { .. } | Self::Ended { .. } | Self::NoCaches => Step::Observe,
        }
    }
}

/// Names the step of a failed call.
pub(super) const fn at(step: Step) -> impl Fn(kit::call::Error) -> Error {
    move |source| Error::Call { step, source }
}

/// An object that cannot be decoded has no status of ours to say so: an event does.
fn tell(shared: &Shared, undecodable: &Undecodable) {
    let object = ObjectReference {
        api_version: Some(API_VERSION.to_owned()),
        kind: Some(undecodable.kind.clone()),
        namespace: undecodable.metadata.namespace.clone(),
        name: Some(undecodable.name.clone()),
        uid: undecodable.metadata.uid.clone(),
        ..ObjectReference::default()
    };
    let transition = Transition {
        reason: Reason::InvalidSpec.as_str().to_owned(),
        message: format!("It cannot be read and is left alone: {}", undecodable.text),
        action: "Decode".to_owned(),
        type_: EventType::Warning,
    };
    shared.ctx.events.publish(&object, vec![transition]);
}

/// Logs and counts a failed pass, and says when the next one is.
pub(super) fn policy(shared: &Shared, key: &Key, error: &Error) -> Action {
    let class = error.class();
    let (controller, namespace, name) = key;
    if let Error::Undecodable { source } = error {
        tell(shared, source);
    }
    shared.ctx.reconciles.failed(*controller, class, error.step());
    let object = if namespace.is_empty() {
        name.clone()
    } else {
        format!("{namespace}/{name}")
    };
    let kind = controller.name();
    if class == Class::Conflict {
        tracing::debug!(kind, object, "{kind} {object}: {}", kit::chain(error));
    } else {
        tracing::warn!(kind, object, "{kind} {object}: {}", kit::chain(error));
    }
    match class {
        Class::Conflict => Action::requeue(Duration::from_millis(200)),
        Class::Spec => Action::await_change(),
        Class::Denied | Class::Terminating | Class::Retryable => Action::requeue(shared.backoff.next(key)),
        Class::Bug => Action::requeue(Duration::from_mins(10)),
    }
}
