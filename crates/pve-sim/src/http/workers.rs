//! The workers of pvedaemon: three a node, each busy with one call until it is answered. Knows no call.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;

/// How many a node has.
const PER_NODE: usize = 3;
/// How often a call that waits for one looks again.
const POLL: Duration = Duration::from_millis(10);

/// One node's workers.
#[derive(Debug, Default)]
struct Desk {
    /// Workers that are busy.
    busy: usize,
    /// Storages that workers hang on, whose callers are gone.
    hanging: Vec<String>,
    /// The calls that wait, in their order.
    queue: VecDeque<u64>,
}

/// All nodes' workers.
#[derive(Debug, Default)]
pub struct Workers {
    desks: Mutex<BTreeMap<String, Desk>>,
    next: Mutex<u64>,
}

/// A place in the queue of a node; the place is given up when this is dropped.
struct Place<'a> {
    workers: &'a Workers,
    node: String,
    number: u64,
}

/// A worker that is busy with a call; it is free when this is dropped.
#[derive(Debug)]
pub struct Seat<'a> {
    workers: &'a Workers,
    node: String,
}

impl Workers {
    fn desks(&self) -> MutexGuard<'_, BTreeMap<String, Desk>> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self) -> u64 {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        *next
    }

    /// Waits for a worker of a node, no longer than `patience`. `hangs` says whether a storage is still dead.
    pub async fn take<'a>(
        &'a self,
        node: &str,
        (clock, patience): (&Clock, Duration),
        hangs: impl Fn(&str) -> bool,
    ) -> Option<Seat<'a>> {
        let place = Place {
            workers: self,
            node: node.to_owned(),
            number: self.number(),
        };
        self.desks()
            .entry(node.to_owned())
            .or_default()
            .queue
            .push_back(place.number);
        let begin = clock.now();
        while clock.now().since(begin) <= patience {
            if place.comes_up(&hangs) {
                return Some(Seat {
                    workers: self,
                    node: node.to_owned(),
                });
            }
            clock.sleep(POLL).await;
        }
        None
    }
}

impl Place<'_> {
    /// Takes a worker if it is this call's turn.
    fn comes_up(&self, hangs: &impl Fn(&str) -> bool) -> bool {
        let mut desks = self.workers.desks();
        let desk = desks.entry(self.node.clone()).or_default();
        let before = desk.hanging.len();
        desk.hanging.retain(|storage| hangs(storage));
        desk.busy -= before - desk.hanging.len();
        let turn = desk.busy < PER_NODE && desk.queue.front() == Some(&self.number);
        desk.busy += usize::from(turn);
        turn
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(desk) = self.workers.desks().get_mut(&self.node) {
            desk.queue.retain(|number| *number != self.number);
        }
    }
}

impl Seat<'_> {
    /// Leaves the worker behind, hanging on a dead storage.
    pub fn hang(self, storage: &str) {
        if let Some(desk) = self.workers.desks().get_mut(&self.node) {
            desk.hanging.push(storage.to_owned());
            desk.busy += 1;
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if let Some(desk) = self.workers.desks().get_mut(&self.node) {
            desk.busy -= 1;
        }
    }
}
