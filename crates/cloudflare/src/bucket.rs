//! The token bucket, pure: time is handed in. Says when a call may be made; waits for nothing.

use std::time::Duration;

/// How fast calls may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Calls in 1 000 seconds, in the long run.
    pub per_1000_seconds: u32,
    /// Calls that may be made at once after a rest.
    pub burst: u32,
}

impl Default for Pace {
    /// 3.5 calls a second and 20 at once: 1 070 in any five minutes, of the 1 200 that a Cloudflare user has.
    fn default() -> Self {
        Self {
            per_1000_seconds: 3_500,
            burst: 20,
        }
    }
}

/// When calls may be made. All times are of one monotonic clock.
#[derive(Debug, Clone)]
pub struct Bucket {
    interval: Duration,
    depth: Duration,
    /// When the bucket is full again.
    full: Duration,
    /// Until when nobody may call.
    blocked: Duration,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        let interval = Duration::from_secs(1_000) / pace.per_1000_seconds.max(1);
        Self {
            interval,
            depth: interval * pace.burst.saturating_sub(1),
            full: Duration::ZERO,
            blocked: Duration::ZERO,
        }
    }

    /// How long until a call may be made.
    #[must_use]
    pub fn wait(&self, now: Duration) -> Duration {
        let free = self.full.saturating_sub(self.depth);
        free.max(self.blocked).saturating_sub(now)
    }

    /// Takes a call.
    ///
    /// # Errors
    /// How long to wait, if none may be made now.
    pub fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let wait = self.wait(now);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.full = self.full.max(now) + self.interval;
        Ok(())
    }

    /// Lets nobody call for a while; a longer block that is there stays.
    pub fn block(&mut self, now: Duration, span: Duration) {
        self.blocked = self.blocked.max(now.saturating_add(span));
    }

    /// The time from one call to the next in the long run.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_mins(5);

    proptest! {
        #[test]
        fn no_window_of_five_minutes_holds_more_than_the_pace(
            pauses in proptest::collection::vec(0_u64..2_000, 1..3_000),
            blocks in proptest::collection::vec((0_usize..3_000, 1_u64..400), 0..4),
        ) {
            let pace = Pace::default();
            let mut bucket = Bucket::new(pace);
            let (mut now, mut made) = (Duration::ZERO, Vec::new());
            for (turn, pause) in pauses.into_iter().enumerate() {
                now += Duration::from_millis(pause);
                for (_, span) in blocks.iter().filter(|(at, _)| *at == turn) {
                    bucket.block(now, Duration::from_secs(*span));
                }
                if let Err(wait) = bucket.take(now) {
                    prop_assert!(!wait.is_zero());
                    now += wait;
                    prop_assert_eq!(bucket.take(now), Ok(()), "after the wait it is given");
                }
                made.push(now);
            }
            let most = usize::try_from(pace.per_1000_seconds * 300 / 1_000 + pace.burst).unwrap();
            for (first, begin) in made.iter().enumerate() {
                let count = made[first..].iter().take_while(|at| **at < *begin + WINDOW).count();
                prop_assert!(count <= most, "{} calls", count);
            }
        }
    }

    #[test]
    fn a_burst_is_given_at_once_and_then_one_by_one() {
        let mut bucket = Bucket::new(Pace {
            per_1000_seconds: 2_000,
            burst: 3,
        });
        let at = Duration::from_secs(1_000);
        for _ in 0..3 {
            assert_eq!(bucket.take(at), Ok(()));
        }
        assert_eq!(bucket.take(at), Err(Duration::from_millis(500)));
        assert_eq!(bucket.take(at + Duration::from_millis(500)), Ok(()));
        assert_eq!(
            bucket.take(at + Duration::from_millis(500)),
            Err(Duration::from_millis(500))
        );
    }

    #[test]
    fn a_block_holds_whatever_is_in_the_bucket_and_is_not_shortened() {
        let mut bucket = Bucket::new(Pace::default());
        let secs = Duration::from_secs;
        bucket.block(secs(10), secs(300));
        bucket.block(secs(20), secs(1));
        assert_eq!(bucket.take(secs(20)), Err(secs(290)));
        assert_eq!(bucket.take(secs(310)), Ok(()));
    }

    #[test]
    fn paces_of_nothing_harm_nobody() {
        let mut bucket = Bucket::new(Pace {
            per_1000_seconds: 0,
            burst: 0,
        });
        assert_eq!(bucket.take(Duration::ZERO), Ok(()));
        assert_eq!(bucket.take(Duration::ZERO), Err(Duration::from_secs(1_000)));
    }
}
