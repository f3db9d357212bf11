//! The simulator as a process, and its control port: the log of requests and the truth about tasks. What is measured
//! at Proxmox is read here, never from our own objects.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use testkit::{Launch, Process, Ready};

const DEADLINE: Duration = Duration::from_secs(30);

/// What kind of cluster is simulated.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Nodes.
    pub nodes: usize,
    /// Seconds of a linked clone.
    pub clone_seconds: f64,
    /// Seconds of a start.
    pub start_seconds: f64,
}

/// What the simulator says of itself.
#[derive(Debug, Deserialize)]
pub struct Facts {
    /// Address of the API.
    pub url: String,
    /// Address of the control port.
    pub control_url: String,
    /// Certificate of its authority.
    pub ca_pem: String,
    /// The service token.
    pub token: String,
    /// Proxmox pool of that token.
    pub pool: String,
    /// Template of each node.
    pub templates: BTreeMap<String, u32>,
}

/// A request, as the simulator logged it.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// When it came, in milliseconds since the epoch.
    pub time_ms: f64,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// The guest of the path.
    pub vmid: Option<u32>,
    /// The guest to be made.
    pub newid: Option<u32>,
    /// Its parameters.
    pub params: BTreeMap<String, Value>,
    /// Status of the answer.
    pub status: u16,
    /// The task that it started.
    pub upid: Option<String>,
}

#[derive(Deserialize)]
struct Log {
    last: u64,
    requests: Vec<Request>,
}

#[derive(Deserialize)]
struct Task {
    upid: String,
    ended_ms: Option<f64>,
}

/// A running simulator.
pub struct Sim {
    /// What it says of itself.
    pub facts: Facts,
    http: reqwest::Client,
    process: Process,
}

impl Sim {
    /// Starts one with room for all that is measured.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(program: PathBuf, dir: &Path, cluster: &Cluster) -> Result<Self> {
        let arg = |name: &str, value: String| [format!("--{name}"), value];
        let args = [
            arg("nodes", cluster.nodes.to_string()),
            arg("clone-seconds", cluster.clone_seconds.to_string()),
            arg("start-seconds", cluster.start_seconds.to_string()),
            arg("shutdown-seconds", "0.2".to_owned()),
        ];
        Self::launch(program, dir, args.concat()).await
    }

    /// Starts one with room for all that is measured, and with these options.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn launch(program: PathBuf, dir: &Path, args: Vec<String>) -> Result<Self> {
        let ready = dir.join("pve-sim.ready.json");
        let room = [
            "--cores", "512", "--memory", "2Ti", "--disk", "64Ti", "--seed", "1",
        ];
        let launch = Launch::new("pve-sim", program, dir).args(args).args(room);
        let launch = launch.arg("--ready-file").arg(&ready);
        let process = Process::start(launch.ready(Ready::File(ready.clone()), DEADLINE)).await?;
        let text =
            std::fs::read_to_string(&ready).context("failed to read what the simulator says of itself")?;
        let facts =
            serde_json::from_str(&text).context("failed to decode what the simulator says of itself")?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .context("failed to build a client")?;
        Ok(Self { facts, http, process })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The number of the newest request.
    ///
    /// # Errors
    /// When the control port does not answer.
    pub async fn mark(&self) -> Result<u64> {
        self.get::<Log>(&format!("/requests?since={}", u64::MAX))
            .await
            .map(|log| log.last)
    }

    /// All requests after a mark, oldest first.
    ///
    /// # Errors
    /// When the control port does not answer.
    pub async fn requests(&self, since: u64) -> Result<Vec<Request>> {
        self.get::<Log>(&format!("/requests?since={since}"))
            .await
            .map(|log| log.requests)
    }

    /// When each of the newest tasks ended, by its id.
    ///
    /// # Errors
    /// When the control port does not answer.
    pub async fn ends(&self) -> Result<BTreeMap<String, f64>> {
        let tasks: Vec<Task> = self.get("/tasks").await?;
        Ok(tasks
            .into_iter()
            .filter_map(|task| Some((task.upid, task.ended_ms?)))
            .collect())
    }

    /// Removes a guest by a hand that reaches past the API.
    ///
    /// # Errors
    /// When the control port refuses.
    pub async fn remove_vm(&self, vmid: u32) -> Result<()> {
        let url = format!("{}/vms/{vmid}", self.facts.control_url);
        let answer = self
            .http
            .delete(url)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        answer
            .map(drop)
            .with_context(|| format!("failed to remove VM {vmid}"))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let url = format!("{}{path}", self.facts.control_url);
        let answer = self
            .http
            .get(url)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        let answer = answer.with_context(|| format!("failed to ask the simulator for {path}"))?;
        answer
            .json()
            .await
            .with_context(|| format!("failed to decode the simulator's {path}"))
    }
}
