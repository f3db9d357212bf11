//! The gateway host's agent: the data plane as a library, and what the program is wired from.
//!
//! Owns this host's table `ip decent`, its loopback zone, the web server's configuration, the site's certificate and the
//! probes. Must not see the operator's core.

pub mod args;
pub mod caddy;
pub mod certificate;
pub mod command;
pub mod config;
pub mod conntrack;
pub mod counters;
pub mod doctor;
pub mod files;
pub mod host;
pub mod hub;
pub mod install;
pub mod nft;
pub mod plane;
pub mod probe;
pub mod snapshot;
pub mod wiring;
pub mod zone;
