//! POST qemu: a guest that is no clone.

use crate::model::change::Change;
use crate::model::config::VmConfig;
use crate::model::refusal::Refusal;
use crate::model::vm::Vm;
use crate::model::work::{self, CreateJob, Job};

use super::call::Call;
use super::params::Raw;
use super::qemu_config::{check_privileges, check_values};
use super::reply::{Answer, Fault, Reply, sync};

/// Parameters that are no configuration keys.
const CONTROL: &[&str] = &[
    "archive",
    "bwlimit",
    "force",
    "ha-managed",
    "import-working-storage",
    "live-restore",
    "pool",
    "start",
    "storage",
    "unique",
    "vmid",
];

/// POST /nodes/{node}/qemu
pub fn create(call: &mut Call<'_>) -> Reply {
    let params = call.params;
    let (node, vmid) = (call.node(), params.number("vmid").unwrap_or(0));
    call.check_pool()?;
    check_allowed(call, vmid)?;
    let mut change = Change::default();
    for (key, value) in params.iter().filter(|(key, _)| !CONTROL.contains(key)) {
        if let Raw::One(value) = value {
            change.set.insert(key.to_owned(), value.clone());
        }
    }
    check_values(call, &change)?;
    check_privileges(call, &VmConfig::default(), &change)?;
    call.world.check_quorum().map_err(sync)?;
    if let Some(vm) = call.world.vms.get(&vmid) {
        let text = format!(
            "unable to create VM {vmid} - VM {vmid} already exists on node '{}'",
            vm.node
        );
        return Err(sync(Refusal::died(text)));
    }
    let config = VmConfig::of([("lock", "create")]);
    call.world.vms.insert(vmid, Vm::new(vmid, &node, config));
    let job = CreateJob {
        vmid,
        change,
        pool: params.filled("pool").map(str::to_owned),
        start: params.flag("start"),
    };
    let job = Job::Create(job);
    Answer::of(work::spawn(call.world, &node, ("qmcreate", vmid), call.who, job))
}

/// VM.Allocate on the new id or on the pool.
fn check_allowed(call: &Call<'_>, vmid: u32) -> Result<(), Fault> {
    let pool = call.params.filled("pool");
    let by_pool = pool.is_some_and(|pool| call.allows(&format!("/pool/{pool}"), "VM.Allocate"));
    if by_pool || call.allows(&format!("/vms/{vmid}"), "VM.Allocate") {
        return Ok(());
    }
    Err(Fault::new(403, "Permission check failed"))
}
