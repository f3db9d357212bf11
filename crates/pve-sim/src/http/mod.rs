//! HTTPS as the daemon speaks it: certificates, connections, bodies, reason phrases. Knows no call.

mod armed;
mod body;
mod exchange;
mod listener;
mod multipart;
pub mod tls;

pub use exchange::exchange;
pub use listener::{Listener, bind};
