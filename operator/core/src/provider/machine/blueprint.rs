//! What a VM is to be: derived once from Machine, Slot, Pool and Gateway, and checked whole. Nothing is chosen here.

use std::net::Ipv4Addr;

use crds::{
    common::PowerState,
    gateway::GatewaySpec,
    machine::MachineSpec,
    pool::{NetworkIsolation, PoolSpec},
    slot::SlotSpec,
};
use domain::{
    ids::{Uid, Vmid},
    names,
    quantity::Bytes,
    slot::{GatewayPlan, SlotIndex},
    stamp::Stamp,
};

/// A VM as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blueprint {
    /// The line that makes it ours.
    pub stamp: Stamp,
    /// Its VMID, node, storage, template and Proxmox pool.
    pub place: Place,
    /// Name for people; never compared.
    pub name: String,
    /// Processors.
    pub cores: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Boot disk, at least.
    pub disk: Bytes,
    /// Its network card and address.
    pub network: Card,
    /// Keys that may log in.
    pub ssh_keys: Vec<String>,
    /// User that they are given to.
    pub user: String,
    /// Kept apart from its neighbours by Proxmox.
    pub isolated: bool,
    /// Whether it is to run.
    pub power: PowerState,
}

/// Where a VM is made, and from what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its VMID.
    pub vmid: Vmid,
    /// Node that it is made on; later it may move.
    pub node: String,
    /// Storage of its boot disk.
    pub storage: String,
    /// Template that it is cloned from.
    pub template: Vmid,
    /// Whether the clone is a full copy.
    pub full_clone: bool,
    /// Proxmox pool that it joins.
    pub pool: String,
}

/// A VM's network card and address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// MAC address.
    pub mac: String,
    /// Bridge.
    pub bridge: String,
    /// VLAN tag.
    pub vlan: Option<u32>,
    /// Address.
    pub address: Ipv4Addr,
    /// Prefix length of the network.
    pub prefix: u8,
    /// The network, as `a.b.c.d/n`.
    pub cidr: String,
    /// The gateway's address in it.
    pub gateway: Ipv4Addr,
    /// Resolvers.
    pub nameservers: Vec<String>,
}

/// The objects disagree or hold what they must not; `field` is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Violation {
    /// Path of the field.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

fn violation(field: &str, problem: &(impl ToString + ?Sized)) -> Violation {
    Violation {
        field: field.to_owned(),
        problem: problem.to_string(),
    }
}

/// The objects that a blueprint is made from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// UID of the Machine.
    pub machine_uid: &'a Uid,
    /// The Machine.
    pub machine: &'a MachineSpec,
    /// UID of the Slot.
    pub slot_uid: &'a Uid,
    /// The Slot.
    pub slot: &'a SlotSpec,
    /// The Slot's Pool.
    pub pool: &'a PoolSpec,
    /// The Slot's Gateway.
    pub gateway: &'a GatewaySpec,
    /// Arithmetic of that Gateway with that Pool.
    pub plan: &'a GatewayPlan,
}

/// Derives the VM from its objects.
///
/// # Errors
/// The first field that cannot be used.
pub fn blueprint(from: Sources<'_>) -> Result<Blueprint, Violation> {
    let Sources {
        machine_uid,
        machine,
        slot_uid,
        slot,
        pool,
        gateway,
        plan,
    } = from;
    let index = SlotIndex(number("Slot spec.index", slot.index)?);
    let vmid = vmid("Slot spec.vmid", slot.vmid)?;
    let expected = plan.vmid(index).map_err(|e| violation("Slot spec.index", &e))?;
    if vmid != expected {
        return Err(violation(
            "Slot spec.vmid",
            &format!("{vmid}, but its Pool and index make {expected}"),
        ));
    }
    let contract: Uid = parsed("Slot spec.contractUID", slot.contract_uid.as_str())?;
    let resources = &machine.offering.resources;
    Ok(Blueprint {
        stamp: Stamp {
            hub: parsed("Machine spec.hubUID", machine.hub_uid.as_str())?,
            machine: *machine_uid,
            slot: *slot_uid,
        },
        place: Place {
            vmid,
            node: slot.node.0.clone(),
            storage: slot.storage.0.clone(),
            template: self::vmid("Slot spec.templateVmid", slot.template_vmid)?,
            full_clone: slot.full_clone,
            pool: pool.proxmox.pool.0.clone(),
        },
        name: names::vm_name(&contract),
        cores: number("Machine spec.offering.resources.cpu", resources.cpu)?,
        memory_mib: parsed::<Bytes>(
            "Machine spec.offering.resources.memory",
            resources.memory.as_str(),
        )?
        .mib(),
        disk: parsed("Machine spec.offering.resources.disk", resources.disk.as_str())?,
        network: card(pool, gateway, plan, index)?,
        ssh_keys: machine.ssh_keys.iter().map(|k| k.0.trim().to_owned()).collect(),
        user: machine.offering.user.0.clone(),
        isolated: pool.network_isolation == NetworkIsolation::Proxmox,
        power: machine.power_state,
    })
}

fn card(
    pool: &PoolSpec,
    gateway: &GatewaySpec,
    plan: &GatewayPlan,
    index: SlotIndex,
) -> Result<Card, Violation> {
    Ok(Card {
        mac: plan.mac(index).map_err(|e| violation("Slot spec.index", &e))?,
        bridge: pool.bridge.0.clone(),
        vlan: pool.vlan.map(|tag| number("Pool spec.vlan", tag)).transpose()?,
        address: plan.ip(index).map_err(|e| violation("Slot spec.index", &e))?,
        prefix: plan.prefix(),
        cidr: plan.cidr(),
        gateway: plan.gateway(),
        nameservers: gateway.network.nameservers.iter().map(|n| n.0.clone()).collect(),
    })
}

fn parsed<T: std::str::FromStr<Err: ToString>>(field: &str, text: &str) -> Result<T, Violation> {
    text.parse().map_err(|e: T::Err| violation(field, &e))
}

fn number<T: TryFrom<i32>>(field: &str, value: i32) -> Result<T, Violation> {
    T::try_from(value).map_err(|_| violation(field, &format!("{value} is out of range")))
}

fn vmid(field: &str, value: i32) -> Result<Vmid, Violation> {
    Vmid::try_from(i64::from(value)).map_err(|e| violation(field, &e))
}
