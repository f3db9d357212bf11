//! Who is next: machines that wait for the same Pools are served in order of arrival. Those ahead who fit are given
//! their room first; one that would not even fit into empty nodes holds nobody up.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    Claim, Demand, Ledger, Placement, fit,
    view::{PoolView, World},
};

/// A machine that has no Slot yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Name of the Machine.
    pub name: String,
    /// When it was created.
    pub since: Timestamp,
    /// What it asks for.
    pub demand: Demand,
}

impl Waiter {
    fn before(&self, other: &Self) -> bool {
        (self.since, &self.name) < (other.since, &other.name)
    }
}

/// What was decided, and the place in the queue if it must wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Where to make it, or why not.
    pub placement: Placement,
    /// Place in the queue, from 1; `None` if it is placed.
    pub position: Option<u32>,
}

/// Decides for `me`; `waiting` are all machines without a Slot, `me` among them or not.
#[must_use]
pub fn decide(world: &World, me: &Waiter, waiting: &[Waiter]) -> Decision {
    let mut ahead: Vec<&Waiter> = waiting.iter().filter(|other| other.before(me)).collect();
    ahead.sort_by(|a, b| (a.since, &a.name).cmp(&(b.since, &b.name)));
    let mut line = Line {
        world,
        ledger: Ledger::of(world),
        blocked: BTreeSet::new(),
        held_up: 0,
    };
    for other in ahead {
        line.serve(other, me);
    }
    let left = line.unblocked(&me.demand);
    let placement = match fit::place(world, &line.ledger, &left) {
        Placement::NotReady { .. } if left.pools.len() < me.demand.pools.len() => line.behind(me),
        other => other,
    };
    let position = match placement {
        Placement::At(_) => None,
        Placement::Full { .. } | Placement::NotReady { .. } => Some(line.held_up + 1),
    };
    Decision { placement, position }
}

struct Line<'a> {
    world: &'a World,
    ledger: Ledger,
    /// Pools that somebody ahead waits for.
    blocked: BTreeSet<String>,
    /// How many ahead wait for a Pool of ours.
    held_up: u32,
}

impl Line<'_> {
    fn unblocked(&self, demand: &Demand) -> Demand {
        let pools = demand
            .pools
            .iter()
            .filter(|pool| !self.blocked.contains(*pool))
            .cloned()
            .collect();
        Demand {
            pools,
            ..demand.clone()
        }
    }

    fn serve(&mut self, other: &Waiter, me: &Waiter) {
        let demand = self.unblocked(&other.demand);
        if let Some(found) = fit::best(self.world, &self.ledger, &demand) {
            self.ledger.add_index(&found.pool.gateway);
            self.ledger.add(&Claim {
                cluster: found.pool.cluster.clone(),
                node: found.node.name.clone(),
                storage: found.storage.name.clone(),
                amount: demand.amount,
                running: false,
                cloning: true,
            });
            return;
        }
        let pools: Vec<String> = fit::open(self.world, &other.demand)
            .filter(|pool| ever(pool, &other.demand))
            .map(|p| p.name.clone())
            .collect();
        self.held_up += u32::from(pools.iter().any(|pool| me.demand.pools.contains(pool)));
        self.blocked.extend(pools);
    }

    fn behind(&self, me: &Waiter) -> Placement {
        match fit::refusal(self.world, &self.ledger, &me.demand) {
            Placement::Full { .. } => {
                let pools: Vec<&str> = me
                    .demand
                    .pools
                    .iter()
                    .filter(|pool| self.blocked.contains(*pool))
                    .map(String::as_str)
                    .collect();
                Placement::Full {
                    needs: format!(
                        "Pool {} serves requests that came earlier first",
                        pools.join(", ")
                    ),
                }
            }
            other => other,
        }
    }
}

/// Whether empty nodes of this Pool could hold it.
fn ever(pool: &PoolView, demand: &Demand) -> bool {
    fit::candidates(pool, demand).any(|c| Ledger::allocatable(pool, c.node).holds(demand.amount))
}
