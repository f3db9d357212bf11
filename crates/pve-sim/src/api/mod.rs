//! The API: who calls, which route, may they, are the parameters right, then one handler on the model.
//! Knows nothing of sockets; a handler never waits.

mod access;
mod auth;
mod call;
mod cluster;
mod datacenter;
mod firewall;
mod ipset;
mod nodes;
pub mod params;
mod pools;
mod qemu;
mod qemu_clone;
mod qemu_config;
mod qemu_power;
mod reach;
pub mod reply;
mod resources;
mod routes;
mod rules;
mod spec;
mod storage;
mod tables;
mod tasks;

pub use auth::authenticate;
pub use call::dispatch;
