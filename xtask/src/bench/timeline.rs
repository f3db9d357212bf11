//! When what happened to one VM, from the simulator's log of requests and its tasks. The same for machines of a
//! contract and for those of the raw script, so that they compare.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use super::sim::Request;

/// What the simulator saw of one machine, in milliseconds since the epoch.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// It was asked for: before the contract was posted, or before the script waited for its turn.
    pub asked: f64,
    /// Request of the clone.
    pub clone: f64,
    /// End of the clone's task.
    pub cloned: f64,
    /// Change of the configuration.
    pub configure: f64,
    /// First call about the firewall.
    pub isolate: f64,
    /// Growing the disk.
    pub grow: f64,
    /// Request of the start.
    pub start: f64,
    /// End of the start's task: the VM runs.
    pub running: f64,
    /// Calls about this VM until it ran, reads included.
    pub calls: usize,
}

/// Names of the phases, in order.
pub const PHASES: [&str; 7] = [
    "asked → clone request",
    "clone task",
    "→ configure",
    "→ first firewall call",
    "→ grow",
    "→ start request",
    "start task",
];

impl Timeline {
    /// From the request until the VM runs.
    pub fn total(&self) -> f64 {
        self.running - self.asked
    }

    /// From the request until the clone is asked for.
    pub fn until_clone(&self) -> f64 {
        self.clone - self.asked
    }

    /// Length of each of [`PHASES`].
    pub fn phases(&self) -> [f64; 7] {
        [
            self.clone - self.asked,
            self.cloned - self.clone,
            self.configure - self.cloned,
            self.isolate - self.configure,
            self.grow - self.isolate,
            self.start - self.grow,
            self.running - self.start,
        ]
    }
}

/// What happened at Proxmox during a round.
pub struct Record {
    requests: Vec<Request>,
    ends: BTreeMap<String, f64>,
}

impl Record {
    /// From the simulator's log and the ends of its tasks.
    pub fn new(requests: Vec<Request>, ends: BTreeMap<String, f64>) -> Self {
        Self { requests, ends }
    }

    /// What happened to the machine whose VM was cloned under this name.
    ///
    /// # Errors
    /// When a step is missing, or there was more than one clone.
    pub fn of(&self, vm_name: &str, asked: f64) -> Result<Timeline> {
        let named = |request: &&Request| {
            request.newid.is_some()
                && request.status == 200
                && request.params.get("name").is_some_and(|name| name == vm_name)
        };
        let clones: Vec<&Request> = self.requests.iter().filter(named).collect();
        ensure!(clones.len() == 1, "{} clones for {vm_name}", clones.len());
        let clone = clones
            .first()
            .with_context(|| format!("no clone for {vm_name}"))?;
        let vmid = clone.newid;
        let own: Vec<&Request> = self.requests.iter().filter(|r| r.vmid == vmid).collect();
        let first = |method: &str, part: &str| {
            let found = own
                .iter()
                .find(|r| r.method != "GET" && r.method == method && r.path.contains(part));
            found.with_context(|| format!("no {method} {part} for {vm_name}"))
        };
        let start = first("POST", "/status/start")?;
        let running = self.end_of(start)?;
        Ok(Timeline {
            asked,
            clone: clone.time_ms,
            cloned: self.end_of(clone)?,
            configure: first("PUT", "/config")?.time_ms,
            isolate: first("POST", "/firewall/")?.time_ms,
            grow: first("PUT", "/resize")?.time_ms,
            start: start.time_ms,
            running,
            calls: 1 + own.iter().filter(|r| r.time_ms <= running).count(),
        })
    }

    fn end_of(&self, request: &Request) -> Result<f64> {
        let upid = request
            .upid
            .as_ref()
            .with_context(|| format!("{} {} started no task", request.method, request.path))?;
        self.ends
            .get(upid)
            .copied()
            .with_context(|| format!("task {upid} has not ended"))
    }
}
