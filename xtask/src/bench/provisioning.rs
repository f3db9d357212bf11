//! The benchmark of provisioning: which parts run with which load, and where their figures go.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::latency::{self, Latency, Load};
use super::memory::{self, Memory};
use super::report;
use super::writes::{self, Writes};

/// A part of the benchmark; each has its own control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// From contract to running VM, over the raw script.
    Latency,
    /// Writes to the API server.
    Writes,
    /// The operator's memory.
    Memory,
}

/// How much of each part.
struct Size {
    load: Load,
    written: u32,
    settled: u32,
    /// How long nothing may happen until something counts as over.
    calm: Duration,
}

const FULL: Size = Size {
    load: Load {
        contracts: 50,
        seconds: 5.0,
        rounds: 3,
    },
    written: 20,
    settled: 1000,
    calm: Duration::from_secs(15),
};
const QUICK: Size = Size {
    load: Load {
        contracts: 6,
        seconds: 0.6,
        rounds: 1,
    },
    written: 2,
    settled: 12,
    calm: Duration::from_secs(2),
};

/// What the parts found; none for those that were not asked for.
#[derive(Default)]
pub struct Figures {
    /// From contract to running VM.
    pub latency: Option<Latency>,
    /// Writes to the API server.
    pub writes: Option<Writes>,
    /// The operator's memory.
    pub memory: Option<Memory>,
    /// Few contracts only.
    pub quick: bool,
    /// Load of the machine before the first part.
    pub load_before: String,
}

/// Measures, prints a table, writes the figures.
///
/// # Errors
/// A part that could not be measured, or a file that cannot be written.
pub async fn run(quick: bool, only: &[Part], out: &Path) -> Result<()> {
    let size = if quick { QUICK } else { FULL };
    let wanted = |part| only.is_empty() || only.contains(&part);
    let mut figures = Figures {
        quick,
        load_before: super::proc::load(),
        ..Figures::default()
    };
    if wanted(Part::Latency) {
        eprintln!(
            "latency: {} rounds of {} contracts …",
            size.load.rounds, size.load.contracts
        );
        figures.latency = Some(latency::measure(size.load).await.context("latency")?);
    }
    if wanted(Part::Writes) {
        eprintln!("writes: {} contracts, one after another …", size.written);
        figures.writes = Some(writes::measure(size.written, size.calm).await.context("writes")?);
    }
    if wanted(Part::Memory) {
        eprintln!("memory: {} contracts …", size.settled);
        figures.memory = Some(memory::measure(size.settled, size.calm).await.context("memory")?);
    }
    super::write(out, &report::json(&figures))?;
    report::print(&figures, out);
    Ok(())
}
