//! The cluster in somebody's hands, and the moment at which their changes are written down.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Store;
use crate::model::world::World;

/// The cluster at present. What was changed is written down when this is dropped, before anything is answered.
pub struct Present<'a> {
    world: MutexGuard<'a, World>,
    store: Option<&'a Mutex<Store>>,
    changed: bool,
}

impl<'a> Present<'a> {
    /// The cluster, which has changed already or not.
    pub fn new(world: MutexGuard<'a, World>, store: Option<&'a Mutex<Store>>, changed: bool) -> Self {
        Self {
            world,
            store,
            changed,
        }
    }

    /// The cluster for a call that changes nothing in it.
    pub fn reading(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Deref for Present<'_> {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for Present<'_> {
    fn deref_mut(&mut self) -> &mut World {
        self.changed = true;
        &mut self.world
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        let Some(store) = self.store.filter(|_| self.changed) else {
            return;
        };
        let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = store.save(&self.world) {
            tracing::error!(%error, "failed to write the cluster down");
        }
    }
}
