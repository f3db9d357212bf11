//! How a simulator is set up. Checks nothing: the command line does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Time;
use crate::model::rate::Limits;

/// How to set a simulator up.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Whether the API speaks TLS, with a certificate of the simulator's own authority.
    pub tls: bool,
    /// Where the control port listens.
    pub control: SocketAddr,
    /// Where the first authoritative server listens, UDP and TCP.
    pub dns: SocketAddr,
    /// Where the second does; none: 127.0.0.2 with the port of the first.
    pub dns_second: Option<SocketAddr>,
    /// Where the caching resolver listens.
    pub resolver: SocketAddr,
    /// The zones at the start.
    pub zones: Vec<String>,
    /// Records that a zone may have.
    pub quota: usize,
    /// The limits of calls.
    pub limits: Limits,
    /// How long after it was written a change is seen by the authoritative servers.
    pub publish_delay: Duration,
    /// How long a name's absence may be remembered, in seconds.
    pub negative_ttl: u32,
    /// The seed of all randomness, tokens included; none: another one each time.
    pub seed: Option<u64>,
    /// Where the authority's certificate is written; none: nowhere.
    pub dir: Option<PathBuf>,
    /// How time passes.
    pub time: Time,
}

impl Default for SimConfig {
    fn default() -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: loopback,
            tls: false,
            control: loopback,
            dns: loopback,
            dns_second: None,
            resolver: loopback,
            zones: vec!["example.org".to_owned(), "example.net".to_owned()],
            quota: 200,
            limits: Limits::default(),
            publish_delay: Duration::ZERO,
            negative_ttl: 1_800,
            seed: None,
            dir: None,
            time: Time::Scaled(1.0),
        }
    }
}
