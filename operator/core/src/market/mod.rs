//! Planners of the market family: Account, Provider, Offering, Contract.

pub mod account;
pub mod admit;
pub mod contract;
pub mod keys;
pub mod names;
pub mod offering;
pub mod owner;
pub mod ownerless;
pub mod provider;
pub mod reap;

#[cfg(test)]
mod samples;
