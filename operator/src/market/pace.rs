//! How often something is done for an object: sums are recomputed at most once a second, and counters are stored only
//! when they have stood for a while. Nothing sleeps: the rest of the time is handed back.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kit::clock::Clock;

use super::Key;

/// Counters are stored this long after they moved.
pub const COUNTERS: Duration = Duration::from_secs(5);
/// Sums are recomputed at most this often.
pub const SUMS: Duration = Duration::from_millis(500);

/// When things are due, by object.
pub struct Pace {
    clock: Arc<dyn Clock>,
    due: Mutex<HashMap<Key, Duration>>,
    done: Mutex<HashMap<Key, Duration>>,
}

impl Pace {
    /// Nothing yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            due: Mutex::default(),
            done: Mutex::default(),
        }
    }

    /// How long a changed counter still has to stand before it is stored; None: store it now.
    #[must_use]
    pub fn counters(&self, key: &Key) -> Option<Duration> {
        let now = self.clock.monotonic();
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let at = *due.entry(key.clone()).or_insert(now + COUNTERS);
        if at <= now {
            due.remove(key);
            return None;
        }
        Some(at.saturating_sub(now))
    }

    /// Nothing is to be stored any more.
    pub fn settled(&self, key: &Key) {
        self.due
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }

    /// Whether something of this object was done less than `every` ago: then how long to wait. Else it counts as done
    /// now.
    #[must_use]
    pub fn again(&self, key: &Key, every: Duration) -> Option<Duration> {
        let now = self.clock.monotonic();
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let last = done.get(key).map(|at| now.saturating_sub(*at));
        if let Some(ago) = last.filter(|ago| *ago < every) {
            return Some(every.saturating_sub(ago));
        }
        done.insert(key.clone(), now);
        None
    }

    /// What was done does not count.
    pub fn undone(&self, key: &Key) {
        self.done
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use kit::clock::TestClock;

    use super::*;
    use crate::market::labels::Controller;

    fn pace() -> (Arc<TestClock>, Pace, Key) {
        let clock = Arc::new(TestClock::at(Timestamp::UNIX_EPOCH));
        (
            clock.clone(),
            Pace::new(clock),
            (Controller::Offering, "n".into(), "a".into()),
        )
    }

    #[test]
    fn counters_are_stored_once_they_have_stood() {
        let (clock, pace, key) = pace();
        assert_eq!(pace.counters(&key), Some(COUNTERS));
        clock.advance(Duration::from_secs(2));
        assert_eq!(pace.counters(&key), Some(Duration::from_secs(3)));
        clock.advance(Duration::from_secs(3));
        assert_eq!(pace.counters(&key), None);
        assert_eq!(
            pace.counters(&key),
            Some(COUNTERS),
            "and then again only after as long"
        );
        pace.settled(&key);
        clock.advance(COUNTERS);
        assert_eq!(pace.counters(&key), Some(COUNTERS), "what moved back starts anew");
    }

    #[test]
    fn sums_are_not_recomputed_at_once() {
        let (clock, pace, key) = pace();
        assert_eq!(pace.again(&key, SUMS), None);
        assert_eq!(pace.again(&key, SUMS), Some(SUMS));
        clock.advance(SUMS);
        assert_eq!(pace.again(&key, SUMS), None);
        pace.undone(&key);
        assert_eq!(pace.again(&key, SUMS), None);
    }
}
