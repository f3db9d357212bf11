//! The command line, parsed once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cf_sim::{Limits, SimConfig, Time};
use clap::Parser;

/// Cloudflare's DNS API and its authoritative servers, with limits and fault switches.
///
/// Says on stdout, in one line of JSON, where its API, its control port and its DNS servers are, and which zones and
/// tokens it has; ends on Ctrl-C.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER)]
pub struct Args {
    /// Where the API listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Lets the API speak TLS, with a certificate of an authority of its own.
    #[arg(long)]
    tls: bool,
    /// Where the control port listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    control: SocketAddr,
    /// Where the first authoritative server listens, UDP and TCP.
    #[arg(long, default_value = "127.0.0.1:0")]
    dns: SocketAddr,
    /// Where the second does; 127.0.0.2 with the port of the first if it is not given.
    #[arg(long)]
    dns_second: Option<SocketAddr>,
    /// Where the caching resolver listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    resolver: SocketAddr,
    /// A zone; may be given several times.
    #[arg(long = "zone", default_values = ["example.org", "example.net"])]
    zones: Vec<String>,
    /// Records that a zone may have.
    #[arg(long, default_value_t = 200)]
    quota: usize,
    /// Calls of a user in five minutes.
    #[arg(long, default_value_t = 1_200)]
    calls: u32,
    /// Seconds for which a user who exceeds them is blocked; 0: for the rest of the five minutes.
    #[arg(long, default_value_t = 300)]
    block_seconds: u64,
    /// Calls of an address in a second.
    #[arg(long, default_value_t = 200)]
    per_second: u32,
    /// Leaves the header Retry-After out of refusals.
    #[arg(long)]
    no_retry_after: bool,
    /// Milliseconds after which the authoritative servers see a change.
    #[arg(long, default_value_t = 0)]
    publish_delay_ms: u64,
    /// Seconds for which a name's absence may be remembered.
    #[arg(long, default_value_t = 1_800)]
    negative_ttl: u32,
    /// The seed of all randomness, ids and tokens included; another one each time if it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// A folder for the certificate of the authority.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// How many simulated seconds pass in one second.
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    time_scale: f64,
    /// Time passes only by POST /clock of the control port.
    #[arg(long, conflicts_with = "time_scale")]
    standing_clock: bool,
    /// Where to write, once ready, what a client needs to know.
    #[arg(long)]
    pub ready_file: Option<PathBuf>,
    /// Which log lines go to stderr.
    #[arg(long, default_value = "warn")]
    pub log: String,
}

/// What stands below the options.
const AFTER: &str = "\
Examples:
  cf-sim --zone example.org --ready-file target/cf/r.json      what a test starts: wait for the ready file
  curl -H \"Authorization: Bearer $TOKEN\" ${URL}zones           the zones
  curl -d '{\"match\": {\"method\": \"POST\"}, \"act\": \"drop_after\"}' \\
       -H 'Content-Type: application/json' $CONTROL_URL/faults  the next POST loses its answer";

impl Args {
    /// The configuration of the simulator.
    pub fn into_config(self) -> SimConfig {
        let Self {
            listen,
            tls,
            control,
            dns,
            dns_second,
            resolver,
            zones,
            quota,
            calls,
            block_seconds,
            per_second,
            no_retry_after,
            publish_delay_ms,
            negative_ttl,
            seed,
            dir,
            time_scale,
            standing_clock,
            ready_file: _,
            log: _,
        } = self;
        SimConfig {
            listen,
            tls,
            control,
            dns,
            dns_second,
            resolver,
            zones,
            quota,
            limits: Limits {
                calls,
                block: Duration::from_secs(block_seconds),
                per_second,
                retry_after: !no_retry_after,
                ..Limits::default()
            },
            publish_delay: Duration::from_millis(publish_delay_ms),
            negative_ttl,
            seed,
            dir,
            time: if standing_clock {
                Time::Standing
            } else {
                Time::Scaled(time_scale)
            },
        }
    }
}

fn scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.001..=1000.0).contains(&scale) {
        Ok(scale)
    } else {
        Err("not between 0.001 and 1000".to_owned())
    }
}
