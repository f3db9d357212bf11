//! What the kernel says of processes and of the machine: memory, processor time, how busy it is with other things.

use std::fs;

use anyhow::{Context, Result};

use super::stats::tenth;

/// Clock ticks of a second, as the kernel shows processor time to programs.
const TICKS: f64 = 100.0;

/// A line of a process's memory, such as `VmRSS`, in MB of 1 000 000 bytes.
///
/// # Errors
/// When there is no such process or line.
pub fn memory_mb(pid: u32, key: &str) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.map(|kib| tenth(kib * 1024.0 / 1e6))
        .with_context(|| format!("{path} has no {key}"))
}

/// Processor time of a process so far, in milliseconds.
///
/// # Errors
/// When there is no such process.
pub fn cpu_ms(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))?;
    // Behind the name, which may hold anything: utime and stime are the 12th and 13th.
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: f64 = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|t| t.parse::<f64>().ok())
        .sum();
    Ok(ticks * 1000.0 / TICKS)
}

/// For how long so far something could not run for want of a processor, in milliseconds; none where the kernel
/// does not say.
pub fn starved_ms() -> Option<f64> {
    let text = fs::read_to_string("/proc/pressure/cpu").ok()?;
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split_once("total=")?
        .1
        .trim()
        .parse::<f64>()
        .ok()
        .map(|micros| micros / 1000.0)
}

/// One line about where it was measured.
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores {}, kernel {}",
        model.map_or("?", |(_, m)| m),
        kernel.trim()
    )
}

/// Average number of tasks that ran or wanted to in the last minute.
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("?").to_owned()
}
