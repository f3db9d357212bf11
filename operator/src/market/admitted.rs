//! Contracts whose terms are fixed by a pass that has not stored them yet. Two passes at once must not both take the
//! last place of an account, and neither waits for the other's write.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The UIDs of those Contracts.
#[derive(Debug, Default)]
pub struct Admitted {
    uids: Mutex<HashSet<String>>,
}

/// Nobody else decides meanwhile.
pub struct Deciding<'a>(MutexGuard<'a, HashSet<String>>);

impl Admitted {
    /// Decide about one Contract while others wait: no calls in between.
    pub fn decide(&self) -> Deciding<'_> {
        Deciding(self.uids.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Its terms are stored, or could not be.
    pub fn settled(&self, uid: &str) {
        self.decide().0.remove(uid);
    }
}

impl Deciding<'_> {
    /// Whether this one's terms are being stored.
    #[must_use]
    pub fn holds(&self, uid: &str) -> bool {
        self.0.contains(uid)
    }

    /// This one's terms are about to be stored.
    pub fn take(&mut self, uid: &str) {
        self.0.insert(uid.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_being_taken_is_seen_by_the_next() {
        let admitted = Admitted::default();
        admitted.decide().take("a");
        assert!(admitted.decide().holds("a") && !admitted.decide().holds("b"));
        admitted.settled("a");
        assert!(!admitted.decide().holds("a"));
    }
}
