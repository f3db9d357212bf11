//! A Proxmox VE that answers as the real one does, with fault switches.
//!
//! [`Sim::start`] runs one inside a test; the binary `pve-sim` runs the same for other processes.
//! [`Lab`] is the same without sockets and with a clock of its own.

mod api;
mod clock;
mod config;
mod control;
mod demo;
mod guests;
mod http;
mod lab;
#[expect(
    clippy::must_use_candidate,
    clippy::missing_errors_doc,
    clippy::return_self_not_must_use,
    reason = "public for those who prepare a cluster by hand; no library of its own"
)]
pub mod model;
mod sim;
mod state;

pub use config::SimConfig;
pub use guests::{GuestError, Guests};
pub use lab::{Lab, LabRequest, LabResponse};
pub use model::pace::{BadSpan, Durations, Span};
pub use model::version::Version;
pub use sim::{Sim, SimError, SimHandle};
