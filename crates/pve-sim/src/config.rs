//! How a simulator is set up. Checks nothing: the command line does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::guests::Guests;
use crate::model::outage::NOTICE;
use crate::model::pace::Durations;
use crate::model::version::Version;

/// How to set a simulator up.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where the control port listens.
    pub control: SocketAddr,
    /// How many nodes.
    pub nodes: u32,
    /// The cluster's name.
    pub cluster_name: String,
    /// Processors of each node.
    pub cores: u64,
    /// Bytes of memory of each node.
    pub memory: u64,
    /// Bytes of storage of each node.
    pub disk: u64,
    /// Whether there is a storage that all nodes share.
    pub shared_storage: bool,
    /// How long work takes.
    pub durations: Durations,
    /// How long it takes until the others notice that a node died.
    pub death_notice: Duration,
    /// How old published statistics may be; zero: never old.
    pub stats_lag: Duration,
    /// How long a refused login waits for its answer.
    pub auth_delay: Duration,
    /// The seed of all randomness; none: another one each time.
    pub seed: Option<u64>,
    /// Where the authority's certificate is written, and what guests keep; none: nowhere.
    pub dir: Option<PathBuf>,
    /// Where the cluster is kept, so that it outlives the process; none: nowhere.
    pub state: Option<PathBuf>,
    /// How many bytes of changes are kept there before the whole cluster is written anew.
    pub journal: u64,
    /// How many simulated seconds pass in one.
    pub time_scale: f64,
    /// The release that the nodes run.
    pub version: Version,
    /// What started guests are.
    pub guests: Guests,
}

impl Default for SimConfig {
    fn default() -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: loopback,
            control: loopback,
            nodes: 3,
            cluster_name: "testbed".to_owned(),
            cores: 16,
            memory: 64 << 30,
            disk: 1 << 40,
            shared_storage: false,
            durations: Durations::default(),
            death_notice: NOTICE,
            stats_lag: Duration::from_secs(10),
            auth_delay: Duration::from_secs(3),
            seed: None,
            dir: None,
            state: None,
            journal: 4 << 20,
            time_scale: 1.0,
            version: Version::default(),
            guests: Guests::None,
        }
    }
}
