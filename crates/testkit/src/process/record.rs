//! Processes by record: found again and ended by pid *and* start time, so that a reused pid is never hit.
//! Owns the record files `<name>.pid.json`; must not start anything.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

const SUFFIX: &str = ".pid.json";

/// What identifies one process for good.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// What we call it.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// Its start, in clock ticks since boot.
    pub started: u64,
    /// Its log.
    pub log: PathBuf,
}

impl Record {
    /// The record of a child that runs now.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn of(name: &str, pid: u32, log: &Path) -> Result<Self> {
        let started = started(pid).with_context(|| format!("{name} ended at once"))?;
        Ok(Self {
            name: name.to_owned(),
            pid,
            started,
            log: log.to_path_buf(),
        })
    }

    pub(super) fn save(&self, dir: &Path) -> Result<()> {
        let path = dir.join(format!("{}{SUFFIX}", self.name));
        fs::write(&path, serde_json::to_vec(self)?)
            .with_context(|| format!("failed to write {}", path.display()))
    }

    /// A handle on exactly this process; none when it is gone.
    fn handle(&self) -> Result<Option<OwnedFd>> {
        let Some(handle) = open(self.pid)? else {
            return Ok(None);
        };
        // Compared after opening: from here on the handle can't change its meaning.
        Ok((started(self.pid) == Some(self.started)).then_some(handle))
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// When the system can't say.
    pub fn is_running(&self) -> Result<bool> {
        Ok(self.handle()?.is_some())
    }

    /// Ends it: SIGTERM, and SIGKILL after `grace`. Nothing happens when it is gone already.
    ///
    /// # Errors
    /// When a signal can't be sent.
    pub async fn stop(&self, grace: Duration) -> Result<()> {
        let Some(handle) = self.handle()? else {
            return Ok(());
        };
        end(handle, grace)
            .await
            .with_context(|| format!("failed to end {} (pid {})", self.name, self.pid))
    }
}

/// Ends all processes recorded in `dir`, the youngest first, and removes their records.
///
/// # Errors
/// When a record can't be read or a signal can't be sent.
pub async fn stop_all(dir: &Path, grace: Duration) -> Result<Vec<Record>> {
    let mut found = records(dir)?;
    found.sort_by_key(|(record, _)| std::cmp::Reverse(record.started));
    let mut stopped = Vec::new();
    for (record, path) in found {
        record.stop(grace).await?;
        fs::remove_file(&path).with_context(|| format!("failed to remove {}", path.display()))?;
        stopped.push(record);
    }
    Ok(stopped)
}

/// Names of the recorded processes in `dir` that still run.
///
/// # Errors
/// When a record can't be read.
pub fn running(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (record, _) in records(dir)? {
        if record.is_running()? {
            names.push(record.name);
        }
    }
    Ok(names)
}

fn records(dir: &Path) -> Result<Vec<(Record, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("failed to read {}", dir.display()))? {
        let path = entry.context("failed to list records")?.path();
        if path.to_string_lossy().ends_with(SUFFIX) {
            let text = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
            let record = serde_json::from_slice(&text)
                .with_context(|| format!("failed to decode {}", path.display()))?;
            found.push((record, path));
        }
    }
    Ok(found)
}

/// Kills every process that inherited the variable `key=value` from us, children's children included, and not us.
///
/// # Errors
/// When a signal can't be sent.
pub async fn end_marked(key: &str, value: &str) -> Result<usize> {
    let mark = format!("{key}={value}").into_bytes();
    let mut ended = 0;
    loop {
        let marked: Vec<u32> = pids()?.into_iter().filter(|pid| has_mark(*pid, &mark)).collect();
        if marked.is_empty() {
            return Ok(ended);
        }
        for pid in marked {
            let Some(handle) = open(pid)? else { continue };
            if has_mark(pid, &mark) {
                end(handle, Duration::ZERO).await?;
                ended += 1;
            }
        }
    }
}

fn pids() -> Result<Vec<u32>> {
    let entries = fs::read_dir("/proc").context("failed to list processes")?;
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(pids.filter(|pid| *pid != std::process::id()).collect())
}

/// A zombie has no environment any more, so it carries no mark.
fn has_mark(pid: u32, mark: &[u8]) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|env| env.split(|b| *b == 0).any(|entry| entry == mark))
}

fn open(pid: u32) -> Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => Ok(Some(handle)),
        Err(Errno::SRCH) => Ok(None),
        Err(error) => Err(error).context("failed to open a process"),
    }
}

/// Signals and awaits the process behind the handle, on a thread that may block.
async fn end(handle: OwnedFd, grace: Duration) -> Result<()> {
    tokio::task::spawn_blocking(move || {
        if grace > Duration::ZERO {
            signal(&handle, Signal::TERM)?;
            if ended(&handle, Some(grace))? {
                return Ok(());
            }
        }
        signal(&handle, Signal::KILL)?;
        ended(&handle, None).map(drop)
    })
    .await
    .context("failed to run the thread that ends a process")?
}

fn signal(handle: &OwnedFd, signal: Signal) -> Result<()> {
    match pidfd_send_signal(handle, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error).context("failed to send a signal"),
    }
}

/// Waits for the end; false when `patience` has run out.
fn ended(handle: &OwnedFd, patience: Option<Duration>) -> Result<bool> {
    let patience = patience
        .map(Timespec::try_from)
        .transpose()
        .context("the grace is too long")?;
    loop {
        match poll(&mut [PollFd::new(handle, PollFlags::IN)], patience.as_ref()) {
            Err(Errno::INTR) => {}
            found => return Ok(found.context("failed to await the end")? > 0),
        }
    }
}

/// Start time of a process, field 22 of its stat line; none when it is gone or a zombie.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; the fields after it do not.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_pid_is_not_the_recorded_process() {
        let me = std::process::id();
        let mut record = Record::of("me", me, Path::new("me.log")).expect("we run");
        assert!(record.is_running().expect("readable"));
        record.started += 1;
        assert!(!record.is_running().expect("readable"));
    }
}
