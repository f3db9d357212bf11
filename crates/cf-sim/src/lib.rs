//! Cloudflare's DNS API and its authoritative servers, with limits and fault switches.
//!
//! [`Sim::start`] runs one inside a test; the binary `cf-sim` runs the same for other processes.

mod api;
mod clock;
mod config;
mod control;
mod dns;
mod http;
mod model;
mod sim;

pub use clock::Time;
pub use config::SimConfig;
pub use model::rate::Limits;
pub use sim::{Sim, SimError, SimHandle, ZoneFact};
