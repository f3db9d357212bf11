//! What was seen of Proxmox, as facts. Absence is a proof and Unknown is not absence: planners destroy and create on
//! positive evidence only.

use std::collections::BTreeMap;

use crds::{common::PowerState, machine::TaskKind};
use domain::{
    ids::Vmid,
    pve::Class,
    stamp::{self, Found, Stamp},
};
use jiff::Timestamp;

/// Whether a thing is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence<T> {
    /// It is proven not to be there.
    Absent,
    /// Nobody can tell.
    Unknown(Why),
    /// It is there.
    Present(T),
}

/// Why nobody can tell whether a VM is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Proxmox did not answer, or with an error.
    NoAnswer {
        /// Class of the error.
        class: Class,
        /// The error for people.
        text: String,
    },
    /// The id is free now; one more look later proves absence.
    LooksFree {
        /// When the second look is due.
        again_at: Timestamp,
    },
    /// The id is taken by something that the token cannot see.
    Hidden {
        /// Since when it has been seen so.
        since: Timestamp,
    },
    /// The cluster has no quorum: what it says proves nothing.
    NoQuorum,
}

/// A VM as Proxmox shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Node that it is on.
    pub node: String,
    /// Its VMID.
    pub vmid: Vmid,
    /// Its configuration, each value as text.
    pub config: BTreeMap<String, String>,
    /// Digest of that configuration.
    pub digest: String,
    /// Whether it runs; None when Proxmox did not say.
    pub power: Option<PowerState>,
    /// Its firewall, where it was read.
    pub firewall: Option<FirewallSeen>,
}

/// A VM's firewall as Proxmox shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirewallSeen {
    /// Options that are set.
    pub options: BTreeMap<String, String>,
    /// Rules in order.
    pub rules: Vec<Rule>,
    /// Members of the set `ipfilter-net0`; None when there is no such set.
    pub ipfilter: Option<Vec<String>>,
}

/// A firewall rule, as far as we set any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `in` or `out`.
    pub direction: String,
    /// `ACCEPT` or `DROP`.
    pub action: String,
    /// Source network.
    pub source: Option<String>,
    /// Whether it is on.
    pub enabled: bool,
    /// Anything else is set: it is not ours.
    pub extra: bool,
}

/// A task of ours that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// What it does.
    pub kind: TaskKind,
    /// Since when.
    pub since: Timestamp,
    /// When it was last told to end.
    pub told: Option<Timestamp>,
}

/// What is known of our last task on a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskSeen {
    /// There is none.
    None,
    /// It is under way.
    Running(Running),
    /// It ended well.
    Done {
        /// What it did.
        kind: TaskKind,
    },
    /// It failed.
    Failed {
        /// What it was to do.
        kind: TaskKind,
        /// Class of the failure.
        class: Class,
        /// Its text.
        text: String,
    },
}

/// Proof that a VM carried our stamp when it was read just now. Mutating steps cannot be built without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    node: String,
    vmid: Vmid,
    digest: String,
    stamp: Stamp,
}

impl Ownership {
    /// Proves that this VM is the one that was stamped.
    ///
    /// # Errors
    /// What the VM carries instead.
    pub fn prove(guest: &Guest, stamp: &Stamp) -> Result<Self, Found> {
        match stamp::find(description(guest)) {
            Found::One(found) if found == *stamp => Ok(Self {
                node: guest.node.clone(),
                vmid: guest.vmid,
                digest: guest.digest.clone(),
                stamp: *stamp,
            }),
            other => Err(other),
        }
    }

    /// Node that the VM is on.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The VMID.
    #[must_use]
    pub const fn vmid(&self) -> Vmid {
        self.vmid
    }

    /// Digest of the configuration that the proof was read from.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The stamp that was found.
    #[must_use]
    pub const fn stamp(&self) -> &Stamp {
        &self.stamp
    }
}

impl Guest {
    /// Configuration lock, such as `clone` or `backup`.
    #[must_use]
    pub fn lock(&self) -> Option<&str> {
        self.config.get("lock").map(String::as_str)
    }

    /// Name that the VM has now; people may change it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.config.get("name").map_or("", String::as_str)
    }

    /// Whether deletion is refused by Proxmox.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.config.get("protection").is_some_and(|v| v == "1")
    }
}

/// The VM's description, empty when it has none.
#[must_use]
pub fn description(guest: &Guest) -> &str {
    guest.config.get("description").map_or("", String::as_str)
}
