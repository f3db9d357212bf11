//! qmdestroy: disks first, configuration last, also when the latter cannot be written.

use serde::{Deserialize, Serialize};

use super::super::refusal::{Outcome, Refusal};
use super::super::storage::{drive_volid, own_name, split_volid};
use super::super::vm::Vm;
use super::super::world::World;
use super::{Next, Step, log};

/// What to remove.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DestroyJob {
    /// The guest.
    pub vmid: u32,
    /// Whether to take it out of jobs and lists too.
    pub purge: bool,
    /// Whether volumes go that no configuration names.
    pub unreferenced: bool,
    /// Whether a lock of the configuration is passed over.
    pub skiplock: bool,
}

impl DestroyJob {
    /// One step.
    pub fn step(&self, world: &mut World, step: &Step) -> Outcome<Next> {
        if step.stage == 0 {
            world.lock_alone(self.vmid, step.task)?;
            let vm = world.vm(&step.node, self.vmid)?;
            self.check_removable(vm)?;
            check_unused(world, vm)?;
            return Ok(Next::After(world.durations.destroy.at(step.pace)));
        }
        let vm = world.vm(&step.node, self.vmid)?.clone();
        self.check_removable(&vm)?;
        for (_, drive) in vm.config.disks() {
            let (storage, _) = drive_volid(drive).and_then(split_volid).unwrap_or_default();
            if world.hangs(storage) {
                return Err(Refusal::Stuck(storage.to_owned()));
            }
        }
        tell_missing(world, step, &vm);
        world.erase_volumes(&vm, self.unreferenced);
        if self.purge {
            log(
                world,
                step.task,
                format!("purging VM {} from related configurations..", self.vmid),
            );
        }
        let file = format!("nodes/{}/qemu-server/{}.conf", step.node, self.vmid);
        world.check_writable_by(&file, step.task)?;
        world.erase(self.vmid);
        Ok(Next::Done)
    }

    /// What refuses a removal: a lock, protection, a running guest.
    fn check_removable(&self, vm: &Vm) -> Outcome<()> {
        if let Some(lock) = vm.config.lock().filter(|_| !self.skiplock) {
            return Err(Refusal::locked(lock));
        }
        check_removable_at_once(vm)
    }
}

/// The part of it that the call itself says.
pub fn check_removable_at_once(vm: &Vm) -> Outcome<()> {
    if vm.config.flag("protection") {
        return Err(Refusal::died(format!(
            "can't remove VM {} - protection mode enabled",
            vm.vmid
        )));
    }
    if vm.running() {
        return Err(Refusal::died(format!(
            "VM {} is running - destroy failed",
            vm.vmid
        )));
    }
    Ok(())
}

/// Names the images that somebody else has removed already.
fn tell_missing(world: &mut World, step: &Step, vm: &Vm) {
    for (_, drive) in vm.config.disks() {
        let (name, path) = drive_volid(drive).and_then(split_volid).unwrap_or_default();
        let Some(storage) = world.storages.get(name) else {
            continue;
        };
        let own = own_name(path);
        if storage.volume(&vm.node, own).is_none() {
            let line = format!("disk image '{}/images/{own}' does not exist", storage.path());
            log(world, step.task, line);
        }
    }
}

fn check_unused(world: &World, vm: &Vm) -> Outcome<()> {
    if !vm.config.template() {
        return Ok(());
    }
    for (_, drive) in vm.config.disks() {
        let volid = drive.split(',').next().unwrap_or(drive);
        let Some((storage, name)) = volid.split_once(':') else {
            continue;
        };
        let base = own_name(name);
        let Some(storage) = world.storages.get(storage) else {
            continue;
        };
        if storage
            .volumes(&vm.node)
            .any(|(_, volume)| volume.base.as_deref() == Some(base))
        {
            return Err(Refusal::died(format!(
                "base volume '{volid}' is still in use by linked cloned"
            )));
        }
    }
    Ok(())
}
