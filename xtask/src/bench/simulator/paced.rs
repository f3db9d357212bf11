//! Reads of configurations at a fixed pace: each connection sends when it is time, whatever the answers take.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::guests::config_path;
use crate::bench::caller::Caller;
use crate::bench::sim::Facts;
use crate::bench::stats::Spread;

/// Connections, each with one request at a time.
pub const CONNECTIONS: u32 = 16;
/// Requests in a second, over all connections.
const PACE: u32 = 2_000;

/// How the requests were answered.
pub struct Answers {
    /// Milliseconds of each.
    pub spread: Spread,
    /// How many there were in a second.
    pub per_second: f64,
}

/// Reads for some seconds.
///
/// # Errors
/// The first read that is refused.
pub async fn read(facts: &Facts, guests: u32, seconds: u32) -> Result<Answers> {
    let count = PACE / CONNECTIONS * seconds;
    let between = Duration::from_secs(1) * CONNECTIONS / PACE;
    let paths = (0..guests).map(|number| config_path(facts, number));
    let paths: Vec<String> = paths.collect::<Result<_>>()?;
    let mut callers = Vec::new();
    for number in 0..CONNECTIONS {
        let caller = Caller::new(facts)?;
        // The handshake is not what is measured.
        caller.call(Method::GET, "/version", &[]).await?;
        let own = paths.iter().cycle().skip(number as usize * 7);
        callers.push((caller, own.take(count as usize).cloned().collect::<Vec<_>>()));
    }
    let begin = Instant::now() + between;
    let mut running = JoinSet::new();
    for (number, (caller, own)) in (0..).zip(callers) {
        running.spawn(connection(
            caller,
            own,
            begin + between * number / CONNECTIONS,
            between,
        ));
    }
    let mut times = Vec::new();
    while let Some(one) = running.join_next().await {
        times.extend(one.context("a connection was cut")??);
    }
    let spent = begin.elapsed().as_secs_f64();
    let per_second = f64::from(count * CONNECTIONS) / spent;
    Ok(Answers {
        spread: Spread::of(times),
        per_second,
    })
}

async fn connection(
    caller: Caller,
    paths: Vec<String>,
    first: Instant,
    between: Duration,
) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(paths.len());
    let mut due = first;
    for path in paths {
        // A request that is due while the last one is unanswered waits, and its wait counts; a timer that fires late
        // is ours, and does not.
        let idle = Instant::now() < due;
        sleep_until(due).await;
        let from = if idle { Instant::now() } else { due };
        caller.call(Method::GET, &path, &[]).await?;
        times.push(from.elapsed().as_secs_f64() * 1000.0);
        due += between;
    }
    Ok(times)
}
