//! The data plane against a real kernel: nftables, conntrack, Caddy, Pebble and OpenSSH in network namespaces.

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
