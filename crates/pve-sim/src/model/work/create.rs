//! qmcreate: the id is taken at once, by a locked configuration; the worker makes the disks and takes the lock away.

use serde::{Deserialize, Serialize};

use super::super::change::{self, Change};
use super::super::refusal::{Outcome, Refusal};
use super::super::world::World;
use super::{Job, Next, PowerJob, PowerKind, Step, spawn};

/// What to create.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateJob {
    /// The new guest.
    pub vmid: u32,
    /// Its configuration.
    pub change: Change,
    /// The pool that it joins.
    pub pool: Option<String>,
    /// Whether it is started then.
    pub start: bool,
}

impl CreateJob {
    /// One step.
    pub fn step(&self, world: &mut World, step: &Step) -> Outcome<Next> {
        world.lock_alone(self.vmid, step.task)?;
        if step.stage == 0 {
            return Ok(Next::After(world.durations.clone.at(step.pace)));
        }
        if let Err(why) = self.configure(world, step) {
            self.clean_up(world, step);
            return Err(Refusal::died(format!(
                "unable to create VM {} - {why}",
                self.vmid
            )));
        }
        if let Some(pool) = &self.pool {
            world.pools.join(pool, self.vmid);
        }
        if self.start {
            let job = PowerJob {
                vmid: self.vmid,
                kind: PowerKind::Start,
                timeout: std::time::Duration::ZERO,
                force: false,
            };
            spawn(
                world,
                &step.node,
                ("qmstart", self.vmid),
                &step.who,
                Job::Power(job),
            );
        }
        Ok(Next::Done)
    }

    fn configure(&self, world: &mut World, step: &Step) -> Outcome<()> {
        world.vm_mut(&step.node, self.vmid)?.config.remove("lock");
        change::apply(world, &step.node, self.vmid, &self.change)?;
        let born = world.now.secs();
        let (uuid, generation) = (world.dice.uuid(), world.dice.uuid());
        let config = &mut world.vm_mut(&step.node, self.vmid)?.config;
        config.set("meta", format!("creation-qemu=11.1.3,ctime={born}"));
        if config.get("smbios1").is_none() {
            config.set("smbios1", format!("uuid={uuid}"));
        }
        if config.get("vmgenid").is_none_or(|own| own == "1") {
            config.set("vmgenid", generation);
        }
        Ok(())
    }

    /// Removes what was made so far.
    pub fn clean_up(&self, world: &mut World, _step: &Step) {
        if let Some(vm) = world.erase(self.vmid) {
            world.erase_volumes(&vm, true);
        }
    }
}
