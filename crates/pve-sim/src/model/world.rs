//! The whole cluster and the agenda of what happens in it by itself. Acts only when it is told the time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::access::{Access, Principal};
use super::dice::Dice;
use super::firewall::{Entry, FirewallFile};
use super::moment::Moment;
use super::node::Node;
use super::pool::Pools;
use super::refusal::{Outcome, Refusal};
use super::storage::Storage;
use super::task::Tasks;
use super::vm::Vm;

/// How long each kind of work takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// A linked clone.
    pub clone: Duration,
    /// A full clone.
    pub full_clone: Duration,
    /// A start.
    pub start: Duration,
    /// A stop.
    pub stop: Duration,
    /// A shutdown that the guest obeys.
    pub shutdown: Duration,
    /// A removal.
    pub destroy: Duration,
    /// A resize.
    pub resize: Duration,
}

impl Default for Durations {
    /// Times of a small node with fast disks.
    fn default() -> Self {
        let millis = Duration::from_millis;
        Self {
            clone: millis(200),
            full_clone: millis(300),
            start: millis(900),
            stop: millis(300),
            shutdown: millis(1000),
            destroy: millis(100),
            resize: millis(50),
        }
    }
}

/// Settings of the cluster as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Datacenter {
    /// The cluster's name.
    pub name: String,
    /// Whether writes are possible.
    pub quorate: bool,
    /// The fingerprint of the certificate that its nodes show.
    pub fingerprint: String,
    /// The options of the datacenter firewall that are set.
    pub firewall: Entry,
    /// The datacenter options that are set.
    pub options: BTreeMap<String, Value>,
}

/// Who holds a guest's lock file.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Hold {
    /// The number of the task.
    pub task: u64,
    /// Whether others may hold it too.
    pub shared: bool,
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
    pub flocks: BTreeMap<u32, Vec<Hold>>,
    agenda: BTreeSet<(Moment, u64, Event)>,
    next_event: u64,
}

/// What happens by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Event {
    /// The next step of a task.
    Step(u64),
    /// The statistics daemons publish.
    Publish,
}

impl World {
    /// A cluster without nodes.
    pub fn empty(now: Moment, seed: u64, durations: Durations, stats_lag: Duration) -> Self {
        let datacenter = Datacenter {
            name: "testbed".to_owned(),
            quorate: true,
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
            flocks: BTreeMap::new(),
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

    /// Lets everything happen that is due by `now`.
    pub fn advance(&mut self, now: Moment) {
        while let Some((due, number, event)) = self.agenda.first().copied().filter(|(due, ..)| *due <= now) {
            self.agenda.remove(&(due, number, event));
            self.now = self.now.max(due);
            match event {
                Event::Step(task) => super::work::run_step(self, task),
                Event::Publish => {
                    self.publish();
                    let next = now.max(due).next_multiple(self.stats_lag);
                    self.plan(next, Event::Publish);
                }
            }
        }
        self.now = self.now.max(now);
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

    /// Publishes the values of the guests of all live nodes.
    pub fn publish(&mut self) {
        for node in self.nodes.values_mut().filter(|node| node.online) {
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

    /// Refuses without quorum, as calls do that check it.
    pub fn check_quorum(&self) -> Outcome<()> {
        if self.datacenter.quorate {
            Ok(())
        } else {
            Err(Refusal::no_quorum())
        }
    }

    /// Refuses without quorum, as writing a file of the cluster does.
    pub fn check_writable(&mut self, file: &str) -> Outcome<()> {
        if self.datacenter.quorate {
            return Ok(());
        }
        Err(Refusal::read_only(file, self.dice.between(100, 3000)))
    }

    /// Takes a guest's lock file for a task.
    pub fn take_flock(&mut self, vmid: u32, hold: Hold) -> Outcome<()> {
        let holders = self.flocks.entry(vmid).or_default();
        if holders
            .iter()
            .any(|other| other.task != hold.task && !(other.shared && hold.shared))
        {
            return Err(Refusal::Busy(vmid));
        }
        holders.retain(|other| other.task != hold.task);
        holders.push(hold);
        Ok(())
    }

    /// Refuses while a task holds a guest's lock file.
    pub fn check_flock(&self, vmid: u32) -> Outcome<()> {
        if self.flocks.get(&vmid).is_some_and(|holders| !holders.is_empty()) {
            return Err(Refusal::Busy(vmid));
        }
        Ok(())
    }

    /// Gives back every lock file that a task holds.
    pub fn release_flocks(&mut self, task: u64) {
        for holders in self.flocks.values_mut() {
            holders.retain(|hold| hold.task != task);
        }
        self.flocks.retain(|_, holders| !holders.is_empty());
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
mod tests {
    use super::super::seed::{Size, fill};
    use super::super::work::{CloneJob, Job, spawn};
    use super::*;

    fn cluster() -> World {
        let start = Moment::from_micros(1_800_000_000_000_000);
        let mut world = World::empty(start, 7, Durations::default(), Duration::from_secs(10));
        let size = Size {
            nodes: 2,
            cores: 8,
            memory: 1 << 36,
            disk: 1 << 40,
            shared_storage: true,
        };
        fill(&mut world, &size);
        world
    }

    fn begin_clone(world: &mut World) -> String {
        let job = CloneJob {
            source: 9000,
            newid: 200,
            name: None,
            description: None,
            pool: Some("decent".to_owned()),
            storage: None,
            target: "pve1".to_owned(),
            full: false,
        };
        let who = Principal::parse("root@pam!t1");
        spawn(world, "pve1", ("qmclone", 9000), &who, Job::Clone(job))
    }

    fn text(world: &World) -> String {
        serde_json::to_string(world).unwrap()
    }

    #[test]
    fn the_same_seed_and_acts_give_the_same_cluster() {
        let run = || {
            let mut world = cluster();
            begin_clone(&mut world);
            world.advance(world.now.plus(Duration::from_secs(1)));
            text(&world)
        };
        assert_eq!(run(), run());
    }

    #[test]
    fn a_cluster_written_down_in_the_middle_of_work_goes_on_where_it_was() {
        let mut world = cluster();
        let upid = begin_clone(&mut world);
        world.advance(world.now.plus(Duration::from_millis(100)));
        assert!(world.tasks.find(&upid).unwrap().end.is_none());
        let mut copy: World = serde_json::from_str(&text(&world)).unwrap();
        for world in [&mut world, &mut copy] {
            world.advance(world.now.plus(Duration::from_secs(1)));
        }
        assert_eq!(copy.tasks.find(&upid).unwrap().end.as_ref().unwrap().status, "OK");
        assert_eq!(text(&copy), text(&world));
    }

    #[test]
    fn statistics_are_as_old_as_the_last_full_period() {
        let mut world = cluster();
        begin_clone(&mut world);
        world.advance(world.now.plus(Duration::from_secs(9)));
        assert!(!world.nodes["pve1"].published.contains_key(&200));
        world.advance(world.now.plus(Duration::from_secs(1)));
        assert!(world.nodes["pve1"].published.contains_key(&200));
    }

    #[test]
    fn a_relocated_guest_takes_its_own_volumes_along() {
        let mut world = cluster();
        begin_clone(&mut world);
        world.advance(world.now.plus(Duration::from_secs(1)));
        world.relocate(200, "pve2");
        let of = |node: &str| {
            world.storages["local"]
                .volumes(node)
                .filter(|(_, volume)| volume.vmid == 200)
                .count()
        };
        assert_eq!((of("pve1"), of("pve2")), (0, 2));
    }
}
