//! The hub's part of the agent: enrols the host, tells the data plane what the hub wants, and the hub what became of
//! it. While the hub is away nothing here happens, and the data plane goes on.

mod challenges;
mod client;
pub mod enrol;
mod facts;
mod heartbeat;
mod ledger;
mod report;
mod run;
mod store;
mod token;
mod watch;

pub use facts::facts;
pub use run::{Enrolled, HubError, enrolled, start};
