//! Per-object exponential delays with jitter. Must not sleep or draw random
//! numbers: the jitter follows from an injected seed, the object and the attempt.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The curve.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Upper bound of the first delay.
    pub first: Duration,
    /// Upper bound of any delay.
    pub max: Duration,
    /// Objects remembered at most; past that all start anew.
    pub objects: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            max: Duration::from_mins(5),
            objects: 100_000,
        }
    }
}

/// The delay before retry number `attempt` (from 0): between half of
/// `first * 2^attempt` (capped at `max`) and all of it, placed by `jitter`.
#[must_use]
pub fn delay(config: &Config, attempt: u32, jitter: u64) -> Duration {
    let factor = 2_u32.saturating_pow(attempt.min(31));
    let full = config.first.saturating_mul(factor).min(config.max);
    let half = full / 2;
    // 16 bits of jitter are plenty.
    let share = u32::try_from(jitter & 0xffff).unwrap_or(0);
    half + full.saturating_sub(half).saturating_mul(share) / 0xffff
}

/// Remembers how often each object has failed in a row.
#[derive(Debug)]
pub struct Backoff<K> {
    config: Config,
    seed: u64,
    failures: Mutex<HashMap<K, u32>>,
}

impl<K: Hash + Eq + Clone> Backoff<K> {
    /// `seed` should differ between replicas, so that they do not retry in step.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            config,
            seed,
            failures: Mutex::default(),
        }
    }

    /// Counts a failure and gives the delay before the next try.
    #[must_use]
    pub fn next(&self, key: &K) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= self.config.objects && !failures.contains_key(key) {
            failures.clear();
        }
        let count = failures.entry(key.clone()).or_insert(0);
        let attempt = *count;
        *count = count.saturating_add(1);
        drop(failures);
        let mut hasher = DefaultHasher::new();
        (self.seed, key, attempt).hash(&mut hasher);
        delay(&self.config, attempt, hasher.finish())
    }

    /// Forgets the failures: after a success, or when the object is gone.
    pub fn reset(&self, key: &K) {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_delay_is_within_half_and_all_of_its_step(attempt in 0_u32..200, jitter: u64) {
            let config = Config::default();
            let got = delay(&config, attempt, jitter);
            let full = config.first.saturating_mul(2_u32.saturating_pow(attempt.min(31))).min(config.max);
            prop_assert!(got >= full / 2 && got <= full, "{got:?} of {full:?}");
        }
    }

    #[test]
    fn delays_grow_and_success_starts_anew() {
        let backoff = Backoff::new(Config::default(), 7);
        let first = backoff.next(&"a");
        for _ in 0..20 {
            let _ = backoff.next(&"a");
        }
        assert!(backoff.next(&"a") >= Duration::from_secs(150));
        assert!(backoff.next(&"b") <= Duration::from_millis(500));
        backoff.reset(&"a");
        assert_eq!(backoff.next(&"a"), first);
    }

    #[test]
    fn replicas_with_other_seeds_do_not_retry_in_step() {
        let delays: std::collections::HashSet<_> = (0..16)
            .map(|seed| Backoff::new(Config::default(), seed).next(&"a"))
            .collect();
        assert!(delays.len() > 8, "{delays:?}");
    }

    #[test]
    fn memory_is_bounded() {
        let backoff = Backoff::new(
            Config {
                objects: 10,
                ..Config::default()
            },
            0,
        );
        for key in 0..1000 {
            let _ = backoff.next(&key);
        }
        assert!(backoff.failures.lock().unwrap().len() <= 10);
    }
}
