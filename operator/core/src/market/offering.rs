//! Offering: whether it can be had now, and how many more would fit. Must not promise: placement decides.

use std::collections::BTreeMap;

use crds::{Gateway, Offering, OfferingStatus, Pool, common::Resources, offering::Stock, pool::NodeStatus};
use domain::quantity::Bytes;
use jiff::Timestamp;
use kube::ResourceExt;

use super::provider::{is_ready, trouble};
use crate::{
    condition::{READY, Stated, merged},
    gateway,
    reason::Reason,
};

/// What an Offering's status is made of; all of its namespace.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The Offering.
    pub offering: &'a Offering,
    /// All Pools.
    pub pools: Vec<&'a Pool>,
    /// All Gateways, each with how many of its Slots are not free.
    pub gateways: Vec<(&'a Gateway, usize)>,
    /// Contracts for it that have not ended.
    pub active: usize,
}

/// The status of the Offering.
#[must_use]
pub fn status(facts: &Facts<'_>, now: Timestamp) -> OfferingStatus {
    let offering = facts.offering;
    let named: Vec<&Pool> = facts
        .pools
        .iter()
        .copied()
        .filter(|pool| names(offering, pool))
        .collect();
    let holding: Vec<&Pool> = named
        .iter()
        .copied()
        .filter(|pool| has_template(offering, pool))
        .collect();
    let usable: Vec<&Pool> = holding.iter().copied().filter(|pool| is_ready(pool)).collect();
    let available = available(facts, &usable);
    let ready = stated(offering, [&named, &holding, &usable], available);
    let prior = offering.status.as_ref().map_or(&[][..], |s| &s.conditions);
    let generation = offering.metadata.generation;
    OfferingStatus {
        observed_generation: generation,
        available,
        active_contracts: i32::try_from(facts.active).unwrap_or(i32::MAX),
        conditions: merged(prior, vec![ready], generation, now),
    }
}

fn names(offering: &Offering, pool: &Pool) -> bool {
    let name = pool.name_any();
    offering.spec.pools.iter().any(|named| named.as_str() == name)
}

fn has_template(offering: &Offering, pool: &Pool) -> bool {
    pool.spec
        .templates
        .iter()
        .any(|template| template.name == offering.spec.template.name)
}

fn stated(offering: &Offering, pools: [&[&Pool]; 3], available: Option<i32>) -> Stated {
    let [named, holding, usable] = pools;
    let spec = &offering.spec;
    let not = |reason, message: String| Stated::new(READY, false, reason, message);
    if spec.draft {
        return not(
            Reason::Draft,
            "A draft: nobody but its owner can see it. Set spec.draft to false.".into(),
        );
    }
    if spec.stock == Stock::Discontinued {
        return not(
            Reason::Discontinued,
            "Discontinued: nobody can rent it; contracts that run go on.".into(),
        );
    }
    if named.is_empty() {
        let asked: Vec<&str> = spec.pools.iter().map(crds::text::ObjectName::as_str).collect();
        return not(
            Reason::NoPool,
            format!("None of its Pools exists here: {}.", asked.join(", ")),
        );
    }
    if holding.is_empty() {
        let template = &spec.template.name;
        return not(
            Reason::TemplateMissing,
            format!("None of its Pools has a template {template} in spec.templates."),
        );
    }
    if usable.is_empty() {
        return not(Reason::PoolNotReady, trouble(holding));
    }
    match available {
        Some(0) => not(
            Reason::NoCapacity,
            "Nothing free fits in its Pools now; new contracts wait.".into(),
        ),
        _ => Stated::new(READY, true, Reason::Ready, "It can be rented."),
    }
}

/// How many more fit, by the Pools' ledgers and the Gateways' free Slots; None when some of it is not known.
fn available(facts: &Facts<'_>, usable: &[&Pool]) -> Option<i32> {
    let mut by_gateway: BTreeMap<&str, u64> = BTreeMap::new();
    for pool in usable {
        let fit = fits(pool, &facts.offering.spec.resources)?;
        let sum = by_gateway.entry(pool.spec.gateway_ref.name.as_str()).or_default();
        *sum = sum.saturating_add(fit);
    }
    let mut all = 0_u64;
    for (name, fit) in by_gateway {
        let free = free_slots(facts, name, usable)?;
        all = all.saturating_add(fit.min(free));
    }
    Some(i32::try_from(all).unwrap_or(i32::MAX))
}

fn fits(pool: &Pool, asked: &Resources) -> Option<u64> {
    let nodes = &pool.status.as_ref()?.nodes;
    if nodes.is_empty() {
        return None;
    }
    let cordoned = |name: &str| {
        pool.spec
            .nodes
            .iter()
            .any(|n| n.name.as_str() == name && n.cordoned)
    };
    let open = nodes.iter().filter(|node| node.online && !cordoned(&node.name));
    open.map(|node| on_node(node, asked))
        .try_fold(0_u64, |sum, fit| Some(sum.saturating_add(fit?)))
}

fn on_node(node: &NodeStatus, asked: &Resources) -> Option<u64> {
    let bytes = |text: &str| text.parse::<Bytes>().ok().map(Bytes::get);
    let cpu = u64::try_from(node.free_cpu)
        .unwrap_or(0)
        .checked_div(u64::try_from(asked.cpu).ok()?)?;
    let memory = bytes(&node.free_memory)?.checked_div(bytes(asked.memory.as_str())?)?;
    let disk = bytes(&node.free_disk)?.checked_div(bytes(asked.disk.as_str())?)?;
    Some(cpu.min(memory).min(disk))
}

fn free_slots(facts: &Facts<'_>, gateway: &str, usable: &[&Pool]) -> Option<u64> {
    let (found, used) = facts.gateways.iter().find(|(g, _)| g.name_any() == gateway)?;
    let pool = usable
        .iter()
        .find(|pool| pool.spec.gateway_ref.name.as_str() == gateway)?;
    let plan = gateway::plan(found, pool.spec.vmid_base).ok()?;
    Some(u64::from(plan.capacity()).saturating_sub(u64::try_from(*used).ok()?))
}

#[cfg(test)]
#[path = "offering_tests.rs"]
mod tests;
