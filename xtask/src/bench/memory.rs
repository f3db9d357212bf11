//! Memory: the operator's resident memory with many settled contracts.

use std::time::Duration;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::clock::Clock;
use super::proc::memory_mb;
use super::rig::Rig;
use super::sim::Cluster;
use super::stats::tenth;

const DEADLINE: Duration = Duration::from_mins(6);
/// Tenants that ask at once.
const ASKING: usize = 8;

/// What was measured.
pub struct Memory {
    /// Settled contracts.
    pub contracts: u32,
    empty: Resident,
    filled: Resident,
    restarted: Resident,
    seconds: f64,
}

/// Memory of the operator at one time.
#[expect(clippy::struct_field_names, reason = "a figure carries its unit")]
#[derive(Clone, Copy, Debug, Serialize)]
struct Resident {
    rss_mb: f64,
    anonymous_mb: f64,
    peak_mb: f64,
}

/// Measures. It is looked at `calm` after all is Ready, or after a start: longer than debounced writes and idle
/// connections last.
///
/// # Errors
/// A part that does not start, or a machine that is not made.
pub async fn measure(contracts: u32, calm: Duration) -> Result<Memory> {
    let cluster = Cluster {
        nodes: 10,
        clone_seconds: 0.02,
        start_seconds: 0.02,
    };
    let mut rig = Rig::start(&cluster, false).await?;
    let measured = fill(&mut rig, contracts, calm).await;
    rig.end(measured).await
}

async fn fill(rig: &mut Rig, contracts: u32, calm: Duration) -> Result<Memory> {
    let (clock, begin) = (Clock::system(), Instant::now());
    let empty = look(rig)?;
    let tenant = &rig.contracts;
    let asked = stream::iter(0..contracts)
        .map(|number| async move { tenant.create(&format!("m{number:04}"), clock).await.map(drop) });
    asked.buffer_unordered(ASKING).try_collect::<()>().await?;
    rig.contracts.all_ready(DEADLINE).await?;
    let seconds = tenth(begin.elapsed().as_secs_f64());
    sleep(calm).await;
    let filled = look(rig)?;
    rig.restart_operator().await?;
    sleep(calm).await;
    let restarted = look(rig)?;
    Ok(Memory {
        contracts,
        empty,
        filled,
        restarted,
        seconds,
    })
}

fn look(rig: &Rig) -> Result<Resident> {
    let of = |key| memory_mb(rig.operator_pid(), key);
    Ok(Resident {
        rss_mb: of("VmRSS")?,
        anonymous_mb: of("RssAnon")?,
        peak_mb: of("VmHWM")?,
    })
}

impl Memory {
    /// Resident memory with all contracts settled: after they came one by one, or in a new process that finds them
    /// all, whichever is more.
    pub fn rss_mb(&self) -> f64 {
        self.filled.rss_mb.max(self.restarted.rss_mb)
    }

    /// Everything for the file.
    pub fn json(&self) -> Value {
        let each = (self.filled.rss_mb - self.empty.rss_mb) * 1000.0 / f64::from(self.contracts.max(1));
        json!({
            "contracts": self.contracts, "empty": self.empty, "filled": self.filled, "restarted": self.restarted,
            "kb_per_contract": tenth(each), "seconds_until_all_ready": self.seconds,
        })
    }
}
