//! qmstart, qmstop, qmshutdown, qmreboot.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::refusal::{Outcome, Refusal};
use super::super::vm::{Power, Vm};
use super::super::world::{Hold, World};
use super::{Next, Step, log};

/// Which change of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PowerKind {
    /// Start it.
    Start,
    /// Pull its plug.
    Stop,
    /// Ask it to shut down.
    Shutdown,
    /// Shut down and start again.
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
    /// How long it takes.
    pub fn duration(&self, world: &World) -> Duration {
        match self.kind {
            PowerKind::Start => world.durations.start,
            PowerKind::Stop => world.durations.stop,
            PowerKind::Shutdown => world.durations.shutdown,
            PowerKind::Reboot => world.durations.shutdown + world.durations.start,
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
            (kind, _) => self.end_stop(world, step, kind == PowerKind::Reboot),
        }
    }

    fn begin_start(&self, world: &mut World, step: &Step) -> Outcome<Next> {
        world.take_flock(
            self.vmid,
            Hold {
                task: step.task,
                shared: false,
            },
        )?;
        check_start(world, world.vm(&step.node, self.vmid)?)?;
        if world
            .vm(&step.node, self.vmid)?
            .config
            .iter()
            .any(|(_, value)| value.contains("-cloudinit"))
        {
            log(world, step.task, "generating cloud-init ISO");
        }
        Ok(Next::After(world.durations.start))
    }

    fn begin_stop(&self, world: &mut World, step: &Step) -> Outcome<Next> {
        let missing = |_| Refusal::not_found(&step.node, self.vmid);
        let vm = world.vm(&step.node, self.vmid).map_err(missing)?;
        if !vm.running() && self.kind != PowerKind::Reboot {
            return Ok(Next::Done);
        }
        if let Some(lock) = vm.config.lock() {
            return Err(Refusal::locked(lock));
        }
        world.take_flock(
            self.vmid,
            Hold {
                task: step.task,
                shared: false,
            },
        )?;
        let asked = self.kind == PowerKind::Shutdown;
        let slow = world.deaf.contains(&self.vmid) || world.durations.shutdown > self.timeout;
        Ok(Next::After(if asked && slow {
            self.timeout
        } else {
            self.duration(world)
        }))
    }

    fn end_stop(&self, world: &mut World, step: &Step, again: bool) -> Outcome<Next> {
        let slow = world.deaf.contains(&self.vmid) || world.durations.shutdown > self.timeout;
        if self.kind == PowerKind::Shutdown && slow && !self.force {
            return Err(Refusal::died("VM quit/powerdown failed - got timeout"));
        }
        let vm = world.vm_mut(&step.node, self.vmid)?;
        let was_running = vm.running();
        vm.power = Power::Stopped;
        vm.settle();
        if again && was_running {
            start_now(world, step, self.vmid)?;
        }
        Ok(Next::Done)
    }
}

/// What a start refuses.
fn check_start(world: &World, vm: &Vm) -> Outcome<()> {
    if let Some(lock) = vm.config.lock() {
        return Err(Refusal::locked(lock));
    }
    if vm.config.template() {
        return Err(Refusal::died("you can't start a vm if it's a template"));
    }
    if vm.running() {
        return Err(Refusal::died(format!("VM {} already running", vm.vmid)));
    }
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
    Ok(())
}

fn start_now(world: &mut World, step: &Step, vmid: u32) -> Outcome<()> {
    let pid = world.next_pid(&step.node);
    let since = world.now;
    let vm = world.vm_mut(&step.node, vmid)?;
    vm.settle();
    vm.power = Power::Running { since, pid };
    Ok(())
}
