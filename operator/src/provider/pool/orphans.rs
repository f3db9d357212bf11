//! VMs that carry a stamp though no Slot claims them. They are named in the Pool's status and never touched.

use std::{collections::BTreeSet, time::Duration};

use dc_proxmox::{Pve, VmRow};
use domain::{
    ids::NodeName,
    stamp::{Found, find},
};

use super::inventory::Inventory;

/// Configurations read in one look.
const READS: usize = 16;
const DEADLINE: Duration = Duration::from_secs(5);

/// Looks at the VMs that no Slot claims, at those only that were there at the last look too: `before` is what that one
/// left, and takes what this one leaves.
pub async fn orphans(
    pve: &Pve,
    inventory: &Inventory,
    claimed: &BTreeSet<u32>,
    before: &mut BTreeSet<u32>,
) -> Vec<String> {
    let unclaimed: Vec<&VmRow> = inventory
        .resources
        .vms
        .iter()
        .filter(|row| !row.template && !claimed.contains(&row.vmid.get()))
        .collect();
    let known = std::mem::replace(before, unclaimed.iter().map(|row| row.vmid.get()).collect());
    let mut found = Vec::new();
    for row in unclaimed
        .into_iter()
        .filter(|row| known.contains(&row.vmid.get()))
        .take(READS)
    {
        found.extend(stamped(pve, row).await);
    }
    found.sort();
    found
}

async fn stamped(pve: &Pve, row: &VmRow) -> Option<String> {
    let node: NodeName = row.node.parse().ok()?;
    let config = tokio::time::timeout(DEADLINE, pve.vm_config(&node, row.vmid))
        .await
        .ok()?
        .ok()?;
    let Found::One(stamp) = find(config.description()) else {
        return None;
    };
    Some(format!(
        "VM {} on node {} carries the stamp of Slot {} and Machine {}, but no Slot claims it",
        row.vmid, row.node, stamp.slot, stamp.machine
    ))
}
