//! The operator's shells: they observe, ask a planner, execute and store. Decisions live in `operator-core`.

pub mod args;
pub mod caches;
pub mod ctx;
pub mod market;
pub mod provider;
pub mod recent;
pub mod wiring;
