//! Benchmarks: what is measured by which name. Each measure starts its own parts and says what it found; it fails only
//! when it could not measure, never because a figure is poor.

mod clock;
mod contracts;
mod latency;
mod memory;
mod objects;
mod proc;
mod provisioning;
mod raw;
mod report;
mod rig;
mod sim;
mod stats;
mod timeline;
mod writes;

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;

/// What to measure.
#[derive(Subcommand)]
pub enum Bench {
    /// From a contract to its machine: latency over raw Proxmox time, API writes, memory.
    Provisioning {
        /// Few contracts: shows that the measure works; its figures mean nothing.
        #[arg(long)]
        quick: bool,
        /// Where the figures go; `target/bench/provisioning.json` if not given.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Only these parts.
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<provisioning::Part>,
    },
}

/// Measures.
///
/// # Errors
/// A part that could not be started, or that did not do what was to be measured.
pub async fn run(bench: Bench) -> Result<()> {
    match bench {
        Bench::Provisioning { quick, out, only } => {
            let out = out.unwrap_or_else(|| testkit::assets::tree().join("target/bench/provisioning.json"));
            provisioning::run(quick, &only, &out).await
        }
    }
}
