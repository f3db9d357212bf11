//! The kinds of `decent-cloud.org/v1alpha1` as Rust types: one file each, with every rule that concerns one object
//! alone as CEL. No behaviour: planners read these, shells store them.

#![expect(
    clippy::duplicated_attributes,
    reason = "kube takes one printcolumn, selectable or validation attribute each"
)]

pub mod account;
pub mod common;
pub mod condition;
pub mod contract;
pub mod gateway;
pub mod machine;
pub mod manifests;
pub mod offering;
pub mod policy;
pub mod pool;
pub mod provider;
pub mod reason;
pub mod slot;
pub mod text;

pub use account::{Account, AccountSpec, AccountStatus};
pub use contract::{Contract, ContractSpec, ContractStatus};
pub use gateway::{Gateway, GatewaySpec, GatewayStatus};
pub use machine::{Machine, MachineSpec, MachineStatus};
pub use offering::{Offering, OfferingSpec, OfferingStatus};
pub use pool::{Pool, PoolSpec, PoolStatus};
pub use provider::{Provider, ProviderSpec, ProviderStatus};
pub use slot::{Slot, SlotSpec, SlotStatus};
