//! What placement looks at: Pools with their nodes, the claims, the Gateways' indices. Data only.

use std::collections::BTreeMap;

use crds::{pool::PoolSpec, text::SizeOrZero};
use domain::{quantity::Bytes, slot::GatewayPlan};
use jiff::Timestamp;

use super::{Amount, Claim, index::Indices};
use crate::provider::pool::Readiness;

/// All that one decision needs.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The namespace's Pools.
    pub pools: Vec<PoolView>,
    /// What is claimed, of all Pools.
    pub claims: Vec<Claim>,
    /// The Gateways' indices by the Gateway's name.
    pub gateways: BTreeMap<String, Indices>,
}

impl World {
    /// The Pool of this name.
    #[must_use]
    pub fn pool(&self, name: &str) -> Option<&PoolView> {
        self.pools.iter().find(|pool| pool.name == name)
    }
}

/// A Pool as placement sees it.
#[derive(Clone, Debug)]
pub struct PoolView {
    /// Its name.
    pub name: String,
    /// The Proxmox cluster: Pools of one cluster share their nodes' ledgers.
    pub cluster: String,
    /// Whether it takes machines.
    pub readiness: Readiness,
    /// Name of its Gateway.
    pub gateway: String,
    /// What follows from the Gateway and the VMID base; `None` if that is not valid.
    pub plan: Option<GatewayPlan>,
    /// Its nodes.
    pub nodes: Vec<NodeView>,
    /// Kept free on each node and storage.
    pub reserve: Amount,
    /// Virtual processors for a hundred of the node's.
    pub overcommit_percent: u32,
}

/// A node as placement sees it.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// Whether the cluster sees it.
    pub online: bool,
    /// Takes no new machines.
    pub cordoned: bool,
    /// What it has, where the token may see that.
    pub size: Option<NodeSize>,
    /// The storage of boot disks, if it can be used.
    pub storage: Option<StorageView>,
    /// The templates on it by name.
    pub replicas: BTreeMap<String, Replica>,
    /// It, or its storage, failed too often: avoided until then.
    pub avoided: Option<Timestamp>,
}

/// What a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeSize {
    /// Processors.
    pub cpu: u32,
    /// Memory.
    pub memory: Bytes,
    /// Memory in use as Proxmox reports it, possibly a minute old.
    pub memory_used: Bytes,
}

/// A storage on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageView {
    /// Its name.
    pub name: String,
    /// Whether all nodes see the same one.
    pub shared: bool,
    /// Its size.
    pub total: Bytes,
    /// What is in use as Proxmox reports it, possibly a minute old.
    pub used: Bytes,
}

/// A template on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its VMID.
    pub vmid: u32,
    /// Whether clones of it must be full copies.
    pub full_clone: bool,
}

/// What the Pool keeps free on each node and storage. The API server has checked the sizes.
#[must_use]
pub fn reserve(spec: &PoolSpec) -> Amount {
    let size = |text: Option<&SizeOrZero>| {
        text.and_then(|text| text.as_str().parse().ok())
            .unwrap_or_default()
    };
    spec.reserve.as_ref().map_or(Amount::default(), |reserve| Amount {
        cpu: reserve
            .cpu
            .and_then(|cpu| u32::try_from(cpu).ok())
            .unwrap_or_default(),
        memory: size(reserve.memory.as_ref()),
        disk: size(reserve.disk.as_ref()),
    })
}

/// Virtual processors for a hundred of a node's.
#[must_use]
pub fn overcommit_percent(spec: &PoolSpec) -> u32 {
    let ratio = spec.overcommit.as_ref().and_then(|over| over.cpu.as_ref());
    ratio.and_then(|ratio| percent(ratio.as_str())).unwrap_or(100)
}

fn percent(ratio: &str) -> Option<u32> {
    let (whole, part) = ratio.split_once('.').unwrap_or((ratio, ""));
    let whole: u32 = whole.parse().ok()?;
    let part: u32 = format!("{part:0<2}").get(..2)?.parse().ok()?;
    Some(whole * 100 + part)
}

#[cfg(test)]
mod tests {
    use crds::pool::{Overcommit, Reserve};
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(None, 100)]
    #[case(Some("1"), 100)]
    #[case(Some("2"), 200)]
    #[case(Some("1.5"), 150)]
    #[case(Some("1.05"), 105)]
    #[case(Some("64.99"), 6499)]
    fn ratios(#[case] ratio: Option<&str>, #[case] percent: u32) {
        let overcommit = Some(Overcommit {
            cpu: ratio.map(Into::into),
        });
        assert_eq!(
            overcommit_percent(&PoolSpec {
                overcommit,
                ..PoolSpec::default()
            }),
            percent
        );
    }

    #[test]
    fn a_reserve_is_read() {
        let reserve = Reserve {
            cpu: Some(2),
            memory: Some("4Gi".into()),
            disk: None,
        };
        let read = super::reserve(&PoolSpec {
            reserve: Some(reserve),
            ..PoolSpec::default()
        });
        assert_eq!(
            read,
            Amount {
                cpu: 2,
                memory: Bytes::from_gib(4),
                disk: Bytes::default()
            }
        );
        assert_eq!(super::reserve(&PoolSpec::default()), Amount::default());
    }
}
