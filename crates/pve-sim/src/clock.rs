//! The simulator's clock: the only place that reads the system's time. A virtual one moves only when it is told to.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::model::moment::Moment;

/// The time, and waiting for it to pass.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    /// Wall time at the start, moved on by the runtime's own clock, so that a paused runtime pauses it too.
    System {
        start: Moment,
        since: Instant,
        /// How many seconds pass in one.
        scale: f64,
    },
    Virtual(Arc<Mutex<Hands>>),
}

/// The hands of a virtual clock, and the first moment that somebody waits for.
#[derive(Debug)]
struct Hands {
    now: Moment,
    due: Option<Moment>,
}

impl Clock {
    /// A clock that begins with the system's time, but not before `earliest`, and runs `scale` times as fast.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the simulator learns the time"
    )]
    pub fn system(scale: f64, earliest: Moment) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = u64::try_from(wall.as_micros()).unwrap_or_default();
        Self(Source::System {
            start: Moment::from_micros(micros).max(earliest),
            since: Instant::now(),
            scale,
        })
    }

    /// A clock that stands until it is moved.
    pub fn standing(now: Moment) -> Self {
        Self(Source::Virtual(Arc::new(Mutex::new(Hands { now, due: None }))))
    }

    /// The time.
    pub fn now(&self) -> Moment {
        match &self.0 {
            Source::System { start, since, scale } => start.plus(since.elapsed().mul_f64(*scale)),
            Source::Virtual(hands) => lock(hands).now,
        }
    }

    /// Lets time pass; with a virtual clock, waits until it has been moved.
    pub async fn sleep(&self, span: Duration) {
        let hands = match &self.0 {
            Source::System { scale, .. } => return tokio::time::sleep(span.div_f64(*scale)).await,
            Source::Virtual(hands) => hands,
        };
        let end = self.now().plus(span);
        poll_fn(|_| {
            let mut hands = lock(hands);
            if hands.now >= end {
                return Poll::Ready(());
            }
            hands.due = Some(hands.due.map_or(end, |due| due.min(end)));
            Poll::Pending
        })
        .await;
    }

    /// Moves a virtual clock forward.
    pub fn pass(&self, span: Duration) {
        if let Source::Virtual(hands) = &self.0 {
            let mut hands = lock(hands);
            hands.now = hands.now.plus(span);
        }
    }

    /// Moves a virtual clock to the first moment that somebody waits for; false if nobody does.
    pub fn pass_to_next(&self) -> bool {
        let Source::Virtual(hands) = &self.0 else {
            return false;
        };
        let mut hands = lock(hands);
        let Some(due) = hands.due.take() else {
            return false;
        };
        hands.now = hands.now.max(due);
        true
    }
}

fn lock(hands: &Mutex<Hands>) -> MutexGuard<'_, Hands> {
    hands.lock().unwrap_or_else(PoisonError::into_inner)
}
