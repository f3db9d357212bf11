//! Cloudflare as plain data: zones, records, tokens, counters, and what the authoritative servers have seen of them.
//! Reads no clock, opens no socket, draws no randomness but from its seed.

pub mod check;
pub mod dice;
pub mod moment;
pub mod names;
pub mod publish;
pub mod rate;
pub mod record;
pub mod refusal;
pub mod seed;
pub mod server;
pub mod token;
pub mod wish;
pub mod world;
pub mod zone;
