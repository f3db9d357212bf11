//! The API: who calls, which route, may they, are the parameters right, then one handler on the model.
//! Knows nothing of sockets; a handler never waits.

mod access;
mod auth;
mod call;
mod cluster;
mod datacenter;
mod firewall;
mod firewall_more;
mod index;
mod ipset;
mod nodes;
pub mod params;
mod permit;
mod pools;
mod qemu;
mod qemu_agent;
mod qemu_clone;
mod qemu_cloudinit;
mod qemu_config;
mod qemu_create;
mod qemu_power;
mod qemu_state;
mod reach;
mod refused_login;
pub mod reply;
mod resources;
mod roles;
mod routes;
mod rules;
mod schema;
mod storage;
mod storage_config;
mod storage_files;
mod tags;
mod tasks;
mod ticket;
mod tokens;
mod tree;
mod users;

pub use auth::authenticate;
pub use call::{dispatch, worker_of};
