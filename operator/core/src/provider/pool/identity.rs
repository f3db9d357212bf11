//! Which cluster a Pool is about. While Slots name it, another cluster behind the same address must not be asked about
//! their VMs: there, all of them look absent.

use crds::{pool::ClusterIdentity, text::Line};

/// Annotation of a Pool by which its provider says that the cluster which answers is the one that it was: what
/// [`describe`] says of it.
pub const SAME: &str = "decent-cloud.org/same-cluster";

/// Whether these can be one cluster: they share a node, and the name, or the address where a single node has none; a
/// single node may have become a cluster.
#[must_use]
pub fn is_same(known: &ClusterIdentity, seen: &ClusterIdentity) -> bool {
    let one = match (&known.name, &seen.name) {
        (Some(known), seen) => Some(known) == seen.as_ref(),
        (None, Some(_)) => true,
        (None, None) => {
            let addresses = known.address.as_ref().zip(seen.address.as_ref());
            addresses.is_none_or(|(known, seen)| known == seen)
        }
    };
    one && known.nodes.iter().any(|node| seen.nodes.contains(node))
}

/// For people: the name and the nodes, or the node and its address.
#[must_use]
pub fn describe(cluster: &ClusterIdentity) -> String {
    let nodes: Vec<&str> = cluster.nodes.iter().map(Line::as_str).collect();
    let nodes = nodes.join(", ");
    match (&cluster.name, &cluster.address) {
        (Some(name), _) => format!("cluster {name} ({nodes})"),
        (None, Some(address)) => format!("single node {nodes} at {address}"),
        (None, None) => format!("single node {nodes}"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn cluster(name: Option<&str>, nodes: &[&str]) -> ClusterIdentity {
        ClusterIdentity {
            name: name.map(str::to_owned),
            address: None,
            nodes: nodes.iter().map(|node| (*node).into()).collect(),
        }
    }

    #[rstest]
    #[case::itself(Some("a"), &["n1", "n2"], true)]
    #[case::grown(Some("a"), &["n1", "n2", "n3"], true)]
    #[case::shrunk(Some("a"), &["n2"], true)]
    #[case::other_nodes(Some("a"), &["m1", "m2"], false)]
    #[case::other_name(Some("b"), &["n1", "n2"], false)]
    #[case::no_name(None, &["n1"], false)]
    #[case::no_nodes(Some("a"), &[], false)]
    fn a_cluster_is_known_by_its_name_and_a_node(
        #[case] name: Option<&str>,
        #[case] nodes: &[&str],
        #[case] same: bool,
    ) {
        assert_eq!(
            is_same(&cluster(Some("a"), &["n1", "n2"]), &cluster(name, nodes)),
            same
        );
    }

    #[test]
    fn a_single_node_may_become_a_cluster() {
        let alone = cluster(None, &["n1"]);
        assert!(is_same(&alone, &cluster(Some("new"), &["n1", "n2"])));
        assert!(!is_same(&alone, &cluster(Some("new"), &["n2"])));
    }

    #[test]
    fn single_nodes_of_one_name_are_told_apart_by_their_address() {
        let at = |address: Option<&str>| ClusterIdentity {
            address: address.map(str::to_owned),
            ..cluster(None, &["pve"])
        };
        assert!(is_same(&at(Some("10.0.0.1")), &at(Some("10.0.0.1"))));
        assert!(!is_same(&at(Some("10.0.0.1")), &at(Some("10.0.0.2"))));
        assert!(
            is_same(&at(None), &at(Some("10.0.0.2"))),
            "an older status has none"
        );
        assert_eq!(describe(&at(Some("10.0.0.1"))), "single node pve at 10.0.0.1");
    }

    #[test]
    fn both_kinds_are_told() {
        assert_eq!(describe(&cluster(Some("a"), &["n1", "n2"])), "cluster a (n1, n2)");
        assert_eq!(describe(&cluster(None, &["n1"])), "single node n1");
    }
}
