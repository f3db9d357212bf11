//! What placement looks at, put together from the caches, the pictures of the clusters and the claims under way.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use crds::{Gateway, Machine, Pool, PoolSpec, Slot, pool::PoolNode, slot::SlotPhase};
use domain::{quantity::Bytes, slot::GatewayPlan};
use jiff::Timestamp;
use kube::ResourceExt;
use operator_core::gateway::plan;
use operator_core::provider::{
    machine::status::made,
    place::{
        Demand, NodeSize, NodeView, PoolView, Spot, StorageView, World, breaker::Part, overcommit_percent,
        queue::Waiter, reserve,
    },
    pool::{Readiness, lint::storage, overlap::Range},
};

use super::{
    Inventory, Pools,
    books::Books,
    claims,
    registry::{Shown, Stores},
};
use crate::caches::{Cached, Guarded, all, decoded, get};

/// The world of a namespace, and who waits there.
pub type Seen = (World, Vec<Waiter>);

/// The machine as the queue sees it; `None` if its sizes cannot be read.
#[must_use]
pub fn waiter(machine: &Machine) -> Option<Waiter> {
    let since = machine.creation_timestamp().map_or(Timestamp::MAX, |time| time.0);
    Some(Waiter {
        name: machine.name_any(),
        since,
        demand: Demand::of(&machine.spec).ok()?,
    })
}

fn is_in<K: Cached>(object: &K, namespace: &str) -> bool {
    object.namespace().as_deref() == Some(namespace)
}

/// Whether the watch shows the Slot of a claim under way, held by that Machine or by another.
#[must_use]
pub fn is_shown(stores: &Stores, namespace: &str, machine: &str, spot: &Spot) -> bool {
    let name = domain::names::slot_name(&spot.gateway, spot.index.0);
    let found = get(&stores.slots, namespace, &name);
    found
        .as_deref()
        .and_then(decoded)
        .is_some_and(|slot| slot.spec.machine_ref.uid.as_str() == machine)
}

/// The Gateway of a Pool and what follows from it, or what is wrong with it.
///
/// # Errors
/// A sentence that goes on after "Gateway x".
pub fn gateway(stores: &Stores, namespace: &str, spec: &PoolSpec) -> Result<(Gateway, GatewayPlan), String> {
    let name = spec.gateway_ref.name.as_str();
    let found = get(&stores.gateways, namespace, name);
    let gateway = found
        .as_deref()
        .and_then(decoded)
        .ok_or("does not exist. Create it, or name another in spec.gatewayRef.")?;
    let plan = plan(gateway, spec.vmid_base).map_err(|error| format!("cannot be used: {error}."))?;
    Ok((gateway.clone(), plan))
}

/// A Pool as it is known now.
pub struct Known {
    shown: Shown,
    pub(super) inventory: Option<Arc<Inventory>>,
    pub(super) cluster: String,
}

/// Puts the world of a namespace together.
#[must_use]
pub fn build(pools: &Pools, namespace: &str, books: &Books, now: Timestamp) -> Seen {
    let stores = &pools.stores;
    let found = all(&stores.pools, |pool: &Pool| is_in(pool, namespace));
    let mut world = World::default();
    let mut known = HashMap::new();
    for pool in found.iter().filter_map(|guard| decoded(guard)) {
        let name = pool.name_any();
        let Some(entry) = pools.known(namespace, &name) else {
            continue;
        };
        let (shown, inventory) = (entry.shown(), entry.link.inventory());
        let cluster = shown
            .cluster
            .last()
            .cloned()
            .unwrap_or_else(|| format!("pool {name}"));
        let avoided = |part: &Part| entry.link.avoided(part, now);
        let this = Known {
            shown,
            inventory,
            cluster,
        };
        world
            .pools
            .push(pool_view(pool, entry.link.readiness(), &this, avoided));
        known.insert(name, this);
    }
    let machines = machines(stores, namespace);
    let held = claims::take_slots(stores, namespace, &machines, &known, &mut world);
    claims::take_books(books, namespace, &known, &mut world);
    let claimed =
        |uid: &str| held.contains(uid) || books.claims(namespace).any(|(machine, _)| machine == uid);
    let waiting = machines
        .values()
        .filter_map(|guard| decoded(guard))
        .filter(|m| waits(m) && !claimed(&m.uid().unwrap_or_default()));
    let waiting = waiting.filter_map(waiter).collect();
    (world, waiting)
}

fn machines(stores: &Stores, namespace: &str) -> HashMap<String, Arc<Guarded<Machine>>> {
    let found = all(&stores.machines, |machine: &Machine| is_in(machine, namespace));
    found
        .into_iter()
        .filter_map(|guard| Some((decoded(&guard)?.uid()?, guard)))
        .collect()
}

/// Whether any machine of the namespace may be waiting for a Slot; cheap.
#[must_use]
pub fn anybody_waits(stores: &Stores, namespace: &str) -> bool {
    stores
        .machines
        .state()
        .iter()
        .filter_map(|guard| decoded(guard))
        .any(|machine| is_in(machine, namespace) && waits(machine))
}

/// The VMIDs that Slots of the namespace claim.
#[must_use]
pub fn claimed_vmids(stores: &Stores, namespace: &str) -> BTreeSet<u32> {
    let slots = all(&stores.slots, |slot: &Slot| {
        is_in(slot, namespace) && slot.phase() != SlotPhase::Resting
    });
    slots
        .iter()
        .filter_map(|guard| decoded(guard))
        .filter_map(|slot| u32::try_from(slot.spec.vmid).ok())
        .collect()
}

/// The Machines that hold these Slots.
#[must_use]
pub fn machines_of(
    stores: &Stores,
    namespace: &str,
    slots: &[Arc<Guarded<Slot>>],
) -> Vec<Arc<Guarded<Machine>>> {
    let claimed = slots
        .iter()
        .filter_map(|guard| decoded(guard))
        .filter(|slot| slot.phase() == SlotPhase::Claimed);
    claimed
        .filter_map(|slot| get(&stores.machines, namespace, slot.spec.machine_ref.name.as_str()))
        .collect()
}

/// The VMIDs of a Pool and by what its cluster is known; `None` while its Gateway cannot be used.
#[must_use]
pub fn range(pools: &Pools, namespace: &str, pool: &Pool) -> Option<Range> {
    let name = pool.name_any();
    let (_, plan) = gateway(&pools.stores, namespace, &pool.spec).ok()?;
    let mut cluster = pools
        .known(namespace, &name)
        .map(|entry| entry.shown().cluster)
        .unwrap_or_default();
    cluster.extend(pool.status.as_ref().and_then(|status| status.fingerprint.clone()));
    Some(Range {
        name,
        created: pool.creation_timestamp().map_or(Timestamp::MAX, |time| time.0),
        gateway: pool.spec.gateway_ref.name.to_string(),
        base: u32::try_from(pool.spec.vmid_base).unwrap_or_default(),
        capacity: plan.capacity(),
        cluster,
    })
}

/// Whether it is to get a Slot as soon as there is one.
fn waits(machine: &Machine) -> bool {
    let going = machine.spec.teardown.is_some() || machine.metadata.deletion_timestamp.is_some();
    machine.spec.admitted && !going && !made(machine.status.as_ref())
}

fn pool_view(
    pool: &Pool,
    readiness: Readiness,
    known: &Known,
    avoided: impl Fn(&Part) -> Option<Timestamp>,
) -> PoolView {
    let spec = &pool.spec;
    let gateway = known
        .shown
        .handle
        .as_ref()
        .and_then(|handle| handle.gateway.as_ref());
    PoolView {
        name: pool.name_any(),
        cluster: known.cluster.clone(),
        readiness,
        gateway: spec.gateway_ref.name.to_string(),
        plan: gateway.map(|(_, plan)| plan.clone()),
        nodes: spec
            .nodes
            .iter()
            .map(|node| node_view(spec, node, known, &avoided))
            .collect(),
        reserve: reserve(spec),
        overcommit_percent: overcommit_percent(spec),
    }
}

fn node_view(
    spec: &PoolSpec,
    node: &PoolNode,
    known: &Known,
    avoided: impl Fn(&Part) -> Option<Timestamp>,
) -> NodeView {
    let (name, inventory) = (node.name.as_str(), known.inventory.as_ref());
    let on = storage(spec, name);
    let parts = [
        Part::Node(name.to_owned()),
        Part::Storage {
            node: name.to_owned(),
            storage: on.to_owned(),
        },
    ];
    let replicas = known.shown.replicas.iter().filter(|((of, _), _)| of == name);
    NodeView {
        name: name.to_owned(),
        online: inventory.is_some_and(|seen| seen.online(name)),
        cordoned: node.cordoned,
        size: inventory.and_then(|seen| size(seen, name)),
        storage: inventory.and_then(|seen| storage_view(seen, name, on)),
        replicas: replicas
            .map(|((_, template), replica)| (template.clone(), *replica))
            .collect(),
        avoided: parts.iter().filter_map(avoided).max(),
    }
}

fn size(inventory: &Inventory, node: &str) -> Option<NodeSize> {
    let row = inventory.resources.nodes.iter().find(|row| row.node == node)?;
    Some(NodeSize {
        cpu: whole(row.maxcpu?),
        memory: Bytes::new(row.maxmem?),
        memory_used: Bytes::new(row.mem.unwrap_or_default()),
    })
}

fn storage_view(inventory: &Inventory, node: &str, storage: &str) -> Option<StorageView> {
    let mut rows = inventory.resources.storages.iter();
    let row = rows.find(|row| row.node == node && row.storage == storage && row.available)?;
    Some(StorageView {
        name: storage.to_owned(),
        shared: row.shared,
        total: Bytes::new(row.maxdisk?),
        used: Bytes::new(row.disk.unwrap_or_default()),
    })
}

/// A number of processors, which Proxmox sends as a float.
pub fn whole(number: f64) -> u32 {
    format!("{:.0}", number.clamp(0.0, 1e6))
        .parse()
        .unwrap_or_default()
}
