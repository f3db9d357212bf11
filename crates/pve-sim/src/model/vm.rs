//! A guest: configuration, power and what the status calls show of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::config::{Pending, VmConfig};
use super::image::{Outdated, is_in_image};
use super::moment::Moment;

/// Whether a guest runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Power {
    /// Not running.
    Stopped,
    /// Running.
    Running {
        /// When it was started.
        since: Moment,
        /// Its process.
        pid: u32,
    },
}

/// A state that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When, in seconds since the epoch.
    pub taken: u64,
    /// What was noted.
    pub description: String,
    /// The one before it.
    pub parent: Option<String>,
    /// The configuration of that time.
    pub config: VmConfig,
}

/// A guest of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vm {
    /// Its id.
    pub vmid: u32,
    /// The node that has its configuration file.
    pub node: String,
    /// The configuration file.
    pub config: VmConfig,
    /// Changes that wait for the next start.
    pub pending: Pending,
    /// What the running process was started with.
    pub power: Power,
    /// Whether its processors stand still.
    pub paused: bool,
    /// Values that its cloud-init image has otherwise, since they were changed while it ran.
    #[serde(default)]
    pub outdated: Option<Outdated>,
    /// States that were kept, by name.
    pub snapshots: BTreeMap<String, Snapshot>,
}

impl Vm {
    /// A stopped guest.
    pub fn new(vmid: u32, node: &str, config: VmConfig) -> Self {
        Self {
            vmid,
            node: node.to_owned(),
            config,
            pending: Pending::new(),
            power: Power::Stopped,
            paused: false,
            outdated: None,
            snapshots: BTreeMap::new(),
        }
    }

    /// Whether it runs.
    pub fn running(&self) -> bool {
        matches!(self.power, Power::Running { .. })
    }

    /// "running" or "stopped".
    pub fn status(&self) -> &'static str {
        if self.running() { "running" } else { "stopped" }
    }

    /// The digest of its configuration.
    pub fn digest(&self) -> String {
        let image = self.outdated.as_ref().map(Outdated::text);
        self.config.digest(&self.pending, &image.unwrap_or_default())
    }

    /// Takes note of a change that the image of a running guest does not have.
    pub fn note_change(&mut self, key: &str, after: Option<&str>) {
        if self.running() && is_in_image(key) {
            let before = self.config.get(key).map(str::to_owned);
            let outdated = self.outdated.get_or_insert_default();
            outdated.note(key, before.as_deref(), after);
        }
    }

    /// The configuration with the waiting changes applied.
    pub fn future(&self) -> VmConfig {
        let mut config = self.config.clone();
        for (key, value) in &self.pending {
            match value {
                Some(value) => config.set(key, value.clone()),
                None => drop(config.remove(key)),
            }
        }
        config
    }

    /// Takes the waiting changes over, as a stop and a start do.
    pub fn settle(&mut self) {
        self.config = self.future();
        self.pending.clear();
        self.paused = false;
    }

    /// Whether its disks could be snapshot: raw files cannot.
    pub fn can_snapshot(&self) -> bool {
        self.config.disks().all(|(_, drive)| {
            drive
                .split(',')
                .next()
                .is_some_and(|volid| volid.rsplit('.').next() == Some("qcow2"))
        })
    }

    /// Its name, or the one that is shown for it.
    pub fn name(&self) -> String {
        self.config
            .get("name")
            .map_or_else(|| format!("VM {}", self.vmid), str::to_owned)
    }

    /// Seconds since its start.
    pub fn uptime(&self, now: Moment) -> u64 {
        match self.power {
            Power::Stopped => 0,
            Power::Running { since, .. } => now.since(since).as_secs(),
        }
    }

    /// An entry of a node's list of guests.
    pub fn listed(&self, now: Moment) -> Map<String, Value> {
        let running = self.running();
        let memory = self.config.memory();
        let mut entry = object(json!({
            "vmid": self.vmid, "name": self.name(), "status": self.status(), "cpus": self.config.cpus(),
            "maxmem": memory, "maxdisk": self.config.disk_size(), "mem": if running { memory / 4 } else { 0 },
            "memhost": 0, "disk": 0, "cpu": if running { 0.01 } else { 0.0 }, "netin": 0, "netout": 0,
            "uptime": self.uptime(now),
        }));
        if !running {
            entry.insert("cpu".to_owned(), Value::from(0));
        }
        if let Power::Running { pid, .. } = self.power {
            entry.insert("pid".to_owned(), Value::from(pid));
        }
        if self.config.get("serial0").is_some() {
            entry.insert("serial".to_owned(), Value::from(1));
        }
        for key in ["tags", "lock"] {
            if let Some(value) = self.config.get(key) {
                entry.insert(key.to_owned(), Value::from(value));
            }
        }
        if self.config.template() {
            entry.insert("template".to_owned(), Value::from(1));
        }
        entry
    }

    /// The answer of status/current.
    pub fn current(&self, now: Moment) -> Value {
        let mut entry = self.listed(now);
        let paused = self.paused && self.running();
        let state = if paused { "paused" } else { self.status() };
        entry.insert("qmpstatus".to_owned(), Value::from(state));
        entry.insert("ha".to_owned(), json!({"managed": 0}));
        if self.config.get("vga").is_some() {
            entry.insert("clipboard".to_owned(), Value::Null);
        }
        if self.config.get("agent").is_some_and(|agent| agent.contains('1')) {
            entry.insert("agent".to_owned(), Value::from(1));
        }
        if self.running() {
            entry.insert("nics".to_owned(), Value::Object(self.nics()));
            for key in [
                "cpusome",
                "cpufull",
                "iosome",
                "iofull",
                "memorysome",
                "memoryfull",
            ] {
                entry.insert(format!("pressure{key}"), Value::from(0));
            }
        }
        Value::Object(entry)
    }

    fn nics(&self) -> Map<String, Value> {
        let indexes = self
            .config
            .iter()
            .filter_map(|(key, _)| key.strip_prefix("net")?.parse::<u32>().ok());
        indexes
            .map(|index| {
                (
                    format!("tap{}i{index}", self.vmid),
                    json!({"netin": 0, "netout": 0}),
                )
            })
            .collect()
    }
}

/// The map of an object literal.
pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
