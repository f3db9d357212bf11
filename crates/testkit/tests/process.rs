//! Starting, awaiting and ending a child.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use testkit::process::{GRACE, running, stop_all};
use testkit::{Launch, Lifetime, Process, Ready};

fn shell(dir: &Path, script: &str) -> Launch {
    Launch::new("child", "sh", dir)
        .args(["-c", script])
        .env("DIR", dir)
}

#[tokio::test]
async fn a_child_is_ready_when_its_file_has_content() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("ready");
    fs::write(&file, "left by an earlier run")?;
    let launch = shell(
        dir.path(),
        r#"touch "$DIR/ready"; echo 8006 >"$DIR/ready"; exec sleep 600"#,
    );
    let mut child = Process::start(launch.ready(Ready::File(file.clone()), GRACE)).await?;
    assert_eq!(fs::read_to_string(file)?, "8006\n");
    assert!(child.exited()?.is_none());
    assert!(!child.stop(GRACE).await?.success());
    Ok(())
}

#[tokio::test]
async fn a_child_that_ends_early_shows_its_last_words() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let never = Ready::File(dir.path().join("never"));
    let launch = shell(dir.path(), "echo no such flag >&2; exit 2").ready(never, Duration::from_mins(10));
    let error = Process::start(launch).await.expect_err("it ended").to_string();
    assert!(
        error.contains("exit status: 2") && error.contains("no such flag"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn a_child_that_ignores_the_request_is_killed() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("ready");
    let launch = shell(
        dir.path(),
        r#"trap "" TERM; echo yes >"$DIR/ready"; while :; do sleep 1; done"#,
    );
    let mut child = Process::start(launch.ready(Ready::File(file), GRACE)).await?;
    let status = child.stop(Duration::from_millis(50)).await?;
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    Ok(())
}

#[tokio::test]
async fn a_kept_child_outlives_its_handle_and_ends_by_its_record() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let child = Process::start(shell(dir.path(), "exec sleep 600").lifetime(Lifetime::Kept)).await?;
    let pid = child.pid();
    drop(child);
    assert_eq!(running(dir.path())?, ["child"]);
    let ended: Vec<u32> = stop_all(dir.path(), GRACE)
        .await?
        .iter()
        .map(|record| record.pid)
        .collect();
    assert_eq!(ended, [pid]);
    assert!(running(dir.path())?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_bound_child_ends_with_its_handle() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let child = Process::start(shell(dir.path(), "exec sleep 600")).await?;
    drop(child);
    assert!(running(dir.path())?.is_empty());
    Ok(())
}
