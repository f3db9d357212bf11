//! A Pool as machine passes use it: its spec, its Gateway, its client, and the shared picture of the cluster.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crds::{Gateway, PoolSpec};
use dc_proxmox::{Admission, Pve};
use domain::slot::GatewayPlan;
use jiff::Timestamp;
use kit::clock::Clock;
use operator_core::provider::{
    place::breaker::{Breaker, Part},
    pool::Readiness,
    trouble::Asker,
};

use super::inventory::{Inventory, dated, read};

/// What outlives a change of the Pool: the picture of its cluster and what was learnt about it.
pub struct Link {
    clock: Arc<dyn Clock>,
    reading: tokio::sync::Mutex<()>,
    facts: Mutex<Known>,
}

struct Known {
    inventory: Option<Arc<Inventory>>,
    readiness: Readiness,
    breaker: Breaker,
}

impl Link {
    pub(super) fn new(clock: Arc<dyn Clock>, readiness: Readiness) -> Self {
        let facts = Known {
            inventory: None,
            readiness,
            breaker: Breaker::default(),
        };
        Self {
            clock,
            reading: tokio::sync::Mutex::default(),
            facts: Mutex::new(facts),
        }
    }

    fn facts(&self) -> MutexGuard<'_, Known> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn inventory(&self) -> Option<Arc<Inventory>> {
        self.facts().inventory.clone()
    }

    /// What was seen was another cluster: none of it counts.
    pub(super) fn forget(&self) {
        self.facts().inventory = None;
    }

    pub(super) fn readiness(&self) -> Readiness {
        self.facts().readiness.clone()
    }

    /// Stores the verdict; gives the one before.
    pub(super) fn judge(&self, readiness: Readiness) -> Readiness {
        std::mem::replace(&mut self.facts().readiness, readiness)
    }

    pub(super) fn avoided(&self, part: &Part, now: Timestamp) -> Option<Timestamp> {
        self.facts().breaker.avoided(part, now)
    }
}

/// A Pool whose cluster can be called.
pub struct PoolHandle {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What the provider wrote.
    pub spec: PoolSpec,
    /// Its Gateway and what follows from it; `None` if that cannot be used.
    pub gateway: Option<(Gateway, GatewayPlan)>,
    /// The cluster.
    pub pve: Pve,
    /// How many clones each node makes at once.
    pub admission: Admission,
    pub(super) token: String,
    pub(super) link: Arc<Link>,
}

impl fmt::Debug for PoolHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PoolHandle({}/{})", self.namespace, self.name)
    }
}

impl PoolHandle {
    /// Who we are there: `USER@REALM!ID`.
    #[must_use]
    pub fn token_id(&self) -> &str {
        &self.token
    }

    /// Who we are there, for messages.
    #[must_use]
    pub fn asker(&self) -> Asker {
        Asker {
            token: self.token.clone(),
            pool: self.spec.proxmox.pool.as_str().to_owned(),
        }
    }

    /// The last picture of the cluster.
    #[must_use]
    pub fn inventory(&self) -> Option<Arc<Inventory>> {
        self.link.inventory()
    }

    /// A picture that is not older than `max_age`. Callers at the same time share one read.
    ///
    /// # Errors
    /// No usable answer; the last picture stays.
    pub async fn fresh(&self, max_age: Duration) -> Result<Arc<Inventory>, dc_proxmox::Error> {
        let asked = self.link.clock.monotonic();
        let good = |seen: &Arc<Inventory>| seen.monotonic.saturating_add(max_age) >= asked;
        if let Some(seen) = self.inventory().filter(good) {
            return Ok(seen);
        }
        let _reading = self.link.reading.lock().await;
        if let Some(seen) = self.inventory().filter(good) {
            return Ok(seen);
        }
        let sight = read(&self.pve).await?;
        let at = (self.link.clock.now(), self.link.clock.monotonic());
        let mut facts = self.link.facts();
        let inventory = Arc::new(dated(sight, facts.inventory.as_deref(), at));
        facts.inventory = Some(Arc::clone(&inventory));
        Ok(inventory)
    }

    /// Something failed there by itself: too often, and new machines go elsewhere for a while.
    pub fn failed(&self, part: Part) {
        let now = self.link.clock.now();
        self.link.facts().breaker.failed(part, now);
    }

    /// It worked there.
    pub fn worked(&self, part: &Part) {
        self.link.facts().breaker.worked(part);
    }
}
