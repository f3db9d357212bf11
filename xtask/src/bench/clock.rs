//! The clock of the measurements: wall time in milliseconds, comparable with the simulator's on the same machine.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall time at the start, moved on by the monotonic clock, as the simulator's clock is.
#[derive(Clone, Copy)]
pub struct Clock {
    start: Duration,
    since: Instant,
}

impl Clock {
    /// A clock that shows the system's time.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the benchmarks learn the time"
    )]
    pub fn system() -> Self {
        Self {
            start: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            since: Instant::now(),
        }
    }

    /// Milliseconds since the epoch.
    pub fn ms(&self) -> f64 {
        (self.start + self.since.elapsed()).as_secs_f64() * 1000.0
    }
}
