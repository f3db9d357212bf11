//! How long the simulator takes from its start to the line that says where it is.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// Milliseconds of some starts, one after the other.
///
/// # Errors
/// When it does not start, or says nothing.
pub fn times(program: &Path, count: u32) -> Result<Vec<f64>> {
    (0..count).map(|_| once(program)).collect()
}

fn once(program: &Path) -> Result<f64> {
    let mut command = testkit::process::bound(program);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let begin = Instant::now();
    let mut child = testkit::process::spawn(command).context("failed to start the simulator")?;
    let mut line = String::new();
    let output = child.stdout.take().context("the simulator has no output")?;
    let read = BufReader::new(output).read_line(&mut line);
    let spent = begin.elapsed();
    child.kill().context("failed to end the simulator")?;
    child.wait().context("failed to reap the simulator")?;
    read.context("failed to read what the simulator says")?;
    ensure!(
        line.starts_with('{'),
        "the simulator did not say where it is: {line:?}"
    );
    Ok(spent.as_secs_f64() * 1000.0)
}
