//! The mass-removal brake: more routes than that in a window wait for a person.
//!
//! A removal needs written evidence, so the brake is the second guard, against evidence that is wrong in bulk. Must not
//! read a clock.

use std::collections::VecDeque;
use std::time::Duration;

/// When the brake engages: only past both bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// This many removals are never too many.
    pub count: usize,
    /// This share of all routes is never too much, in percent.
    pub percent: usize,
    /// Time over which removals are counted.
    pub window: Duration,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            count: 50,
            percent: 30,
            window: Duration::from_mins(10),
        }
    }
}

/// Counts removals.
#[derive(Debug, Clone)]
pub struct Brake {
    limit: Limit,
    recent: VecDeque<Duration>,
    released: bool,
}

impl Brake {
    /// A brake that has seen nothing.
    #[must_use]
    pub fn new(limit: Limit) -> Self {
        Self {
            limit,
            recent: VecDeque::new(),
            released: false,
        }
    }

    /// How many of `wanted` removals may be done now, `routes` being how many there are; they are counted as done.
    /// `now` is monotonic time.
    pub fn admit(&mut self, now: Duration, wanted: usize, routes: usize) -> usize {
        let since = now.saturating_sub(self.limit.window);
        while self.recent.front().is_some_and(|at| *at < since) {
            self.recent.pop_front();
        }
        // What was removed within the window was there when it began.
        let share = (routes + self.recent.len()) * self.limit.percent / 100;
        let room = self.limit.count.max(share).saturating_sub(self.recent.len());
        let admitted = if self.released { wanted } else { wanted.min(room) };
        if admitted == wanted {
            self.released = false;
        }
        self.recent.extend(std::iter::repeat_n(now, admitted));
        admitted
    }

    /// A person has looked: what waits may go, once.
    pub fn release(&mut self) {
        self.released = true;
        self.recent.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: Limit = Limit {
        count: 5,
        percent: 30,
        window: Duration::from_mins(1),
    };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1000 + seconds)
    }

    #[test]
    fn p14_a_second_batch_waits() {
        let mut brake = Brake::new(LIMIT);
        assert_eq!(brake.admit(at(0), 100, 100), 30);
        assert_eq!(brake.admit(at(1), 70, 70), 0);
        assert_eq!(brake.admit(at(61), 70, 70), 21);
    }

    #[test]
    fn a_small_site_may_lose_its_few() {
        let mut brake = Brake::new(LIMIT);
        assert_eq!(brake.admit(at(0), 5, 5), 5);
        assert_eq!(brake.admit(at(0), 1, 1), 0);
    }

    #[test]
    fn a_person_lets_go_what_waits_and_no_more() {
        let mut brake = Brake::new(LIMIT);
        assert_eq!(brake.admit(at(0), 100, 100), 30);
        brake.release();
        assert_eq!(brake.admit(at(1), 70, 70), 70);
        assert_eq!(brake.admit(at(2), 20, 20), 0);
    }

    proptest! {
        #[test]
        fn a_window_never_loses_more(batches in prop::collection::vec((0..30_u64, 1..50_usize), 1..20)) {
            let (mut brake, mut routes, mut now) = (Brake::new(LIMIT), 1000_usize, 0);
            let mut done: Vec<(u64, usize)> = Vec::new();
            for (pause, wanted) in batches {
                now += pause;
                let admitted = brake.admit(at(now), wanted.min(routes), routes);
                routes -= admitted;
                done.push((now, admitted));
                let window: usize = done.iter().filter(|(at, _)| *at + 60 >= now).map(|(_, n)| n).sum();
                prop_assert!(window <= 5.max((routes + window) * 30 / 100), "{window} of {routes}");
            }
        }
    }
}
