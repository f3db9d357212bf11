//! Two Pools of one namespace must not hand out the same VMIDs of one Proxmox cluster: the younger one steps back.

use jiff::Timestamp;

use super::{Bars, Finding};
use crate::reason::Reason;

/// The VMIDs of a Pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Name of the Pool.
    pub name: String,
    /// When it was created.
    pub created: Timestamp,
    /// Name of its Gateway.
    pub gateway: String,
    /// The first VMID.
    pub base: u32,
    /// How many there are.
    pub capacity: u32,
    /// By what the cluster is known once it was seen: certificates, its name with its nodes.
    pub cluster: Vec<String>,
}

impl Range {
    fn last(&self) -> u32 {
        self.base.saturating_add(self.capacity.saturating_sub(1))
    }

    /// One Gateway gives an index once, so equal bases never meet; other ranges of one cluster may.
    fn meets(&self, other: &Self) -> bool {
        let one_cluster = self.cluster.iter().any(|known| other.cluster.contains(known));
        let apart = self.gateway == other.gateway && self.base == other.base;
        one_cluster && !apart && self.base <= other.last() && other.base <= self.last()
    }
}

/// What is wrong with `me`, if an older one of `others` has some of its VMIDs.
#[must_use]
pub fn overlap(me: &Range, others: &[Range]) -> Option<Finding> {
    let older = |other: &&Range| (other.created, &other.name) < (me.created, &me.name);
    let other = others.iter().filter(older).find(|other| me.meets(other))?;
    Some(Finding::new(
        Reason::VmidOverlap,
        Bars::All,
        format!(
            "VMIDs {}–{} overlap those of the older Pool {} ({}–{}) on the same Proxmox cluster. \
             Choose another spec.vmidBase, or share its Gateway and base.",
            me.base,
            me.last(),
            other.name,
            other.base,
            other.last()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn range(name: &str, created: i64, gateway: &str, base: u32) -> Range {
        Range {
            name: name.to_owned(),
            created: Timestamp::from_second(created).unwrap(),
            gateway: gateway.to_owned(),
            base,
            capacity: 100,
            cluster: vec!["AA".to_owned()],
        }
    }

    #[rstest]
    #[case::the_younger_steps_back(range("b", 2, "g2", 10_099), true)]
    #[case::the_older_stays(range("b", 0, "g2", 10_099), false)]
    #[case::of_equal_age_the_name_decides(range("b", 1, "g2", 10_099), true)]
    #[case::ranges_that_touch_are_apart(range("b", 2, "g2", 10_100), false)]
    #[case::below(range("b", 2, "g2", 9_901), true)]
    #[case::just_below(range("b", 2, "g2", 9_900), false)]
    #[case::a_shared_gateway_and_base(range("b", 2, "g1", 10_000), false)]
    #[case::a_shared_gateway_with_another_base(range("b", 2, "g1", 10_005), true)]
    #[case::another_cluster(Range { cluster: vec!["BB".to_owned()], ..range("b", 2, "g2", 10_000) }, false)]
    #[case::known_by_another_sign(Range { cluster: vec!["BB".to_owned(), "AA".to_owned()], ..range("b", 2, "g2", 10_000) }, true)]
    #[case::a_cluster_not_seen_yet(Range { cluster: vec![], ..range("b", 2, "g2", 10_000) }, false)]
    fn overlaps(#[case] me: Range, #[case] found: bool) {
        let older = range("a", 1, "g1", 10_000);
        assert_eq!(overlap(&me, &[me.clone(), older]).is_some(), found);
    }
}
