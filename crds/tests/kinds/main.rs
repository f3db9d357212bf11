//! The kinds against the real API server: every rule accepts and refuses, every refusal names its field, and what
//! several writers share is not lost. Owns the proof that the schemas say what the types mean; plans nothing.
#![expect(clippy::expect_used, clippy::panic, reason = "assertions of tests")]

mod bounds;
mod changes;
mod coverage;
mod deletion;
mod edges;
mod examples;
mod rules;
mod schema;
mod serving;
mod sharing;
mod states;
mod support;
mod texts;
