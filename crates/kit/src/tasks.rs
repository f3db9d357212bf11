//! The life of a process: critical tasks are watched, shutdown is one token,
//! draining is bounded, and what must go last (the lease) goes last. Must not
//! end the process itself: `main` returns what [`Tasks::wait`] returns.

use std::{future::Future, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why the process must end with an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A critical task returned although nobody asked for shutdown.
    #[error("the task {name} ended")]
    Ended {
        /// The task.
        name: &'static str,
    },
    /// A critical task failed.
    #[error("the task {name} failed")]
    Failed {
        /// The task.
        name: &'static str,
        /// Its error.
        #[source]
        source: Cause,
    },
    /// Tasks were still running when the drain bound passed.
    #[error("tasks still ran {0:?} after the shutdown began")]
    Drain(Duration),
    /// The signal handlers could not be set up.
    #[error("failed to listen for signals")]
    Signals(#[source] std::io::Error),
}

struct Exit {
    name: &'static str,
    result: Result<(), Cause>,
}

/// The critical tasks of a process.
pub struct Tasks {
    shutdown: CancellationToken,
    last: CancellationToken,
    running: TaskTracker,
    closing: TaskTracker,
    exits: (mpsc::UnboundedSender<Exit>, mpsc::UnboundedReceiver<Exit>),
    drain: Duration,
}

impl Tasks {
    /// `drain` bounds the shutdown; keep it below the pod's grace period.
    #[must_use]
    pub fn new(drain: Duration) -> Self {
        Self {
            shutdown: CancellationToken::new(),
            last: CancellationToken::new(),
            running: TaskTracker::new(),
            closing: TaskTracker::new(),
            exits: mpsc::unbounded_channel(),
            drain,
        }
    }

    /// Cancelled when the process should end; tasks stop by it.
    #[must_use]
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Cancelled once all ordinary tasks have ended: for the lease.
    #[must_use]
    pub fn last(&self) -> CancellationToken {
        self.last.clone()
    }

    /// Starts a critical task: its end before shutdown ends the process.
    pub fn spawn<E: Into<Cause> + Send + 'static>(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.watch(&self.running, name, task);
    }

    /// As [`Self::spawn`], for a task that lives until [`Self::last`].
    pub fn spawn_last<E: Into<Cause> + Send + 'static>(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.watch(&self.closing, name, task);
    }

    fn watch<E: Into<Cause> + Send + 'static>(
        &self,
        tracker: &TaskTracker,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let handle = tracker.spawn(task);
        let exits = self.exits.0.clone();
        tracker.spawn(async move {
            let result = match handle.await {
                Ok(result) => result.map_err(Into::into),
                Err(panicked) => Err(panicked.into()),
            };
            // Nobody listens any more once the process is ending.
            let _unheard = exits.send(Exit { name, result });
        });
    }

    /// Begins the shutdown on SIGTERM or SIGINT.
    ///
    /// # Errors
    /// When the handlers cannot be set up.
    pub fn on_signals(&self) -> Result<(), Error> {
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
        let shutdown = self.shutdown.clone();
        self.running.spawn(async move {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                () = shutdown.cancelled() => return,
            };
            tracing::info!(signal = name, "shutting down");
            shutdown.cancel();
        });
        Ok(())
    }

    /// Waits for the shutdown or the first task that ends, then drains.
    ///
    /// # Errors
    /// When a critical task ended by itself, or the drain bound passed.
    pub async fn wait(mut self) -> Result<(), Error> {
        let verdict = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Ok(()),
            Some(exit) = self.exits.1.recv() => Err(ended(exit)),
        };
        self.shutdown.cancel();
        let drained = tokio::time::timeout(self.drain, self.drain_all()).await;
        while let Ok(Exit { name, result }) = self.exits.1.try_recv() {
            if let Err(source) = result {
                let error = Error::Failed { name, source };
                tracing::warn!(error = %crate::chain(&error), "task failed while shutting down");
            }
        }
        verdict?;
        drained.map_err(|_| Error::Drain(self.drain))
    }

    async fn drain_all(&self) {
        self.running.close();
        // The lease must be released even if an ordinary task hangs.
        if tokio::time::timeout(self.drain * 3 / 4, self.running.wait())
            .await
            .is_err()
        {
            tracing::warn!("tasks are still running; giving up what must go last");
        }
        self.last.cancel();
        self.closing.close();
        self.closing.wait().await;
        self.running.wait().await;
    }
}

fn ended(exit: Exit) -> Error {
    match exit.result {
        Ok(()) => Error::Ended { name: exit.name },
        Err(source) => Error::Failed {
            name: exit.name,
            source,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
    };

    use super::*;

    const DRAIN: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_by_itself_ends_the_process_with_an_error() {
        let tasks = Tasks::new(DRAIN);
        tasks.spawn("quiet", async { Ok::<_, Infallible>(()) });
        assert!(matches!(tasks.wait().await, Err(Error::Ended { name: "quiet" })));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_and_a_panic_are_named() {
        let tasks = Tasks::new(DRAIN);
        tasks.spawn("broken", async { Err("no disk") });
        let error = tasks.wait().await.unwrap_err();
        assert_eq!(crate::chain(&error), "the task broken failed: no disk");

        let tasks = Tasks::new(DRAIN);
        tasks.spawn("loud", async {
            assert!(DRAIN.is_zero(), "on purpose");
            Ok::<_, Infallible>(())
        });
        assert!(matches!(
            tasks.wait().await,
            Err(Error::Failed { name: "loud", .. })
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_task_ends_after_all_others() {
        let tasks = Tasks::new(DRAIN);
        let order = Arc::new(Mutex::new(Vec::new()));
        let (shutdown, last) = (tasks.shutdown(), tasks.last());
        let (first_log, last_log) = (order.clone(), order.clone());
        tasks.spawn("worker", async move {
            shutdown.cancelled().await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            first_log.lock().unwrap().push("worker");
            Ok::<_, Infallible>(())
        });
        tasks.spawn_last("lease", async move {
            last.cancelled().await;
            last_log.lock().unwrap().push("lease");
            Ok::<_, Infallible>(())
        });
        tasks.shutdown().cancel();
        tasks.wait().await.unwrap();
        assert_eq!(*order.lock().unwrap(), ["worker", "lease"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_task_cannot_hold_the_process_nor_the_lease() {
        let tasks = Tasks::new(DRAIN);
        let released = Arc::new(Mutex::new(false));
        let (last, flag) = (tasks.last(), released.clone());
        tasks.spawn("hung", std::future::pending::<Result<(), Infallible>>());
        tasks.spawn_last("lease", async move {
            last.cancelled().await;
            *flag.lock().unwrap() = true;
            Ok::<_, Infallible>(())
        });
        tasks.shutdown().cancel();
        assert!(matches!(tasks.wait().await, Err(Error::Drain(DRAIN))));
        assert!(*released.lock().unwrap());
    }
}
