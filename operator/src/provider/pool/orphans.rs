//! VMs that carry a stamp though no Slot claims them. They are named in the Pool's status and never touched.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::Duration,
};

use dc_proxmox::{Pve, VmRow};
use domain::{
    ids::NodeName,
    stamp::{Found, find},
};

use super::inventory::Inventory;

/// Configurations read in one look: all are read in turn.
const READS: usize = 16;
const DEADLINE: Duration = Duration::from_secs(5);

/// What is known of the VMs that no Slot claims.
#[derive(Debug, Default)]
pub struct Orphans {
    /// Each that the last look saw, and what to say of it.
    known: BTreeMap<u32, Option<String>>,
    /// The one that was read last.
    last: u32,
}

impl Orphans {
    /// Looks at the VMs that no Slot claims, at those only that were there at the last look too. One that cannot be
    /// read now stays what it was.
    pub async fn look(&mut self, pve: &Pve, inventory: &Inventory, claimed: &BTreeSet<u32>) -> Vec<String> {
        let unclaimed: BTreeMap<u32, &VmRow> = inventory
            .resources
            .vms
            .iter()
            .map(|row| (row.vmid.get(), row))
            .filter(|(vmid, row)| !row.template && !claimed.contains(vmid))
            .collect();
        self.known.retain(|vmid, _| unclaimed.contains_key(vmid));
        for vmid in self.due() {
            self.last = vmid;
            if let Some(row) = unclaimed.get(&vmid)
                && let Some(config) = description(pve, row).await
            {
                self.known.insert(vmid, told(row, &config));
            }
        }
        for vmid in unclaimed.into_keys() {
            self.known.entry(vmid).or_default();
        }
        self.known.values().flatten().cloned().collect()
    }

    /// The next ones in turn.
    fn due(&self) -> Vec<u32> {
        let after = self.known.range((Bound::Excluded(self.last), Bound::Unbounded));
        let before = self.known.range(..=self.last);
        after.chain(before).map(|(vmid, _)| *vmid).take(READS).collect()
    }
}

/// The notes of a VM; None when they cannot be read.
async fn description(pve: &Pve, row: &VmRow) -> Option<String> {
    let node: NodeName = row.node.parse().ok()?;
    let config = tokio::time::timeout(DEADLINE, pve.vm_config(&node, row.vmid))
        .await
        .ok()?
        .ok()?;
    Some(config.description().to_owned())
}

fn told(row: &VmRow, description: &str) -> Option<String> {
    let Found::One(stamp) = find(description) else {
        return None;
    };
    Some(format!(
        "VM {} on node {} carries the stamp of Slot {} and Machine {}, but no Slot claims it",
        row.vmid, row.node, stamp.slot, stamp.machine
    ))
}

#[cfg(test)]
mod tests {
    //! Whose turn it is.

    use super::*;

    #[test]
    fn each_is_read_in_turn_however_many_there_are() {
        let mut orphans = Orphans {
            known: (100..140).map(|vmid| (vmid, None)).collect(),
            last: 0,
        };
        let mut read = BTreeSet::new();
        for _ in 0..3 {
            let due = orphans.due();
            assert_eq!(due.len(), READS);
            orphans.last = due[READS - 1];
            read.extend(due);
        }
        assert_eq!(read, (100..140).collect());
    }
}
