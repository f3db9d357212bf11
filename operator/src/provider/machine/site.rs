//! The node and storage that a VM is being made on: what its failures teach about them, and whether the node is
//! lost. Calls nobody; what it learns goes to the Pool's breaker.

use domain::pve::Class;
use jiff::Timestamp;
use operator_core::provider::{
    machine::blueprint::Place,
    place::breaker::Part,
    trouble::{StepKind, Trouble},
};

use crate::{
    ctx::ProviderConfig,
    provider::{memory::Remembered, pool::PoolHandle},
};

/// Where a VM is being made.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// The Pool.
    pub pool: &'a PoolHandle,
    /// Node and storage of the Slot.
    pub place: &'a Place,
}

impl Site<'_> {
    /// What an ended clone says of the place that it was made at.
    pub fn learn(&self, cloning: bool, known: Option<&Trouble>, memory: &Remembered) {
        if memory.trouble.is_some() && memory.trouble.as_ref() != known {
            self.blame(memory.trouble.as_ref());
        } else if cloning && memory.task.is_none() {
            self.pool.worked(&self.part());
        }
    }

    /// A clone that failed by itself counts against the storage it was made on.
    pub fn blame(&self, trouble: Option<&Trouble>) {
        let own_fault = |class: &Class| {
            matches!(
                class,
                Class::ReplaceNode | Class::Provider | Class::Retryable { .. }
            )
        };
        if trouble.is_some_and(|t| t.at == StepKind::Clone && own_fault(&t.class)) {
            self.pool.failed(self.part());
        }
    }

    /// Whether its node is lost. Positive evidence only: a fresh picture of a cluster with quorum that has called the
    /// node offline all the time.
    #[must_use]
    pub fn lost(&self, config: &ProviderConfig, now: Timestamp) -> bool {
        self.pool.inventory().is_some_and(|seen| {
            let fresh = now.duration_since(seen.seen) <= config.tick_interval.saturating_mul(3);
            fresh
                && seen
                    .offline_since(&self.place.node)
                    .is_some_and(|since| seen.seen.duration_since(since) >= config.node_lost_after)
        })
    }

    fn part(&self) -> Part {
        Part::Storage {
            node: self.place.node.clone(),
            storage: self.place.storage.clone(),
        }
    }
}
