//! The closed sets that metrics, errors and logs of this family name things by.

use domain::pve::Class;
use kit::metrics::Label;
use operator_core::provider::trouble::StepKind;

/// A controller of this family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Controller {
    /// Pools.
    Pool,
    /// Machines.
    Machine,
    /// Slots.
    Slot,
}

impl Controller {
    /// The kind that it looks at.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Machine => "machine",
            Self::Slot => "slot",
        }
    }
}

impl Label for Controller {
    fn label(self) -> &'static str {
        self.name()
    }
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It did what there was to do.
    Done,
    /// A step failed.
    Failed,
}

impl Label for Outcome {
    fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// Classes of failure, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClassLabel(&'static str);

impl ClassLabel {
    /// Of this class.
    #[must_use]
    pub const fn of(class: &Class) -> Self {
        Self(class.name())
    }
}

impl Label for ClassLabel {
    fn label(self) -> &'static str {
        self.0
    }
}

/// Steps, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StepLabel(pub StepKind);

impl Label for StepLabel {
    fn label(self) -> &'static str {
        self.0.name()
    }
}
