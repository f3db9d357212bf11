//! How long work takes: a span from which each piece of work draws its own time. Draws nothing itself.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::dice::Dice;

/// The longest time that can be asked for.
const LONGEST: Duration = Duration::from_hours(24);

/// Any time between two, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    from: Duration,
    to: Duration,
}

/// Where in a span one piece of work lies: thousandths of the way from its beginning to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace(u32);

impl Pace {
    /// The pace of the next piece of work.
    pub fn draw(dice: &mut Dice) -> Self {
        Self(dice.between(0, 1001))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self::exactly(Duration::ZERO);

    /// Always the same time.
    #[must_use]
    pub const fn exactly(time: Duration) -> Self {
        Self { from: time, to: time }
    }

    /// Between these numbers of milliseconds.
    #[must_use]
    pub const fn millis(from: u64, to: u64) -> Self {
        Self {
            from: Duration::from_millis(from),
            to: Duration::from_millis(to),
        }
    }

    /// The time of work of this pace.
    #[must_use]
    pub fn at(self, pace: Pace) -> Duration {
        self.from + (self.to.saturating_sub(self.from)) * pace.0 / 1000
    }

    /// The longest time.
    #[must_use]
    pub fn most(self) -> Duration {
        self.to
    }
}

impl From<Duration> for Span {
    fn from(time: Duration) -> Self {
        Self::exactly(time)
    }
}

/// A text that is no span.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a number of seconds, nor two of them as in 0.2..0.6, at most 86400")]
pub struct BadSpan;

impl FromStr for Span {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, BadSpan> {
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let (from, to) = (seconds(from)?, seconds(to)?);
        if from <= to {
            Ok(Self { from, to })
        } else {
            Err(BadSpan)
        }
    }
}

fn seconds(text: &str) -> Result<Duration, BadSpan> {
    let number: f64 = text.trim().parse().map_err(|_| BadSpan)?;
    let time = Duration::try_from_secs_f64(number).map_err(|_| BadSpan)?;
    if time <= LONGEST { Ok(time) } else { Err(BadSpan) }
}

/// How long each kind of work takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// A linked clone.
    pub clone: Span,
    /// A full clone.
    pub full_clone: Span,
    /// A start.
    pub start: Span,
    /// A stop.
    pub stop: Span,
    /// A shutdown that the guest obeys.
    pub shutdown: Span,
    /// A removal.
    pub destroy: Span,
    /// A resize.
    pub resize: Span,
    /// From the end of a guest's process until the event daemon looks after it.
    pub cleanup: Span,
}

impl Durations {
    /// Work that takes no time.
    pub const AT_ONCE: Self = Self {
        clone: Span::ZERO,
        full_clone: Span::ZERO,
        start: Span::ZERO,
        stop: Span::ZERO,
        shutdown: Span::ZERO,
        destroy: Span::ZERO,
        resize: Span::ZERO,
        cleanup: Span::ZERO,
    };
}

impl Default for Durations {
    /// The recorded times of a small node; starts and boots were recorded under emulation.
    fn default() -> Self {
        Self {
            clone: Span::millis(190, 250),
            full_clone: Span::millis(290, 310),
            start: Span::millis(900, 900),
            stop: Span::millis(300, 300),
            shutdown: Span::millis(1000, 1000),
            destroy: Span::millis(100, 100),
            resize: Span::millis(50, 50),
            cleanup: Span::millis(300, 1200),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_from_one_number_or_two() {
        assert_eq!("0.2".parse(), Ok(Span::millis(200, 200)));
        assert_eq!("0.2..0.6".parse(), Ok(Span::millis(200, 600)));
        for bad in ["", "x", "-1", "0.6..0.2", "1..", "NaN", "inf", "86401"] {
            assert_eq!(bad.parse::<Span>(), Err(BadSpan), "{bad}");
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_times_and_all_lie_in_the_span() {
        let span = Span::millis(200, 600);
        let draw = |seed| {
            let mut dice = Dice::new(seed);
            (0..100)
                .map(|_| span.at(Pace::draw(&mut dice)))
                .collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let bounds = Duration::from_millis(200)..=Duration::from_millis(600);
        assert!(draw(7).iter().all(|time| bounds.contains(time)));
    }
}
