//! DNS: two authoritative servers that serve what was published, and a resolver that remembers what they said. UDP and
//! TCP. Knows nothing of the API.

mod answer;
mod cache;
mod lookup;
mod rdata;
mod sockets;

pub use cache::Cache;
pub use sockets::{Sockets, serve};

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An authoritative server, 0 or 1.
    Authority(usize),
    /// The caching resolver.
    Resolver,
}

impl Role {
    /// As logs name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authority(0) => "ns1",
            Self::Authority(_) => "ns2",
            Self::Resolver => "resolver",
        }
    }
}
