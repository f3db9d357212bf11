//! The claims of a namespace: what its Slots hold, and what those hold that are not shown yet.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crds::{Machine, Slot, slot::SlotPhase};
use dc_proxmox::PowerStatus;
use domain::{ids::Vmid, quantity::Bytes};
use kube::ResourceExt;
use operator_core::provider::place::{Amount, Claim, Demand, World, index::Resting};

use super::{
    books::Books,
    registry::Stores,
    world::{Known, whole},
};
use crate::caches::{Guarded, decoded};

/// Takes in the Slots; gives the UIDs of Machines that hold one.
pub fn take_slots(
    stores: &Stores,
    namespace: &str,
    machines: &HashMap<String, Arc<Guarded<Machine>>>,
    known: &HashMap<String, Known>,
    world: &mut World,
) -> HashSet<String> {
    let mut holders = HashSet::new();
    let ours = |guard: &Arc<Guarded<Slot>>| guard.namespace().as_deref() == Some(namespace);
    for guard in stores.slots.state().into_iter().filter(ours) {
        let Some(slot) = decoded(&guard) else {
            take_unreadable(&guard.name_any(), world);
            continue;
        };
        take_index(slot, world);
        let uid = slot.spec.machine_ref.uid.as_str();
        if slot.phase() == SlotPhase::Claimed {
            holders.insert(uid.to_owned());
        }
        if slot.phase() != SlotPhase::Resting {
            let machine = machines.get(uid).and_then(|guard| decoded(guard));
            world
                .claims
                .push(claim(slot, machine, known.get(slot.spec.pool.as_str())));
        }
    }
    holders
}

/// A Slot that cannot be read is somebody's claim all the same.
fn take_unreadable(name: &str, world: &mut World) {
    if let Some((gateway, index)) = name.rsplit_once('-')
        && let Ok(index) = index.parse()
    {
        world
            .gateways
            .entry(gateway.to_owned())
            .or_default()
            .held
            .insert(index);
    }
}

fn take_index(slot: &Slot, world: &mut World) {
    let indices = world.gateways.entry(slot.spec.gateway.to_string()).or_default();
    let index = u32::try_from(slot.spec.index).unwrap_or_default();
    let since = slot
        .status
        .as_ref()
        .and_then(|status| status.resting_since.as_ref());
    match (slot.phase(), since) {
        (SlotPhase::Resting, Some(since)) if slot.metadata.deletion_timestamp.is_none() => {
            indices.resting.push(Resting {
                since: since.0,
                index,
                name: slot.name_any(),
            });
        }
        _ => {
            indices.held.insert(index);
        }
    }
}

/// What a Slot holds; without its Machine, what the cluster shows of its VM.
fn claim(slot: &Slot, machine: Option<&Machine>, known: Option<&Known>) -> Claim {
    let vmid = Vmid::try_from(i64::from(slot.spec.vmid)).ok();
    let inventory = known.and_then(|known| known.inventory.as_ref());
    let row = inventory.and_then(|seen| seen.vm(vmid?));
    let shown = || {
        row.map_or(Amount::default(), |row| Amount {
            cpu: whole(row.maxcpu.unwrap_or_default()),
            memory: Bytes::new(row.maxmem.unwrap_or_default()),
            disk: Bytes::new(row.maxdisk.unwrap_or_default()),
        })
    };
    let demand = machine.and_then(|machine| Demand::of(&machine.spec).ok());
    let has_vm = machine.is_some_and(|m| m.status.as_ref().is_some_and(|status| status.vm.is_some()));
    Claim {
        cluster: known.map_or_else(
            || format!("pool {}", slot.spec.pool),
            |known| known.cluster.clone(),
        ),
        node: slot.spec.node.to_string(),
        storage: slot.spec.storage.to_string(),
        amount: demand.map_or_else(shown, |demand| demand.amount),
        running: row.is_some_and(|row| row.status == PowerStatus::Running),
        cloning: slot.phase() == SlotPhase::Claimed && row.is_none() && !has_vm,
    }
}

/// Takes in the claims that the watch does not show yet.
pub fn take_books(books: &Books, namespace: &str, known: &HashMap<String, Known>, world: &mut World) {
    for (_, entry) in books.claims(namespace) {
        let spot = &entry.spot;
        let cluster = known
            .get(&spot.pool)
            .map_or_else(|| format!("pool {}", spot.pool), |known| known.cluster.clone());
        let indices = world.gateways.entry(spot.gateway.clone()).or_default();
        indices.held.insert(spot.index.0);
        world.claims.push(Claim {
            cluster,
            node: spot.node.clone(),
            storage: spot.storage.clone(),
            amount: entry.amount,
            running: false,
            cloning: true,
        });
    }
    for (gateway, index) in books.indices(namespace) {
        world
            .gateways
            .entry(gateway.to_owned())
            .or_default()
            .held
            .insert(index);
    }
}
