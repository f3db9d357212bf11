//! qmstart, qmstop, qmshutdown, qmreboot.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::config::is_disk_key;
use super::super::pace::{Pace, Span};
use super::super::refusal::{Outcome, Refusal};
use super::super::storage::{drive_volid, own_name, split_volid};
use super::super::vm::{Power, Vm};
use super::super::world::World;
use super::{Next, Step, log};

/// How long a shutdown may take if nobody says.
pub const SHUTDOWN: Duration = Duration::from_mins(1);

/// Which change of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PowerKind {
    /// Start it.
    Start,
    /// Pull its plug.
    Stop,
    /// Ask it to shut down.
    Shutdown,
    /// Shut down; the event daemon starts it again.
    Reboot,
}

/// A change of power of one guest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PowerJob {
    /// The guest.
    pub vmid: u32,
    /// The change.
    pub kind: PowerKind,
    /// How long a shutdown may take.
    pub timeout: Duration,
    /// Whether a shutdown that takes too long ends in a stop.
    pub force: bool,
}

impl PowerJob {
    /// A change of power without conditions.
    pub fn plain(vmid: u32, kind: PowerKind) -> Self {
        Self {
            vmid,
            kind,
            timeout: SHUTDOWN,
            force: false,
        }
    }

    /// How long it takes.
    pub fn span(&self, world: &World) -> Span {
        match self.kind {
            PowerKind::Start => world.durations.start,
            PowerKind::Stop => world.durations.stop,
            PowerKind::Shutdown | PowerKind::Reboot => world.durations.shutdown,
        }
    }

    /// One step.
    pub fn step(&self, world: &mut World, step: &Step) -> Outcome<Next> {
        match (self.kind, step.stage) {
            (PowerKind::Start, 0) => self.begin_start(world, step),
            (PowerKind::Start, _) => {
                start_now(world, step, self.vmid)?;
                Ok(Next::Done)
            }
            (_, 0) => self.begin_stop(world, step),
            (..) => self.end_stop(world, step),
        }
    }

    fn begin_start(&self, world: &mut World, step: &Step) -> Outcome<Next> {
        world.lock_alone(self.vmid, step.task)?;
        check_state(world.vm(&step.node, self.vmid)?)?;
        if world
            .vm(&step.node, self.vmid)?
            .config
            .iter()
            .any(|(_, value)| value.contains("-cloudinit"))
        {
            log(world, step.task, "generating cloud-init ISO");
        }
        check_start(world, world.vm(&step.node, self.vmid)?)?;
        Ok(Next::After(world.durations.start.at(step.pace)))
    }

    fn begin_stop(&self, world: &mut World, step: &Step) -> Outcome<Next> {
        let missing = |_| Refusal::not_found(&step.node, self.vmid);
        let vm = world.vm(&step.node, self.vmid).map_err(missing)?;
        if !vm.running() {
            return Ok(Next::Done);
        }
        if let Some(lock) = vm.config.lock() {
            return Err(Refusal::locked(lock));
        }
        world.lock_alone(self.vmid, step.task)?;
        Ok(Next::After(if self.times_out(world, step) {
            self.timeout
        } else {
            self.span(world).at(step.pace)
        }))
    }

    /// Whether the guest is asked and does not obey in time.
    fn times_out(&self, world: &World, step: &Step) -> bool {
        let slow = world.durations.shutdown.at(step.pace) > self.timeout;
        self.kind != PowerKind::Stop && (slow || world.deaf.contains(&self.vmid))
    }

    fn end_stop(&self, world: &mut World, step: &Step) -> Outcome<Next> {
        if self.times_out(world, step) && !self.force {
            return Err(Refusal::died("VM quit/powerdown failed - got timeout"));
        }
        let vm = world.vm_mut(&step.node, self.vmid)?;
        vm.power = Power::Stopped;
        vm.settle();
        if self.kind == PowerKind::Reboot {
            world.rebooting.insert(self.vmid);
        }
        let after = world.durations.cleanup.at(Pace::draw(&mut world.dice));
        world.plan_cleanup(self.vmid, world.now.plus(after), after);
        Ok(Next::Done)
    }
}

/// What a start refuses before it does anything.
fn check_state(vm: &Vm) -> Outcome<()> {
    if let Some(lock) = vm.config.lock() {
        return Err(Refusal::locked(lock));
    }
    if vm.config.template() {
        return Err(Refusal::died("you can't start a vm if it's a template"));
    }
    if vm.running() {
        return Err(Refusal::died(format!("VM {} already running", vm.vmid)));
    }
    Ok(())
}

/// What a start refuses that the configuration asks for.
fn check_start(world: &World, vm: &Vm) -> Outcome<()> {
    let Some(node) = world.nodes.get(&vm.node) else {
        return Ok(());
    };
    if vm.config.cpus() > node.cores {
        return Err(Refusal::died(format!(
            "MAX {} vcpus allowed per VM on this node",
            node.cores
        )));
    }
    for (_, value) in vm.config.iter().filter(|(key, _)| key.starts_with("net")) {
        let bridge = value.split(',').find_map(|part| part.strip_prefix("bridge="));
        if let Some(bridge) = bridge.filter(|bridge| !node.bridges.iter().any(|name| name == bridge)) {
            return Err(Refusal::died(format!("bridge '{bridge}' does not exist")));
        }
    }
    if let Some(custom) = vm.config.get("cicustom") {
        let volume = custom
            .split(',')
            .next()
            .and_then(|part| part.split_once('='))
            .map_or(custom, |(_, volume)| volume);
        return Err(Refusal::died(format!("volume '{volume}' does not exist")));
    }
    check_drives(world, vm)?;
    if vm.config.memory() > node.memory {
        return Err(Refusal::died("start failed: QEMU exited with code 1"));
    }
    Ok(())
}

/// Storages that cannot be used, and images that are gone.
fn check_drives(world: &World, vm: &Vm) -> Outcome<()> {
    for (_, drive) in vm.config.iter().filter(|(key, _)| is_disk_key(key)) {
        let Some(volid) = drive_volid(drive) else { continue };
        let Some((storage, name)) = split_volid(volid) else {
            continue;
        };
        let storage = world.storage(storage)?;
        storage.activate(&vm.node)?;
        let own = own_name(name);
        // A cloud-init image is written anew by every start.
        if !name.contains("-cloudinit") && storage.volume(&vm.node, own).is_none() {
            return Err(Refusal::died(format!("volume '{volid}' does not exist")));
        }
    }
    Ok(())
}

fn start_now(world: &mut World, step: &Step, vmid: u32) -> Outcome<()> {
    let pid = world.next_pid(&step.node);
    let since = world.now;
    let vm = world.vm_mut(&step.node, vmid)?;
    vm.settle();
    vm.outdated = None;
    vm.power = Power::Running { since, pid };
    Ok(())
}
