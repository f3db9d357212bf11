//! Follows all objects by watches and tells each change. Owns the picture of the world and the waits on it; nothing
//! here polls.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};
use crds::{Account, Contract, Machine, Offering, Pool, Provider, Slot};
use futures::stream::{BoxStream, StreamExt, select_all};
use kube::api::DynamicObject;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use testkit::manifests;
use tokio::time::{Instant, timeout_at};

use super::examples::{Examples, named};
use super::failure::{Act, Failure};
use super::lines::{Told, holds};
use super::screen::Screen;
use super::site::Site;

/// For accounts, and for the provider's objects.
const SETUP: Duration = Duration::from_secs(30);
/// For the machines: clone, configuration and start take some five seconds.
const MAKING: Duration = Duration::from_mins(2);

/// Namespace and name.
pub type Key = (String, String);

/// Every object as last seen.
#[derive(Default)]
pub struct World {
    accounts: BTreeMap<Key, Account>,
    offerings: BTreeMap<Key, Offering>,
    pools: BTreeMap<Key, Pool>,
    /// Slots by key.
    pub slots: BTreeMap<Key, Slot>,
    /// Machines by key.
    pub machines: BTreeMap<Key, Machine>,
    /// Contracts by key.
    pub contracts: BTreeMap<Key, Contract>,
}

impl World {
    /// The Pool that a Slot names.
    pub fn pool(&self, slot: &Slot) -> Option<&Pool> {
        self.pools.get(&(slot.namespace()?, slot.spec.pool.to_string()))
    }

    /// The Offering that a Contract names.
    pub fn offering(&self, contract: &Contract) -> Option<&Offering> {
        let named = &contract.spec.offering_ref;
        self.offerings
            .get(&(named.namespace.to_string(), named.name.to_string()))
    }

    /// The Machine of a Contract.
    pub fn machine(&self, contract: &Contract) -> Option<&Machine> {
        let named = contract.status.as_ref()?.machine_ref.as_ref()?;
        self.machines
            .get(&(named.namespace.to_string(), named.name.to_string()))
    }

    /// The Slot that a Contract's Machine holds.
    pub fn slot(&self, contract: &Contract) -> Option<&Slot> {
        let machine = self.machine(contract)?;
        self.slots
            .get(&(machine.namespace()?, machine.status.as_ref()?.slot.clone()?))
    }
}

/// A Contract that was made, and how long it took until its machine ran.
pub struct Rented {
    /// The Contract.
    pub key: Key,
    /// From its creation to `Provisioned`.
    pub seconds: f64,
}

/// One change, as a closure over the world, and what to say of it.
struct Change {
    label: String,
    says: String,
    apply: Box<dyn FnOnce(&mut World) + Send>,
}

/// What is still missing; nothing, and the wait is over.
type Missing = BTreeSet<String>;

/// The demo as it is told.
pub struct Story<'a> {
    site: &'a Site,
    screen: &'a Screen,
    changes: BoxStream<'a, Result<Change>>,
    world: World,
    said: BTreeMap<String, String>,
    begun: Instant,
}

impl<'a> Story<'a> {
    /// Starts to watch.
    pub fn start(site: &'a Site, screen: &'a Screen) -> Self {
        let client = &site.client;
        let changes = select_all([
            follow::<Account>(client, |world, key, it| drop(world.accounts.insert(key, it))),
            follow::<Provider>(client, |_, _, _| {}),
            follow::<Pool>(client, |world, key, it| drop(world.pools.insert(key, it))),
            follow::<Offering>(client, |world, key, it| drop(world.offerings.insert(key, it))),
            follow::<Slot>(client, |world, key, it| drop(world.slots.insert(key, it))),
            follow::<Machine>(client, |world, key, it| drop(world.machines.insert(key, it))),
            follow::<Contract>(client, |world, key, it| drop(world.contracts.insert(key, it))),
        ]);
        Self {
            site,
            screen,
            changes: changes.boxed(),
            world: World::default(),
            said: BTreeMap::new(),
            begun: Instant::now(),
        }
    }

    /// What was seen.
    pub fn into_world(self) -> World {
        self.world
    }

    /// The market operator makes the accounts.
    ///
    /// # Errors
    /// When one is refused or not ready in time.
    pub async fn accounts(&mut self, examples: &Examples) -> Result<(), Failure> {
        self.screen.waiting("accounts and their namespaces");
        let told = self.apply(&examples.market).await;
        let wanted = keys(&examples.market, "Account");
        let done = async {
            told?;
            self.until(SETUP, |world| Ok(missing(&wanted, &world.accounts)))
                .await
        };
        done.await
            .map_err(|error| Failure::new(Act::Accounts, error, &self.site.dir))
    }

    /// The provider publishes what it has.
    ///
    /// # Errors
    /// When an object is refused, or a Pool or Offering is not ready in time.
    pub async fn provider(&mut self, examples: &Examples) -> Result<(), Failure> {
        self.screen.waiting("the provider's Pool and Offerings");
        let told = self.apply(&examples.provider).await;
        let (pools, offerings) = (
            keys(&examples.provider, "Pool"),
            keys(&examples.provider, "Offering"),
        );
        let done = async {
            told?;
            self.until(SETUP, |world| {
                let mut missing_ones = missing(&pools, &world.pools);
                missing_ones.extend(missing(&offerings, &world.offerings));
                Ok(missing_ones)
            })
            .await
        };
        done.await
            .map_err(|error| Failure::new(Act::Provider, error, &self.site.dir))
    }

    /// The tenant rents; ends when every machine is made.
    ///
    /// # Errors
    /// When a Contract is refused, ends, or is not provisioned in time.
    pub async fn contracts(&mut self, examples: &Examples) -> Result<Vec<Rented>, Failure> {
        self.screen.waiting("the contract");
        let begun = Instant::now();
        let mut open: BTreeSet<Key> = keys(&examples.tenant, "Contract");
        let mut rented = Vec::new();
        let told = self.apply(&examples.tenant).await;
        let done = async {
            told?;
            self.until(MAKING, |world| {
                for key in open.clone() {
                    let Some(contract) = world.contracts.get(&key) else {
                        continue;
                    };
                    if holds(contract.conditions(), "Provisioned") {
                        open.remove(&key);
                        rented.push(Rented {
                            key,
                            seconds: begun.elapsed().as_secs_f64(),
                        });
                    } else if contract
                        .status
                        .as_ref()
                        .is_some_and(|status| status.state.is_terminal())
                    {
                        bail!("contract {} ended: {}", key.1, contract.says());
                    }
                }
                Ok(open.iter().map(label::<Contract>).collect())
            })
            .await
        };
        done.await
            .map_err(|error| Failure::new(Act::Contracts, error, &self.site.dir))?;
        Ok(rented)
    }

    async fn apply(&self, objects: &[DynamicObject]) -> Result<()> {
        for object in objects {
            let applied = manifests::apply(&self.site.client, object).await;
            applied.with_context(|| format!("failed to apply {}", named(object)))?;
        }
        Ok(())
    }

    /// Tells changes until nothing is missing.
    async fn until(
        &mut self,
        patience: Duration,
        mut missing: impl FnMut(&World) -> Result<Missing>,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let open = missing(&self.world)?;
            if open.is_empty() {
                return Ok(());
            }
            match timeout_at(deadline, self.changes.next()).await {
                Ok(Some(Ok(change))) => self.tell(change),
                Ok(Some(Err(error))) => self
                    .screen
                    .line(&format!("  watch: {error:#}; it is tried again")),
                Ok(None) => bail!("the watches ended"),
                Err(_) => bail!("not after {} s: {}", patience.as_secs(), self.stand(&open)),
            }
        }
    }

    fn tell(&mut self, change: Change) {
        let Change { label, says, apply } = change;
        apply(&mut self.world);
        if self.said.get(&label) == Some(&says) {
            return;
        }
        let at = self.begun.elapsed().as_secs_f32();
        self.screen.line(&format!("{at:6.1} s  {label:<31} {says}"));
        self.screen.waiting(&format!("{label}  {says}"));
        self.said.insert(label, says);
    }

    /// How the objects stand that are waited for.
    fn stand(&self, open: &Missing) -> String {
        let says = |label: &String| {
            self.said
                .get(label)
                .map_or("not there", String::as_str)
                .to_owned()
        };
        open.iter()
            .map(|label| format!("{label}: {}", says(label)))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

fn label<K: Told>(key: &Key) -> String {
    format!("{}/{}", K::KIND, key.1)
}

/// Of the wanted objects, those that are not Ready.
fn missing<K: Told>(wanted: &BTreeSet<Key>, seen: &BTreeMap<Key, K>) -> Missing {
    let ready = |key: &&Key| !seen.get(*key).is_some_and(|it| holds(it.conditions(), "Ready"));
    wanted.iter().filter(ready).map(label::<K>).collect()
}

fn keys(objects: &[DynamicObject], kind: &str) -> BTreeSet<Key> {
    let of_kind = |object: &&DynamicObject| object.types.as_ref().is_some_and(|types| types.kind == kind);
    objects.iter().filter(of_kind).map(key).collect()
}

fn key<K: ResourceExt>(object: &K) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// A watch of one kind, everywhere.
fn follow<K>(client: &Client, store: fn(&mut World, Key, K)) -> BoxStream<'static, Result<Change>>
where
    K: Resource<DynamicType = ()> + Told + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let events = watcher(Api::<K>::all(client.clone()), watcher::Config::default()).default_backoff();
    let changes = events.applied_objects().map(move |event| {
        let object =
            event.map_err(|error| Error::new(error).context(format!("failed to watch {}s", K::KIND)))?;
        let key = key(&object);
        let (label, says) = (label::<K>(&key), object.says());
        Ok(Change {
            label,
            says,
            apply: Box::new(move |world| store(world, key, object)),
        })
    });
    changes.boxed()
}
