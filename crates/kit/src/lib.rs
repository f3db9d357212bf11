//! The shell kit of every process: API-server calls, leader lease, readiness,
//! shutdown, telemetry, clocks.
//!
//! It owns what all shells share and nothing of the domain: it knows no kind of
//! ours, no Proxmox, no Cloudflare, and no planner. Only shells depend on it.

pub mod admin;
pub mod apply;
pub mod args;
pub mod backoff;
pub mod cache;
pub mod call;
pub mod chain;
pub mod client;
pub mod clock;
pub mod crds_ready;
pub mod drive;
pub mod events;
pub mod failures;
pub mod finalizer;
pub mod guarded;
pub mod lacks;
pub mod leader;
pub mod managers;
pub mod metrics;
pub mod ready;
pub mod server_clock;
pub mod tasks;
pub mod telemetry;
pub mod tls;

pub use chain::chain;

#[cfg(test)]
mod scripted;
