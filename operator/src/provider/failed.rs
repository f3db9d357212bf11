//! A step at Proxmox that did not go well: one sentence for people, and the cause beneath it for the log. Must not
//! decide what follows from it.

use std::sync::Arc;

use domain::{ids::IdError, pve::Class};
use operator_core::provider::trouble::StepKind;

/// A step that did not go well.
#[derive(Clone, Debug, thiserror::Error)]
#[error("failed at step {}: {text}", step.name())]
pub struct Failed {
    /// Which step.
    pub step: StepKind,
    /// What kind of failure.
    pub class: Class,
    /// The failure for people.
    pub text: String,
    /// What the client says, where a call failed.
    #[source]
    pub source: Option<Arc<dc_proxmox::Error>>,
}

impl Failed {
    /// One that no call is the cause of.
    pub fn new(step: StepKind, class: Class, text: impl Into<String>) -> Self {
        Self {
            step,
            class,
            text: text.into(),
            source: None,
        }
    }

    /// A call that failed during this step.
    pub fn of(step: StepKind) -> impl Fn(dc_proxmox::Error) -> Self {
        move |e| Self {
            step,
            class: e.class(),
            text: e.to_string(),
            source: Some(Arc::new(e)),
        }
    }

    /// A name that Proxmox would not have.
    pub fn name(step: StepKind) -> impl Fn(IdError) -> Self {
        move |e| Self::new(step, Class::Bug, e.to_string())
    }
}
