//! A node: its size and what it publishes of itself. Runs nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::moment::Moment;
use super::vm::Vm;

/// Which of a node's daemons run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Services {
    /// pveproxy: takes requests.
    pub proxy: bool,
    /// pvedaemon: does what needs root.
    pub daemon: bool,
    /// pmxcfs: the cluster's file system.
    pub files: bool,
}

impl Default for Services {
    fn default() -> Self {
        Self {
            proxy: true,
            daemon: true,
            files: true,
        }
    }
}

/// A node of the cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its number, from one.
    pub number: u32,
    /// Processors.
    pub cores: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of its root file system.
    pub disk: u64,
    /// Its bridges.
    pub bridges: Vec<String>,
    /// Whether it is alive.
    pub online: bool,
    /// When it died.
    pub died: Option<Moment>,
    /// Its daemons.
    pub services: Services,
    /// When it started.
    pub boot: Moment,
    /// The next process id.
    pub next_pid: u32,
    /// The last published values of its guests.
    pub published: BTreeMap<u32, Map<String, Value>>,
}

impl Node {
    /// Everything but what it publishes again and again.
    #[must_use]
    pub fn head(&self) -> Self {
        let mut published = BTreeMap::new();
        if !self.online {
            published.clone_from(&self.published);
        }
        Self {
            name: self.name.clone(),
            bridges: self.bridges.clone(),
            published,
            ..*self
        }
    }

    /// What the statistics daemon publishes of a guest.
    pub fn publish(vm: &Vm, now: Moment) -> Map<String, Value> {
        let running = vm.running();
        let entry = json!({
            "name": vm.name(), "status": vm.status(), "maxcpu": vm.config.cpus(), "maxmem": vm.config.memory(),
            "maxdisk": vm.config.disk_size(), "mem": if running { vm.config.memory() / 4 } else { 0 }, "memhost": 0,
            "disk": 0, "cpu": if running { Value::from(0.01) } else { Value::from(0) }, "netin": 0, "netout": 0,
            "diskread": 0, "diskwrite": 0, "uptime": vm.uptime(now), "template": u8::from(vm.config.template()),
        });
        super::vm::object(entry)
    }

    /// Its fingerprint as other nodes know it.
    pub fn ip(&self) -> String {
        format!("10.77.0.{}", self.number)
    }

    /// Seconds since its start.
    pub fn uptime(&self, now: Moment) -> u64 {
        now.since(self.boot).as_secs()
    }
}
