//! The agent's program.

use std::process::ExitCode;

use agent::args::Args;
use agent::wiring;
use clap::Parser;

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(wiring::main(args))
}
