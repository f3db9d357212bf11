//! The agent's program.

use std::process::ExitCode;

use agent::args::Args;
use agent::wiring;
use clap::Parser;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(wiring::main(args)),
        Err(error) => Err(error.into()),
    };
    done.unwrap_or_else(|error| {
        eprintln!("decent-agent: {error:#}");
        ExitCode::FAILURE
    })
}
