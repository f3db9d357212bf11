//! The simulator as a program.

mod args;

use anyhow::Context as _;
use cf_sim::{Sim, SimHandle};
use clap::Parser as _;
use serde_json::{Map, Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

fn main() -> anyhow::Result<()> {
    let args = args::Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(&args.log))
        .with_writer(std::io::stderr)
        .init();
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    threads
        .context("failed to start the runtime")?
        .block_on(run(args))
}

async fn run(args: args::Args) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let ready_file = args.ready_file.clone();
    let handle = Sim::start(args.into_config())
        .await
        .context("failed to start the simulator")?;
    let ready = ready(&handle).to_string();
    if let Some(path) = ready_file {
        // Written beside and moved: a reader sees all of it or nothing.
        let part = path.with_extension("part");
        let wrote = tokio::fs::write(&part, &ready).await;
        wrote.with_context(|| format!("failed to write {}", part.display()))?;
        let moved = tokio::fs::rename(&part, &path).await;
        moved.with_context(|| format!("failed to write {}", path.display()))?;
    }
    announce(&ready);
    signals.any().await;
    handle.shutdown().await;
    Ok(())
}

fn ready(handle: &SimHandle) -> Value {
    let zones = handle.zones.iter();
    let zones: Map<String, Value> = zones.map(|zone| (zone.name.clone(), json!(zone.id))).collect();
    json!({
        "url": handle.url, "control_url": handle.control_url, "ca_file": handle.ca_file, "ca_pem": handle.ca_pem,
        "name_servers": handle.name_servers, "resolver": handle.resolver, "zones": zones,
        "token": handle.token, "read_token": handle.read_token, "zone_token": handle.zone_token,
        "other_token": handle.other_token, "pid": std::process::id(),
    })
}

#[expect(
    clippy::print_stdout,
    reason = "the one line that says where the simulator is"
)]
fn announce(ready: &str) {
    println!("{ready}");
}

/// The signals that end the program; listened for from before it says that it is ready.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("failed to listen for signals");
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
