//! Whether a machine answers at its public port: when to look, and what an answer says. Must not open a connection.

mod banner;
mod host_key;
mod schedule;

pub use banner::{BannerError, MAX_BANNER_BYTES, banner};
pub use host_key::{MAX_HOST_KEYS, host_keys};
pub use schedule::{Phase, interval};
