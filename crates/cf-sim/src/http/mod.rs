//! The API's wire: connections, TLS, bodies, and what armed rules make of an exchange.

mod exchange;
mod listener;
pub mod tls;

pub use listener::{Listener, bind};
