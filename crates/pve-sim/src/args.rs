//! The command line, parsed once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use pve_sim::{Durations, Guests, SimConfig, Span, Version};

/// A Proxmox VE that answers as the real one does, with fault switches.
///
/// Says on stdout, in one line of JSON, where its API (HTTPS) and its control port (HTTP) are, which certificate to
/// trust and which tokens it takes; ends on Ctrl-C. `pve-sim demo-cluster` shows it with lines for a shell.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER)]
pub struct Args {
    /// What else to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Where the API listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where the control port listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    control: SocketAddr,
    /// How many nodes: pve1, pve2, …
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=200))]
    nodes: u32,
    /// The cluster's name.
    #[arg(long, default_value = "testbed")]
    cluster_name: String,
    /// Processors of each node.
    #[arg(long, default_value_t = 16)]
    cores: u64,
    /// Memory of each node.
    #[arg(long, default_value = "64Gi", value_parser = bytes)]
    memory: u64,
    /// Storage of each node.
    #[arg(long, default_value = "1Ti", value_parser = bytes)]
    disk: u64,
    /// Adds the storage `shared`, which all nodes have in common.
    #[arg(long)]
    shared_storage: bool,
    /// How long work takes.
    #[command(flatten)]
    durations: DurationArgs,
    /// Seconds until the others notice that a node died.
    #[arg(long, default_value = "13", value_parser = seconds)]
    death_notice: Duration,
    /// Seconds that published statistics lag behind; 0: never.
    #[arg(long, default_value = "10", value_parser = seconds)]
    stats_lag: Duration,
    /// Seconds that a refused login waits for its answer.
    #[arg(long, default_value = "3", value_parser = seconds)]
    auth_delay: Duration,
    /// The seed of all randomness, secrets included; another one each time if it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// What started guests are: rows in a table, or network namespaces with an sshd (needs root and --dir).
    #[arg(long, value_enum, default_value_t = GuestKind::None)]
    guests: GuestKind,
    /// Seconds from a guest's start until its programs run.
    #[arg(long, default_value = "1", value_parser = seconds)]
    guest_boot_seconds: Duration,
    /// Where the certificate of the authority is written, and what guests keep.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A folder in which the cluster, its tokens and its certificates are kept; it goes on from there after any end.
    #[arg(long)]
    state: Option<PathBuf>,
    /// Kilobytes of changes kept there before the whole cluster is written anew.
    #[arg(long, value_name = "KB", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    journal_kb: u32,
    /// How many simulated seconds pass in one second, for everything but connections.
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    time_scale: f64,
    /// The release that the nodes run: 9.2 (recorded), 8.4, 8.3 or 7.4.
    #[arg(long, default_value_t = Version::default())]
    pve_version: Version,
    /// Where to write, once ready, what a client needs to know.
    #[arg(long)]
    pub ready_file: Option<PathBuf>,
    /// Which log lines go to stderr.
    #[arg(long, default_value = "warn")]
    pub log: String,
}

/// How long work takes.
#[derive(Debug, clap::Args)]
struct DurationArgs {
    /// Seconds of a linked clone: a number, or two as in 0.2..0.6 between which each task draws its own; so all of these.
    #[arg(long = "clone-seconds", default_value = "0.19..0.25")]
    clone: Span,
    /// Seconds of a full clone.
    #[arg(long = "full-clone-seconds", default_value = "0.29..0.31")]
    full_clone: Span,
    /// Seconds of a start.
    #[arg(long = "start-seconds", default_value = "0.9")]
    start: Span,
    /// Seconds of a stop.
    #[arg(long = "stop-seconds", default_value = "0.3")]
    stop: Span,
    /// Seconds of a shutdown.
    #[arg(long = "shutdown-seconds", default_value = "1")]
    shutdown: Span,
    /// Seconds of a removal.
    #[arg(long = "destroy-seconds", default_value = "0.1")]
    destroy: Span,
    /// Seconds of a resize.
    #[arg(long = "resize-seconds", default_value = "0.05")]
    resize: Span,
    /// Seconds from a guest's end until the event daemon looks after it and, if it runs again, locks it for 30 s.
    #[arg(long = "cleanup-seconds", default_value = "0.3..1.2")]
    cleanup: Span,
}

impl From<DurationArgs> for Durations {
    fn from(args: DurationArgs) -> Self {
        Self {
            clone: args.clone,
            full_clone: args.full_clone,
            start: args.start,
            stop: args.stop,
            shutdown: args.shutdown,
            destroy: args.destroy,
            resize: args.resize,
            cleanup: args.cleanup,
        }
    }
}

/// What started guests are.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum GuestKind {
    None,
    Netns,
}

/// What stands below the options.
const AFTER: &str = "\
Examples:
  pve-sim demo-cluster                                    guests in various states, and curl lines that work
  pve-sim --dir target/pve --ready-file target/pve/r.json what a test starts: wait for the ready file
  pve-sim --nodes 1 --clone-seconds 0 --start-seconds 0   work that takes no time
  curl -d '{\"match\": {\"method\": \"POST\"}, \"act\": \"drop_after\"}' \\
       -H 'Content-Type: application/json' $CONTROL_URL/faults   the next POST loses its answer";

/// What else to do.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Command {
    /// A cluster with guests in various states, and curl lines that work; ends on Ctrl-C.
    DemoCluster,
}

impl Args {
    /// The configuration of the simulator.
    pub fn into_config(self) -> SimConfig {
        let Self {
            listen,
            control,
            nodes,
            cluster_name,
            cores,
            memory,
            disk,
            shared_storage,
            durations,
            death_notice,
            stats_lag,
            auth_delay,
            seed,
            guests,
            guest_boot_seconds,
            dir,
            state,
            journal_kb,
            time_scale,
            pve_version,
            command: _,
            ready_file: _,
            log: _,
        } = self;
        SimConfig {
            listen,
            control,
            nodes,
            cluster_name,
            cores,
            memory,
            disk,
            shared_storage,
            durations: durations.into(),
            death_notice,
            stats_lag,
            auth_delay,
            seed,
            dir,
            state,
            journal: u64::from(journal_kb) << 10,
            time_scale,
            version: pve_version,
            guests: match guests {
                GuestKind::None => Guests::None,
                GuestKind::Netns => Guests::Netns {
                    boot: guest_boot_seconds,
                },
            },
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|_| "not a duration".to_owned())
}

fn scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.001..=1000.0).contains(&scale) {
        Ok(scale)
    } else {
        Err("not between 0.001 and 1000".to_owned())
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" => 1,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        other => return Err(format!("unknown unit {other:?}: use Ki, Mi, Gi or Ti")),
    };
    let number: u64 = digits.parse().map_err(|_| "not a size".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "too large".to_owned())
}
