//! What else is done to a guest: template, snapshots, migration, reset, suspend, resume, unlinked disks.

use serde_json::{Value, json};

use crate::model::change::{self, Change};
use crate::model::refusal::Refusal;
use crate::model::storage::{drive_volid, split_volid};
use crate::model::vm::Vm;
use crate::model::work::{self, GuestAct, GuestJob, Job};

use super::call::Call;
use super::reply::{Answer, Fault, Reply, sync};
use super::schema::split_list;

fn spawn(call: &mut Call<'_>, kind: &str, act: GuestAct) -> Reply {
    let (node, vmid) = (call.node(), call.vmid());
    let job = Job::Guest(GuestJob { vmid, act });
    Answer::of(work::spawn(call.world, &node, (kind, vmid), call.who, job))
}

fn refuse_locked(vm: &Vm) -> Result<(), Fault> {
    vm.config
        .lock()
        .map_or(Ok(()), |lock| Err(sync(Refusal::locked(lock))))
}

/// POST /nodes/{node}/qemu/{vmid}/template
pub fn template(call: &mut Call<'_>) -> Reply {
    let vm = call.vm()?;
    refuse_locked(vm)?;
    let refused = if vm.config.template() {
        Some("you can't convert a template to a template")
    } else if vm.running() {
        Some("you can't convert a VM to template if VM is running")
    } else if !vm.snapshots.is_empty() {
        Some("unable to create template, because VM contains snapshots")
    } else {
        None
    };
    match refused {
        Some(text) => Err(Fault::died(text)),
        None => spawn(call, "qmtemplate", GuestAct::Template),
    }
}

/// POST …/status/reset
pub fn reset(call: &mut Call<'_>) -> Reply {
    running(call)?;
    spawn(call, "qmreset", GuestAct::Reset)
}

/// POST …/status/suspend
pub fn suspend(call: &mut Call<'_>) -> Reply {
    running(call)?;
    spawn(call, "qmsuspend", GuestAct::Suspend)
}

/// POST …/status/resume
pub fn resume(call: &mut Call<'_>) -> Reply {
    running(call)?;
    spawn(call, "qmresume", GuestAct::Resume)
}

fn running(call: &Call<'_>) -> Result<(), Fault> {
    call.only_root("skiplock")?;
    if call.vm()?.running() {
        return Ok(());
    }
    Err(Fault::died(format!("VM {} not running", call.vmid())))
}

/// GET …/snapshot: those that are there, and the present state.
pub fn snapshots(call: &mut Call<'_>) -> Reply {
    let vm = call.vm()?;
    let mut list: Vec<Value> = Vec::new();
    for (name, snapshot) in &vm.snapshots {
        let mut entry = json!({"name": name, "snaptime": snapshot.taken, "vmstate": 0});
        entry["description"] = Value::from(snapshot.description.as_str());
        if let Some(parent) = &snapshot.parent {
            entry["parent"] = Value::from(parent.as_str());
        }
        list.push(entry);
    }
    let mut current = json!({
        "name": "current", "description": "You are here!", "running": u8::from(vm.running()), "digest": vm.digest(),
    });
    if let Some(parent) = vm.config.get("parent") {
        current["parent"] = Value::from(parent);
    }
    list.push(current);
    Answer::of(list)
}

/// POST …/snapshot
pub fn snapshot(call: &mut Call<'_>) -> Reply {
    call.vm()?;
    let name = call.params.text("snapname").unwrap_or_default().to_owned();
    if name == "current" {
        return Err(Fault::died(
            "unable to use snapshot name 'current' (reserved name)",
        ));
    }
    let description = call.params.filled("description").map(str::to_owned);
    spawn(call, "qmsnapshot", GuestAct::Snapshot { name, description })
}

/// The disks of a guest on storages that only its node has.
fn local_disks(call: &Call<'_>, vm: &Vm) -> Vec<Value> {
    let mut found = Vec::new();
    for (key, drive) in vm.config.disks() {
        let Some(volid) = drive_volid(drive) else { continue };
        let storage = split_volid(volid).and_then(|(storage, _)| call.world.storages.get(storage));
        if storage.is_some_and(|storage| !storage.shared) {
            found.push(
                json!({"volid": volid, "drivename": key, "cdrom": 0, "replicate": 1, "is_attached": 1}),
            );
        }
    }
    found
}

/// GET …/migrate: where it could go.
pub fn migration(call: &mut Call<'_>) -> Reply {
    let vm = call.vm()?;
    let others = || call.world.nodes.values().filter(|node| node.name != vm.node);
    let allowed: Vec<&str> = others()
        .filter(|node| node.online)
        .map(|node| node.name.as_str())
        .collect();
    let not_allowed: serde_json::Map<String, Value> =
        others().map(|node| (node.name.clone(), json!({}))).collect();
    Answer::of(json!({
        "running": u8::from(vm.running()), "local_disks": local_disks(call, vm), "local_resources": [],
        "mapped-resources": [], "mapped-resource-info": {}, "has-dbus-vmstate": 1,
        "allowed_nodes": allowed, "not_allowed_nodes": not_allowed,
    }))
}

/// POST …/migrate
pub fn migrate(call: &mut Call<'_>) -> Reply {
    let target = call.params.text("target").unwrap_or_default().to_owned();
    if !call.world.nodes.contains_key(&target) {
        return Err(Fault::died(format!("no such cluster node '{target}'")));
    }
    if target == call.node() {
        return Err(Fault::param("target", "target is local node."));
    }
    call.world.check_quorum().map_err(sync)?;
    let vm = call.vm()?;
    refuse_locked(vm)?;
    if vm.running() && !call.params.flag("online") {
        return Err(Fault::died("can't migrate running VM without --online"));
    }
    spawn(call, "qmigrate", GuestAct::Migrate { target })
}

/// GET …/feature
pub fn feature(call: &mut Call<'_>) -> Reply {
    let vm = call.vm()?;
    let has = match call.params.text("feature") {
        Some("clone") => vm.config.template(),
        Some("snapshot") => vm.can_snapshot(),
        _ => true,
    };
    let nodes: Vec<&str> = if local_disks(call, vm).is_empty() {
        call.world.nodes.keys().map(String::as_str).collect()
    } else {
        vec![vm.node.as_str()]
    };
    Answer::of(json!({"hasFeature": u8::from(has), "nodes": nodes}))
}

/// PUT …/unlink
pub fn unlink(call: &mut Call<'_>) -> Reply {
    let keys = split_list(call.params.text("idlist").unwrap_or_default())
        .map(str::to_owned)
        .collect();
    let change = Change {
        delete: keys,
        ..Change::default()
    };
    let (node, vmid) = (call.node(), call.vmid());
    call.vm()?;
    call.world.check_flock(vmid).map_err(sync)?;
    change::apply(call.world, &node, vmid, &change).map_err(sync)?;
    Answer::null()
}
