//! The gateway controller's process.

use clap::Parser;
use gateway_controller::{args::Args, wiring};

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(wiring::run(args))
}
