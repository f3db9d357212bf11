//! What a host is told besides its Gateway: a value, passed down. Must not read the environment.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use agent_core::brake::Limit;
use agent_core::nft::{Host, Limits, LinkName};

use crate::caddy::Admin;
use crate::host::{Address, HostError, lan, own_networks};
use crate::probe::Outside;

/// The data plane's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of snapshot, certificate and account.
    pub state: PathBuf,
    /// The link to the machines; without it, the one that has the gateway's address.
    pub lan: Option<LinkName>,
    /// Whether this host gives machines their addresses.
    pub offers_dhcp: bool,
    /// Limits of connections.
    pub limits: Limits,
    /// When removals wait for a person.
    pub brake: Limit,
    /// Where the zone is served, on loopback.
    pub zone: SocketAddr,
    /// The web server.
    pub web: WebConfig,
    /// Where probes come from.
    pub probe: Outside,
}

/// The web server's part.
#[derive(Debug, Clone)]
pub struct WebConfig {
    /// Its program, which the doctor asks for its version.
    pub program: String,
    /// Its admin API.
    pub admin: Admin,
    /// Where it takes plain requests, such as ":80".
    pub http: Vec<String>,
    /// Where it takes requests, such as ":443".
    pub https: Vec<String>,
    /// Its user, who must be able to read the key.
    pub user: Option<u32>,
}

impl Config {
    /// What the host adds to a site, given its addresses.
    ///
    /// # Errors
    /// When it has no link to the machines.
    pub fn host(&self, addresses: &[Address], gateway: Ipv4Addr) -> Result<Host, HostError> {
        let lan = match &self.lan {
            Some(link) => link.clone(),
            None => lan(addresses, gateway)?,
        };
        Ok(Host {
            own: own_networks(addresses, &[lan.as_str(), self.probe.link.as_str()]),
            lan,
            offers_dhcp: self.offers_dhcp,
            probe: self.probe.probe,
            limits: self.limits,
        })
    }
}
