//! A simulator whose clock stands, a client whose waits move that clock, and what tests ask of them.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cf_sim::{Sim, SimConfig, SimHandle, Time};
use dc_cloudflare::{
    Access, Budget, Cf, Desired, Name, Owner, Pace, Plan, Record, Scope, Timer, Trust, ZoneId, plan,
};
use domain::ids::Uid;
use serde_json::{Value, json};

/// The name under which the tests' gateway has its records.
pub const TOP: &str = "ams1.gw.example.org";

/// A timer that moves the simulator's clock instead of waiting.
pub struct Moving {
    sim: Arc<SimHandle>,
    slept: Mutex<Duration>,
}

impl Timer for Moving {
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.sim.now_ms())
    }

    fn sleep(&self, span: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        // Whole milliseconds, and never less than asked for.
        let span = Duration::from_millis(u64::try_from(span.as_micros().div_ceil(1_000)).unwrap());
        assert!(self.sim.pass(span));
        *self.slept.lock().unwrap() += span;
        Box::pin(std::future::ready(()))
    }
}

impl Moving {
    pub fn slept(&self) -> Duration {
        *self.slept.lock().unwrap()
    }
}

/// A simulator and a client.
pub struct Bed {
    pub sim: Arc<SimHandle>,
    pub timer: Arc<Moving>,
    pub budget: Budget,
    pub cf: Cf,
    pub zone: ZoneId,
}

pub fn config() -> SimConfig {
    SimConfig {
        time: Time::Standing,
        seed: Some(1),
        ..SimConfig::default()
    }
}

pub fn owner() -> Owner {
    Owner {
        hub: Uid::from_bytes([1; 16]),
        gateway: Uid::from_bytes([2; 16]),
    }
}

pub fn scope() -> Scope {
    Scope {
        owner: owner(),
        under: vec![name(TOP)],
    }
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn wildcard(last: u8) -> Desired {
    Desired::a(name(&format!("*.{TOP}")), [192, 0, 2, last].into())
}

pub fn challenge(text: &str) -> Desired {
    Desired::txt(name(&format!("_acme-challenge.{TOP}")), text).unwrap()
}

impl Bed {
    pub async fn new() -> Self {
        Self::start(config(), Duration::from_hours(1)).await
    }

    /// A client that waits for its turn no longer than this.
    pub async fn start(config: SimConfig, patience: Duration) -> Self {
        let sim = Arc::new(Sim::start(config).await.unwrap());
        let timer = Arc::new(Moving {
            sim: Arc::clone(&sim),
            slept: Mutex::default(),
        });
        let budget = Budget::new(Pace::default(), patience, timer.clone());
        let access = access(&sim, &sim.token);
        Self {
            cf: Cf::new(&access, budget.clone()).unwrap(),
            zone: sim.zones[0].id.parse().unwrap(),
            budget,
            timer,
            sim,
        }
    }

    /// A client of another token with the same budget.
    pub fn client(&self, token: &str) -> Cf {
        Cf::new(&access(&self.sim, token), self.budget.clone()).unwrap()
    }

    /// A client with other settings and the same budget.
    pub fn with(&self, change: impl FnOnce(&mut Access)) -> Cf {
        let mut access = access(&self.sim, &self.sim.token);
        change(&mut access);
        Cf::new(&access, self.budget.clone()).unwrap()
    }

    pub async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        self.sim.control(method, path, &body).await.unwrap()
    }

    /// Arms a fault.
    pub async fn fault(&self, matcher: Value, act: Value) {
        let rule = json!({"match": matcher, "act": act});
        self.control("POST", "/faults", rule).await;
    }

    /// A foreign record, whatever it is.
    pub async fn foreign(&self, kind: &str, at: &str, content: &str, comment: Option<&str>) -> Value {
        let body = json!({"type": kind, "name": at, "content": content, "comment": comment, "ttl": 60});
        self.control("POST", "/zones/example.org/records", body).await
    }

    /// All records of the zone, whoever made them.
    pub async fn truth(&self) -> Vec<Value> {
        let all = self
            .control("GET", "/zones/example.org/records", Value::Null)
            .await;
        all.as_array().unwrap().clone()
    }

    /// The requests so far: method, status, the code of the first error.
    pub async fn log(&self) -> Vec<(String, u64, Option<u64>)> {
        let log = self.control("GET", "/requests", Value::Null).await;
        let entry = |one: &Value| {
            let method = one["method"].as_str().unwrap().to_owned();
            (method, one["status"].as_u64().unwrap(), one["code"].as_u64())
        };
        log["requests"].as_array().unwrap().iter().map(entry).collect()
    }

    /// The requests so far that asked for a change.
    pub async fn changes(&self) -> Vec<String> {
        let log = self.log().await.into_iter();
        log.map(|(method, ..)| method)
            .filter(|method| method != "GET")
            .collect()
    }

    /// What a controller sees: all that carries our comment, and all that stands at the wanted names.
    pub async fn listed(&self, desired: &[Desired]) -> Vec<Record> {
        let mut listed = self.cf.mine(&self.zone, &owner()).await.unwrap();
        for one in desired {
            listed.extend(self.cf.named(&self.zone, one.name()).await.unwrap());
        }
        listed
    }

    /// One pass of a controller: look, plan, do.
    pub async fn pass(&self, desired: &[Desired]) -> Plan {
        let listed = self.listed(desired).await;
        let plan = plan(desired, &listed, &scope()).unwrap();
        self.cf.apply(&self.zone, &plan, &owner()).await.unwrap();
        plan
    }
}

/// How to reach a simulator.
pub fn access(sim: &SimHandle, token: &str) -> Access {
    Access {
        endpoint: sim.url.parse().unwrap(),
        token: token.parse().unwrap(),
        trust: sim.ca_pem.clone().map_or(Trust::System, Trust::Ca),
        deadline: Duration::from_secs(20),
        page: 1_000,
    }
}
