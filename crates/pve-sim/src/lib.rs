//! A Proxmox VE that answers as the real one does, with fault switches.
//!
//! [`Sim::start`] runs one inside a test; the binary `pve-sim` runs the same for other processes.

mod api;
mod clock;
mod control;
mod http;
mod model;
mod sim;

pub use model::world::Durations;
pub use sim::{Sim, SimConfig, SimError, SimHandle};
