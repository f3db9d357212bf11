//! The caches of the operator, by kind, shared by all its controllers.

use std::future::Future;

use crds::{Account, Contract, Gateway, Machine, Offering, Pool, Provider, Slot};
use k8s_openapi::NamespaceResourceScope;
use kit::cache::filled;
pub use kit::cache::{Cache, Cached, Guarded, all, decoded, get};
use kube::{Api, Client, Resource};

/// The caches that are needed, by kind.
pub struct Caches {
    /// Accounts; market only.
    pub accounts: Option<Cache<Account>>,
    /// Contracts; market only.
    pub contracts: Option<Cache<Contract>>,
    /// Offerings; market only.
    pub offerings: Option<Cache<Offering>>,
    /// Providers.
    pub providers: Cache<Provider>,
    /// Pools.
    pub pools: Cache<Pool>,
    /// Gateways.
    pub gateways: Cache<Gateway>,
    /// Slots.
    pub slots: Cache<Slot>,
    /// Machines.
    pub machines: Cache<Machine>,
}

impl Caches {
    /// Caches of one namespace, or of all; the market's only when it runs.
    #[must_use]
    pub fn new(client: &Client, namespace: Option<&str>, market: bool) -> Self {
        Self {
            accounts: market.then(|| Cache::new(Api::all(client.clone()))),
            contracts: market.then(|| Cache::new(scoped(client, namespace))),
            offerings: market.then(|| Cache::new(scoped(client, namespace))),
            providers: Cache::new(scoped(client, namespace)),
            pools: Cache::new(scoped(client, namespace)),
            gateways: Cache::new(scoped(client, namespace)),
            slots: Cache::new(scoped(client, namespace)),
            machines: Cache::new(scoped(client, namespace)),
        }
    }

    /// Waits until every store has been filled once; `drive` must run meanwhile.
    pub fn filled(&self) -> impl Future<Output = ()> + Send + use<> {
        let waits = [
            self.accounts.as_ref().map(filled),
            self.contracts.as_ref().map(filled),
            self.offerings.as_ref().map(filled),
            Some(filled(&self.providers)),
            Some(filled(&self.pools)),
            Some(filled(&self.gateways)),
            Some(filled(&self.slots)),
            Some(filled(&self.machines)),
        ];
        async move {
            futures::future::join_all(waits.into_iter().flatten()).await;
        }
    }

    /// Keeps all stores current; ends only when dropped.
    pub async fn drive(self) {
        let Self {
            accounts,
            contracts,
            offerings,
            providers,
            pools,
            gateways,
            slots,
            machines,
        } = self;
        tokio::join!(
            maybe(accounts),
            maybe(contracts),
            maybe(offerings),
            providers.drive(),
            pools.drive(),
            gateways.drive(),
            slots.drive(),
            machines.drive(),
        );
    }
}

async fn maybe<K: Cached>(cache: Option<Cache<K>>) {
    if let Some(cache) = cache {
        cache.drive().await;
    }
}

fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<Guarded<K>>
where
    K: Cached + Resource<Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}
