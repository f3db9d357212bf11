//! The gateway controller's shells: they look, ask the rules of `gateway-core`, write to Cloudflare and to the API
//! server. One controller, of Gateways.

mod access;
pub mod args;
mod controller;
mod ctx;
mod error;
mod names;
mod pass;
mod store;
pub mod wiring;
mod zones;
