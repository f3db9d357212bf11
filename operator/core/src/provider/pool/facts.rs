//! What one preflight found. Data only; what could not be read is `None`, never a guess.

use std::collections::BTreeMap;

use crds::pool::PoolSpec;
use jiff::Timestamp;

use super::{Finding, lint::TemplateSeen};

/// All that the verdict on a Pool needs.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// What the provider wrote.
    pub spec: &'a PoolSpec,
    /// How the cluster answered.
    pub contact: &'a Contact,
    /// Why the Gateway cannot be used, if so.
    pub gateway: Option<String>,
    /// Another Pool has these VMIDs, if so.
    pub overlap: Option<Finding>,
    /// It is being deleted, and this Slot still names it.
    pub held_by: Option<String>,
}

/// How the cluster answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Contact {
    /// The token's Secret cannot be used.
    SecretUnreadable {
        /// What is wrong with it; never any of its content.
        text: String,
    },
    /// The CA bundle or fingerprint cannot be used.
    TrustUnreadable {
        /// What is wrong with it.
        text: String,
    },
    /// An address that is never called.
    EndpointRefused {
        /// What is wrong with it.
        text: String,
    },
    /// Nobody answers.
    Unreachable {
        /// The addresses tried, without scheme.
        hosts: String,
        /// Since when.
        since: Timestamp,
        /// How it ends.
        text: String,
    },
    /// Another certificate than the trusted one.
    CertificateMismatch {
        /// The addresses tried, without scheme.
        hosts: String,
        /// The fingerprint presented.
        presented: Option<String>,
    },
    /// The token is refused.
    TokenRejected {
        /// `USER@REALM!ID`.
        token: String,
    },
    /// An answer that says no for another reason.
    Refused {
        /// The client's sentence.
        text: String,
    },
    /// Another cluster than the one that holds the machines of this Pool.
    OtherCluster {
        /// The Pool as kubectl takes it: `NAME -n NAMESPACE`.
        pool: String,
        /// The addresses tried, without scheme.
        hosts: String,
        /// The one that holds them, as [`super::identity::describe`] says it.
        known: String,
        /// The one that answers, in the same way.
        seen: String,
    },
    /// It answered.
    Answered(Box<Answered>),
}

/// What the cluster said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answered {
    /// `USER@REALM!ID`.
    pub token: String,
    /// Version of Proxmox.
    pub version: String,
    /// Privileges by path, and whether they hold below it.
    pub permissions: BTreeMap<String, BTreeMap<String, bool>>,
    /// Whether a majority of the nodes agrees.
    pub quorate: Option<bool>,
    /// Whether the datacenter firewall is on.
    pub firewall: Option<bool>,
    /// Nodes of the cluster by name.
    pub nodes: BTreeMap<String, NodeSeen>,
    /// The storages that the Pool names, on each of its nodes.
    pub storages: Vec<StorageSeen>,
    /// The templates that the Pool names.
    pub templates: Vec<TemplateSeen>,
}

/// A node as the cluster shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeSeen {
    /// Whether the cluster sees it.
    pub online: bool,
    /// Whether the token may see its processors and memory.
    pub sized: bool,
}

/// A storage on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageSeen {
    /// The node.
    pub node: String,
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: StorageState,
}

/// How a storage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageState {
    /// It holds disks.
    Usable,
    /// There is none of that name.
    Missing,
    /// It is switched off, or not mounted.
    Inactive,
    /// It does not hold disks of VMs.
    NoImages,
    /// Nobody can tell.
    Unknown,
}
