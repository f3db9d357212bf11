//! The data plane against a real kernel: nftables, conntrack, Caddy, Pebble and OpenSSH in network namespaces.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod acme;
mod bed;
mod dns;
mod doctor;
mod guests;
mod objects;
mod probes;
mod routes;
mod speed;
mod take_over;
mod web;
