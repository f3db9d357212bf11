//! The Pool's shell: one client and one picture of the cluster for each Pool, its preflight, its status, and the
//! decisions about placement that all machine passes share. Each Pool is reconciled on its own: a dead one delays none.

mod books;
mod claims;
mod connect;
mod controller;
mod deviations;
mod handle;
mod inventory;
mod orphans;
mod pass;
mod probe;
mod registry;
mod store;
mod world;

use std::{future::Future, sync::Arc};

use crds::Machine;
use futures::{Stream, StreamExt};
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use handle::PoolHandle;
pub use inventory::Inventory;
pub use registry::Pools;

use super::Error;
use crate::{
    caches::{Caches, Guarded},
    ctx::{Ctx, ProviderConfig},
};

/// What this module hands to the family.
pub struct Started<S, F> {
    /// The Pools, for every pass.
    pub registry: Arc<Pools>,
    /// Machines that should be looked at: the cluster shows them otherwise than their status says, or room was freed.
    pub deviations: S,
    /// Runs the controller while polled.
    pub run: F,
}

/// Subscribes to the caches at once; the controller runs while `run` is polled.
pub fn start(
    ctx: Arc<Ctx>,
    config: ProviderConfig,
    caches: &mut Caches,
    shutdown: CancellationToken,
) -> Started<
    impl Stream<Item = ObjectRef<Guarded<Machine>>> + Send + use<>,
    impl Future<Output = Result<(), Error>> + use<>,
> {
    let (poke, mut poked) = mpsc::unbounded_channel();
    let registry = Arc::new(Pools::new(ctx, config, registry::Stores::of(caches)));
    let run = controller::start(&registry, caches, poke, shutdown);
    let deviations = futures::stream::poll_fn(move |cx| poked.poll_recv(cx)).boxed();
    Started {
        registry,
        deviations,
        run,
    }
}

#[cfg(test)]
mod desk;
#[cfg(test)]
mod pass_tests;
#[cfg(test)]
mod tests;
