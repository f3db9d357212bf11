//! /nodes/{node}/qemu: the list and the removal of a guest.

use serde_json::{Map, Value};

use crate::model::work::{self, DestroyJob, Job};

use super::call::Call;
use super::reply::{Answer, Reply, sync};

/// GET /nodes/{node}/qemu
pub fn list(call: &mut Call<'_>) -> Reply {
    let node = call.segment("node");
    let here = call.world.vms.values().filter(|vm| vm.node == node);
    let visible = here.filter(|vm| call.allows(&format!("/vms/{}", vm.vmid), "VM.Audit"));
    let list: Vec<Map<String, Value>> = visible.map(|vm| vm.listed(call.world.now)).collect();
    Answer::of(list)
}

/// DELETE /nodes/{node}/qemu/{vmid}
pub fn delete(call: &mut Call<'_>) -> Reply {
    call.only_root("skiplock")?;
    let vm = call.vm()?;
    work::check_removable_at_once(vm).map_err(sync)?;
    let job = DestroyJob {
        vmid: vm.vmid,
        purge: call.params.flag("purge"),
        unreferenced: call.params.flag("destroy-unreferenced-disks"),
        skiplock: call.params.flag("skiplock"),
    };
    let (node, vmid) = (call.node(), call.vmid());
    Answer::of(work::spawn(
        call.world,
        &node,
        ("qmdestroy", vmid),
        call.who,
        Job::Destroy(job),
    ))
}
