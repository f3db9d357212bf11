//! Nothing outlives a test run, however it ends.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use testkit::wait::until;

const PATIENCE: Duration = Duration::from_mins(1);

/// Pids of processes with this text in their command line or environment.
fn pids_with(text: &str) -> Result<Vec<u32>> {
    let pids = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has = |pid: &u32| {
        ["cmdline", "environ"].iter().any(|file| {
            let content = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&content).contains(text)
        })
    };
    Ok(pids.filter(has).collect())
}

fn testbed(dir: &Path, command: &str) -> Result<Child> {
    let mut testbed = Command::new(env!("CARGO_BIN_EXE_testbed"));
    testbed
        .args(["run", "--bare", "--", "sh", "-c", command])
        .env("TMPDIR", dir);
    testbed
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    testbed.spawn().context("failed to start testbed")
}

async fn gone(mark: &str) -> Result<()> {
    let none_left = || async { Ok(pids_with(mark)?.is_empty().then_some(())) };
    until("no process is left", PATIENCE, none_left)
        .await
        .with_context(|| format!("{:?}", pids_with(mark)))
}

#[tokio::test]
#[ignore = "needs the control plane's programs"]
async fn a_killed_run_leaves_no_process() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mark = dir.path().to_string_lossy().into_owned();
    // A child's child in a session of its own: no parent and no group leads to it.
    let mut run = testbed(
        dir.path(),
        "setsid sh -c 'touch $TESTBED_DIR/deep; sleep 600' & sleep 600",
    )?;
    let deep = || async {
        let planes = fs::read_dir(dir.path())?.flatten();
        Ok(planes
            .map(|plane| plane.path().join("deep"))
            .find(|deep| deep.exists())
            .map(drop))
    };
    until("the command runs", PATIENCE, deep).await?;
    let alive = pids_with(&mark)?;
    assert!(
        alive.len() >= 6,
        "three servers, the guard, two shells: {alive:?}"
    );
    run.kill()?;
    run.wait()?;
    gone(&mark).await
}

#[tokio::test]
#[ignore = "needs the control plane's programs"]
async fn a_finished_run_leaves_nothing_and_passes_the_exit_code_on() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mark = dir.path().to_string_lossy().into_owned();
    let status = testbed(dir.path(), "setsid sleep 600 & exit 7")?.wait()?;
    assert_eq!(status.code(), Some(7));
    gone(&mark).await
}
