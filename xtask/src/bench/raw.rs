//! The baseline: the calls that make a machine, sent by a plain script, without control plane, without looking twice.
//! Same arrivals, same simulator, same number of clones in flight on each node.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::caller::Caller;
use super::clock::Clock;
use super::objects;
use super::sim::Facts;

/// Clones in flight on one node, as the operator has them.
const CLONES: usize = 2;
/// How often the script asks for a task. The operator asks after 100 ms and then ever later.
const POLL: Duration = Duration::from_millis(50);
/// VMIDs of the script, away from those of the Pool.
const FIRST_VMID: u32 = 500_000;

/// A machine that the script made.
pub struct Made {
    /// Name of its VM.
    pub vm_name: String,
    /// Its VMID.
    pub vmid: u32,
    /// When it was its turn, in milliseconds since the epoch.
    pub asked_ms: f64,
}

/// The script.
pub struct Script {
    caller: Caller,
    pool: String,
    nodes: Vec<Node>,
    clock: Clock,
}

struct Node {
    name: String,
    template: u32,
    clones: Semaphore,
}

impl Script {
    /// A script that calls this simulator.
    ///
    /// # Errors
    /// When its certificate cannot be used.
    pub fn new(facts: &Facts, clock: Clock) -> Result<Arc<Self>> {
        let nodes = facts.templates.iter().map(|(name, template)| Node {
            name: name.clone(),
            template: *template,
            clones: Semaphore::new(CLONES),
        });
        Ok(Arc::new(Self {
            caller: Caller::new(facts)?,
            pool: facts.pool.clone(),
            nodes: nodes.collect(),
            clock,
        }))
    }

    /// Makes one machine after another, each at its time; all run in the end.
    ///
    /// # Errors
    /// The first call that is refused.
    pub async fn round(self: &Arc<Self>, first: u32, arrivals: &[Duration]) -> Result<Vec<Made>> {
        let begin = Instant::now();
        let mut running = JoinSet::new();
        for (number, after) in (first..).zip(arrivals) {
            let (script, at) = (Arc::clone(self), begin + *after);
            running.spawn(async move {
                sleep_until(at).await;
                script.machine(number).await
            });
        }
        let mut made = Vec::new();
        while let Some(one) = running.join_next().await {
            made.push(one.context("the script was cut")??);
        }
        made.sort_by_key(|machine| machine.vmid);
        Ok(made)
    }

    async fn machine(&self, number: u32) -> Result<Made> {
        let asked_ms = self.clock.ms();
        let vmid = FIRST_VMID + number;
        let node = usize::try_from(number).unwrap_or_default() % self.nodes.len().max(1);
        let node = self.nodes.get(node).context("the simulator has no node")?;
        let vm_name = format!("raw-{number}");
        let turn = node.clones.acquire().await.context("the script was cut")?;
        self.cloned(node, &vm_name, vmid).await?;
        drop(turn);
        let guest = format!("/nodes/{}/qemu/{vmid}", node.name);
        self.configured(&guest, number).await?;
        self.isolated(&guest, number).await?;
        let grown = self
            .put(&format!("{guest}/resize"), &[("disk", "scsi0"), ("size", "10G")])
            .await?;
        self.ended(&grown).await?;
        let started = self.post(&format!("{guest}/status/start"), &[]).await?;
        self.ended(&started).await?;
        Ok(Made {
            vm_name,
            vmid,
            asked_ms,
        })
    }

    async fn cloned(&self, node: &Node, name: &str, vmid: u32) -> Result<()> {
        let path = format!("/nodes/{}/qemu/{}/clone", node.name, node.template);
        let vmid = vmid.to_string();
        let params = [
            ("newid", vmid.as_str()),
            ("name", name),
            ("pool", &self.pool),
            ("full", "0"),
            ("description", name),
        ];
        let task = self.post(&path, &params).await?;
        self.ended(&task).await
    }

    async fn configured(&self, guest: &str, number: u32) -> Result<()> {
        let config = self
            .caller
            .call(Method::GET, &format!("{guest}/config"), &[])
            .await?;
        let digest = config["digest"].as_str().unwrap_or_default();
        let (address, key) = (address(number), objects::encoded_key());
        let ip = format!("ip={address}/16,gw=10.64.0.1");
        let params = [
            ("cores", "1"),
            ("memory", "512"),
            ("net0", "virtio=02:00:00:00:00:01,bridge=vmbr1,firewall=1"),
            ("ipconfig0", &ip),
            ("nameserver", "192.0.2.53"),
            ("ciuser", "root"),
            ("sshkeys", &key),
            ("protection", "1"),
            ("digest", digest),
        ];
        self.put(&format!("{guest}/config"), &params).await.map(drop)
    }

    async fn isolated(&self, guest: &str, number: u32) -> Result<()> {
        for (action, source) in [
            ("ACCEPT", "0.0.0.0/0"),
            ("DROP", "10.64.0.0/16"),
            ("ACCEPT", "10.64.0.1"),
        ] {
            let rule = [
                ("type", "in"),
                ("action", action),
                ("source", source),
                ("enable", "1"),
            ];
            self.post(&format!("{guest}/firewall/rules"), &rule).await?;
        }
        let set = format!("{guest}/firewall/ipset");
        self.post(&set, &[("name", "ipfilter-net0")]).await?;
        self.post(&format!("{set}/ipfilter-net0"), &[("cidr", &address(number))])
            .await?;
        let options = [
            ("enable", "1"),
            ("policy_in", "DROP"),
            ("ipfilter", "1"),
            ("ndp", "0"),
        ];
        self.put(&format!("{guest}/firewall/options"), &options)
            .await
            .map(drop)
    }

    /// Waits for a task; older versions grow disks at once and name none.
    async fn ended(&self, task: &Value) -> Result<()> {
        let Some(upid) = task.as_str() else { return Ok(()) };
        let node = upid.split(':').nth(1).unwrap_or_default();
        let path = format!("/nodes/{node}/tasks/{upid}/status");
        loop {
            let status = self.caller.call(Method::GET, &path, &[]).await?;
            match status["exitstatus"].as_str() {
                Some("OK") => return Ok(()),
                Some(other) => bail!("{upid} ended with {other}"),
                None => sleep(POLL).await,
            }
        }
    }

    async fn post(&self, path: &str, params: &[(&str, &str)]) -> Result<Value> {
        self.caller.call(Method::POST, path, params).await
    }

    async fn put(&self, path: &str, params: &[(&str, &str)]) -> Result<Value> {
        self.caller.call(Method::PUT, path, params).await
    }
}

fn address(number: u32) -> String {
    format!("10.64.{}.{}", 100 + number / 200, 10 + number % 200)
}
