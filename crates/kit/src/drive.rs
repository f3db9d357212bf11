//! Runs a controller until shutdown: what is the same for all of them. Must not know any kind.

use std::{future::Future, sync::Arc};

use futures::StreamExt;
use kube::runtime::controller::{Action, Config, Controller};
use tokio_util::sync::CancellationToken;

use crate::cache::{Cached, Guarded};

/// A controller ended though nobody told it to.
#[derive(Debug, thiserror::Error)]
#[error("the {controller} controller ended")]
pub struct Ended {
    /// Which.
    pub controller: &'static str,
}

/// How a controller is run.
#[derive(Debug)]
pub struct Run<C> {
    /// Its name, for the error.
    pub name: &'static str,
    /// Passes at once.
    pub concurrency: u16,
    /// What passes share.
    pub shared: Arc<C>,
    /// When to end.
    pub shutdown: CancellationToken,
}

/// Runs until shutdown; passes under way are waited for.
///
/// # Errors
/// It ended before.
pub async fn drive<K, C, E, F>(
    controller: Controller<Guarded<K>>,
    run: Run<C>,
    reconcile: impl FnMut(Arc<Guarded<K>>, Arc<C>) -> F + Send + 'static,
    failed: impl Fn(&Guarded<K>, &E, &C) -> Action + Send + Sync + 'static,
) -> Result<(), Ended>
where
    K: Cached,
    C: Send + Sync + 'static,
    E: std::error::Error + Send + 'static,
    F: Future<Output = Result<Action, E>> + Send + 'static,
{
    let Run {
        name,
        concurrency,
        shared,
        shutdown,
    } = run;
    let told = shutdown.clone();
    controller
        .with_config(Config::default().concurrency(concurrency))
        .graceful_shutdown_on(async move { told.cancelled().await })
        .run(
            reconcile,
            move |guard, error, shared| failed(&guard, error, &shared),
            shared,
        )
        .for_each(|_| std::future::ready(()))
        .await;
    if shutdown.is_cancelled() {
        Ok(())
    } else {
        Err(Ended { controller: name })
    }
}
