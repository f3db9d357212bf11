//! Pure rules of the gateway host's agent: facts in, data out. No waiting, no clock, no randomness, no I/O.

pub mod brake;
pub mod caddy;
pub mod certificate;
pub mod doctor;
pub mod identity;
pub mod nft;
pub mod probe;
pub mod routes;
pub mod site;
pub mod snapshot;
pub mod zone;

#[cfg(test)]
mod samples;
