//! Admission: how many clones may be in flight on one node.
//!
//! Proxmox has three workers a node and waits for locks; more requests only make all of them time out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The right to have one clone in flight; held by the caller until its task has ended.
#[derive(Debug)]
#[must_use = "a dropped permit lets the next clone in"]
pub struct Permit {
    _held: OwnedSemaphorePermit,
}

type Gates = BTreeMap<String, Arc<Semaphore>>;

/// The gates of one cluster, one a node. Copies share them.
#[derive(Debug, Clone)]
pub struct Admission {
    clones: u32,
    gates: Arc<Mutex<Gates>>,
}

impl Admission {
    /// Gates that let so many in on each node; 0 counts as 1.
    #[must_use]
    pub fn new(clones: u32) -> Self {
        Self {
            clones: clones.max(1),
            gates: Arc::default(),
        }
    }

    fn gate(&self, node: &str) -> Arc<Semaphore> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.entry(node.to_owned());
        Arc::clone(gate.or_insert_with(|| Arc::new(Semaphore::new(self.clones as usize))))
    }

    /// Waits for a permit, in order of arrival.
    pub async fn enter(&self, node: &str) -> Permit {
        let gate = self.gate(node);
        loop {
            // Gates are never closed.
            if let Ok(held) = Arc::clone(&gate).acquire_owned().await {
                return Permit { _held: held };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Gates by node.

    use std::{future::Future, task::Poll};

    use super::*;

    /// What it gives without waiting.
    async fn at_once<T>(wanted: impl Future<Output = T>) -> Option<T> {
        let mut wanted = Box::pin(wanted);
        std::future::poll_fn(|cx| {
            Poll::Ready(match wanted.as_mut().poll(cx) {
                Poll::Ready(value) => Some(value),
                Poll::Pending => None,
            })
        })
        .await
    }

    #[tokio::test]
    async fn each_node_has_a_gate_of_its_own() {
        let admission = Admission::new(2);
        let first = admission.enter("pve1").await;
        let _second = admission.clone().enter("pve1").await;
        let _elsewhere = admission.enter("pve2").await;
        assert!(at_once(admission.enter("pve1")).await.is_none());
        drop(first);
        assert!(at_once(admission.enter("pve1")).await.is_some());
    }

    #[tokio::test]
    async fn a_waiting_clone_enters_when_a_permit_is_dropped() {
        let admission = Admission::new(0);
        let held = admission.enter("pve1").await;
        let waiting = admission.enter("pve1");
        let (_entered, ()) = tokio::join!(waiting, async { drop(held) });
        assert!(
            at_once(admission.enter("pve1")).await.is_none(),
            "it is held by the one that waited"
        );
    }
}
