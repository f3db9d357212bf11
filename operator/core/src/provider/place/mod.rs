//! Placement: which node, storage and index a machine gets, from our own ledger. Pure: views in, one spot out.
//! Must not trust Proxmox's statistics to free anything: they only tighten what the ledger says.

use std::net::Ipv4Addr;

use crds::machine::MachineSpec;
use domain::{
    quantity::{Bytes, QuantityError},
    slot::SlotIndex,
};

use crate::reason::Reason;

pub mod breaker;
mod fit;
pub mod index;
pub mod ledger;
pub mod queue;
pub mod view;

pub use fit::place;
pub use ledger::{Claim, Ledger};
pub use view::{NodeSize, NodeView, PoolView, Replica, StorageView, World, overcommit_percent, reserve};

/// What a machine takes of a node and its storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Virtual processors.
    pub cpu: u32,
    /// Memory.
    pub memory: Bytes,
    /// Disk.
    pub disk: Bytes,
}

impl Amount {
    /// The sum, each part at most its largest value.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_add(other.cpu),
            memory: self.memory.saturating_add(other.memory),
            disk: self.disk.saturating_add(other.disk),
        }
    }

    /// The difference, each part at least nothing.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(other.cpu),
            memory: self.memory.saturating_sub(other.memory),
            disk: self.disk.saturating_sub(other.disk),
        }
    }

    /// Whether all of `other` is within this.
    #[must_use]
    pub fn holds(self, other: Self) -> bool {
        other.cpu <= self.cpu && other.memory <= self.memory && other.disk <= self.disk
    }
}

/// What a machine asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// What it takes.
    pub amount: Amount,
    /// The image.
    pub template: String,
    /// Pools that may hold it, the preferred first.
    pub pools: Vec<String>,
    /// The tenant is the provider itself: Pools that take no other tenants are open.
    pub owner: bool,
}

impl Demand {
    /// What this Machine asks for.
    ///
    /// # Errors
    /// When a size cannot be read.
    pub fn of(machine: &MachineSpec) -> Result<Self, QuantityError> {
        let offering = &machine.offering;
        Ok(Self {
            amount: Amount {
                cpu: u32::try_from(offering.resources.cpu).unwrap_or(u32::MAX),
                memory: offering.resources.memory.as_str().parse()?,
                disk: offering.resources.disk.as_str().parse()?,
            },
            template: offering.template.name.as_str().to_owned(),
            pools: offering
                .pools
                .iter()
                .map(|pool| pool.as_str().to_owned())
                .collect(),
            owner: offering.self_rental,
        })
    }
}

/// Where a machine is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The Pool.
    pub pool: String,
    /// The node.
    pub node: String,
    /// The storage of the boot disk.
    pub storage: String,
    /// The template on that node.
    pub template_vmid: u32,
    /// Whether the clone is a full copy.
    pub full_clone: bool,
    /// The Gateway.
    pub gateway: String,
    /// The index at that Gateway.
    pub index: SlotIndex,
    /// The VMID that follows.
    pub vmid: u32,
    /// The address that follows.
    pub address: Ipv4Addr,
    /// A resting Slot of that name, which must go first.
    pub replaces: Option<String>,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Placement {
    /// Make it there.
    At(Box<Spot>),
    /// Nothing free fits now.
    Full {
        /// What is short and where, in one sentence without the full stop.
        needs: String,
    },
    /// No Pool can be used now.
    NotReady {
        /// Why the first one cannot.
        reason: Reason,
        /// The same in a sentence.
        message: String,
    },
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
