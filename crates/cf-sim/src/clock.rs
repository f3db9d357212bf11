//! The simulator's clock: the only place that reads the system's time. A standing one moves only when it is told to.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::model::moment::Moment;

/// When a standing clock begins: some day in 2026.
const BEGINNING: u64 = 1_795_000_000_000_000;

/// How time passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Time {
    /// By itself, so many seconds in one.
    Scaled(f64),
    /// Only when it is told to.
    Standing,
}

/// The time, and waiting for it to pass.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System {
        start: Moment,
        since: Instant,
        scale: f64,
    },
    Standing(Arc<watch::Sender<Moment>>),
}

impl Clock {
    /// A clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the simulator learns the time"
    )]
    pub fn new(time: Time) -> Self {
        let Time::Scaled(scale) = time else {
            let hands = watch::Sender::new(Moment::from_micros(BEGINNING));
            return Self(Source::Standing(Arc::new(hands)));
        };
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = u64::try_from(wall.as_micros()).unwrap_or_default();
        Self(Source::System {
            start: Moment::from_micros(micros),
            since: Instant::now(),
            scale,
        })
    }

    /// The time.
    pub fn now(&self) -> Moment {
        match &self.0 {
            Source::System { start, since, scale } => start.plus(since.elapsed().mul_f64(*scale)),
            Source::Standing(hands) => *hands.borrow(),
        }
    }

    /// Lets time pass; with a standing clock, waits until it has been moved.
    pub async fn sleep(&self, span: Duration) {
        match &self.0 {
            Source::System { scale, .. } => tokio::time::sleep(span.div_f64(*scale)).await,
            Source::Standing(hands) => {
                let end = self.now().plus(span);
                // The sender lives in this clock, so the wait ends only by the time.
                let _ = hands.subscribe().wait_for(|now| *now >= end).await;
            }
        }
    }

    /// Moves a standing clock; false if this one passes by itself.
    pub fn pass(&self, span: Duration) -> bool {
        let Source::Standing(hands) = &self.0 else {
            return false;
        };
        hands.send_modify(|now| *now = now.plus(span));
        true
    }
}
