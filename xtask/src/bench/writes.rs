//! API writes: what our processes write for one contract, counted from the API server's audit log. Objects of our
//! group count; Events and Leases are apart; the tenant's own writes do not count.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testkit::control_plane::audit::{self, Write};
use testkit::wait::until;
use tokio::time::{Instant, sleep};

use super::clock::Clock;
use super::contracts::Created;
use super::rig::{OURS, Rig};
use super::sim::Cluster;
use super::stats::tenth;

const DEADLINE: Duration = Duration::from_mins(2);
/// What was counted.
pub struct Writes {
    contracts: u32,
    to_ready: Vec<Write>,
    whole_life: Vec<Write>,
    slots: Vec<(String, String)>,
    created: Vec<Created>,
}

/// Counts the writes of contracts that come one after another, each when the one before is Ready. It is over once none
/// of our processes has written for `calm`: longer than what is debounced.
///
/// # Errors
/// A part that does not start, or a machine that is not made.
pub async fn measure(contracts: u32, calm: Duration) -> Result<Writes> {
    let cluster = Cluster {
        nodes: 3,
        clone_seconds: 0.2,
        start_seconds: 0.1,
    };
    let rig = Rig::start(&cluster, true).await?;
    let measured = count(&rig, contracts, calm).await;
    rig.end(measured).await
}

async fn count(rig: &Rig, contracts: u32, calm: Duration) -> Result<Writes> {
    let clock = Clock::system();
    // The first Slot marks Pool and Gateway as in use; that is not of each contract.
    rig.contracts.create("warm", clock).await?;
    rig.contracts.all_ready(DEADLINE).await?;
    let before = quiet(rig, calm).await?.len();
    let mut created = Vec::new();
    for number in 0..contracts {
        created.push(rig.contracts.create(&format!("w{number}"), clock).await?);
        rig.contracts.all_ready(DEADLINE).await?;
    }
    let to_ready = since(quiet(rig, calm).await?, before);
    let slots = rig.contracts.slots().await?;
    let before_end = before + to_ready.len();
    for contract in &created {
        rig.contracts.cancel(&contract.name).await?;
    }
    let machines: Vec<String> = created.iter().map(Created::machine_name).collect();
    rig.contracts.gone(&machines, DEADLINE).await?;
    let mut whole_life = to_ready.clone();
    whole_life.extend(since(quiet(rig, calm).await?, before_end));
    Ok(Writes {
        contracts,
        to_ready,
        whole_life,
        slots,
        created,
    })
}

fn since(writes: Vec<Write>, count: usize) -> Vec<Write> {
    writes.into_iter().skip(count).collect()
}

/// Our writes so far, once none has come for a while.
async fn quiet(rig: &Rig, calm: Duration) -> Result<Vec<Write>> {
    let (mut count, mut since) = (usize::MAX, Instant::now());
    until("our processes are quiet", DEADLINE, || {
        let now = ours(rig);
        let is_quiet = now.as_ref().is_ok_and(|writes| {
            if writes.len() != count {
                (count, since) = (writes.len(), Instant::now());
            }
            since.elapsed() >= calm
        });
        async move {
            sleep(Duration::from_millis(200)).await;
            now.map(|writes| is_quiet.then_some(writes))
        }
    })
    .await
}

fn ours(rig: &Rig) -> Result<Vec<Write>> {
    let all = audit::writes(&rig.audit_log()).context("failed to read the audit log")?;
    let counts =
        |w: &Write| w.group == testkit::GROUP && OURS.iter().any(|name| w.user_agent.starts_with(name));
    Ok(all.into_iter().filter(counts).collect())
}

impl Writes {
    /// Writes of one contract until it is Ready and quiet, shared objects included.
    pub fn per_contract(&self) -> f64 {
        self.share(self.to_ready.len())
    }

    /// Writes of one contract until its Slot rests and its Machine is gone, shared objects included.
    pub fn whole_life(&self) -> f64 {
        self.share(self.whole_life.len())
    }

    fn share(&self, count: usize) -> f64 {
        tenth(f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / f64::from(self.contracts.max(1)))
    }

    /// Writes on the last contract's own objects, in order.
    pub fn evidence(&self) -> Vec<String> {
        let Some(last) = self.created.last() else {
            return Vec::new();
        };
        let ready = self.own(last, &self.to_ready).len();
        let all = self.own(last, &self.whole_life).into_iter().enumerate();
        all.map(|(nth, w)| {
            format!(
                "{} {}",
                if nth < ready { "to Ready" } else { "to rest " },
                line(w)
            )
        })
        .collect()
    }

    /// Writes on Contract, Machine and Slots of one contract.
    fn own<'a>(&self, contract: &Created, writes: &'a [Write]) -> Vec<&'a Write> {
        let machine = contract.machine_name();
        let held = |name: &str| {
            self.slots
                .iter()
                .any(|(slot, holder)| slot == name && *holder == machine)
        };
        writes
            .iter()
            .filter(|w| w.name == contract.name || w.name == machine || held(&w.name))
            .collect()
    }

    /// The most that any contract's own objects took.
    fn most(&self, writes: &[Write]) -> usize {
        self.created
            .iter()
            .map(|contract| self.own(contract, writes).len())
            .max()
            .unwrap_or_default()
    }

    /// How often each kind of write was made, over all contracts.
    pub fn by_kind(&self) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for write in &self.whole_life {
            *kinds.entry(kind(write)).or_default() += 1;
        }
        kinds
    }

    /// Everything for the file.
    pub fn json(&self) -> Value {
        json!({
            "contracts": self.contracts, "counted": "our group, by user agent; Events and Leases apart",
            "own_to_ready_most": self.most(&self.to_ready), "own_whole_life_most": self.most(&self.whole_life),
            "shared_is": "status of Account, Offering and Pool, debounced, divided by the contracts",
            "one_contract": self.evidence(), "all_by_kind": self.by_kind(),
        })
    }
}

fn kind(write: &Write) -> String {
    let sub = if write.subresource.is_empty() {
        String::new()
    } else {
        format!("/{}", write.subresource)
    };
    format!("{} {}{sub} by {}", write.verb, write.resource, write.user_agent)
}

fn line(write: &Write) -> String {
    format!("{} {} {} → {}", write.at, kind(write), write.name, write.code)
}
