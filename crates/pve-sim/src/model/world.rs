//! The whole cluster and the agenda of what happens in it by itself. Acts only when it is told the time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::access::{Access, Principal};
use super::dice::Dice;
use super::firewall::{Entry, FirewallFile};
use super::locks::{Holder, Locks};
use super::moment::Moment;
use super::node::Node;
use super::pace::Durations;
use super::pool::Pools;
use super::refusal::{Outcome, Refusal};
use super::storage::{Health, Storage};
use super::task::Tasks;
use super::version::Version;
use super::vm::Vm;

/// Settings of the cluster as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Datacenter {
    /// The cluster's name.
    pub name: String,
    /// Whether the nodes are kept apart, so that no part has quorum.
    pub parted: bool,
    /// How long it takes until the others notice that a node died.
    pub notice: Duration,
    /// The fingerprint of the certificate that its nodes show.
    pub fingerprint: String,
    /// The options of the datacenter firewall that are set.
    pub firewall: Entry,
    /// The datacenter options that are set.
    pub options: BTreeMap<String, Value>,
}

/// The cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct World {
    /// The time of the last act.
    pub now: Moment,
    /// How long work takes.
    pub durations: Durations,
    /// How old published statistics may be; zero: never old.
    pub stats_lag: Duration,
    /// Its randomness.
    pub dice: Dice,
    /// The cluster's settings.
    pub datacenter: Datacenter,
    /// Its nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// Its storages by name.
    pub storages: BTreeMap<String, Storage>,
    /// Its guests.
    pub vms: BTreeMap<u32, Vm>,
    /// Guests that do not obey a shutdown.
    pub deaf: BTreeSet<u32>,
    /// Firewall files by guest id.
    pub firewalls: BTreeMap<u32, FirewallFile>,
    /// Its pools.
    pub pools: Pools,
    /// Who may do what.
    pub access: Access,
    /// Its tasks.
    pub tasks: Tasks,
    /// Lock files that are held.
    pub locks: Locks,
    /// Guests that are started again as soon as their process has ended.
    pub rebooting: BTreeSet<u32>,
    /// The release that its nodes run.
    pub version: Version,
    pub(super) agenda: BTreeSet<(Moment, u64, Event)>,
    pub(super) next_event: u64,
}

/// What happens by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Event {
    /// The next step of a task.
    Step(u64),
    /// The statistics daemons publish.
    Publish,
    /// Some other process gives its locks back.
    Release(Holder),
    /// The event daemon looks after a guest whose process ended at this time.
    CleanUp(u32, Moment),
}

impl World {
    /// A cluster without nodes.
    pub fn empty(now: Moment, seed: u64, durations: Durations, stats_lag: Duration) -> Self {
        let datacenter = Datacenter {
            name: "testbed".to_owned(),
            parted: false,
            notice: super::outage::NOTICE,
            fingerprint: String::new(),
            firewall: Entry::new(),
            options: BTreeMap::new(),
        };
        let mut world = Self {
            now,
            durations,
            stats_lag,
            dice: Dice::new(seed),
            datacenter,
            nodes: BTreeMap::new(),
            storages: BTreeMap::new(),
            vms: BTreeMap::new(),
            deaf: BTreeSet::new(),
            firewalls: BTreeMap::new(),
            pools: Pools::default(),
            access: Access::fresh(),
            tasks: Tasks::default(),
            locks: Locks::default(),
            rebooting: BTreeSet::new(),
            version: Version::default(),
            agenda: BTreeSet::new(),
            next_event: 0,
        };
        if !stats_lag.is_zero() {
            world.plan(now.next_multiple(stats_lag), Event::Publish);
        }
        world
    }

    fn plan(&mut self, at: Moment, event: Event) {
        self.agenda.insert((at, self.next_event, event));
        self.next_event += 1;
    }

    /// Plans the next step of a task.
    pub fn plan_step(&mut self, task: u64, after: Duration) {
        self.plan(self.now.plus(after), Event::Step(task));
    }

    /// Plans that some other process gives its locks back.
    pub fn plan_release(&mut self, holder: Holder, after: Duration) {
        self.plan(self.now.plus(after), Event::Release(holder));
    }

    /// Plans that the event daemon looks after a guest whose process ended at `ended`.
    pub fn plan_cleanup(&mut self, vmid: u32, ended: Moment, after: Duration) {
        self.plan(self.now.plus(after), Event::CleanUp(vmid, ended));
    }

    /// Lets everything happen that is due by `now`; says whether that was anything.
    pub fn advance(&mut self, now: Moment) -> bool {
        let mut happened = false;
        while let Some((due, number, event)) = self.agenda.first().copied().filter(|(due, ..)| *due <= now) {
            self.agenda.remove(&(due, number, event));
            happened = true;
            self.now = self.now.max(due);
            match event {
                Event::Step(task) => super::work::run_step(self, task),
                Event::Release(holder) => self.locks.release(holder),
                Event::CleanUp(vmid, ended) => super::work::look_after(self, vmid, ended),
                Event::Publish => {
                    self.publish();
                    let next = now.max(due).next_multiple(self.stats_lag);
                    self.plan(next, Event::Publish);
                }
            }
        }
        self.now = self.now.max(now);
        happened
    }

    /// Changes how old published statistics may be.
    pub fn set_stats_lag(&mut self, lag: Duration) {
        self.stats_lag = lag;
        self.agenda
            .retain(|(_, _, event)| !matches!(event, Event::Publish));
        if !lag.is_zero() {
            self.publish();
            self.plan(self.now.next_multiple(lag), Event::Publish);
        }
    }

    /// Publishes the values of the guests of all live nodes; a dead storage stops a node's statistics.
    pub fn publish(&mut self) {
        let dead: Vec<&Storage> = self
            .storages
            .values()
            .filter(|storage| storage.health == Health::Dead)
            .collect();
        let works = |node: &Node| node.online && !dead.iter().any(|storage| storage.on(&node.name));
        for node in self.nodes.values_mut().filter(|node| works(node)) {
            let vms = self.vms.values().filter(|vm| vm.node == node.name);
            node.published = vms.map(|vm| (vm.vmid, Node::publish(vm, self.now))).collect();
        }
    }

    /// Whether a principal has a privilege on a path.
    pub fn allows(&self, who: &Principal, path: &str, privilege: &str) -> bool {
        self.access.allows(who, path, privilege, &self.pools)
    }

    /// A guest on a node.
    pub fn vm(&self, node: &str, vmid: u32) -> Outcome<&Vm> {
        self.vms
            .get(&vmid)
            .filter(|vm| vm.node == node)
            .ok_or_else(|| Refusal::no_config(node, vmid))
    }

    /// A guest on a node, to change it.
    pub fn vm_mut(&mut self, node: &str, vmid: u32) -> Outcome<&mut Vm> {
        self.vms
            .get_mut(&vmid)
            .filter(|vm| vm.node == node)
            .ok_or_else(|| Refusal::no_config(node, vmid))
    }

    /// A storage.
    pub fn storage(&self, name: &str) -> Outcome<&Storage> {
        self.storages
            .get(name)
            .ok_or_else(|| Refusal::died(format!("storage '{name}' does not exist")))
    }

    /// Whether a storage is dead.
    pub fn hangs(&self, storage: &str) -> bool {
        self.storages
            .get(storage)
            .is_some_and(|storage| storage.health == Health::Dead)
    }

    /// The next process id on a node.
    pub fn next_pid(&mut self, node: &str) -> u32 {
        let step = self.dice.between(3, 40);
        let Some(node) = self.nodes.get_mut(node) else {
            return step;
        };
        node.next_pid = (node.next_pid + step) % 4_000_000;
        node.next_pid
    }

    /// Removes a guest with all that hangs on its id.
    pub fn erase(&mut self, vmid: u32) -> Option<Vm> {
        let vm = self.vms.remove(&vmid)?;
        self.pools.leave(vmid);
        self.access.forget(&format!("/vms/{vmid}"));
        self.firewalls.remove(&vmid);
        self.deaf.remove(&vmid);
        Some(vm)
    }

    /// Removes the volumes that a guest's configuration names, and all of its id if asked.
    pub fn erase_volumes(&mut self, vm: &Vm, unreferenced: bool) {
        for (_, value) in vm.config.iter() {
            let Some((storage, name)) =
                super::storage::drive_volid(value).and_then(super::storage::split_volid)
            else {
                continue;
            };
            let own = super::storage::own_name(name);
            if let Some(storage) = self.storages.get_mut(storage)
                && own.starts_with(&format!("{}/", vm.vmid))
            {
                storage.remove(&vm.node, own);
            }
        }
        if unreferenced {
            for storage in self.storages.values_mut() {
                storage.remove_all_of(&vm.node, vm.vmid);
            }
        }
    }

    /// Moves a guest to another node, with its volumes on storages that nodes do not share.
    pub fn relocate(&mut self, vmid: u32, node: &str) {
        let Some(vm) = self.vms.get_mut(&vmid) else { return };
        let from = std::mem::replace(&mut vm.node, node.to_owned());
        for storage in self.storages.values_mut() {
            storage.carry(vmid, &from, node);
        }
    }
}

#[cfg(test)]
mod tests;
