//! Benchmarks: what is measured by which name. Each measure starts its own parts and says what it found; it fails only
//! when it could not measure, never because a figure is poor.

mod caller;
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
mod simulator;
mod stats;
mod table;
mod timeline;
mod writes;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::Value;

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
    /// The simulator itself: what it adds to what others measure, and how much of the recordings it reproduces.
    Simulator {
        /// Few guests and no recordings: shows that the measure works; its figures mean nothing.
        #[arg(long)]
        quick: bool,
        /// Where the figures go; `target/bench/simulator.json` if not given.
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

/// Measures.
///
/// # Errors
/// A part that could not be started, or that did not do what was to be measured.
pub async fn run(bench: Bench) -> Result<()> {
    match bench {
        Bench::Provisioning { quick, out, only } => {
            provisioning::run(quick, &only, &figures_file(out, "provisioning")).await
        }
        Bench::Simulator { quick, out } => simulator::run(quick, &figures_file(out, "simulator")).await,
    }
}

/// Where the figures of a measure go.
fn figures_file(asked: Option<PathBuf>, measure: &str) -> PathBuf {
    asked.unwrap_or_else(|| testkit::assets::tree().join(format!("target/bench/{measure}.json")))
}

/// Writes figures, and makes the folder for them.
fn write(out: &Path, figures: &Value) -> Result<()> {
    let json = serde_json::to_string_pretty(figures).context("failed to encode the figures")?;
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    }
    fs::write(out, json).with_context(|| format!("failed to write {}", out.display()))
}
