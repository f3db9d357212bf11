//! Test bed: real parts on one machine, for tests, demo and benchmarks.
//!
//! Owns the control plane ([`control_plane`]), child processes that never outlive us ([`process`]), a namespace
//! per test ([`namespace`]), our manifests on an API server ([`manifests`]) and assertions about admission
//! ([`admission`]), a stand-in for a gateway's agent ([`agent`]). Must not see the operator's core or its Proxmox client: an oracle must not share our mistakes.

pub mod admission;
pub mod agent;
pub mod assets;
pub mod control_plane;
pub mod kubeconfig;
pub mod manifests;
pub mod namespace;
pub mod process;
pub mod shared;
pub mod wait;

pub use control_plane::{ControlPlane, Options};
pub use namespace::{TestNamespace, with_namespace};
pub use process::{Launch, Lifetime, Process, Ready};
pub use shared::{Shared, shared};

/// API group of our kinds.
pub const GROUP: &str = "decent-cloud.org";

/// Field manager of everything that the test bed itself applies.
pub const FIELD_MANAGER: &str = "decent-testkit";
