//! qmtemplate, qmsnapshot, qmigrate, qmreset, qmsuspend, qmresume.

use serde::{Deserialize, Serialize};

use super::super::refusal::{Outcome, Refusal};
use super::super::storage::{drive_volid, split_volid};
use super::super::vm::Snapshot;
use super::super::world::World;
use super::{Next, Step, log};

/// What is done to a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuestAct {
    /// It becomes a template.
    Template,
    /// Its state is kept under a name.
    Snapshot {
        /// The name.
        name: String,
        /// What is noted beside it.
        description: Option<String>,
    },
    /// It moves to another node.
    Migrate {
        /// The node.
        target: String,
    },
    /// It is reset.
    Reset,
    /// It is paused.
    Suspend,
    /// It goes on.
    Resume,
}

/// One act on one guest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GuestJob {
    /// The guest.
    pub vmid: u32,
    /// The act.
    pub act: GuestAct,
}

impl GuestJob {
    /// One step.
    pub fn step(&self, world: &mut World, step: &Step) -> Outcome<Next> {
        world.lock_alone(self.vmid, step.task)?;
        if let Some(lock) = world.vm(&step.node, self.vmid)?.config.lock() {
            return Err(Refusal::locked(lock));
        }
        if let (GuestAct::Migrate { .. }, 0) = (&self.act, step.stage) {
            return Ok(Next::After(world.durations.full_clone.at(step.pace)));
        }
        let file = format!("nodes/{}/qemu-server/{}.conf", step.node, self.vmid);
        world.check_writable_by(&file, step.task)?;
        match &self.act {
            GuestAct::Template => self.make_template(world, step)?,
            GuestAct::Snapshot { name, description } => {
                self.take_snapshot(world, step, (name, description.as_deref()))?;
            }
            GuestAct::Migrate { target } => {
                log(
                    world,
                    step.task,
                    format!("migration of VM {} to node '{target}'", self.vmid),
                );
                world.relocate(self.vmid, target);
            }
            GuestAct::Reset => {}
            GuestAct::Suspend => world.vm_mut(&step.node, self.vmid)?.paused = true,
            GuestAct::Resume => world.vm_mut(&step.node, self.vmid)?.paused = false,
        }
        Ok(Next::Done)
    }

    /// Disks become base images, which linked clones may stand on.
    fn make_template(&self, world: &mut World, step: &Step) -> Outcome<()> {
        let vm = world.vm(&step.node, self.vmid)?;
        let disks: Vec<(String, String)> = vm
            .config
            .disks()
            .map(|(key, drive)| (key.to_owned(), drive.to_owned()))
            .collect();
        for (key, drive) in disks {
            let Some((storage, name)) = drive_volid(&drive).and_then(split_volid) else {
                continue;
            };
            let base = name.replace("/vm-", "/base-");
            if let Some(storage) = world.storages.get_mut(storage)
                && let Some(volume) = storage.volume_mut(&step.node, name).cloned()
            {
                storage.remove(&step.node, name);
                storage.add(&step.node, &base, volume);
            }
            world
                .vm_mut(&step.node, self.vmid)?
                .config
                .set(&key, drive.replace(name, &base));
        }
        world.vm_mut(&step.node, self.vmid)?.config.set("template", "1");
        Ok(())
    }

    fn take_snapshot(
        &self,
        world: &mut World,
        step: &Step,
        (name, description): (&str, Option<&str>),
    ) -> Outcome<()> {
        let now = world.now.secs();
        let vm = world.vm_mut(&step.node, self.vmid)?;
        // Linked clones and raw files cannot be snapshot on a directory storage.
        if !vm.can_snapshot() {
            return Err(Refusal::died("snapshot feature is not available"));
        }
        if vm.snapshots.contains_key(name) {
            return Err(Refusal::died(format!("snapshot name '{name}' already used")));
        }
        let snapshot = Snapshot {
            taken: now,
            description: description.unwrap_or_default().to_owned(),
            parent: vm.config.get("parent").map(str::to_owned),
            config: vm.config.clone(),
        };
        vm.snapshots.insert(name.to_owned(), snapshot);
        vm.config.set("parent", name);
        Ok(())
    }
}
