//! The benchmarks measure what they say. Their figures are not judged here: a busy machine would fail them.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

/// Runs a quick measure; what it showed, and its figures.
fn quick(measure: &str, out: &Path) -> Result<(String, Value)> {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.args(["bench", measure, "--quick", "--out"]).arg(out);
    let output = xtask
        .stdin(Stdio::null())
        .output()
        .context("failed to run xtask")?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = std::fs::read_to_string(out).context("failed to read the figures")?;
    let figures = serde_json::from_str(&text).context("failed to decode the figures")?;
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), figures))
}

#[test]
#[ignore = "needs pve-sim built beside xtask"]
fn simulator_gives_all_figures() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (shown, figures) = quick("simulator", &dir.path().join("deep/figures.json"))?;
    assert!(shown.contains("GET config, 16 connections, p99"), "{shown}");
    for key in ["get_config_p99_ms", "start_ms"] {
        assert!(
            figures[key].as_f64().is_some_and(|value| value > 0.0),
            "{key}: {figures}"
        );
    }
    for key in ["rss_mb_10000_vms", "cluster_resources_1000_ms", "pairs_total"] {
        assert!(figures[key].is_null(), "{key}: a quick run says nothing about it");
    }
    assert_eq!(figures["get_config"]["ms"]["count"], 2_000, "{figures}");
    Ok(())
}

#[test]
#[ignore = "needs the control plane's programs"]
fn provisioning_gives_all_figures() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (shown, figures) = quick("provisioning", &dir.path().join("deep/figures.json"))?;
    assert!(
        shown.contains("over raw Proxmox time, p99") && shown.contains("create machines"),
        "{shown}"
    );
    for key in [
        "accept_to_clone_p99_ms",
        "api_writes_per_contract",
        "api_writes_whole_life",
    ] {
        assert!(
            figures[key].as_f64().is_some_and(|value| value > 0.0),
            "{key}: {figures}"
        );
    }
    for key in ["overhead_p50_ms", "overhead_p99_ms", "contracts"] {
        assert!(figures[key].is_number(), "{key}: {figures}");
    }
    assert!(
        figures["rss_mb_1000"].is_null(),
        "12 contracts say nothing about 1 000"
    );
    // Counts do not depend on the machine's speed.
    let own = |key: &str| figures["writes"][key].as_u64().unwrap_or(u64::MAX);
    assert!(own("own_to_ready_most") <= 10, "{}", figures["writes"]);
    assert!(own("own_whole_life_most") <= 20, "{}", figures["writes"]);
    Ok(())
}
