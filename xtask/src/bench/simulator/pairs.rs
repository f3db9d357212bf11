//! How much of the recordings the simulator reproduces: the conformance test says so, in groups, in a file.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// What the conformance test counted, in groups.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Pairs {
    /// All of a group's pairs are answered as recorded.
    pub reproduced: u32,
    /// All groups.
    pub total: u32,
    /// Groups that are named with a reason.
    pub excluded: u32,
}

impl Pairs {
    /// Reproduced groups of a hundred.
    pub fn percent(&self) -> f64 {
        f64::from(self.reproduced) * 100.0 / f64::from(self.total.max(1))
    }
}

/// Runs the conformance test and reads its count; none where the recordings are not at hand.
///
/// # Errors
/// When the test fails, or its count cannot be read.
pub fn reproduced() -> Result<Option<Pairs>> {
    let tree = testkit::assets::tree();
    let file = tree.join("target/bench/conformance.json");
    if file.exists() {
        fs::remove_file(&file).with_context(|| format!("failed to remove {}", file.display()))?;
    }
    let mut cargo = Command::new("cargo");
    cargo.args([
        "test",
        "--quiet",
        "--workspace",
        "--features",
        "operator/dev-flags",
    ]);
    cargo.args(["--test", "conformance"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo
        .current_dir(&tree)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    let status = status.context("failed to run cargo")?;
    ensure!(status.success(), "the conformance test failed");
    if !file.exists() {
        eprintln!("SKIPPED: the recordings are not at hand, so no pairs are counted");
        return Ok(None);
    }
    let text = fs::read(&file).with_context(|| format!("failed to read {}", file.display()))?;
    let pairs =
        serde_json::from_slice(&text).with_context(|| format!("failed to decode {}", file.display()))?;
    Ok(Some(pairs))
}
