//! One read of a cluster for all machines of a Pool. A row that is missing proves nothing.

use std::{collections::BTreeMap, time::Duration};

use crds::pool::ClusterIdentity;
use dc_proxmox::{ClusterStatus, Error, Pve, Resources, VmRow};
use domain::{ids::Vmid, pve::Class};
use jiff::Timestamp;

/// What the cluster showed at one instant.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// When the read ended.
    pub seen: Timestamp,
    /// The same on the monotonic clock.
    pub monotonic: Duration,
    /// Guests, nodes and storages that the token may see.
    pub resources: Resources,
    /// Quorum and nodes; `None` where the token may not see it.
    pub cluster: Option<ClusterStatus>,
    /// Since when nodes have been seen offline by a cluster with quorum.
    pub offline: BTreeMap<String, Timestamp>,
}

impl Inventory {
    /// The row of a guest. Nothing is no proof of absence.
    #[must_use]
    pub fn vm(&self, vmid: Vmid) -> Option<&VmRow> {
        self.resources.vm(vmid)
    }

    /// Whether the cluster sees the node.
    #[must_use]
    pub fn online(&self, node: &str) -> bool {
        let listed = self
            .resources
            .nodes
            .iter()
            .any(|row| row.node == node && row.online);
        let known = self.cluster.as_ref().and_then(|cluster| cluster.nodes.get(node));
        listed && known.copied().unwrap_or(true)
    }

    /// Since when a cluster with quorum has said that the node is offline.
    #[must_use]
    pub fn offline_since(&self, node: &str) -> Option<Timestamp> {
        self.offline.get(node).copied()
    }

    /// Which cluster this is; `None` where the token may not see it.
    #[must_use]
    pub fn identity(&self) -> Option<ClusterIdentity> {
        self.cluster.as_ref().map(identity)
    }
}

/// Most nodes that are remembered of a cluster: more than Proxmox supports.
const NODES_MAX: usize = 64;

/// By what this cluster is told from others.
#[must_use]
pub fn identity(cluster: &ClusterStatus) -> ClusterIdentity {
    ClusterIdentity {
        name: cluster.name.clone(),
        address: cluster.address.clone(),
        nodes: cluster
            .nodes
            .keys()
            .take(NODES_MAX)
            .map(|node| node.as_str().into())
            .collect(),
    }
}

/// What one read gave, before it has a time.
pub type Sight = (Resources, Option<ClusterStatus>);

/// Reads the cluster once.
///
/// # Errors
/// No usable answer.
pub async fn read(pve: &Pve) -> Result<Sight, Error> {
    let (resources, cluster) = tokio::join!(pve.resources(), pve.cluster_status());
    Ok((resources?, permitted(cluster)?))
}

/// Nothing where the token may not see it; a refused token stays an error.
///
/// # Errors
/// Every other failure.
pub fn permitted<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_forbidden(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the token may not do that, while it is a token of this cluster.
#[must_use]
pub fn is_forbidden(error: &Error) -> bool {
    matches!(error.class(), Class::Denied { .. }) && error.answer().is_some_and(|answer| answer.status == 403)
}

/// The inventory of this sight; nodes that were offline before keep their time.
#[must_use]
pub fn dated(
    (resources, cluster): Sight,
    before: Option<&Inventory>,
    at: (Timestamp, Duration),
) -> Inventory {
    let away = |cluster: &ClusterStatus| -> BTreeMap<String, Timestamp> {
        let names = cluster
            .nodes
            .iter()
            .filter(|(_, online)| !**online)
            .map(|(name, _)| name);
        let since = |name: &String| before.and_then(|old| old.offline_since(name)).unwrap_or(at.0);
        names.map(|name| (name.clone(), since(name))).collect()
    };
    let offline = cluster
        .as_ref()
        .filter(|cluster| cluster.quorate)
        .map(away)
        .unwrap_or_default();
    Inventory {
        seen: at.0,
        monotonic: at.1,
        resources,
        cluster,
        offline,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(quorate: bool, nodes: &[(&str, bool)]) -> ClusterStatus {
        let nodes = nodes
            .iter()
            .map(|(name, online)| ((*name).to_owned(), *online))
            .collect();
        ClusterStatus {
            name: Some("c".to_owned()),
            quorate,
            nodes,
            address: None,
        }
    }

    fn at(second: i64) -> (Timestamp, Duration) {
        (Timestamp::from_second(second).unwrap(), Duration::ZERO)
    }

    #[test]
    fn a_node_is_offline_since_the_first_look_with_quorum_that_says_so() {
        let sight = |online| {
            (
                Resources::default(),
                Some(cluster(true, &[("pve1", true), ("pve2", online)])),
            )
        };
        let first = dated(sight(false), None, at(10));
        let second = dated(sight(false), Some(&first), at(70));
        assert_eq!(second.offline_since("pve2"), Some(at(10).0));
        assert_eq!(second.offline_since("pve1"), None);
        let back = dated(sight(true), Some(&second), at(80));
        assert_eq!(back.offline_since("pve2"), None);
        let again = dated(sight(false), Some(&back), at(90));
        assert_eq!(again.offline_since("pve2"), Some(at(90).0));
    }

    #[test]
    fn without_quorum_no_node_counts_as_offline() {
        let lost = (Resources::default(), Some(cluster(false, &[("pve2", false)])));
        assert_eq!(dated(lost, None, at(10)).offline_since("pve2"), None);
        let blind = (Resources::default(), None);
        assert!(
            dated(blind, None, at(10))
                .cluster
                .is_none_or(|cluster| !cluster.quorate)
        );
    }
}
