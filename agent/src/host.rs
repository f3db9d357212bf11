//! What the host's own network looks like: links and addresses, as `ip -j` says. Must not change it.

use std::net::Ipv4Addr;
use std::time::Duration;

use agent_core::nft::{LinkName, Network};
use serde::Deserialize;

use crate::command::{CommandError, run};

const LIMIT: Duration = Duration::from_secs(10);

/// Why the host's network is not known.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// It could not be asked.
    #[error("failed to list the host's addresses")]
    List(#[source] CommandError),
    /// The answer cannot be read.
    #[error("failed to read the host's addresses")]
    Read(#[source] serde_json::Error),
    /// No link leads to the machines.
    #[error("no link has the address {0}")]
    NoLan(Ipv4Addr),
    /// Several do.
    #[error("several links have the address {0}: say which by --lan")]
    ManyLans(Ipv4Addr),
}

/// An address of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The link that has it.
    pub link: String,
    /// The address.
    pub address: Ipv4Addr,
    /// The network that it is in.
    pub network: Network,
}

#[derive(Deserialize)]
struct Link {
    /// Links that have no such address are listed as empty objects.
    #[serde(default)]
    ifname: String,
    #[serde(default)]
    addr_info: Vec<Info>,
}

#[derive(Deserialize)]
struct Info {
    local: Option<Ipv4Addr>,
    prefixlen: Option<u8>,
}

/// All IPv4 addresses of the host.
///
/// # Errors
/// When they cannot be learnt.
pub async fn addresses() -> Result<Vec<Address>, HostError> {
    let json = run("ip", &["-j", "-4", "address", "show"], b"", LIMIT)
        .await
        .map_err(HostError::List)?;
    parse(&json).map_err(HostError::Read)
}

fn parse(json: &[u8]) -> Result<Vec<Address>, serde_json::Error> {
    let links: Vec<Link> = serde_json::from_slice(json)?;
    let each = |Link { ifname, addr_info }: Link| {
        addr_info
            .into_iter()
            .filter_map(move |Info { local, prefixlen }| {
                let address = local?;
                Some(Address {
                    link: ifname.clone(),
                    address,
                    network: Network::around(address, prefixlen?)?,
                })
            })
    };
    Ok(links.into_iter().flat_map(each).collect())
}

/// The link that leads to the machines: it has the gateway's address.
///
/// # Errors
/// When there is no such link, or more than one.
pub fn lan(addresses: &[Address], gateway: Ipv4Addr) -> Result<LinkName, HostError> {
    let mut links: Vec<&str> = addresses
        .iter()
        .filter(|own| own.address == gateway)
        .map(|own| own.link.as_str())
        .collect();
    links.dedup();
    match links.as_slice() {
        [link] => link.parse().map_err(|_| HostError::NoLan(gateway)),
        [] => Err(HostError::NoLan(gateway)),
        _ => Err(HostError::ManyLans(gateway)),
    }
}

/// Networks that the host is in, besides the machines' and those on these links.
#[must_use]
pub fn own_networks(addresses: &[Address], except: &[&str]) -> Vec<Network> {
    let others = addresses
        .iter()
        .filter(|own| !except.contains(&own.link.as_str()) && own.link != "lo");
    let mut networks: Vec<Network> = others.map(|own| own.network).collect();
    networks.sort();
    networks.dedup();
    networks
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = r#"[
        {"ifname": "lo", "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8}]},
        {"ifname": "wan", "addr_info": [{"family": "inet", "local": "203.0.113.7", "prefixlen": 24},
                                        {"family": "inet", "local": "203.0.113.8", "prefixlen": 24}]},
        {}, {"ifname": "lan0", "addr_info": [{"family": "inet", "local": "10.64.0.1", "prefixlen": 16}]}
    ]"#;

    #[test]
    fn links_are_told_by_their_addresses() {
        let found = parse(LISTING.as_bytes()).unwrap();
        assert_eq!(lan(&found, Ipv4Addr::new(10, 64, 0, 1)).unwrap().as_str(), "lan0");
        assert!(matches!(
            lan(&found, Ipv4Addr::new(10, 64, 0, 2)),
            Err(HostError::NoLan(_))
        ));
        let own = own_networks(&found, &["lan0"]);
        assert_eq!(
            own.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["203.0.113.0/24"]
        );
    }
}
