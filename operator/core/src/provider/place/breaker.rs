//! Avoids a node or storage that keeps failing, for new machines only. Pure state: the caller brings the time.
//! Must not count what a tenant caused.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// What can fail by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A node.
    Node(String),
    /// A storage on a node.
    Storage {
        /// The node.
        node: String,
        /// The storage.
        storage: String,
    },
}

/// When a part counts as failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many failures …
    pub failures: u32,
    /// … within this time …
    pub window: SignedDuration,
    /// … keep new machines away for so long. One more failure after that does so again.
    pub hold: SignedDuration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            failures: 3,
            window: SignedDuration::from_mins(10),
            hold: SignedDuration::from_mins(5),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Record {
    failures: Vec<Timestamp>,
    until: Option<Timestamp>,
}

/// Which parts are avoided.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    limits: Limits,
    parts: BTreeMap<Part, Record>,
}

impl Breaker {
    /// Nothing is avoided yet.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            parts: BTreeMap::new(),
        }
    }

    /// Counts a failure.
    pub fn failed(&mut self, part: Part, now: Timestamp) {
        let Limits {
            failures,
            window,
            hold,
        } = self.limits;
        let record = self.parts.entry(part).or_default();
        let again = record
            .until
            .is_some_and(|until| now.duration_since(until) < window);
        record.failures.retain(|at| now.duration_since(*at) < window);
        record.failures.push(now);
        let count = u32::try_from(record.failures.len()).unwrap_or(u32::MAX);
        if again || count >= failures {
            record.until = now.checked_add(hold).ok();
            record.failures.clear();
        }
    }

    /// Forgets the failures.
    pub fn worked(&mut self, part: &Part) {
        self.parts.remove(part);
    }

    /// Until when it is avoided, if it is.
    #[must_use]
    pub fn avoided(&self, part: &Part, now: Timestamp) -> Option<Timestamp> {
        self.parts.get(part)?.until.filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn pve1() -> Part {
        Part::Node("pve1".to_owned())
    }

    #[test]
    fn p32_three_failures_keep_machines_away_and_one_more_does_so_again() {
        let mut breaker = Breaker::new(Limits::default());
        for second in [0, 10] {
            breaker.failed(pve1(), at(second));
            assert_eq!(breaker.avoided(&pve1(), at(second)), None);
        }
        breaker.failed(pve1(), at(20));
        assert_eq!(breaker.avoided(&pve1(), at(21)), Some(at(320)));
        assert_eq!(breaker.avoided(&pve1(), at(320)), None);
        breaker.failed(pve1(), at(400));
        assert_eq!(breaker.avoided(&pve1(), at(401)), Some(at(700)));
        breaker.worked(&pve1());
        assert_eq!(breaker.avoided(&pve1(), at(402)), None);
        breaker.failed(pve1(), at(403));
        assert_eq!(breaker.avoided(&pve1(), at(404)), None);
    }

    #[test]
    fn failures_far_apart_count_for_nothing() {
        let mut breaker = Breaker::new(Limits::default());
        for second in (0..10).map(|n| n * 601) {
            breaker.failed(pve1(), at(second));
            assert_eq!(breaker.avoided(&pve1(), at(second)), None);
        }
    }

    #[test]
    fn a_storage_fails_alone() {
        let mut breaker = Breaker::new(Limits {
            failures: 1,
            ..Limits::default()
        });
        let nfs = Part::Storage {
            node: "pve1".to_owned(),
            storage: "nfs".to_owned(),
        };
        breaker.failed(nfs.clone(), at(0));
        assert!(breaker.avoided(&nfs, at(1)).is_some());
        assert_eq!(breaker.avoided(&pve1(), at(1)), None);
    }
}
