//! What a token can't remove, and the command that root removes it with.

use domain::ids::Vmid;

use super::seen::Guest;

/// The line that removes what a killed clone left, for root on the node.
#[must_use]
pub fn removal(vmid: Vmid) -> String {
    format!("\"qm unlock {vmid} && qm destroy {vmid} --destroy-unreferenced-disks 1\"")
}

/// A clone that never ended.
#[must_use]
pub fn half_clone(guest: &Guest) -> String {
    format!(
        "VMID {} on {} is a clone that never ended and stays locked. Remove it there as root: {}.",
        guest.vmid,
        guest.node,
        removal(guest.vmid)
    )
}
