//! All Pools of this process: their clients and verdicts, and the one place where machines are given a spot. A decision
//! waits for nothing: it reads what is known and writes down the claim.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crds::{
    Gateway, Machine, Pool, Provider, Slot,
    provider::{OperatorSite, PROVIDER_NAME},
};
use domain::slot::SlotIndex;
use jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use operator_core::{
    condition::Wait,
    provider::{
        place::{
            Placement, Replica,
            queue::{Decision, decide},
        },
        pool::Readiness,
    },
    reason::Reason,
};

use super::{
    books::{Books, Entry as Claim},
    handle::{Link, PoolHandle},
    pass::Work,
    store, world,
};
use crate::{
    caches::{Caches, Guarded, decoded, get},
    ctx::{Ctx, ProviderConfig},
    provider::Error,
};

/// The caches that this module reads.
#[derive(Clone)]
pub struct Stores {
    pub(super) providers: Store<Guarded<Provider>>,
    pub(super) pools: Store<Guarded<Pool>>,
    pub(super) gateways: Store<Guarded<Gateway>>,
    pub(super) slots: Store<Guarded<Slot>>,
    pub(super) machines: Store<Guarded<Machine>>,
}

impl Stores {
    pub(super) fn of(caches: &Caches) -> Self {
        Self {
            providers: caches.providers.store(),
            pools: caches.pools.store(),
            gateways: caches.gateways.store(),
            slots: caches.slots.store(),
            machines: caches.machines.store(),
        }
    }
}

/// What is known of one Pool.
pub(super) struct Entry {
    pub link: Arc<Link>,
    shown: Mutex<Shown>,
    in_use: AtomicBool,
    checked: AtomicBool,
    pub work: tokio::sync::Mutex<Work>,
    pub written: tokio::sync::Mutex<Option<crds::PoolStatus>>,
}

/// What the last preflight left.
#[derive(Clone, Default)]
pub(super) struct Shown {
    pub handle: Option<Arc<PoolHandle>>,
    pub replicas: BTreeMap<(String, String), Replica>,
    /// By what the cluster is known.
    pub cluster: Vec<String>,
}

impl Entry {
    fn new(ctx: &Ctx) -> Self {
        let message = "It has not been checked yet.".to_owned();
        let readiness = Readiness::Not {
            reason: Reason::PoolNotReady,
            message,
        };
        Self {
            link: Arc::new(Link::new(Arc::clone(&ctx.clock), readiness)),
            shown: Mutex::default(),
            in_use: AtomicBool::new(false),
            checked: AtomicBool::new(false),
            work: tokio::sync::Mutex::default(),
            written: tokio::sync::Mutex::default(),
        }
    }

    pub fn shown(&self) -> Shown {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn show(&self, change: impl FnOnce(&mut Shown)) {
        change(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn in_use(&self) -> bool {
        self.in_use.load(Ordering::Acquire)
    }

    /// The first preflight has ended, well or not.
    pub fn check(&self) {
        self.checked.store(true, Ordering::Release);
    }
}

type Key = (String, String);

/// All Pools of this process.
pub struct Pools {
    pub(super) ctx: Arc<Ctx>,
    pub(super) config: ProviderConfig,
    pub(super) stores: Stores,
    entries: Mutex<HashMap<Key, Arc<Entry>>>,
    gateways_in_use: Mutex<HashSet<Key>>,
    books: Mutex<Books>,
}

impl Pools {
    pub(super) fn new(ctx: Arc<Ctx>, config: ProviderConfig, stores: Stores) -> Self {
        Self {
            ctx,
            config,
            stores,
            entries: Mutex::default(),
            gateways_in_use: Mutex::default(),
            books: Mutex::default(),
        }
    }

    /// The Pool of this name, if its cluster can be called.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<PoolHandle>> {
        self.known(namespace, name)?.shown().handle
    }

    /// Whether a host was ever enrolled for a Gateway.
    pub fn has_host(&self, namespace: &str, gateway: &str) -> bool {
        let found = get(&self.stores.gateways, namespace, gateway);
        let agent = found
            .as_ref()
            .and_then(|guard| decoded(guard)?.status.as_ref()?.agent.as_ref());
        agent.is_some_and(|agent| agent.enrolment.is_some())
    }

    /// Whether this process has yet to look at the Pool for the first time: until then nothing is known of it, and
    /// nothing should be said of what depends on it.
    #[must_use]
    pub fn is_unchecked(&self, namespace: &str, name: &str) -> bool {
        let exists = get(&self.stores.pools, namespace, name).is_some();
        exists
            && !self
                .known(namespace, name)
                .is_some_and(|entry| entry.checked.load(Ordering::Acquire))
    }

    /// What is told while nobody can call the Pool's cluster: what is wrong with it, if that is known.
    #[must_use]
    pub fn not_connected(&self, namespace: &str, name: &str) -> Wait {
        let (reason, text) = match self.readiness(namespace, name) {
            Some(Readiness::Not { reason, message }) => (reason, format!("Pool {name}: {message}")),
            _ => (Reason::PoolNotReady, format!("Pool {name} is not connected.")),
        };
        let next = "It goes on by itself once the Pool is connected; running machines are not touched.";
        Wait::new(reason, text, next)
    }

    /// Whether it takes machines; `None` before the first look.
    #[must_use]
    pub fn readiness(&self, namespace: &str, name: &str) -> Option<Readiness> {
        Some(self.known(namespace, name)?.link.readiness())
    }

    /// Whether this process is responsible for a namespace.
    #[must_use]
    pub fn serves(&self, namespace: &str) -> bool {
        if self
            .config
            .namespace
            .as_deref()
            .is_some_and(|own| own != namespace)
        {
            return false;
        }
        let key = ObjectRef::new(PROVIDER_NAME).within(namespace);
        match self.stores.providers.get(&key) {
            None => self.config.site == OperatorSite::default(),
            // One that cannot be read may ask for an operator of its own.
            Some(guard) => decoded(&guard).is_some_and(|provider| provider.spec.operator == self.config.site),
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn known(&self, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        self.entries()
            .get(&(namespace.to_owned(), name.to_owned()))
            .cloned()
    }

    pub(super) fn entry(&self, namespace: &str, name: &str) -> Arc<Entry> {
        let key = (namespace.to_owned(), name.to_owned());
        Arc::clone(
            self.entries()
                .entry(key)
                .or_insert_with(|| Arc::new(Entry::new(&self.ctx))),
        )
    }

    pub(super) fn forget(&self, namespace: &str, name: &str) {
        self.entries().remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// Decides where this Machine is made, and writes the claim down until its Slot is seen. Machines that came earlier
    /// are served first.
    #[must_use]
    pub fn decide(&self, namespace: &str, machine: &Machine, now: Timestamp) -> Decision {
        let Some(me) = world::waiter(machine) else {
            let message = "The Machine's resources cannot be read.".to_owned();
            return Decision {
                placement: Placement::NotReady {
                    reason: Reason::InvalidSpec,
                    message,
                },
                position: None,
            };
        };
        let uid = machine.uid().unwrap_or_default();
        let mut books = self.books();
        books.strike(namespace, &uid);
        let since = self.ctx.clock.monotonic();
        books.settle(since, |namespace, machine, spot| {
            world::is_shown(&self.stores, namespace, machine, spot)
        });
        let (world, waiting) = world::build(self, namespace, &books, now);
        let decision = decide(&world, &me, &waiting);
        if let Placement::At(spot) = &decision.placement {
            let claim = Claim {
                spot: spot.as_ref().clone(),
                amount: me.demand.amount,
                since,
            };
            books.claim(namespace, &uid, claim);
        }
        decision
    }

    /// What the namespace looks like to placement now.
    pub(super) fn world(&self, namespace: &str, now: Timestamp) -> world::Seen {
        let mut books = self.books();
        books.settle(self.ctx.clock.monotonic(), |namespace, machine, spot| {
            world::is_shown(&self.stores, namespace, machine, spot)
        });
        world::build(self, namespace, &books, now)
    }

    /// Somebody else has this index: the next decision takes another.
    pub fn taken(&self, namespace: &str, gateway: &str, index: SlotIndex) {
        self.books()
            .taken(namespace, gateway, index.0, self.ctx.clock.monotonic());
    }

    /// Gives up the claim of a Machine that makes no Slot after all. Without this it goes after a minute.
    pub fn strike(&self, namespace: &str, machine_uid: &str) {
        self.books().strike(namespace, machine_uid);
    }

    /// Fixes what Slots depend on, in Pool and Gateway, before the first Slot is made.
    ///
    /// # Errors
    /// A write failed.
    pub async fn mark_in_use(
        &self,
        ctx: &Ctx,
        namespace: &str,
        pool: &str,
        gateway: &str,
    ) -> Result<(), Error> {
        let entry = self.entry(namespace, pool);
        if !entry.in_use() {
            store::pool_in_use(ctx, self, &entry, namespace, pool).await?;
            entry.in_use.store(true, Ordering::Release);
        }
        let key = (namespace.to_owned(), gateway.to_owned());
        let known = self
            .gateways_in_use
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&key);
        if !known {
            store::gateway_in_use(ctx, self, namespace, gateway).await?;
            self.gateways_in_use
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(key);
        }
        Ok(())
    }
}
