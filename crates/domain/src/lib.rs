//! Pure rules of the market: identities, names, money, sizes, slot arithmetic, the stamp, the contract's states.
//!
//! Everything here is total and deterministic. This crate must not read a clock, draw a random number, wait or do I/O.

pub mod contract;
pub mod ids;
pub mod money;
pub mod names;
pub mod pve;
pub mod quantity;
pub mod slot;
pub mod sshkey;
pub mod stamp;
