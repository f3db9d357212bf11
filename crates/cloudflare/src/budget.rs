//! The budget of calls that all clients of one Cloudflare user share: a bucket, and a queue of who waits for it. In order
//! of arrival; who would wait longer than its patience is told so at once. Must not know what is asked.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::bucket::{Bucket, Pace};

/// The longest block that is believed.
const BLOCK: Duration = Duration::from_hours(1);

/// Monotonic time, and waiting for it to pass.
pub trait Timer: Send + Sync + 'static {
    /// Time since some fixed point; never jumps.
    fn monotonic(&self) -> Duration;
    /// Lets time pass.
    fn sleep(&self, span: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The machine's own time.
#[derive(Debug, Clone, Copy)]
pub struct SystemTimer {
    start: Instant,
}

impl SystemTimer {
    /// Starts counting now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemTimer {
    fn default() -> Self {
        Self::new()
    }
}

impl Timer for SystemTimer {
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, span: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(span))
    }
}

struct Inner {
    bucket: Mutex<Bucket>,
    /// Held by the one who is next.
    turn: tokio::sync::Mutex<()>,
    /// How many wait, the next one included.
    waiting: AtomicU32,
    timer: Arc<dyn Timer>,
    patience: Duration,
}

/// The budget of calls; clones share it.
#[derive(Clone)]
pub struct Budget(Arc<Inner>);

impl std::fmt::Debug for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budget")
            .field("bucket", &*self.bucket())
            .finish_non_exhaustive()
    }
}

/// Counts one who waits, until dropped.
struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Budget {
    /// A full budget. A caller who would wait longer than `patience` is refused at once.
    #[must_use]
    pub fn new(pace: Pace, patience: Duration, timer: Arc<dyn Timer>) -> Self {
        Self(Arc::new(Inner {
            bucket: Mutex::new(Bucket::new(pace)),
            turn: tokio::sync::Mutex::new(()),
            waiting: AtomicU32::new(0),
            timer,
            patience,
        }))
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.0.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a call to be allowed.
    ///
    /// # Errors
    /// How long it would take, if that is longer than the patience.
    pub(crate) async fn enter(&self) -> Result<(), Duration> {
        let Inner {
            turn,
            waiting,
            timer,
            patience,
            ..
        } = &*self.0;
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let _counted = Waiting(waiting);
        let begin = timer.monotonic();
        let ahead = {
            let bucket = self.bucket();
            let queue = bucket.interval().saturating_mul(before);
            bucket.wait(begin).saturating_add(queue)
        };
        if ahead > *patience {
            return Err(ahead);
        }
        let _turn = turn.lock().await;
        loop {
            let now = timer.monotonic();
            let Err(wait) = self.bucket().take(now) else {
                return Ok(());
            };
            // A block that came meanwhile.
            if now.saturating_sub(begin).saturating_add(wait) > *patience {
                return Err(wait);
            }
            timer.sleep(wait).await;
        }
    }

    /// Lets nobody call for a while: Cloudflare said so.
    pub(crate) fn block(&self, span: Duration) {
        let now = self.0.timer.monotonic();
        self.bucket().block(now, span.min(BLOCK));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A timer that jumps to the end of every wait.
    #[derive(Default)]
    struct Jumping(Mutex<Duration>);

    impl Timer for Jumping {
        fn monotonic(&self) -> Duration {
            *self.0.lock().unwrap()
        }

        fn sleep(&self, span: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            *self.0.lock().unwrap() += span;
            Box::pin(std::future::ready(()))
        }
    }

    fn budget(patience: u64) -> (Budget, Arc<Jumping>) {
        let timer = Arc::new(Jumping::default());
        let pace = Pace {
            per_1000_seconds: 1_000,
            burst: 2,
        };
        (
            Budget::new(pace, Duration::from_secs(patience), timer.clone()),
            timer,
        )
    }

    #[tokio::test]
    async fn callers_go_at_the_pace() {
        let (budget, timer) = budget(60);
        for _ in 0..10 {
            budget.enter().await.unwrap();
        }
        assert_eq!(timer.monotonic(), Duration::from_secs(8));
    }

    #[tokio::test]
    async fn all_wait_out_a_block_and_then_go_at_the_pace() {
        let (budget, timer) = budget(400);
        budget.clone().block(Duration::from_mins(5));
        let all = (0..4).map(|_| budget.enter());
        assert!(futures::future::join_all(all).await.iter().all(Result::is_ok));
        assert_eq!(timer.monotonic(), Duration::from_secs(302));
    }

    #[tokio::test]
    async fn who_would_wait_too_long_is_told_so_at_once() {
        let (budget, timer) = budget(3);
        budget.block(Duration::from_secs(100));
        assert_eq!(budget.enter().await, Err(Duration::from_secs(100)));
        assert_eq!(timer.monotonic(), Duration::ZERO);
        budget.block(Duration::from_hours(48));
        assert_eq!(budget.enter().await, Err(BLOCK), "no answer blocks for days");
    }

    #[tokio::test]
    async fn a_long_queue_is_a_long_wait() {
        let timer = Arc::new(SystemTimer::new());
        let pace = Pace {
            per_1000_seconds: 10,
            burst: 1,
        };
        let budget = Budget::new(pace, Duration::from_secs(150), timer);
        budget.enter().await.unwrap();
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(budget.enter())).collect();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let polled: Vec<bool> = waiting
            .iter_mut()
            .map(|one| one.as_mut().poll(&mut context).is_pending())
            .collect();
        assert_eq!(
            polled,
            [true, false, false],
            "100 s for the first, 200 s for those behind it"
        );
        drop(waiting);
        let again = Box::pin(budget.enter()).as_mut().poll(&mut context).is_pending();
        assert!(again, "who gave up is not waited for");
    }
}
