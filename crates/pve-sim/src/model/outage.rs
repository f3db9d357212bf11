//! Lost quorum and dead nodes: what still works, what is frozen, what comes back.

use std::time::Duration;

use super::access::Principal;
use super::node::Node;
use super::refusal::{Outcome, Refusal};
use super::vm::Power;
use super::work::{self, Job, PowerJob, PowerKind};
use super::world::World;

/// How long it takes until the others notice that a node died.
pub const NOTICE: Duration = Duration::from_secs(13);

impl World {
    /// Whether the cluster takes writes: more than half of its nodes are there, and nothing keeps them apart.
    pub fn quorate(&self) -> bool {
        let there = self.nodes.values().filter(|node| self.seems_online(node)).count();
        !self.datacenter.parted && there * 2 > self.nodes.len()
    }

    /// Whether the others take a node for alive.
    pub fn seems_online(&self, node: &Node) -> bool {
        let noticed = |died| self.now.since(died) >= self.datacenter.notice;
        !node.died.is_some_and(noticed)
    }

    /// The node that takes requests: the first that is alive.
    pub fn entry(&self) -> Option<&Node> {
        let alive = self.nodes.values().filter(|node| node.online);
        alive.min_by_key(|node| node.number)
    }

    /// Refuses without quorum, as calls do that check it.
    pub fn check_quorum(&self) -> Outcome<()> {
        if self.quorate() {
            Ok(())
        } else {
            Err(Refusal::no_quorum())
        }
    }

    /// Refuses without quorum, as writing a file of the cluster does in a daemon.
    pub fn check_writable(&mut self, file: &str) -> Outcome<()> {
        if self.quorate() {
            return Ok(());
        }
        Err(Refusal::read_only(file, self.dice.between(100, 3000)))
    }

    /// Refuses without quorum, as writing a file of the cluster does in a task.
    pub fn check_writable_by(&self, file: &str, task: u64) -> Outcome<()> {
        if self.quorate() {
            return Ok(());
        }
        let pid = self.tasks.get(task).map_or(1, |task| task.upid.pid);
        Err(Refusal::read_only(file, pid))
    }

    /// Kills a node: its guests and workers die with it, what it published stays. False if there is none.
    pub fn kill_node(&mut self, name: &str) -> bool {
        let now = self.now;
        if self.stats_lag.is_zero() {
            self.publish();
        }
        let Some(node) = self.nodes.get_mut(name) else {
            return false;
        };
        if !node.online {
            return true;
        }
        node.online = false;
        node.died = Some(now);
        let lost: Vec<u64> = self.tasks.running_on(name).collect();
        for task in lost {
            work::kill(self, task);
        }
        for vm in self.vms.values_mut().filter(|vm| vm.node == name && vm.running()) {
            vm.power = Power::Stopped;
            vm.settle();
            self.rebooting.remove(&vm.vmid);
        }
        true
    }

    /// Boots a dead node; its guests with `onboot` start. False if there is none.
    pub fn revive_node(&mut self, name: &str) -> bool {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(name) else {
            return false;
        };
        if node.online {
            return true;
        }
        node.online = true;
        node.died = None;
        node.boot = now;
        // Nothing starts by itself without quorum.
        let quorate = self.quorate();
        let here = self.vms.values().filter(|vm| quorate && vm.node == name);
        let wanted = here.filter(|vm| vm.config.flag("onboot") && !vm.config.template());
        let wanted: Vec<u32> = wanted.map(|vm| vm.vmid).collect();
        for vmid in wanted {
            let job = Job::Power(PowerJob::plain(vmid, PowerKind::Start));
            work::spawn(self, name, ("qmstart", vmid), &Principal::parse("root@pam"), job);
        }
        if self.stats_lag.is_zero() {
            self.publish();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::bed::{begin_clone, cloned, cluster, end, pass, power, run};
    use super::*;

    #[test]
    fn a_dead_node_takes_its_workers_and_guests_along_and_its_published_values_stay() {
        let mut world = cluster();
        cloned(&mut world, 201);
        world.vm_mut("pve1", 201).unwrap().config.set("onboot", "1");
        let start = power(&mut world, 201, PowerKind::Start);
        assert_eq!(run(&mut world, &start).0, "OK");
        pass(&mut world, 10_000);
        let upid = begin_clone(&mut world);
        pass(&mut world, 100);
        assert!(world.kill_node("pve1"));
        assert_eq!(end(&world, &upid).unwrap(), "unexpected status");
        let frozen = world.nodes["pve1"].published.clone();
        assert_eq!(frozen[&201]["status"], "running");
        pass(&mut world, 100_000);
        assert_eq!(world.nodes["pve1"].published, frozen);
        assert_eq!(world.vms[&200].config.lock(), Some("clone"));
        // When it is back, only what starts by itself runs.
        world.datacenter.parted = false;
        assert!(world.revive_node("pve1"));
        pass(&mut world, 20_000);
        assert_eq!(world.vms[&201].status(), "running");
        assert_eq!(
            world.nodes["pve1"].published[&201]["uptime"].as_u64().unwrap() / 20,
            0
        );
    }

    #[test]
    fn the_others_notice_a_death_after_thirteen_seconds_and_then_miss_its_vote() {
        let mut world = cluster();
        assert!(world.kill_node("pve2"));
        let states = [12_999, 1].map(|millis| {
            pass(&mut world, millis);
            (world.seems_online(&world.nodes["pve2"]), world.quorate())
        });
        assert_eq!(states, [(true, true), (false, false)]);
        assert_eq!(
            world.check_quorum().unwrap_err().to_string(),
            "cluster not ready - no quorum?"
        );
        assert!(world.revive_node("pve2"));
        assert!(world.quorate());
    }
}
