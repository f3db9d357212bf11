//! The sentences of a Machine's waits: what is so, who acts, what next. Absolute times only, no counters.

use crds::machine::TaskKind;
use jiff::Timestamp;

use super::blueprint::Blueprint;
use crate::{
    condition::Wait,
    provider::{rests::removal, seen::Guest},
    reason::Reason,
};

/// A task of Proxmox is under way.
#[must_use]
pub fn running(want: &Blueprint, kind: TaskKind) -> Wait {
    let (vmid, node) = (want.place.vmid, &want.place.node);
    match kind {
        TaskKind::Clone => Wait::new(
            Reason::Cloning,
            format!(
                "Cloning template {} to VMID {vmid} on {node}.",
                want.place.template
            ),
            "It is configured and started as soon as the clone is done.",
        ),
        TaskKind::Resize => Wait::new(
            Reason::Growing,
            format!("Growing the disk of VMID {vmid} to {}.", want.disk),
            "It is started next.",
        ),
        TaskKind::Start => Wait::new(
            Reason::Starting,
            format!("Starting VMID {vmid}."),
            "Nothing to do.",
        ),
        TaskKind::Shutdown => Wait::new(
            Reason::Stopping,
            format!("Shutting down VMID {vmid} as asked."),
            "Nothing to do.",
        ),
        TaskKind::Stop => Wait::new(
            Reason::Stopping,
            format!("Stopping VMID {vmid} as asked; its guest did not shut down in time."),
            "Nothing to do.",
        ),
        TaskKind::Destroy => Wait::new(
            Reason::Destroying,
            format!("Destroying VMID {vmid}."),
            "Nothing to do.",
        ),
    }
}

/// Other clones come first on the node.
#[must_use]
pub fn clone_queued(want: &Blueprint) -> Wait {
    Wait::new(
        Reason::CloneQueued,
        format!("Other machines are being cloned on {} first.", want.place.node),
        "It is cloned as soon as one of them is done.",
    )
}

pub(super) fn configuring(want: &Blueprint) -> Wait {
    Wait::new(
        Reason::Configuring,
        format!(
            "Setting processors, memory, address and keys of VMID {}.",
            want.place.vmid
        ),
        "It is kept apart from its neighbours next.",
    )
}

pub(super) fn isolating(want: &Blueprint) -> Wait {
    Wait::new(
        Reason::Isolating,
        format!(
            "Setting the firewall of VMID {} that keeps neighbours apart.",
            want.place.vmid
        ),
        "It is started next.",
    )
}

pub(super) fn looking(want: &Blueprint) -> Wait {
    Wait::new(
        Reason::VmUnknown,
        format!("Making sure what is at VMID {} before going on.", want.place.vmid),
        "It is looked at again by itself.",
    )
}

pub(super) fn hidden(want: &Blueprint) -> Wait {
    let (vmid, pool) = (want.place.vmid, &want.place.pool);
    Wait::new(
        Reason::VmUnknown,
        format!(
            "VMID {vmid} exists, but the token cannot see it: it is not in the Proxmox pool {pool}. Nothing is touched."
        ),
        format!(
            "The provider puts it back; on any node run: pvesh set /pools/{pool} --vms {vmid} --allow-move 1"
        ),
    )
}

pub(super) fn no_quorum() -> Wait {
    Wait::new(
        Reason::NoQuorum,
        "The Proxmox cluster has no quorum, so nothing can be changed and nothing it says is proof.",
        "The provider brings back enough nodes; it goes on by itself then.",
    )
}

pub(super) fn missing(want: &Blueprint) -> Wait {
    Wait::new(
        Reason::VmMissing,
        format!(
            "VMID {} is gone and was not removed by this system; its data cannot be made again here.",
            want.place.vmid
        ),
        "The provider restores it from a backup with the same VMID and notes, or the tenant cancels.",
    )
}

pub(super) fn not_ours(want: &Blueprint, guest: &Guest) -> Wait {
    Wait::new(
        Reason::OwnershipMismatch,
        format!(
            "VMID {} on {} (name \"{}\") no longer carries this machine's stamp, so it is not touched.",
            guest.vmid,
            guest.node,
            guest.name()
        ),
        format!(
            "If it is this machine, the provider puts this line back into its notes: {}",
            want.stamp.line()
        ),
    )
}

pub(super) fn was_taken(want: &Blueprint) -> String {
    let vmid = want.place.vmid;
    format!(
        "VMID {vmid} was taken by somebody else when our clone asked for it, though it looks free now. It is not touched. \
         If nobody uses it, clear the Slot."
    )
}

pub(super) fn taken(want: &Blueprint) -> String {
    let vmid = want.place.vmid;
    format!(
        "VMID {vmid} is taken by something that the token cannot see, perhaps what a killed clone left. It is not touched. \
         If it is such a rest, remove it as root on {}: {}.",
        want.place.node,
        removal(vmid)
    )
}

pub(super) fn foreign(want: &Blueprint, guest: &Guest) -> String {
    format!(
        "VMID {} on {} holds a VM that isn't ours (name \"{}\"). It is not touched.",
        want.place.vmid,
        guest.node,
        guest.name()
    )
}

pub(super) fn lost(want: &Blueprint) -> Wait {
    Wait::new(
        Reason::SlotLost,
        format!(
            "VMID {} is held by something that isn't ours; its Slot is set aside.",
            want.place.vmid
        ),
        "Another Slot is claimed.",
    )
}

pub(super) fn placed_again(want: &Blueprint) -> Wait {
    Wait::new(
        Reason::TaskFailed,
        format!("The clone on {} failed and has left nothing.", want.place.node),
        "The machine is placed again.",
    )
}

pub(super) fn node_lost(want: &Blueprint) -> Wait {
    Wait::new(
        Reason::NodeOffline,
        format!(
            "Node {} went offline while the VM was being made there.",
            want.place.node
        ),
        "The machine is placed again; what was begun is removed once the node is back.",
    )
}

pub(super) fn locked(want: &Blueprint, lock: &str) -> Wait {
    Wait::new(
        Reason::Locked,
        format!("VMID {} is locked by Proxmox ({lock}).", want.place.vmid),
        "It goes on when that operation ends.",
    )
}

pub(super) fn no_disk(want: &Blueprint) -> Wait {
    Wait::new(
        Reason::TemplateMissing,
        format!(
            "VMID {} has no boot disk: template {} has none.",
            want.place.vmid, want.place.template
        ),
        "The provider mends the template and rents out again.",
    )
}

pub(super) fn braked(want: &Blueprint, until: Timestamp) -> Wait {
    Wait::new(
        Reason::StoppedByItself,
        format!(
            "VMID {} keeps stopping by itself; the next start is at {until:.0}.",
            want.place.vmid
        ),
        "The tenant looks at what stops it, or sets powerState to Stopped.",
    )
}
