//! The command line, parsed and checked whole before anything starts. Nothing below `main` reads the environment.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use kit::args::{AdminArgs, KubeArgs, LeaderArgs, TelemetryArgs, duration};

/// Gives Gateways their names at Cloudflare, publishes their agents' challenges, enrols agents, and says how they are.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    /// The market's zones and how to reach Cloudflare: a YAML file, described in docs/how-to/put-a-gateway-on-a-host.md.
    #[arg(long, env = "DECENT_ZONES")]
    pub zones: PathBuf,
    /// Records are listed again after this, to mend what others changed.
    #[arg(long, value_parser = duration, default_value = "10m")]
    pub dns_interval: Duration,
    /// What Cloudflare refused, or did not answer, is tried again after this.
    #[arg(long, value_parser = duration, default_value = "10s")]
    pub dns_retry: Duration,
    /// A Secret that may enrol a host is removed after this.
    #[arg(long, value_parser = duration, default_value = "1h")]
    pub enrolment_life: Duration,
    /// The API server.
    #[command(flatten)]
    pub kube: KubeArgs,
    /// The election.
    #[command(flatten)]
    pub leader: LeaderArgs,
    /// Logs.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    /// The admin port.
    #[command(flatten)]
    pub admin: AdminArgs,
}
