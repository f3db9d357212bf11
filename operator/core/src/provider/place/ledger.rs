//! The ledger: what is claimed on each node and storage, and so what is left. Saturating, never negative.
//! Must not count templates, or anything that no Slot claims.

use std::collections::BTreeMap;

use domain::quantity::Bytes;

use super::{
    Amount,
    view::{NodeView, PoolView, StorageView, World},
};

/// What one Slot that does not rest holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The Proxmox cluster.
    pub cluster: String,
    /// The node.
    pub node: String,
    /// The storage of the boot disk.
    pub storage: String,
    /// What the machine takes.
    pub amount: Amount,
    /// The VM runs: its memory is in Proxmox's statistics.
    pub running: bool,
    /// The VM is not there yet: its clone is queued or under way.
    pub cloning: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Load {
    cpu: u32,
    memory: Bytes,
    /// Memory promised to VMs that do not run, so in no statistics.
    idle: Bytes,
    clones: u32,
    machines: u32,
}

/// What is claimed on each node and storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    nodes: BTreeMap<(String, String), Load>,
    disks: BTreeMap<(String, String, String), Bytes>,
    indices: BTreeMap<String, u32>,
}

impl Ledger {
    /// The ledger of all claims.
    #[must_use]
    pub fn of(world: &World) -> Self {
        let mut ledger = Self::default();
        for claim in &world.claims {
            ledger.add(claim);
        }
        ledger
    }

    /// Counts one more claim.
    pub fn add(&mut self, claim: &Claim) {
        let load = self
            .nodes
            .entry((claim.cluster.clone(), claim.node.clone()))
            .or_default();
        load.cpu = load.cpu.saturating_add(claim.amount.cpu);
        load.memory = load.memory.saturating_add(claim.amount.memory);
        load.machines = load.machines.saturating_add(1);
        load.clones = load.clones.saturating_add(u32::from(claim.cloning));
        if !claim.running {
            load.idle = load.idle.saturating_add(claim.amount.memory);
        }
        let key = (claim.cluster.clone(), claim.node.clone(), claim.storage.clone());
        let disk = self.disks.entry(key).or_default();
        *disk = disk.saturating_add(claim.amount.disk);
    }

    /// Counts an index that somebody ahead in the queue will take.
    pub(super) fn add_index(&mut self, gateway: &str) {
        let taken = self.indices.entry(gateway.to_owned()).or_default();
        *taken = taken.saturating_add(1);
    }

    /// Indices that those ahead in the queue will take.
    pub(super) fn indices(&self, gateway: &str) -> u32 {
        self.indices.get(gateway).copied().unwrap_or_default()
    }

    fn load(&self, pool: &PoolView, node: &NodeView) -> Load {
        self.nodes
            .get(&(pool.cluster.clone(), node.name.clone()))
            .copied()
            .unwrap_or_default()
    }

    /// Clones queued or under way on the node.
    #[must_use]
    pub fn clones(&self, pool: &PoolView, node: &NodeView) -> u32 {
        self.load(pool, node).clones
    }

    /// Machines on the node.
    #[must_use]
    pub fn machines(&self, pool: &PoolView, node: &NodeView) -> u32 {
        self.load(pool, node).machines
    }

    /// What is claimed on the node and its storage; on a shared storage by all nodes.
    #[must_use]
    pub fn claimed(&self, pool: &PoolView, node: &NodeView) -> Amount {
        let load = self.load(pool, node);
        let disk = node
            .storage
            .as_ref()
            .map_or(Bytes::default(), |storage| self.disk(pool, node, storage));
        Amount {
            cpu: load.cpu,
            memory: load.memory,
            disk,
        }
    }

    fn disk(&self, pool: &PoolView, node: &NodeView, storage: &StorageView) -> Bytes {
        self.disks
            .iter()
            .filter(|((cluster, on, name), _)| {
                *cluster == pool.cluster && *name == storage.name && (storage.shared || *on == node.name)
            })
            .fold(Bytes::default(), |sum, (_, disk)| sum.saturating_add(*disk))
    }

    /// What may be let of the node and its storage in all: processors with overcommit, less the reserve.
    #[must_use]
    pub fn allocatable(pool: &PoolView, node: &NodeView) -> Amount {
        let cpu = node.size.map_or(0, |size| {
            let let_out = u64::from(size.cpu) * u64::from(pool.overcommit_percent) / 100;
            u32::try_from(let_out).unwrap_or(u32::MAX)
        });
        let whole = Amount {
            cpu,
            memory: node.size.map_or(Bytes::default(), |size| size.memory),
            disk: node
                .storage
                .as_ref()
                .map_or(Bytes::default(), |storage| storage.total),
        };
        whole.minus(pool.reserve)
    }

    /// What the ledger says is free.
    #[must_use]
    pub fn free(&self, pool: &PoolView, node: &NodeView) -> Amount {
        Self::allocatable(pool, node).minus(self.claimed(pool, node))
    }

    /// The same, tightened by what Proxmox reports as in use now.
    #[must_use]
    pub fn usable(&self, pool: &PoolView, node: &NodeView) -> Amount {
        let free = self.free(pool, node);
        let memory = node.size.map_or(Bytes::default(), |size| {
            size.memory
                .saturating_sub(size.memory_used)
                .saturating_sub(self.load(pool, node).idle)
        });
        let disk = node.storage.as_ref().map_or(Bytes::default(), |storage| {
            storage.total.saturating_sub(storage.used)
        });
        Amount {
            cpu: free.cpu,
            memory: free.memory.min(memory),
            disk: free.disk.min(disk),
        }
    }
}
