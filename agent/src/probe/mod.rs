//! Whether machines answer at their public ports, seen from outside the host's NAT: a small network namespace
//! ([`namespace`]), a thread that lives in it and connects from there ([`thread`]), and the schedule over all machines
//! ([`watch`]).

pub mod namespace;
pub mod thread;
pub mod watch;

use jiff::Timestamp;

use agent_core::probe::BannerError;
use agent_core::routes::Route;

pub use namespace::{Namespace, Outside};
pub use thread::Prober;

/// Why a machine was not seen to answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No connection came about.
    #[error("failed to connect")]
    Connect(#[source] std::io::Error),
    /// It ended before it said what it is.
    #[error("the connection ended before a banner came")]
    Ended,
    /// It said nothing in time.
    #[error("no banner came within 3 s")]
    Slow,
    /// It is no SSH server that anybody could use.
    #[error("what answers cannot be used")]
    Banner(#[source] BannerError),
    /// Its host keys could not be scanned.
    #[error("failed to scan host keys")]
    Scan(#[source] crate::command::CommandError),
    /// The thread in the namespace is gone.
    #[error("nobody probes any more")]
    Gone,
}

/// What a machine said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its SSH identification.
    pub banner: String,
    /// Its host keys, each `type base64`.
    pub host_keys: Vec<String>,
}

/// News about a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its route.
    pub route: Route,
    /// When it was looked at.
    pub at: Timestamp,
    /// What it said; or why it says nothing any more.
    pub seen: Result<Answer, String>,
}
