//! Planners of the provider family: Pool, Machine, Slot.

pub mod hang;
pub mod machine;
pub mod place;
pub mod plan;
pub mod pool;
pub mod rests;
pub mod seen;
pub mod slot;
pub mod trouble;
