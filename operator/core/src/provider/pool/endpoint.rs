//! Addresses that an operator at the hub never calls: its own host, its links, its cluster's networks.
//! Must not resolve names; the caller brings the addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whether anything is: only an operator at the hub calls addresses that other people chose.
    pub hub: bool,
    /// Loopback is allowed all the same.
    pub allow_loopback: bool,
    /// Networks of the hub's own cluster.
    pub cluster: Vec<Network>,
}

/// A network by its address and the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// An address of it.
    pub address: IpAddr,
    /// Length of the prefix.
    pub prefix: u8,
}

impl std::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{text} is not a network such as 10.0.0.0/8");
        let (address, prefix) = text.split_once('/').ok_or_else(refused)?;
        let address: IpAddr = address.parse().map_err(|_| refused())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix
            .parse()
            .ok()
            .filter(|prefix| *prefix <= most)
            .ok_or_else(refused)?;
        Ok(Self { address, prefix })
    }
}

impl Network {
    /// Whether it holds the address.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let (mine, theirs) = (bits(self.address), bits(address.to_canonical()));
        let width = if self.address.is_ipv4() { 32 } else { 128 };
        let shift = width - u32::from(self.prefix).min(width);
        let head = |value: u128| value.checked_shr(shift).unwrap_or(0);
        self.address.is_ipv4() == address.to_canonical().is_ipv4() && head(mine) == head(theirs)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

/// Why this host is not called, if so. `addresses` is what its name means now.
#[must_use]
pub fn refused(host: &str, addresses: &[IpAddr], rules: &Rules) -> Option<String> {
    if !rules.hub {
        return None;
    }
    addresses.iter().find_map(|address| {
        let what = kind(address.to_canonical(), rules)?;
        Some(format!(
            "Endpoint {host} means {address}, {what}: an operator at the hub does not call it. \
             Name an address that the hub reaches from outside, or run your own operator."
        ))
    })
}

fn kind(address: IpAddr, rules: &Rules) -> Option<&'static str> {
    if address.is_loopback() {
        return (!rules.allow_loopback).then_some("a loopback address");
    }
    let (local, unusable) = match address {
        IpAddr::V4(v4) => (
            v4.is_link_local(),
            v4.is_unspecified() || v4.is_multicast() || v4 == Ipv4Addr::BROADCAST,
        ),
        IpAddr::V6(v6) => (
            v6.is_unicast_link_local(),
            v6 == Ipv6Addr::UNSPECIFIED || v6.is_multicast(),
        ),
    };
    if local {
        return Some("a link-local address");
    }
    if unusable {
        return Some("no host's address");
    }
    let own = rules.cluster.iter().any(|network| network.holds(address));
    own.then_some("an address of the hub's own cluster")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn hub() -> Rules {
        let cluster = ["10.96.0.0/12", "fd00:1::/32"]
            .map(|text| text.parse().unwrap())
            .to_vec();
        Rules {
            hub: true,
            allow_loopback: false,
            cluster,
        }
    }

    #[rstest]
    #[case("127.0.0.1", false)]
    #[case("127.9.9.9", false)]
    #[case("::1", false)]
    #[case("::ffff:127.0.0.1", false)]
    #[case("169.254.169.254", false)]
    #[case("::ffff:169.254.1.1", false)]
    #[case("fe80::1", false)]
    #[case("0.0.0.0", false)]
    #[case("::", false)]
    #[case("224.0.0.1", false)]
    #[case("255.255.255.255", false)]
    #[case("10.96.0.1", false)]
    #[case("10.111.255.255", false)]
    #[case("::ffff:10.100.0.1", false)]
    #[case("fd00:1::7", false)]
    #[case("10.112.0.1", true)]
    #[case("10.0.0.5", true)]
    #[case("192.168.1.4", true)]
    #[case("fd00:2::7", true)]
    #[case("203.0.113.9", true)]
    fn a_hub_calls_only_addresses_outside(#[case] address: &str, #[case] called: bool) {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(refused("pve1", &[address], &hub()).is_none(), called);
        assert_eq!(refused("pve1", &[address], &Rules { hub: false, ..hub() }), None);
    }

    #[test]
    fn one_bad_address_of_a_name_is_enough() {
        let addresses = ["203.0.113.9", "127.0.0.1"].map(|text| text.parse().unwrap());
        let text = refused("pve1", &addresses, &hub()).unwrap();
        assert!(
            text.contains("pve1 means 127.0.0.1, a loopback address"),
            "{text}"
        );
        assert_eq!(
            refused(
                "pve1",
                &addresses,
                &Rules {
                    allow_loopback: true,
                    ..hub()
                }
            ),
            None
        );
    }

    #[rstest]
    #[case("10.0.0.0")]
    #[case("10.0.0.0/33")]
    #[case("x/8")]
    #[case("::/129")]
    fn other_texts_are_no_networks(#[case] text: &str) {
        assert!(text.parse::<Network>().is_err());
    }

    #[test]
    fn the_whole_address_space_is_a_network() {
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.holds("203.0.113.9".parse().unwrap()) && !all.holds("fd00::1".parse().unwrap()));
        let all: Network = "::/0".parse().unwrap();
        assert!(all.holds("fd00::1".parse().unwrap()));
    }
}
