//! Developer tasks: what is generated or derived, what is checked about the tree, the demo and the benchmarks.

mod api_table;
mod bench;
mod demo;
mod generate;
mod purity;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer tasks of this repository; the Justfile calls them.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write the generated files, or only check that they are current.
    Gen {
        /// Fail on a difference instead of writing.
        #[arg(long)]
        check: bool,
    },
    /// Derive the simulator's table of calls from a recorded API schema.
    ApiTable(api_table::ApiTable),
    /// Check that the pure crates have no runtime or network in their trees.
    Purity,
    /// Show how one contract becomes a machine, on real parts.
    Demo(demo::DemoArgs),
    /// Remove what `demo --keep` left.
    DemoDown(demo::Place),
    /// Measure, with its own baseline.
    #[command(subcommand)]
    Bench(bench::Bench),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Args::parse().task {
        Task::Gen { check } => generate::run(check).map(|()| ExitCode::SUCCESS),
        Task::ApiTable(args) => api_table::run(&args),
        Task::Purity => purity::run().map(|()| ExitCode::SUCCESS),
        Task::Demo(args) => demo::run(args).await,
        Task::DemoDown(place) => demo::down(place).await,
        Task::Bench(bench) => bench::run(bench).await.map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error: anyhow::Error| {
        eprintln!("✗ {error:#}");
        ExitCode::FAILURE
    })
}
