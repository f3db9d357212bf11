//! Pure planners of the operator: facts in, data out. No waiting, no clock, no randomness, no I/O.

pub mod condition;
pub mod gateway;
pub mod market;
pub mod provider;
pub mod reason;
