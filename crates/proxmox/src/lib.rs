//! Proxmox VE client: transport, typed errors, tolerant reads, tasks.
//!
//! Built on the generated endpoints of `proxmox-api` with a transport of our own. Knows how the real daemons answer
//! and what a failure means; must not know Kubernetes or decide what to do next.

mod admission;
mod classify;
mod config;
mod error;
mod firewall;
mod mutate;
mod reads;
mod rows;
mod tasks;
mod tls;
mod tolerant;
mod transport;
mod turns;

pub use admission::{Admission, Permit};
pub use classify::{Answer, classify};
pub use config::{Config, ConfigError, Endpoint, Fingerprint, Token, Trust};
pub use error::{Error, TransportKind};
pub use firewall::{FirewallOptions, IpsetEntry, NewRule, Rule};
pub use mutate::{Change, CloneRequest, sshkeys_value};
pub use reads::{Permissions, Pve, StorageStatus, Version, VmConfig, VmCurrent};
pub use rows::{ClusterStatus, Member, NodeRow, PoolView, PowerStatus, Resources, StorageRow, VmRow};
pub use tasks::{Exit, TaskQuery, TaskRow, TaskSource, TaskStatus};
