//! The simulated cluster as plain data: no HTTP, no clock, no sleeping. Time and randomness are handed in.

pub mod access;
#[cfg(test)]
pub(crate) mod bed;
pub mod change;
pub mod config;
pub mod delta;
pub mod dice;
pub mod firewall;
pub mod image;
pub mod locks;
pub mod moment;
pub mod node;
pub mod outage;
pub mod pace;
pub mod pool;
pub mod privileges;
pub mod refusal;
pub mod seed;
pub mod storage;
pub mod task;
pub mod values;
pub mod version;
pub mod vm;
pub mod work;
pub mod world;
