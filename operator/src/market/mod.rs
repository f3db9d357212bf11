//! Shells of the market family: Account, Provider, Offering, Contract, and the Machines that have ended.
//! They observe from the shared caches, ask a planner, execute and store.

pub mod account;
pub mod admitted;
#[cfg(test)]
mod bed;
pub mod contract;
pub mod error;
pub mod index;
pub mod labels;
pub mod offering;
mod ownerless;
pub mod pace;
pub mod provider;
pub mod reap;
pub mod status;

use std::sync::Arc;

use crds::{Account, Contract, Gateway, Machine, Offering, Pool, Provider, Slot};
use futures::future::BoxFuture;
use kit::backoff::Backoff;
use kube::{ResourceExt, runtime::reflector::Store};
use operator_core::market::contract::Config;
use tokio_util::sync::CancellationToken;

pub use error::Error;

use self::{admitted::Admitted, index::Indices, labels::Controller};
use crate::{
    caches::{Cache, Cached, Caches, Guarded},
    ctx::{Ctx, MarketConfig},
    recent::Recent,
};

/// An object of one controller, for what is remembered of it between passes.
pub type Key = (Controller, String, String);

fn key(controller: Controller, object: &impl ResourceExt) -> Key {
    (
        controller,
        object.namespace().unwrap_or_default(),
        object.name_any(),
    )
}

/// The objects of one kind, as the watch last delivered them.
pub type Objects<K> = Store<Guarded<K>>;

/// What this family's controllers share.
pub struct Shared {
    /// The shell kit.
    pub ctx: Arc<Ctx>,
    /// What planners are configured with.
    pub config: Config,
    /// Accounts.
    pub accounts: Objects<Account>,
    /// Contracts.
    pub contracts: Objects<Contract>,
    /// Offerings.
    pub offerings: Objects<Offering>,
    /// Providers.
    pub providers: Objects<Provider>,
    /// Pools.
    pub pools: Objects<Pool>,
    /// Gateways.
    pub gateways: Objects<Gateway>,
    /// Slots.
    pub slots: Objects<Slot>,
    /// Machines.
    pub machines: Objects<Machine>,
    /// Which objects belong to which.
    pub indices: Indices,
    /// Contracts that we wrote and the watch has not brought back yet.
    pub written_contracts: Recent<Contract>,
    /// The same of Machines.
    pub written_machines: Recent<Machine>,
    /// Contracts whose terms are being fixed right now.
    pub admitted: Admitted,
    /// How often an object failed in a row.
    pub backoff: Backoff<Key>,
    /// When something was last done for an object.
    pub pace: pace::Pace,
}

/// Subscribes to the caches at once; the controllers run while the future is polled.
///
/// # Errors
/// A controller ended, or the market's own caches were not set up.
#[expect(
    clippy::needless_pass_by_value,
    reason = "handed over whole, like everything that a family is started with"
)]
pub fn start(
    ctx: Arc<Ctx>,
    config: MarketConfig,
    caches: &mut Caches,
    shutdown: CancellationToken,
) -> BoxFuture<'static, Result<(), Error>> {
    family(ctx, &config, caches, shutdown)
        .unwrap_or_else(|| Box::pin(std::future::ready(Err(Error::NoCaches))))
}

fn family(
    ctx: Arc<Ctx>,
    config: &MarketConfig,
    caches: &mut Caches,
    shutdown: CancellationToken,
) -> Option<BoxFuture<'static, Result<(), Error>>> {
    let shared = Arc::new(shared(ctx, config, caches)?);
    let contracts = contract::start(Arc::clone(&shared), caches, shutdown.clone())?;
    let accounts = account::start(Arc::clone(&shared), caches, shutdown.clone())?;
    let offerings = offering::start(Arc::clone(&shared), caches, shutdown.clone())?;
    let providers = provider::start(Arc::clone(&shared), caches, shutdown.clone());
    let reaper = reap::start(Arc::clone(&shared), caches, shutdown);
    Some(Box::pin(async move {
        shared.indices.fill(&shared);
        tokio::try_join!(contracts, accounts, offerings, providers, reaper).map(|_| ())
    }))
}

fn shared(ctx: Arc<Ctx>, config: &MarketConfig, caches: &Caches) -> Option<Shared> {
    let MarketConfig {
        hub_uid,
        allow_test_payment,
        contract_hour,
        request_limit,
        provisioning_limit,
    } = *config;
    let clock = Arc::clone(&ctx.clock);
    Some(Shared {
        config: Config {
            hub_uid,
            allow_test_payment,
            contract_hour,
            requested_limit: request_limit,
            provisioning_limit,
        },
        accounts: optional(caches.accounts.as_ref())?,
        contracts: optional(caches.contracts.as_ref())?,
        offerings: optional(caches.offerings.as_ref())?,
        providers: caches.providers.store(),
        pools: caches.pools.store(),
        gateways: caches.gateways.store(),
        slots: caches.slots.store(),
        machines: caches.machines.store(),
        indices: Indices::default(),
        written_contracts: Recent::new(Arc::clone(&clock)),
        written_machines: Recent::new(Arc::clone(&clock)),
        admitted: Admitted::default(),
        backoff: Backoff::new(kit::backoff::Config::default(), 0),
        pace: pace::Pace::new(clock),
        ctx,
    })
}

fn optional<K: Cached>(cache: Option<&Cache<K>>) -> Option<Objects<K>> {
    cache.map(Cache::store)
}
