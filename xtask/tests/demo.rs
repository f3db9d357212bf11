//! The demo as a newcomer plays it: to its end, and kept and taken down again.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

fn xtask(dir: &Path, words: &[&str]) -> Result<Output> {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = xtask
        .args(words)
        .arg("--dir")
        .arg(dir)
        .stdin(Stdio::null())
        .output()
        .context("failed to run xtask")?;
    assert!(
        output.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}

/// Pids of processes that were started in this folder.
fn working_in(dir: &Path) -> Result<Vec<String>> {
    let dir = dir.display().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let words = std::fs::read(path.join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&words).contains(&dir) {
            found.push(path.display().to_string());
        }
    }
    Ok(found)
}

#[test]
#[ignore = "needs the control plane's programs"]
fn a_demo_ends_with_a_machine_and_leaves_nothing() -> Result<()> {
    let folder = tempfile::tempdir_in("/tmp")?;
    let dir = folder.path().join("d");
    let output = xtask(&dir, &["demo", "--json"])?;
    let shown: Value = serde_json::from_slice(&output.stdout).context("failed to decode the result")?;
    assert_eq!(shown["ok"], true, "{shown}");
    let contract = &shown["contracts"][0];
    assert_eq!(contract["provisioned"], true, "{shown}");
    assert!(contract["vmid"].is_u64() && contract["ip"].is_string(), "{shown}");
    assert!(
        shown["api_writes_per_contract"].as_f64().is_some_and(|n| n > 0.0),
        "{shown}"
    );
    assert_eq!(working_in(&dir)?, Vec::<String>::new());
    Ok(())
}

#[test]
#[ignore = "needs the control plane's programs"]
fn a_kept_demo_stays_until_it_is_taken_down() -> Result<()> {
    let folder = tempfile::tempdir_in("/tmp")?;
    let dir = folder.path().join("d");
    let output = xtask(&dir, &["demo", "--keep"])?;
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("export KUBECONFIG="), "{shown}");
    assert!(!working_in(&dir)?.is_empty(), "it is up");
    let output = xtask(&dir, &["demo-down"])?;
    assert!(String::from_utf8_lossy(&output.stdout).contains("The demo is gone."));
    assert_eq!(working_in(&dir)?, Vec::<String>::new());
    assert!(!dir.exists());
    Ok(())
}
