//! Shells of the provider family: Pool, Machine, Slot.

pub mod act;
pub mod error;
pub mod failed;
pub mod labels;
pub mod look;
pub mod machine;
pub mod memory;
pub mod objects;
pub mod pool;
pub mod read;
pub mod slot;

use std::{future::Future, sync::Arc};

use crds::{Machine, Slot};
use kit::backoff::Backoff;
use kube::{ResourceExt, runtime::reflector::Store};
use tokio_util::sync::CancellationToken;

pub use error::Error;

use crate::{
    caches::{Caches, Guarded},
    ctx::{Ctx, ProviderConfig},
    recent::Recent,
};

/// How often each object failed in a row.
pub type Tries = Backoff<(labels::Controller, String, String)>;

fn key(controller: labels::Controller, object: &impl ResourceExt) -> (labels::Controller, String, String) {
    (
        controller,
        object.namespace().unwrap_or_default(),
        object.name_any(),
    )
}

/// What this family's controllers share.
pub struct Shared {
    /// The shell kit.
    pub ctx: Arc<Ctx>,
    /// The family's configuration.
    pub config: ProviderConfig,
    /// Slots.
    pub slots: Store<Guarded<Slot>>,
    /// Machines.
    pub machines: Store<Guarded<Machine>>,
    /// Pools and their clients.
    pub pools: Arc<pool::Pools>,
    /// How often each object failed in a row.
    pub tries: Tries,
    /// What is remembered between passes.
    pub memory: memory::Memory,
    /// Machines as we wrote them, until the cache has them.
    pub written: Recent<Machine>,
}

impl Shared {
    /// Whether this process is responsible for a namespace.
    #[must_use]
    pub fn serves(&self, namespace: &str) -> bool {
        self.pools.serves(namespace)
    }
}

/// Subscribes to the caches at once; the controllers run while the future is polled.
///
/// # Errors
/// A controller ended before shutdown.
pub fn start(
    ctx: Arc<Ctx>,
    config: ProviderConfig,
    caches: &mut Caches,
    shutdown: &CancellationToken,
) -> impl Future<Output = Result<(), Error>> + use<> {
    let pools = pool::start(Arc::clone(&ctx), config.clone(), caches, shutdown.clone());
    let shared = Arc::new(Shared {
        written: Recent::new(Arc::clone(&ctx.clock)),
        ctx,
        config,
        slots: caches.slots.store(),
        machines: caches.machines.store(),
        pools: Arc::clone(&pools.registry),
        tries: Backoff::new(kit::backoff::Config::default(), 0),
        memory: memory::Memory::default(),
    });
    let machines = machine::controller::start(
        Arc::clone(&shared),
        caches,
        Box::pin(pools.deviations),
        shutdown.clone(),
    );
    let slots = slot::controller::start(shared, caches, shutdown.clone());
    let pools = pools.run;
    async move { tokio::try_join!(pools, machines, slots).map(|_| ()) }
}
