//! The calls of the API: routes, rights, filters, pages and envelopes. Knows no socket.

mod call;
mod envelope;
mod filter;
mod page;
mod records;
mod routes;
mod tokens;
mod zones;

pub use call::{Call, Caller, answer};
pub use envelope::{Answer, refused};
pub use routes::PREFIX;
