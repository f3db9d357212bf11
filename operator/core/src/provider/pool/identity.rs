//! Which cluster a Pool is about. While Slots name it, another cluster behind the same address must not be asked about
//! their VMs: there, all of them look absent.

use crds::{pool::ClusterIdentity, text::PveId};

/// Whether these can be one cluster: they share a node, and the name, unless a single node has become a cluster.
#[must_use]
pub fn is_same(known: &ClusterIdentity, seen: &ClusterIdentity) -> bool {
    let one_name = known.name.is_none() || known.name == seen.name;
    one_name && known.nodes.iter().any(|node| seen.nodes.contains(node))
}

/// For people: the name and the nodes.
#[must_use]
pub fn describe(cluster: &ClusterIdentity) -> String {
    let nodes: Vec<&str> = cluster.nodes.iter().map(PveId::as_str).collect();
    let nodes = nodes.join(", ");
    match &cluster.name {
        Some(name) => format!("cluster {name} ({nodes})"),
        None => format!("single node {nodes}"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn cluster(name: Option<&str>, nodes: &[&str]) -> ClusterIdentity {
        ClusterIdentity {
            name: name.map(str::to_owned),
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
    fn both_kinds_are_told() {
        assert_eq!(describe(&cluster(Some("a"), &["n1", "n2"])), "cluster a (n1, n2)");
        assert_eq!(describe(&cluster(None, &["n1"])), "single node n1");
    }
}
