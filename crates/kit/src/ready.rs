//! Named readiness gates behind `/readyz`. Must not probe anything itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The process's gates; ready when all are open.
#[derive(Debug, Clone, Default)]
pub struct Ready {
    gates: Arc<Mutex<BTreeMap<&'static str, bool>>>,
}

impl Ready {
    /// No gates: ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a closed gate. Two handles of one name are one gate.
    #[must_use]
    pub fn gate(&self, name: &'static str) -> Gate {
        self.lock().entry(name).or_insert(false);
        Gate {
            ready: self.clone(),
            name,
        }
    }

    /// The gates still closed, by name.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        self.lock()
            .iter()
            .filter(|(_, open)| !**open)
            .map(|(name, _)| *name)
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, bool>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One gate; closed until [`Gate::set`].
#[derive(Debug, Clone)]
pub struct Gate {
    ready: Ready,
    name: &'static str,
}

impl Gate {
    /// Opens the gate.
    pub fn set(&self) {
        self.ready.lock().insert(self.name, true);
    }

    /// Closes it again, for instance while shutting down.
    pub fn clear(&self) {
        self.ready.lock().insert(self.name, false);
    }
}

#[cfg(test)]
mod tests {
    use super::Ready;

    #[test]
    fn ready_only_when_every_gate_is_open() {
        let ready = Ready::new();
        let (crds, caches) = (ready.gate("crds"), ready.gate("caches"));
        assert_eq!(ready.missing(), ["caches", "crds"]);
        crds.set();
        caches.set();
        assert!(ready.missing().is_empty());
        caches.clear();
        assert_eq!(ready.missing(), ["caches"]);
    }
}
