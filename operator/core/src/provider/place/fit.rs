//! Best fit of one demand into the nodes of its Pools, with a penalty for clones under way; and what is short if none fits.

use std::cmp::Reverse;

use domain::quantity::Bytes;

use super::{
    Amount, Demand, Ledger, Placement, Spot,
    index::Choice,
    view::{NodeSize, NodeView, PoolView, Replica, StorageView, World},
};
use crate::{provider::pool::Readiness, reason::Reason};

/// Weight of one clone under way, in thousandths of a node's emptiness.
const CLONE_WEIGHT: u64 = 1000;

/// A node that could hold the demand if it were empty.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub pool: &'a PoolView,
    pub node: &'a NodeView,
    pub storage: &'a StorageView,
    pub replica: Replica,
    size: NodeSize,
}

/// The nodes of this Pool that could hold the demand.
pub(super) fn candidates<'a>(pool: &'a PoolView, demand: &Demand) -> impl Iterator<Item = Candidate<'a>> {
    let (template, cores) = (demand.template.clone(), demand.amount.cpu);
    pool.nodes
        .iter()
        .filter(|node| node.online && !node.cordoned && node.avoided.is_none())
        .filter_map(move |node| {
            let size = node.size.filter(|size| size.cpu >= cores)?;
            let storage = node.storage.as_ref()?;
            let replica = *node.replicas.get(&template)?;
            Some(Candidate {
                pool,
                node,
                storage,
                replica,
                size,
            })
        })
}

/// The Pools of the demand that take it, in its order.
pub(super) fn open<'a>(world: &'a World, demand: &Demand) -> impl Iterator<Item = &'a PoolView> {
    let owner = demand.owner;
    demand
        .pools
        .iter()
        .filter_map(|name| world.pool(name))
        .filter(move |pool| match pool.readiness {
            Readiness::Ready { .. } => pool.plan.is_some(),
            Readiness::OwnerOnly { .. } => owner && pool.plan.is_some(),
            Readiness::Not { .. } => false,
        })
}

/// The best node that has room now: the one that is left fullest, clones under way counting against it.
pub(super) fn best<'a>(world: &'a World, ledger: &Ledger, demand: &Demand) -> Option<Candidate<'a>> {
    open(world, demand)
        .filter(|pool| has_index(world, ledger, pool))
        .enumerate()
        .flat_map(|(rank, pool)| candidates(pool, demand).map(move |candidate| (rank, candidate)))
        .filter(|(_, c)| ledger.usable(c.pool, c.node).holds(demand.amount))
        .min_by_key(|(rank, c)| (score(*c, ledger, demand.amount), *rank, c.node.name.as_str()))
        .map(|(_, candidate)| candidate)
}

fn score(candidate: Candidate<'_>, ledger: &Ledger, amount: Amount) -> u64 {
    let Candidate {
        pool,
        node,
        size,
        storage,
        ..
    } = candidate;
    let left = ledger.free(pool, node).minus(amount);
    let share = |part: u64, whole: u64| part.saturating_mul(1000) / whole.max(1);
    let cores = u64::from(size.cpu) * u64::from(pool.overcommit_percent) / 100;
    share(left.cpu.into(), cores)
        + share(left.memory.mib(), size.memory.mib())
        + share(left.disk.mib(), storage.total.mib())
        + u64::from(ledger.clones(pool, node)) * CLONE_WEIGHT
}

fn has_index(world: &World, ledger: &Ledger, pool: &PoolView) -> bool {
    let capacity = pool.plan.as_ref().map_or(0, domain::slot::GatewayPlan::capacity);
    let left = world
        .gateways
        .get(&pool.gateway)
        .map_or(capacity, |indices| indices.left(capacity));
    left > ledger.indices(&pool.gateway)
}

/// Places one demand as if nobody waited.
pub fn place(world: &World, ledger: &Ledger, demand: &Demand) -> Placement {
    match best(world, ledger, demand).and_then(spot(world)) {
        Some(spot) => Placement::At(Box::new(spot)),
        None => refusal(world, ledger, demand),
    }
}

fn spot<'a>(world: &'a World) -> impl Fn(Candidate<'a>) -> Option<Spot> {
    move |candidate| {
        let Candidate {
            pool,
            node,
            storage,
            replica,
            ..
        } = candidate;
        let plan = pool.plan.as_ref()?;
        let templates = |vmid: u32| {
            pool.nodes
                .iter()
                .any(|n| n.replicas.values().any(|r| r.vmid == vmid))
        };
        let barred = |index: u32| {
            plan.vmid(domain::slot::SlotIndex(index))
                .map_or(true, |v| templates(v.get()))
        };
        let indices = world.gateways.get(&pool.gateway).cloned().unwrap_or_default();
        let Choice { index, replaces } = indices.choose(plan.capacity(), barred)?;
        Some(Spot {
            pool: pool.name.clone(),
            node: node.name.clone(),
            storage: storage.name.clone(),
            template_vmid: replica.vmid,
            full_clone: replica.full_clone,
            gateway: pool.gateway.clone(),
            index,
            vmid: plan.vmid(index).ok()?.get(),
            address: plan.ip(index).ok()?,
            replaces,
        })
    }
}

/// Why it is not placed: no usable Pool, or what is short.
pub(super) fn refusal(world: &World, ledger: &Ledger, demand: &Demand) -> Placement {
    if open(world, demand).next().is_none() {
        return unusable(world, demand);
    }
    let shortages: Vec<String> = open(world, demand)
        .map(|pool| shortage(world, ledger, demand, pool))
        .collect();
    Placement::Full {
        needs: shortages.join("; "),
    }
}

fn unusable(world: &World, demand: &Demand) -> Placement {
    let Some(pool) = demand.pools.iter().find_map(|name| world.pool(name)) else {
        let names = demand.pools.join(", ");
        return Placement::NotReady {
            reason: Reason::NoPool,
            message: format!("Pool {names} does not exist."),
        };
    };
    let (reason, message) = match &pool.readiness {
        Readiness::Not { reason, message } | Readiness::OwnerOnly { reason, message } => {
            (*reason, message.clone())
        }
        Readiness::Ready { .. } => (
            Reason::GatewayMissing,
            format!("Gateway {} cannot be used.", pool.gateway),
        ),
    };
    Placement::NotReady {
        reason,
        message: format!("Pool {}: {message}", pool.name),
    }
}

/// What is short on this Pool: on the node that lacks least.
fn shortage(world: &World, ledger: &Ledger, demand: &Demand, pool: &PoolView) -> String {
    let name = &pool.name;
    if !has_index(world, ledger, pool) {
        return format!("Pool {name} needs a free Slot at Gateway {}", pool.gateway);
    }
    let lacks = candidates(pool, demand)
        .map(|c| demand.amount.minus(ledger.usable(c.pool, c.node)))
        .min_by_key(|lack| {
            (
                parts(*lack),
                Reverse(lack.cpu == 0),
                lack.memory,
                lack.disk,
                lack.cpu,
            )
        });
    let Some(lack) = lacks else {
        return no_candidate(demand, pool);
    };
    let mut texts = Vec::new();
    if lack.cpu > 0 {
        texts.push(format!("{} more processors", lack.cpu));
    }
    if lack.memory > Bytes::default() {
        texts.push(format!("{} more memory", rounded(lack.memory)));
    }
    if lack.disk > Bytes::default() {
        texts.push(format!("{} more disk", rounded(lack.disk)));
    }
    if texts.is_empty() {
        texts.push("a free Slot".to_owned());
    }
    format!("Pool {name} needs {} on one node", texts.join(" and "))
}

fn no_candidate(demand: &Demand, pool: &PoolView) -> String {
    let name = &pool.name;
    let with = |test: &dyn Fn(&NodeView) -> bool| pool.nodes.iter().any(|node| node.online && test(node));
    if !with(&|node| node.replicas.contains_key(&demand.template)) {
        return format!(
            "Pool {name} needs template {} on a node that is online",
            demand.template
        );
    }
    if !with(&|node| node.size.is_some_and(|size| size.cpu >= demand.amount.cpu)) {
        return format!("Pool {name} needs a node with {} processors", demand.amount.cpu);
    }
    if let Some(node) = pool
        .nodes
        .iter()
        .find(|node| node.online && !node.cordoned && node.avoided.is_some())
    {
        return format!(
            "Pool {name} needs a node that works: {} failed repeatedly and is avoided for a while",
            node.name
        );
    }
    format!("Pool {name} needs a node that is online, not cordoned and has its storage and template")
}

fn parts(lack: Amount) -> u32 {
    let one = |short: bool| u32::from(short);
    one(lack.cpu > 0) + one(lack.memory > Bytes::default()) + one(lack.disk > Bytes::default())
}

/// Rounded up so that people can read it: whole GiB from 4 GiB on, else whole MiB.
fn rounded(size: Bytes) -> Bytes {
    if size > Bytes::from_gib(4) {
        Bytes::from_gib(size.gib_ceil())
    } else {
        Bytes::from_mib(size.mib())
    }
}
