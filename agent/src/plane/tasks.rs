//! What runs for as long as the data plane does. Owns intervals and loops; every act is done elsewhere.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use agent_core::caddy::Web;
use agent_core::site::Site;
use kit::tasks::Tasks;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{PlaneError, Shared};
use crate::caddy::{self, Caddy};
use crate::certificate::{Keeper, Stored};
use crate::probe::Namespace;
use crate::probe::watch::{Order, Watch};

/// How often is looked whether the table is there.
const PRESENCE: Duration = Duration::from_secs(1);
/// How often the whole table is looked at.
const WHOLE: Duration = Duration::from_mins(5);
/// How often counters are read.
const COUNTERS: Duration = Duration::from_secs(10);
/// How soon a save that failed is tried again.
const SAVE_AGAIN: Duration = Duration::from_secs(5);

/// Starts a task that cannot fail.
fn run(tasks: &Tasks, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    tasks.spawn(name, async move {
        task.await;
        Ok::<_, Infallible>(())
    });
}

/// Looks at machines; their namespace goes with it.
pub(super) fn machines(
    tasks: &Tasks,
    watch: Watch,
    orders: mpsc::UnboundedReceiver<Order>,
    namespace: Namespace,
) {
    let shutdown = tasks.shutdown();
    run(tasks, "probes", async move {
        watch.run(orders, shutdown).await;
        namespace.remove().await;
    });
}

/// Keeps the web server configured.
pub(super) fn caddy(
    tasks: &Tasks,
    client: Caddy,
    wanted: watch::Receiver<Option<Web>>,
    state: watch::Sender<caddy::State>,
) {
    run(
        tasks,
        "caddy",
        caddy::keep(client, wanted, state, tasks.shutdown()),
    );
}

/// Keeps the certificate.
pub(super) fn certificate(tasks: &Tasks, keeper: Keeper) {
    run(tasks, "certificate", keeper.run(tasks.shutdown()));
}

/// What the web server's configuration follows from, and where it is told.
pub(super) struct WebInput {
    pub(super) sites: watch::Receiver<Option<Arc<Site>>>,
    pub(super) certificates: watch::Receiver<Option<Stored>>,
    pub(super) wanted: watch::Sender<Option<Web>>,
}

/// Says what the web server should have, whenever site or certificate change.
pub(super) fn web(tasks: &Tasks, shared: Arc<Shared>, input: WebInput) {
    let shutdown = tasks.shutdown();
    run(tasks, "web", async move {
        let WebInput {
            mut sites,
            mut certificates,
            wanted,
        } = input;
        loop {
            let stored = certificates.borrow_and_update().clone();
            let until = stored.as_ref().map(|stored| stored.held.not_after.as_second());
            shared.counters.certificate(until);
            if let Some(site) = sites.borrow_and_update().clone() {
                wanted.send_replace(Some(shared.web_of(&site, stored)));
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = sites.changed() => if changed.is_err() { return },
                changed = certificates.changed() => if changed.is_err() { return },
            }
        }
    });
}

/// Table, snapshot, counters.
pub(super) fn maintenance(tasks: &Tasks, shared: &Arc<Shared>) {
    run(tasks, "table", keep_table(Arc::clone(shared), tasks.shutdown()));
    run(
        tasks,
        "snapshot",
        keep_saved(Arc::clone(shared), tasks.shutdown()),
    );
    run(
        tasks,
        "counters",
        keep_counted(Arc::clone(shared), tasks.shutdown()),
    );
}

async fn keep_table(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut whole = Instant::now() + WHOLE;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep(PRESENCE) => {}
        }
        let due = Instant::now() >= whole;
        let looked = shared.tend(due).await;
        if due {
            whole = Instant::now() + WHOLE;
        }
        let error = looked.err().map(|error| kit::chain(&error));
        shared.note(|health| {
            if let Some(error) = error
                .as_ref()
                .filter(|error| health.table.as_ref() != Some(*error))
            {
                tracing::error!(error, "the table is not as it should be");
            }
            health.table = error;
        });
    }
}

async fn keep_saved(shared: Arc<Shared>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = shared.dirty.notified() => {}
        }
        if let Err(error) = shared.save().await {
            tracing::error!(error = %kit::chain(&error), "the snapshot is older than the routes");
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(SAVE_AGAIN) => shared.dirty.notify_one(),
            }
        }
    }
}

async fn keep_counted(shared: Arc<Shared>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep(COUNTERS) => {}
        }
        if let Err(error) = shared.count().await {
            tracing::debug!(error = %kit::chain(&error), "the counters were not read");
        }
    }
}

impl Shared {
    fn web_of(&self, site: &Site, stored: Option<Stored>) -> Web {
        let config = &self.config.web;
        Web {
            fqdn: site.fqdn().to_owned(),
            http: config.http.clone(),
            https: config.https.clone(),
            zone: self.config.zone,
            admin: config.admin.to_string(),
            certificate: stored.map(|stored| stored.files),
        }
    }

    /// One look after the table.
    async fn tend(&self, whole: bool) -> Result<(), PlaneError> {
        if self.unsettled().await {
            self.mend().await?;
        } else if self.lost().await? {
            tracing::error!("the table is gone; it is made again");
            self.mend().await?;
        } else if whole {
            self.mend().await?;
        }
        if self.table.lock().await.clearing.is_empty() {
            return Ok(());
        }
        self.clear().await
    }

    /// Reads counters, and announces what was limited.
    pub(super) async fn count(&self) -> Result<(), PlaneError> {
        let slots: Vec<_> = {
            let table = self.table.lock().await;
            if table.fixed.is_none() {
                return Ok(());
            }
            table
                .routes
                .iter()
                .map(|route| (route.index, route.address))
                .collect()
        };
        let reading = self.nft.read().await.map_err(PlaneError::Look)?;
        let more = self.counters.take(&reading, slots.into_iter());
        let known = !self.health.borrow().limited.is_empty();
        if more > 0 || known {
            let limited = self.nft.limited().await.map_err(PlaneError::Look)?;
            if more > 0 {
                tracing::warn!("{more} new SSH connections were refused: too many from {limited:?}");
            }
            self.note(|health| health.limited = limited);
        }
        Ok(())
    }
}
