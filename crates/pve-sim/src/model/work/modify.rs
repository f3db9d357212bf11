//! resize and qmconfig.

use serde::{Deserialize, Serialize};

use super::super::change::{self, Change};
use super::super::config::{format_size, parse_size, size_of};
use super::super::refusal::{Outcome, Refusal};
use super::super::storage::{drive_volid, own_name, split_volid};
use super::super::world::World;
use super::{Next, Step, log};

/// A disk to grow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResizeJob {
    /// The guest.
    pub vmid: u32,
    /// The disk's key.
    pub disk: String,
    /// The new size, or "+" and what to add.
    pub size: String,
    /// The digest that the configuration must have.
    pub digest: Option<String>,
}

impl ResizeJob {
    /// One step.
    pub fn step(&self, world: &mut World, step: &Step) -> Outcome<Next> {
        world.lock_alone(self.vmid, step.task)?;
        let size = self.check(world, step)?;
        if step.stage == 0 {
            return Ok(Next::After(world.durations.resize.at(step.pace)));
        }
        let vm = world.vm(&step.node, self.vmid)?;
        let drive = vm.config.get(&self.disk).unwrap_or_default().to_owned();
        // The image grows first, also when the configuration can then not be written.
        if let Some((storage, name)) = drive_volid(&drive).and_then(split_volid)
            && let Some(storage) = world.storages.get_mut(storage)
            && let Some(volume) = storage.volume_mut(&step.node, own_name(name))
        {
            volume.size = size;
        }
        let file = format!("nodes/{}/qemu-server/{}.conf", step.node, self.vmid);
        world.check_writable_by(&file, step.task)?;
        let rest = drive.split(',').filter(|part| !part.starts_with("size="));
        let rest: Vec<&str> = rest.collect();
        let value = format!("{},size={}", rest.join(","), format_size(size));
        world.vm_mut(&step.node, self.vmid)?.config.set(&self.disk, value);
        Ok(Next::Done)
    }

    /// The new size, if nothing speaks against it.
    fn check(&self, world: &World, step: &Step) -> Outcome<u64> {
        let vm = world.vm(&step.node, self.vmid)?;
        if self.digest.as_ref().is_some_and(|digest| *digest != vm.digest()) {
            return Err(Refusal::stale());
        }
        if let Some(lock) = vm.config.lock() {
            return Err(Refusal::locked(lock));
        }
        let Some(drive) = vm.config.get(&self.disk) else {
            return Err(Refusal::died(format!("disk '{}' does not exist", self.disk)));
        };
        let volid = drive_volid(drive).unwrap_or_default();
        let (storage, name) = split_volid(volid).unwrap_or_default();
        let path = format!("/storage/{storage}");
        if !world.allows(&step.who, &path, "Datastore.AllocateSpace") {
            return Err(Refusal::died(format!(
                "403 Permission check failed ({path}, Datastore.AllocateSpace)"
            )));
        }
        let old = size_of(drive).unwrap_or(0);
        let new = match self.size.strip_prefix('+') {
            Some(more) => old.saturating_add(parse_size(more).unwrap_or(0)),
            None => parse_size(&self.size).unwrap_or(0),
        };
        let place = world.storage(storage)?;
        place.activate(&step.node)?;
        if place.volume(&step.node, own_name(name)).is_none() {
            return Err(Refusal::died(format!("volume '{volid}' does not exist")));
        }
        if new < old {
            Err(Refusal::died("shrinking disks is not supported"))
        } else {
            Ok(new)
        }
    }
}

/// A change of configuration, done in a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConfigJob {
    /// The guest.
    pub vmid: u32,
    /// The change.
    pub change: Change,
}

impl ConfigJob {
    /// One step.
    pub fn step(&self, world: &mut World, step: &Step) -> Outcome<Next> {
        world.lock_alone(self.vmid, step.task)?;
        let sets = self
            .change
            .set
            .iter()
            .map(|(key, value)| format!("-{key} {value}"));
        let deletes =
            (!self.change.delete.is_empty()).then(|| format!("-delete {}", self.change.delete.join(",")));
        let words: Vec<String> = sets.chain(deletes).collect();
        log(
            world,
            step.task,
            format!("update VM {}: {}", self.vmid, words.join(" ")),
        );
        change::apply(world, &step.node, self.vmid, &self.change)?;
        Ok(Next::Done)
    }
}
