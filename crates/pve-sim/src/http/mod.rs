//! HTTPS as the daemon speaks it: certificates, connections, bodies, reason phrases. Knows no call.

mod armed;
mod body;
mod exchange;
mod listener;
mod multipart;
pub mod tls;
mod workers;

pub use exchange::{Sent, perform, respond};
pub use listener::{Listener, bind};
pub use workers::Workers;
