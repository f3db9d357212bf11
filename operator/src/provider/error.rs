//! Why a pass of this family failed, and how it is tried again.

use std::time::Duration;

use domain::pve::Class;
use kit::call::Fault;
use kit::drive::Ended;
use kit::failures::{Again, Failure, settle};
use kube::{ResourceExt, runtime::controller::Action};
use operator_core::provider::trouble::StepKind;

use super::{
    Tries,
    failed::Failed,
    labels::{ClassLabel, Controller, StepLabel},
};
use crate::ctx::Ctx;

/// A step that failed at Proxmox: how long it really rests is remembered with the Slot.
const STEP: Duration = Duration::from_secs(1);
/// What Proxmox refuses of a spec it may take after somebody changed something there.
const REFUSED: Duration = Duration::from_mins(1);

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
    #[error(transparent)]
    Step(Failed),
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
                Fault::Conflict | Fault::NotFound => Class::Conflict,
                Fault::Denied => Class::Denied { privilege: None },
                Fault::Invalid => Class::Bug,
                Fault::Retryable | Fault::Terminating => Class::Retryable { after: None },
            },
            Self::Step(failed) => failed.class.clone(),
            Self::Undecodable { .. } => Class::Spec,
            Self::Ended(_) | Self::Incomplete { .. } => Class::Bug,
        }
    }

    /// A failed call to the API server.
    #[must_use]
    pub const fn kube(source: kit::call::Error) -> Self {
        Self::Kube { source }
    }

    fn step(&self) -> StepKind {
        match self {
            Self::Step(failed) => failed.step,
            _ => StepKind::Observe,
        }
    }

    fn again(&self) -> Again {
        match (self, self.class()) {
            (Self::Undecodable { .. }, _) => Again::OnChange,
            (_, Class::Conflict | Class::LostRace) => Again::Soon,
            (_, Class::Bug) => Again::Rarely,
            (Self::Step(_), Class::Spec) => Again::After(REFUSED),
            (Self::Step(_), _) => Again::After(STEP),
            _ => Again::Later,
        }
    }
}

/// Counts and tells a failed pass, and says when the next one is.
pub(super) fn policy(
    ctx: &Ctx,
    tries: &Tries,
    controller: Controller,
    object: &impl ResourceExt,
    error: &Error,
) -> Action {
    let class = error.class();
    ctx.reconciles
        .failed(controller, ClassLabel::of(&class), StepLabel(error.step()));
    let failure = Failure {
        kind: controller.name(),
        class: class.name(),
        error,
        undecodable: match error {
            Error::Undecodable { source } => Some(source),
            _ => None,
        },
        again: error.again(),
    };
    settle(
        &ctx.events,
        (tries, &super::key(controller, object)),
        object,
        &failure,
    )
}

#[cfg(test)]
mod tests {
    //! How each kind of failure is tried again.

    use domain::pve::Class;
    use rstest::rstest;

    use super::*;

    fn step(class: Class) -> Error {
        Error::Step(Failed::new(StepKind::Start, class, "it failed"))
    }

    #[rstest]
    #[case::conflict(Class::Conflict, Again::Soon)]
    #[case::race(Class::LostRace, Again::Soon)]
    #[case::bug(Class::Bug, Again::Rarely)]
    #[case::spec(Class::Spec, Again::After(REFUSED))]
    #[case::locked(Class::Locked, Again::After(STEP))]
    #[case::unanswered(Class::Retryable { after: None }, Again::After(STEP))]
    #[case::denied(Class::Denied { privilege: None }, Again::After(STEP))]
    fn a_failed_step_is_tried_again_by_its_class(#[case] class: Class, #[case] again: Again) {
        assert_eq!(step(class).again(), again);
    }

    #[test]
    fn what_lacks_what_the_api_server_sets_is_a_bug() {
        let error = Error::Incomplete {
            what: "Slot a".to_owned(),
            field: "uid",
        };
        assert_eq!((error.class(), error.again()), (Class::Bug, Again::Rarely));
        assert_eq!(error.step(), StepKind::Observe);
    }
}
