//! Admission: how many calls of a kind may be in flight on one node.
//!
//! Proxmox has three workers a node and waits for locks; more requests only make all of them time out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a permit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Clones, from the request to the end of the task.
    Clone,
    /// Other tasks: start, stop, resize, delete.
    Task,
}

/// How many may be in flight on each node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Clones.
    pub clones: u32,
    /// Other tasks.
    pub tasks: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { clones: 2, tasks: 4 }
    }
}

/// The right to have one call in flight; held by the caller until the call's task has ended.
#[derive(Debug)]
#[must_use = "a dropped permit lets the next call in"]
pub struct Permit {
    _held: OwnedSemaphorePermit,
}

type Gates = BTreeMap<(String, Kind), Arc<Semaphore>>;

/// The gates of one cluster, one a node and kind. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Admission {
    limits: Limits,
    gates: Arc<Mutex<Gates>>,
}

impl Admission {
    /// Gates with these limits. A limit of 0 counts as 1.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            gates: Arc::default(),
        }
    }

    fn gate(&self, node: &str, kind: Kind) -> Arc<Semaphore> {
        let limit = match kind {
            Kind::Clone => self.limits.clones,
            Kind::Task => self.limits.tasks,
        };
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.entry((node.to_owned(), kind));
        Arc::clone(gate.or_insert_with(|| Arc::new(Semaphore::new(limit.max(1) as usize))))
    }

    /// Waits for a permit, in order of arrival.
    pub async fn enter(&self, node: &str, kind: Kind) -> Permit {
        let gate = self.gate(node, kind);
        loop {
            // Gates are never closed.
            if let Ok(held) = Arc::clone(&gate).acquire_owned().await {
                return Permit { _held: held };
            }
        }
    }

    /// A permit, if one is free now.
    #[must_use]
    pub fn try_enter(&self, node: &str, kind: Kind) -> Option<Permit> {
        self.gate(node, kind)
            .try_acquire_owned()
            .ok()
            .map(|held| Permit { _held: held })
    }

    /// How many permits are free now.
    #[must_use]
    pub fn free(&self, node: &str, kind: Kind) -> usize {
        self.gate(node, kind).available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_and_kind_has_a_gate_of_its_own() {
        let admission = Admission::new(Limits { clones: 2, tasks: 0 });
        let first = admission.try_enter("pve1", Kind::Clone);
        let second = admission.clone().try_enter("pve1", Kind::Clone);
        assert!(first.is_some() && second.is_some() && admission.try_enter("pve1", Kind::Clone).is_none());
        assert_eq!(
            (
                admission.free("pve2", Kind::Clone),
                admission.free("pve1", Kind::Task)
            ),
            (2, 1)
        );
        drop(first);
        assert_eq!(admission.free("pve1", Kind::Clone), 1);
    }

    #[tokio::test]
    async fn a_waiting_call_enters_when_a_permit_is_dropped() {
        let admission = Admission::new(Limits { clones: 1, tasks: 1 });
        let held = admission.enter("pve1", Kind::Clone).await;
        let mut waiting = Box::pin(admission.enter("pve1", Kind::Clone));
        let pending =
            std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await;
        assert!(pending);
        drop(held);
        let _entered = waiting.await;
        assert_eq!(admission.free("pve1", Kind::Clone), 0);
    }
}
