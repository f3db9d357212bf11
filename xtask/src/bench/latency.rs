//! Latency: what the control plane adds to Proxmox's own time. Rounds of the raw script and of contracts take turns on
//! one simulator, with the same arrivals.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::clock::Clock;
use super::contracts::Created;
use super::proc::{cpu_ms, starved_ms};
use super::raw::{Made, Script};
use super::rig::Rig;
use super::sim::Cluster;
use super::stats::{Spread, tenth};
use super::timeline::{PHASES, Record, Timeline};

const DEADLINE: Duration = Duration::from_mins(2);

/// The load.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Load {
    /// Contracts of one round.
    pub contracts: u32,
    /// Seconds over which they are spread evenly.
    pub seconds: f64,
    /// Rounds.
    pub rounds: u32,
}

impl Load {
    fn arrivals(&self) -> Vec<Duration> {
        let step = self.seconds / f64::from(self.contracts.max(1));
        (0..self.contracts)
            .map(|number| Duration::from_secs_f64(step * f64::from(number)))
            .collect()
    }
}

/// What was measured; all in milliseconds.
pub struct Latency {
    load: Load,
    ours: Vec<Vec<Timeline>>,
    raw: Vec<Vec<Timeline>>,
    answered: Vec<f64>,
    busy: Busy,
}

/// What the processors did during the rounds of contracts.
#[expect(clippy::struct_field_names, reason = "a figure carries its unit")]
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Busy {
    operator_cpu_ms: f64,
    wall_ms: f64,
    starved_ms: f64,
}

/// Measures.
///
/// # Errors
/// A part that does not start, or a machine that is not made.
pub async fn measure(load: Load) -> Result<Latency> {
    let cluster = Cluster {
        nodes: 3,
        clone_seconds: 0.2,
        start_seconds: 0.1,
    };
    let rig = Rig::start(&cluster, false).await?;
    let measured = rounds(&rig, load).await;
    rig.end(measured).await
}

async fn rounds(rig: &Rig, load: Load) -> Result<Latency> {
    let clock = Clock::system();
    let script = Script::new(&rig.sim.facts, clock)?;
    // The first machine pays for connections and caches; it is not counted.
    script.round(0, &[Duration::ZERO]).await?;
    rig.contracts.create("warm", clock).await?;
    rig.contracts.all_ready(DEADLINE).await?;
    let mut latency = Latency {
        load,
        ours: Vec::new(),
        raw: Vec::new(),
        answered: Vec::new(),
        busy: Busy::default(),
    };
    for round in 0..load.rounds {
        latency
            .raw
            .push(raw_round(rig, &script, 1 + round * load.contracts, load).await?);
        let before = (
            cpu_ms(rig.operator_pid())?,
            clock.ms(),
            starved_ms().unwrap_or_default(),
        );
        let (created, timelines) = our_round(rig, clock, round, load).await?;
        latency.busy.operator_cpu_ms += cpu_ms(rig.operator_pid())? - before.0;
        latency.busy.wall_ms += clock.ms() - before.1;
        latency.busy.starved_ms += starved_ms().unwrap_or_default() - before.2;
        latency
            .answered
            .extend(created.iter().map(|c| c.answered_ms - c.asked_ms));
        latency.ours.push(timelines);
    }
    Ok(latency)
}

async fn raw_round(
    rig: &Rig,
    script: &std::sync::Arc<Script>,
    first: u32,
    load: Load,
) -> Result<Vec<Timeline>> {
    let mark = rig.sim.mark().await?;
    let made = script.round(first, &load.arrivals()).await?;
    let record = Record::new(rig.sim.requests(mark).await?, rig.sim.ends().await?);
    let timelines = made
        .iter()
        .map(|machine: &Made| record.of(&machine.vm_name, machine.asked_ms))
        .collect();
    for machine in &made {
        rig.sim.remove_vm(machine.vmid).await?;
    }
    timelines
}

async fn our_round(rig: &Rig, clock: Clock, round: u32, load: Load) -> Result<(Vec<Created>, Vec<Timeline>)> {
    let mark = rig.sim.mark().await?;
    let begin = Instant::now();
    let mut asking = JoinSet::new();
    for (number, after) in load.arrivals().into_iter().enumerate() {
        let (contracts, at) = (rig.contracts.clone(), begin + after);
        asking.spawn(async move {
            sleep_until(at).await;
            contracts.create(&format!("r{round}-{number:03}"), clock).await
        });
    }
    let mut created = Vec::new();
    while let Some(one) = asking.join_next().await {
        created.push(one.context("a tenant was cut")??);
    }
    created.sort_by(|a, b| a.name.cmp(&b.name));
    rig.contracts.all_ready(DEADLINE).await?;
    let record = Record::new(rig.sim.requests(mark).await?, rig.sim.ends().await?);
    let timelines = created
        .iter()
        .map(|c| record.of(&c.vm_name(), c.asked_ms))
        .collect::<Result<_>>()?;
    Ok((created, timelines))
}

impl Latency {
    fn spread(rounds: &[Vec<Timeline>], of: impl Fn(&Timeline) -> f64) -> Spread {
        Spread::of(rounds.iter().flatten().map(of))
    }

    /// From the request until the clone is asked for.
    pub fn to_clone(&self) -> Spread {
        Self::spread(&self.ours, Timeline::until_clone)
    }

    /// From the request until the VM runs.
    pub fn ours(&self) -> Spread {
        Self::spread(&self.ours, Timeline::total)
    }

    /// The same by the raw script.
    pub fn raw(&self) -> Spread {
        Self::spread(&self.raw, Timeline::total)
    }

    /// Difference of the medians.
    pub fn overhead_p50(&self) -> f64 {
        tenth(self.ours().p50 - self.raw().p50)
    }

    /// Difference of the 99th percentiles.
    pub fn overhead_p99(&self) -> f64 {
        tenth(self.ours().p99 - self.raw().p99)
    }

    /// Each contract minus the script's machine that arrived at the same time of the same round.
    pub fn paired(&self) -> Spread {
        let pairs = self.ours.iter().flatten().zip(self.raw.iter().flatten());
        Spread::of(pairs.map(|(ours, raw)| ours.total() - raw.total()))
    }

    /// Phases with their name, ours and the script's.
    pub fn phases(&self) -> Vec<(&'static str, Spread, Spread)> {
        let of = |rounds: &[Vec<Timeline>], nth: usize| {
            Self::spread(rounds, |timeline| {
                timeline.phases().get(nth).copied().unwrap_or_default()
            })
        };
        PHASES
            .iter()
            .enumerate()
            .map(|(nth, name)| (*name, of(&self.ours, nth), of(&self.raw, nth)))
            .collect()
    }

    /// One line about the processors.
    pub fn busy(&self) -> String {
        let Busy {
            operator_cpu_ms,
            wall_ms,
            starved_ms,
        } = self.busy;
        let each = operator_cpu_ms / f64::from((self.load.contracts * self.load.rounds).max(1));
        let share = 100.0 * starved_ms / wall_ms.max(1.0);
        format!(
            "operator: {each:.1} ms of processor time a contract; the machine was short of processors {share:.0} % of the time"
        )
    }

    /// Everything for the file.
    pub fn json(&self) -> Value {
        let each = |rounds: &[Vec<Timeline>]| -> Vec<Vec<f64>> {
            rounds
                .iter()
                .map(|round| round.iter().map(|t| tenth(t.total())).collect())
                .collect()
        };
        let calls = |rounds| {
            Self::spread(rounds, |t: &Timeline| {
                f64::from(u32::try_from(t.calls).unwrap_or(u32::MAX))
            })
        };
        let phases: Vec<Value> = self
            .phases()
            .into_iter()
            .map(|(name, ours, raw)| json!({ "phase": name, "ours": ours, "raw": raw }))
            .collect();
        json!({
            "load": self.load, "busy": self.busy, "nodes": 3, "clone_seconds": 0.2, "start_seconds": 0.1, "clones_per_node": 2,
            "overhead_is": "difference of the percentiles, all rounds together; from just before the request",
            "create_answered_ms": Spread::of(self.answered.iter().copied()),
            "to_clone_ms": self.to_clone(), "to_running_ms": self.ours(), "raw_to_running_ms": self.raw(),
            "paired_overhead_ms": self.paired(), "phases_ms": phases,
            "proxmox_calls_on_the_vm": calls(&self.ours), "raw_proxmox_calls_on_the_vm": calls(&self.raw),
            "each_to_running_ms": each(&self.ours), "each_raw_to_running_ms": each(&self.raw),
        })
    }
}
