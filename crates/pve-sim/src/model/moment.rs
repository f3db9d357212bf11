//! Time as the model sees it: a number handed in by the caller. Reads no clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time in microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Moment(u64);

impl Moment {
    /// A moment from microseconds since the epoch.
    pub fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Whole seconds since the epoch, as Proxmox reports times.
    pub fn secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Milliseconds since the epoch.
    pub fn millis(self) -> u64 {
        self.0 / 1_000
    }

    /// This moment moved forward.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }

    /// Time passed since `earlier`, zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The next multiple of `period` after this moment.
    pub fn next_multiple(self, period: Duration) -> Self {
        let step = micros(period).max(1);
        Self((self.0 / step + 1).saturating_mul(step))
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
