//! Leader election by a Lease of our own: compare-and-swap on resourceVersion,
//! expiry by local monotonic observation. It saves work and is not the guard:
//! once-only creation, stamps and digests are. Must not start or stop controllers.

mod decide;
mod elect;

pub use decide::{Decision, Observed, Record, decide, observe};
pub use elect::{Candidate, Config, Leadership, Lost};

#[cfg(test)]
mod tests;
