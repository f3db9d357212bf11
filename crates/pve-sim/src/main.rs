//! The simulator as a program.

mod args;

use anyhow::Context as _;
use clap::Parser as _;
use pve_sim::{Sim, SimHandle};
use serde_json::{Value, json};
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
    let (ready_file, command) = (args.ready_file.clone(), args.command);
    let handle = Sim::start(args.into_config())
        .await
        .context("failed to start the simulator")?;
    if let Some(args::Command::DemoCluster) = command {
        show(&handle).await?;
        signals.any().await;
        handle.shutdown().await;
        return Ok(());
    }
    let ready = ready(&handle).to_string();
    if let Some(path) = ready_file {
        // Written beside and moved: a reader sees all of it or nothing.
        let part = path.with_extension("part");
        tokio::fs::write(&part, &ready)
            .await
            .with_context(|| format!("failed to write {}", part.display()))?;
        tokio::fs::rename(&part, &path)
            .await
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    announce(&ready);
    signals.any().await;
    handle.shutdown().await;
    Ok(())
}

fn ready(handle: &SimHandle) -> Value {
    let templates: serde_json::Map<String, Value> = handle
        .templates
        .iter()
        .map(|(node, vmid)| (node.clone(), Value::from(*vmid)))
        .collect();
    json!({
        "url": handle.url, "control_url": handle.control_url, "ca_file": handle.ca_file, "ca_pem": handle.ca_pem,
        "fingerprint": handle.fingerprint, "pid": std::process::id(), "token": handle.token,
        "root_token": handle.root_token, "pool": handle.pool, "templates": templates,
        "guest_network": handle.guest_network,
    })
}

/// Furnishes the cluster and shows what to try.
#[expect(clippy::print_stdout, reason = "a demonstration is there to be read")]
async fn show(handle: &SimHandle) -> anyhow::Result<()> {
    handle.furnish().await.map_err(anyhow::Error::msg)?;
    let ca_file = match &handle.ca_file {
        Some(path) => path.clone(),
        None => std::env::temp_dir().join(format!("pve-sim-{}.pem", std::process::id())),
    };
    tokio::fs::write(&ca_file, &handle.ca_pem)
        .await
        .with_context(|| format!("failed to write {}", ca_file.display()))?;
    println!("# API {}  control port {}", handle.url, handle.control_url);
    for (about, line) in handle.lines(&ca_file.display().to_string()) {
        println!("\n# {about}\n{line}");
    }
    println!(
        "\n# Ctrl-C ends it; nothing of it is left then but {}",
        ca_file.display()
    );
    Ok(())
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
