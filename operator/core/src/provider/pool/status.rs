//! What a Pool's status says: readiness, what each node has by the ledger, orphans. Equal facts give equal bytes.

use crds::pool::{ClusterIdentity, NodeStatus, PoolStatus};
use domain::quantity::Bytes;
use jiff::Timestamp;

use super::Readiness;
use crate::{
    condition::{READY, Stated, cut, merged},
    provider::place::{Ledger, PoolView},
    reason::Reason,
};

/// Most orphans that are named.
const ORPHANS_MAX: usize = 64;
/// Longest line about an orphan.
const ORPHAN_MAX: usize = 256;

/// What became of one look at a Pool. `None` means that it could not be seen now: what was written stays.
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    /// Whether it takes machines.
    pub readiness: &'a Readiness,
    /// What each node has.
    pub nodes: Option<Vec<NodeStatus>>,
    /// Whether any Slot names it.
    pub slots: bool,
    /// Stamped VMs that no Slot claims.
    pub orphans: Option<Vec<String>>,
    /// Version of Proxmox.
    pub version: Option<String>,
    /// Fingerprint of the API's certificate.
    pub fingerprint: Option<String>,
    /// The cluster that answered.
    pub cluster: Option<ClusterIdentity>,
}

/// The status to store. `slotsInUse` is never dropped: only a person may.
#[must_use]
pub fn status(
    prior: Option<&PoolStatus>,
    generation: Option<i64>,
    out: Outcome<'_>,
    now: Timestamp,
) -> PoolStatus {
    let Outcome {
        readiness,
        nodes,
        slots,
        orphans,
        version,
        fingerprint,
        cluster,
    } = out;
    let old = prior.cloned().unwrap_or_default();
    let lines = |orphans: Vec<String>| {
        orphans
            .into_iter()
            .take(ORPHANS_MAX)
            .map(|line| cut(line, ORPHAN_MAX).as_str().into())
            .collect()
    };
    PoolStatus {
        observed_generation: generation,
        version: version.or(old.version),
        cluster: cluster.or(old.cluster),
        slots_in_use: if slots { Some(true) } else { old.slots_in_use },
        nodes: nodes.unwrap_or(old.nodes),
        orphans: orphans.map_or(old.orphans, lines),
        fingerprint: fingerprint.or(old.fingerprint),
        conditions: merged(&old.conditions, vec![stated(readiness)], generation, now),
    }
}

fn stated(readiness: &Readiness) -> Stated {
    match readiness {
        Readiness::Ready { warning: None } => {
            Stated::new(READY, true, Reason::Ready, "Machines can be made here.")
        }
        Readiness::Ready {
            warning: Some((reason, message)),
        } => Stated::new(
            READY,
            true,
            *reason,
            format!("Machines can be made here, but: {message}"),
        ),
        Readiness::OwnerOnly { reason, message } => Stated::new(
            READY,
            false,
            *reason,
            format!("{message} Until then only the owner's own machines are made here."),
        ),
        Readiness::Not { reason, message } => Stated::new(READY, false, *reason, message.clone()),
    }
}

/// What each node of the Pool has by the ledger.
#[must_use]
pub fn nodes(pool: &PoolView, ledger: &Ledger) -> Vec<NodeStatus> {
    let whole = |size: Bytes| Bytes::from_mib(size.get() >> 20).to_string();
    pool.nodes
        .iter()
        .map(|node| {
            let free = ledger.free(pool, node);
            NodeStatus {
                name: node.name.clone(),
                online: node.online,
                free_cpu: i32::try_from(free.cpu).unwrap_or(i32::MAX),
                free_memory: whole(free.memory),
                free_disk: whole(free.disk),
                machines: i32::try_from(ledger.machines(pool, node)).unwrap_or(i32::MAX),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(readiness: &Readiness) -> Outcome<'_> {
        Outcome {
            readiness,
            nodes: None,
            slots: false,
            orphans: None,
            version: None,
            fingerprint: None,
            cluster: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const READY_NOW: Readiness = Readiness::Ready { warning: None };

    #[test]
    fn what_cannot_be_seen_now_stays_as_it_was_written() {
        let seen = Outcome {
            nodes: Some(vec![NodeStatus {
                name: "pve1".to_owned(),
                ..NodeStatus::default()
            }]),
            orphans: Some(vec!["VM 7".to_owned()]),
            version: Some("9.2.11".to_owned()),
            fingerprint: Some("AA".to_owned()),
            ..outcome(&READY_NOW)
        };
        let first = status(None, Some(1), seen, at(1));
        let gone = Readiness::Not {
            reason: Reason::ProxmoxUnreachable,
            message: "No answer.".to_owned(),
        };
        let blind = status(Some(&first), Some(1), outcome(&gone), at(2));
        assert_eq!((&blind.nodes, &blind.orphans), (&first.nodes, &first.orphans));
        assert_eq!(
            (&blind.version, &blind.fingerprint),
            (&first.version, &first.fingerprint)
        );
        assert_eq!(blind.conditions[0].reason, "ProxmoxUnreachable");
    }

    #[test]
    fn slots_in_use_is_never_dropped() {
        let used = status(
            None,
            None,
            Outcome {
                slots: true,
                ..outcome(&READY_NOW)
            },
            at(1),
        );
        assert_eq!(used.slots_in_use, Some(true));
        assert_eq!(
            status(Some(&used), None, outcome(&READY_NOW), at(2)).slots_in_use,
            Some(true)
        );
        assert_eq!(status(None, None, outcome(&READY_NOW), at(2)).slots_in_use, None);
    }

    #[test]
    fn a_second_look_at_the_same_gives_the_same_bytes() {
        let first = status(None, Some(3), outcome(&READY_NOW), at(1));
        assert_eq!(status(Some(&first), Some(3), outcome(&READY_NOW), at(99)), first);
    }

    #[test]
    fn a_warning_is_shown_and_leaves_it_ready() {
        let warned = Readiness::Ready {
            warning: Some((Reason::ExcessPrivilege, "Too much.".to_owned())),
        };
        let shown = status(None, None, outcome(&warned), at(1)).conditions;
        assert_eq!(
            (shown[0].status.as_str(), shown[0].reason.as_str()),
            ("True", "ExcessPrivilege")
        );
        let owner = Readiness::OwnerOnly {
            reason: Reason::FirewallOff,
            message: "Off.".to_owned(),
        };
        let shown = status(None, None, outcome(&owner), at(1)).conditions;
        assert_eq!(
            (shown[0].status.as_str(), shown[0].reason.as_str()),
            ("False", "FirewallOff")
        );
    }
}
