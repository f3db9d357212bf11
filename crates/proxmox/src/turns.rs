//! Turns: how many requests are under way to one node at once. A daemon has three workers there: what is sent beyond
//! that only waits, with a connection each.
//!
//! Each node has turns of its own, so that one that does not answer delays no other. Must not know what is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests under way to one node, and to the cluster as a whole.
const AT_ONCE: usize = 12;

/// The turns of one cluster.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<BTreeMap<String, Arc<Semaphore>>>);

impl Turns {
    /// Waits for a turn, in order of arrival; it ends when what is returned is dropped.
    pub(crate) async fn wait(&self, path: &str) -> Option<OwnedSemaphorePermit> {
        // None only if it were closed, and it never is.
        self.of(node(path)).acquire_owned().await.ok()
    }

    fn of(&self, node: &str) -> Arc<Semaphore> {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = nodes.get(node) {
            return Arc::clone(turns);
        }
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        nodes.insert(node.to_owned(), Arc::clone(&turns));
        turns
    }
}

/// The node that a path is about; empty for the cluster as a whole.
fn node(path: &str) -> &str {
    let rest = path.strip_prefix("/nodes/").unwrap_or_default();
    rest.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_their_node() {
        assert_eq!(node("/nodes/pve1/qemu/100/config"), "pve1");
        assert_eq!(
            [node("/cluster/resources"), node("/nodes"), node("/version")],
            [""; 3]
        );
    }

    #[tokio::test]
    async fn a_node_that_does_not_answer_delays_no_other() {
        let turns = Turns::default();
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(turns.wait("/nodes/pve1/status").await);
        }
        let mut next = Box::pin(turns.wait("/nodes/pve1/status"));
        let is_pending =
            std::future::poll_fn(|cx| std::task::Poll::Ready(next.as_mut().poll(cx).is_pending())).await;
        assert!(is_pending, "all turns of pve1 are taken");
        assert!(turns.wait("/nodes/pve2/status").await.is_some());
        assert!(turns.wait("/cluster/resources").await.is_some());
        held.pop();
        assert!(next.await.is_some());
    }
}
