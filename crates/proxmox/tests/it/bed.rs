//! A simulator, a client of its service token, and what tests ask of them.

use std::time::Duration;

use dc_proxmox::{Change, CloneRequest, Config, Error, Exit, NewRule, Pve, TaskStatus, Trust};
use domain::ids::{NodeName, Uid, Vmid};
use domain::pve::Upid;
use domain::stamp::Stamp;
use pve_sim::{Durations, Sim, SimConfig, SimHandle, Span};
use serde_json::Value;

pub const BUDGET: Duration = Duration::from_secs(30);

/// A simulator with short tasks, a client of its service token, and its control port.
pub struct Bed {
    pub sim: SimHandle,
    pub pve: Pve,
    pub node: NodeName,
    pub template: Vmid,
}

pub fn config(sim: &SimHandle, trust: Trust, token: &str) -> Config {
    Config {
        endpoints: vec![sim.url.parse().unwrap()],
        token: token.parse().unwrap(),
        trust,
        deadline: BUDGET,
    }
}

pub fn vmid(id: u32) -> Vmid {
    id.try_into().unwrap()
}

pub fn stamp() -> Stamp {
    let uid = |n: u8| Uid::from_bytes([n; 16]);
    Stamp {
        hub: uid(1),
        machine: uid(2),
        slot: uid(3),
    }
}

impl Bed {
    pub async fn start() -> Self {
        let quick = Span::millis(10, 10);
        let durations = Durations {
            clone: quick,
            full_clone: quick,
            start: quick,
            stop: quick,
            shutdown: quick,
            destroy: quick,
            resize: quick,
            cleanup: Span::ZERO,
        };
        let auth_delay = Duration::ZERO;
        let sim = Sim::start(SimConfig {
            durations,
            auth_delay,
            stats_lag: Duration::ZERO,
            ..SimConfig::default()
        });
        let sim = sim.await.unwrap();
        let pve = Pve::new(&config(&sim, Trust::Ca(sim.ca_pem.clone()), &sim.token)).unwrap();
        let (node, template) = sim.templates[0].clone();
        Self {
            pve,
            node: node.parse().unwrap(),
            template: vmid(template),
            sim,
        }
    }

    /// Turns a switch of the control port.
    pub async fn turn(&self, path: &str, body: &Value) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = format!("{}{path}", self.sim.control_url);
        let answer = reqwest::Client::new().post(url).json(body).send().await.unwrap();
        assert!(
            answer.status().is_success(),
            "{path}: {}",
            answer.text().await.unwrap()
        );
    }

    pub fn wish(&self, newid: u32) -> CloneRequest {
        CloneRequest {
            newid: vmid(newid),
            name: "dc-0b8f4b5e9b".into(),
            description: stamp().line(),
            pool: self.sim.pool.clone(),
            full: false,
            storage: None,
            target: None,
        }
    }

    pub async fn clone(&self, newid: u32) -> Result<Upid, Error> {
        self.pve
            .clone_vm(&self.node, self.template, &self.wish(newid))
            .await
    }

    pub async fn ended(&self, task: &Upid) -> Exit {
        match self.pve.await_task(task, BUDGET).await.unwrap() {
            TaskStatus::Ended { exit } => exit,
            TaskStatus::Running => Exit::Failed(format!("{task} still runs")),
        }
    }

    pub async fn made(&self, newid: u32) -> Vmid {
        assert_eq!(self.ended(&self.clone(newid).await.unwrap()).await, Exit::Ok);
        vmid(newid)
    }
}

pub fn set(values: &[(&str, &str)]) -> Change {
    let set = values
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    Change {
        set,
        delete: Vec::new(),
    }
}

pub fn rule(action: &str, source: &str) -> NewRule {
    NewRule {
        kind: "in".into(),
        action: action.into(),
        enable: 1,
        source: Some(source.into()),
        ..NewRule::default()
    }
}
