//! Tests of the client from outside: what it sends, what it understands, what it makes of failures.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bed;
mod error_texts;
mod replay;
mod sim;
mod support;
mod transport;
