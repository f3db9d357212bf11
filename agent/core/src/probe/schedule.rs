//! How soon a machine is looked at again. A pure function of what was seen and how much time has passed.

use std::time::Duration;

/// While a boot is expected, nobody waits longer than this for what is there already.
const EAGER: Duration = Duration::from_millis(400);
/// How long a boot is expected to take at most.
const BOOT: Duration = Duration::from_mins(10);
/// Bounds of the intervals after that.
const SLOW: Duration = Duration::from_secs(30);
const STEADY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(5));
const LOST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What was seen of a machine, with the time since then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It never answered; a boot is expected since.
    Awaited(Duration),
    /// It answers since.
    Answers(Duration),
    /// It answered before, and does not since.
    Silent(Duration),
}

/// The time until the next look. It grows with the time that nothing has changed for.
#[must_use]
pub fn interval(phase: Phase) -> Duration {
    match phase {
        Phase::Awaited(since) => (since.saturating_sub(BOOT) / 10).clamp(EAGER, SLOW),
        Phase::Answers(since) => (since / 10).clamp(STEADY.0, STEADY.1),
        Phase::Silent(since) => (since / 10).clamp(LOST.0, LOST.1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_boot_is_awaited_eagerly() {
        for seconds in [0, 1, 60, 599] {
            assert_eq!(interval(Phase::Awaited(Duration::from_secs(seconds))), EAGER);
        }
        assert!(interval(Phase::Awaited(Duration::from_mins(12))) > EAGER);
    }

    proptest! {
        #[test]
        fn intervals_grow_and_are_bounded(seconds in 0..10_000_000_u64, more in 0..1_000_u64) {
            for phase in [Phase::Awaited, Phase::Answers, Phase::Silent] {
                let (early, late) = (Duration::from_secs(seconds), Duration::from_secs(seconds + more));
                prop_assert!(interval(phase(early)) <= interval(phase(late)));
                prop_assert!(interval(phase(late)) <= Duration::from_mins(5));
            }
        }
    }
}
