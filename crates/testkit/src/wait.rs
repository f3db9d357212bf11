//! Waiting for a condition with a deadline. Owns the polling; nothing else in the tests sleeps.

use std::future::Future;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Calls `probe` until it gives a value, with growing pauses, and fails after `deadline` naming `what`.
///
/// # Errors
/// When the probe fails, or when it has given nothing by the deadline.
pub async fn until<T, F, Fut>(what: &str, deadline: Duration, mut probe: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(value) = probe().await? {
            return Ok(value);
        }
        if start.elapsed() >= deadline {
            bail!("still not after {} s: {what}", deadline.as_secs_f32());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn gives_the_first_value_of_the_probe() {
        let mut calls = 0;
        let got = until("three calls", Duration::from_secs(1), || {
            calls += 1;
            std::future::ready(Ok((calls == 3).then_some(calls)))
        })
        .await;
        assert_eq!(got.expect("a value"), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_missed_deadline_names_what_was_awaited() {
        let error = until("the moon", Duration::from_secs(1), || {
            std::future::ready(Ok(None::<()>))
        })
        .await;
        assert!(error.expect_err("a deadline").to_string().contains("the moon"));
    }
}
