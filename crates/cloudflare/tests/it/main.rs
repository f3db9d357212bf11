//! The client against the simulator: limits, rights, lost answers, foreign hands, pages, what the servers show.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bed;
mod failures;
mod limits;
mod lookups;
mod ownership;
mod pages;
mod secrets;
mod settled;
