//! POST clone: the checks of the call itself. The copying is the worker's.

use crate::model::refusal::Refusal;
use crate::model::storage::{drive_volid, split_volid};
use crate::model::values::parse_net;
use crate::model::vm::Vm;
use crate::model::work::{self, CloneJob, Job};

use super::call::Call;
use super::reply::{Answer, Fault, Reply, sync};

/// POST /nodes/{node}/qemu/{vmid}/clone
pub fn clone(call: &mut Call<'_>) -> Reply {
    let params = call.params;
    call.check_pool()?;
    let node = call.node();
    let target = params.filled("target").unwrap_or(&node).to_owned();
    if !call.world.nodes.contains_key(&target) {
        return Err(Fault::died(format!("no such cluster node '{target}'")));
    }
    call.world.check_quorum().map_err(sync)?;
    let source = call.vmid();
    let vm = call
        .world
        .vm(&node, source)
        .map_err(|_| sync(Refusal::not_found(&node, source)))?
        .clone();
    if let Some(lock) = vm.config.lock() {
        return Err(sync(Refusal::locked(lock)));
    }
    if let Some(snapshot) = params.filled("snapname") {
        return Err(Fault::died(format!("snapshot '{snapshot}' does not exist")));
    }
    let full = params
        .text("full")
        .map_or(!vm.config.template(), |full| full == "1");
    let job = CloneJob {
        source,
        newid: params.number("newid").unwrap_or(0),
        name: params.filled("name").map(str::to_owned),
        description: params.text("description").map(str::to_owned),
        pool: params.filled("pool").map(str::to_owned),
        storage: params.filled("storage").map(str::to_owned),
        target,
        full,
        bwlimit: params.number("bwlimit"),
    };
    check_storage(call, &vm, &job)?;
    check_bridges(call, &vm)?;
    check_target(call, &vm, &job)?;
    if call.world.vms.contains_key(&job.newid) {
        return Err(sync(Refusal::taken(job.newid)));
    }
    Answer::of(work::spawn(
        call.world,
        &node,
        ("qmclone", source),
        call.who,
        Job::Clone(job),
    ))
}

fn check_storage(call: &Call<'_>, vm: &Vm, job: &CloneJob) -> Result<(), Fault> {
    if let Some(storage) = &job.storage {
        if !job.full {
            return Err(Fault::died("parameter 'storage' not allowed for linked clones"));
        }
        let storage = call.world.storage(storage).map_err(sync)?;
        storage.check(&vm.node).map_err(sync)?;
        if !storage.content.iter().any(|kind| kind == "images") {
            let text = format!("storage '{}' does not support vm images", storage.name);
            return Err(Fault::param("storage", text));
        }
    }
    for (key, drive) in vm.config.disks() {
        let volid = drive_volid(drive).unwrap_or_default();
        let (own, _) = split_volid(volid).unwrap_or_default();
        let storage = job.storage.as_deref().unwrap_or(own);
        call.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
        if !job.full && !vm.config.template() {
            return Err(Fault::died(format!(
                "Linked clone feature is not supported for '{volid}' ({key})"
            )));
        }
    }
    Ok(())
}

fn check_bridges(call: &Call<'_>, vm: &Vm) -> Result<(), Fault> {
    let cards = vm.config.iter().filter(|(key, _)| key.starts_with("net"));
    for net in cards.filter_map(|(_, value)| parse_net(value)) {
        if let Some(bridge) = net.bridge() {
            call.need(&format!("/sdn/zones/localnetwork/{bridge}"), &["SDN.Use"])?;
        }
    }
    Ok(())
}

fn check_target(call: &Call<'_>, vm: &Vm, job: &CloneJob) -> Result<(), Fault> {
    if job.target == vm.node {
        return Ok(());
    }
    let drives = vm
        .config
        .iter()
        .filter_map(|(_, value)| split_volid(drive_volid(value)?));
    let mut storages = drives.filter_map(|(storage, _)| call.world.storages.get(storage));
    if storages.any(|storage| !storage.shared) {
        return Err(Fault::died(format!(
            "can't clone VM to node '{}' (VM uses local storage)",
            job.target
        )));
    }
    Ok(())
}
