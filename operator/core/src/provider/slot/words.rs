//! The sentences of a Slot's waits.

use domain::{ids::Vmid, stamp::Stamp};

use crate::{condition::Wait, provider::seen::Guest, reason::Reason};

/// The agent has not yet said that the route is gone. `slot` is the Slot as kubectl takes it: `NAME -n NAMESPACE`.
#[must_use]
pub fn removing_route(slot: &str) -> Wait {
    Wait::new(
        Reason::RemovingRoute,
        "The route is being removed by the gateway's agent.",
        format!(
            "If that gateway is gone for good: kubectl annotate slot {slot} decent-cloud.org/route-removed=true"
        ),
    )
}

pub(super) fn destroying(vmid: Vmid, what: &str) -> Wait {
    Wait::new(
        Reason::Destroying,
        format!("{what} VMID {vmid}."),
        "The Slot rests once the VM is proven absent.",
    )
}

pub(super) fn proving(vmid: Vmid) -> Wait {
    Wait::new(
        Reason::Destroying,
        format!("Making sure that VMID {vmid} is gone."),
        "It is looked at again by itself.",
    )
}

pub(super) fn hidden(vmid: Vmid) -> Wait {
    Wait::new(
        Reason::VmUnknown,
        format!("VMID {vmid} exists, but the token cannot see it. Nothing is touched."),
        "The provider puts it back into the Pool's Proxmox pool, or removes it by hand.",
    )
}

pub(super) fn no_quorum() -> Wait {
    Wait::new(
        Reason::NoQuorum,
        "The Proxmox cluster has no quorum: a deletion now would lose disks and keep the VM.",
        "It goes on by itself once the provider has brought back enough nodes.",
    )
}

pub(super) fn unasked() -> Wait {
    Wait::new(
        Reason::ProxmoxUnreachable,
        "Proxmox did not say whether the cluster has quorum; without that nothing is deleted.",
        "It goes on by itself once Proxmox answers.",
    )
}

pub(super) fn locked(vmid: Vmid, lock: &str) -> Wait {
    Wait::new(
        Reason::Locked,
        format!("VMID {vmid} is locked by Proxmox ({lock})."),
        "It goes on when that operation ends.",
    )
}

pub(super) fn foreign(guest: &Guest, stamp: &Stamp) -> String {
    format!(
        "VMID {} on {} (name \"{}\") does not carry this Slot's stamp, so it is not touched. If it was this machine, put \
         this line back into its notes: \"{}\".",
        guest.vmid,
        guest.node,
        guest.name(),
        stamp.line()
    )
}
