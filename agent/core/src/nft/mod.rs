//! The table `ip decent`: what it is made of, what a change of it is, and how one that is there is taken over.
//!
//! What we write is nft's own language, not its JSON: JSON as nft 1.0.6 reads it can declare no dynamic set, and a
//! first start must be one transaction. What we read is JSON, decoded into small types of our own: a listing of 4 000
//! slots has 48 000 elements, too many for a tree of general expressions. Every value written is a number, an address
//! or a checked name, never text from outside. Must not run anything.

mod elements;
mod fixed;
mod listing;
mod takeover;

use std::fmt;
use std::net::Ipv4Addr;

pub use elements::{Elements, Forward, Meter, Transaction};
pub use fixed::{Fixed, fixed};
pub use listing::{ListingError, Reading, Seen, is_missing, readings, sources, table};
pub use takeover::{Takeover, takeover, unknown_slots};

use crate::site::Site;

/// Our table; its family is `ip`.
pub const TABLE: &str = "decent";

/// What the table refuses, each with a counter of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refused {
    /// From a machine to another machine.
    Neighbour,
    /// From a machine to a private, link-local or host network.
    Private,
    /// From a machine to port 25.
    Mail,
    /// From a machine to a service of this host.
    Service,
    /// More connections than a machine may have.
    Connections,
    /// More new SSH connections than one source may make.
    Ssh,
    /// To or from an address that has no route.
    Routeless,
    /// From outside to a machine, not by a forwarded port.
    Unmapped,
}

impl Refused {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Neighbour,
        Self::Private,
        Self::Mail,
        Self::Service,
        Self::Connections,
        Self::Ssh,
        Self::Routeless,
        Self::Unmapped,
    ];

    /// The name, as in metrics; the table's counter is called `refused_<name>`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Neighbour => "neighbour",
            Self::Private => "private",
            Self::Mail => "mail",
            Self::Service => "service",
            Self::Connections => "connections",
            Self::Ssh => "ssh",
            Self::Routeless => "routeless",
            Self::Unmapped => "unmapped",
        }
    }
}

/// The name of a network link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkName(String);

/// The text is no name of a link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a network link (1 to 15 of a–z, A–Z, 0–9, '.', '_', '-')")]
pub struct LinkNameError(String);

impl LinkName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for LinkName {
    type Err = LinkNameError;

    fn from_str(text: &str) -> Result<Self, LinkNameError> {
        let sound = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if (1..=15).contains(&text.len()) && text.chars().all(sound) && !text.starts_with(['.', '-']) {
            Ok(Self(text.to_owned()))
        } else {
            Err(LinkNameError(text.to_owned()))
        }
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A network without host bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    address: Ipv4Addr,
    prefix: u8,
}

impl Network {
    /// The network that an address with a prefix length is in; none if the length is more than 32.
    #[must_use]
    pub fn around(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        (prefix <= 32).then(|| Self {
            address: masked(address, prefix),
            prefix,
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// How much of something is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections that a machine may have opened at once, and as many that were opened to it.
    pub connections: u32,
    /// New SSH connections that one source may make in a minute, to all machines together.
    pub ssh_per_minute: u32,
    /// How many of them may come at once.
    pub ssh_burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        // One public address may stand for many people.
        Self {
            connections: 8192,
            ssh_per_minute: 240,
            ssh_burst: 120,
        }
    }
}

/// What the fixed part of the table depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// Public addresses: only what is sent to one of them is forwarded.
    pub public: Vec<Ipv4Addr>,
    /// The machines' network.
    pub network: Network,
    /// The first and last address that a machine can have.
    pub slots: (Ipv4Addr, Ipv4Addr),
    /// The host's own address there.
    pub gateway: Ipv4Addr,
    /// The link to the machines.
    pub lan: LinkName,
    /// Networks that the host itself is in, besides the machines'.
    pub own: Vec<Network>,
    /// Resolvers that machines may ask wherever they are.
    pub resolvers: Vec<Ipv4Addr>,
    /// Whether machines get their addresses from this host.
    pub offers_dhcp: bool,
    /// Where our own probes come from: the SSH limit does not hold for them.
    pub probe: Ipv4Addr,
    /// The limits.
    pub limits: Limits,
}

/// What the host adds to what the site says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The link to the machines.
    pub lan: LinkName,
    /// Networks that the host is in, besides the machines'.
    pub own: Vec<Network>,
    /// Whether machines get their addresses from this host.
    pub offers_dhcp: bool,
    /// Where our own probes come from.
    pub probe: Ipv4Addr,
    /// The limits.
    pub limits: Limits,
}

impl Ground {
    /// The ground of a site on a host.
    #[must_use]
    pub fn new(site: &Site, host: &Host) -> Self {
        let Host {
            lan,
            own,
            offers_dhcp,
            probe,
            limits,
        } = host.clone();
        let facts = site.facts();
        let (address, prefix) = (site.slot_addresses().0, site.plan().prefix());
        Self {
            public: facts.public.clone(),
            network: Network {
                address: masked(address, prefix),
                prefix,
            },
            slots: site.slot_addresses(),
            gateway: facts.gateway,
            lan,
            own,
            resolvers: facts.resolvers.clone(),
            offers_dhcp,
            probe,
            limits,
        }
    }
}

/// A table with every kind of rule that ours can have, to ask a kernel whether it would take it.
#[must_use]
pub fn rehearsal() -> Fixed {
    let (gateway, public) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 1));
    fixed(&Ground {
        public: vec![public],
        network: Network {
            address: Ipv4Addr::new(192, 0, 2, 0),
            prefix: 24,
        },
        slots: (Ipv4Addr::new(192, 0, 2, 10), Ipv4Addr::new(192, 0, 2, 254)),
        gateway,
        lan: LinkName("lan".to_owned()),
        own: Vec::new(),
        resolvers: vec![gateway],
        offers_dhcp: true,
        probe: public,
        limits: Limits::default(),
    })
}

/// The address without its host bits; a length of more than 32 has none.
fn masked(address: Ipv4Addr, prefix: u8) -> Ipv4Addr {
    let host = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
    Ipv4Addr::from(u32::from(address) & !host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_links_name_is_checked() {
        for name in ["lan", "vmbr0.20", "a-b_c"] {
            assert!(name.parse::<LinkName>().is_ok(), "{name}");
        }
        for name in ["", "a b", "a\"b", "-x", "sixteen-letters-", "ä"] {
            assert!(name.parse::<LinkName>().is_err(), "{name}");
        }
    }

    #[test]
    fn the_ground_of_a_site_is_the_samples() {
        let ground = takeover::samples::ground();
        let host = Host {
            lan: ground.lan.clone(),
            own: ground.own.clone(),
            offers_dhcp: false,
            probe: ground.probe,
            limits: ground.limits,
        };
        assert_eq!(Ground::new(&crate::samples::site(), &host), ground);
    }

    #[test]
    fn a_network_has_no_host_bits() {
        let network = |prefix| Network::around(Ipv4Addr::new(192, 0, 2, 77), prefix).map(|n| n.to_string());
        assert_eq!(network(24).as_deref(), Some("192.0.2.0/24"));
        assert_eq!(network(32).as_deref(), Some("192.0.2.77/32"));
        assert_eq!(network(0).as_deref(), Some("0.0.0.0/0"));
        assert_eq!(network(33), None);
    }
}
