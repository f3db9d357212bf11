//! The simulator's clock: the only place that reads the system's time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::model::moment::Moment;

/// Wall time at the start, moved on by the runtime's own clock, so that a paused runtime pauses it too.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Moment,
    since: Instant,
}

impl Clock {
    /// A clock that shows the system's time.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the simulator learns the time"
    )]
    pub fn system() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = u64::try_from(wall.as_micros()).unwrap_or_default();
        Self {
            start: Moment::from_micros(micros),
            since: Instant::now(),
        }
    }

    /// The time.
    pub fn now(&self) -> Moment {
        self.start.plus(self.since.elapsed())
    }

    /// Lets time pass.
    pub async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}
