//! The closed sets that metrics, errors and logs of this family name things by.

use kit::metrics::Label;

use super::error::Class;

/// A controller of this family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Controller {
    /// Accounts.
    Account,
    /// Contracts.
    Contract,
    /// Offerings.
    Offering,
    /// Providers.
    Provider,
    /// Machines that have ended.
    Reaper,
}

impl Controller {
    /// The kind that it looks at.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Contract => "contract",
            Self::Offering => "offering",
            Self::Provider => "provider",
            Self::Reaper => "machine",
        }
    }
}

impl Label for Controller {
    fn label(self) -> &'static str {
        match self {
            Self::Reaper => "reaper",
            other => other.name(),
        }
    }
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Nothing was left to do.
    Settled,
    /// Something was written.
    Wrote,
    /// It failed.
    Failed,
}

impl Label for Outcome {
    fn label(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Wrote => "wrote",
            Self::Failed => "failed",
        }
    }
}

/// What a pass was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Reading.
    Observe,
    /// Holding a Contract.
    AddFinalizer,
    /// Storing a status.
    Status,
    /// Creating a Machine.
    CreateMachine,
    /// Changing a Machine's spec.
    ApplyMachine,
    /// Writing the cause that ends a Machine.
    Teardown,
    /// Letting a Contract go.
    DropFinalizer,
    /// Deleting a Machine that has ended.
    DeleteMachine,
    /// Creating a namespace.
    CreateNamespace,
    /// Setting up what is in a namespace.
    Furnish,
}

impl Step {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::AddFinalizer => "add_finalizer",
            Self::Status => "status",
            Self::CreateMachine => "create_machine",
            Self::ApplyMachine => "apply_machine",
            Self::Teardown => "teardown",
            Self::DropFinalizer => "drop_finalizer",
            Self::DeleteMachine => "delete_machine",
            Self::CreateNamespace => "create_namespace",
            Self::Furnish => "furnish",
        }
    }
}

impl Label for Step {
    fn label(self) -> &'static str {
        self.name()
    }
}

impl Label for Class {
    fn label(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Spec => "spec",
            Self::Denied => "denied",
            Self::Terminating => "terminating",
            Self::Retryable => "retryable",
            Self::Bug => "bug",
        }
    }
}
