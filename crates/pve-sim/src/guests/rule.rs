//! One firewall rule as lines of nftables. Pure. What has no counterpart here is refused with the reason, never guessed.

use std::fmt;
use std::net::IpAddr;

use serde_json::Value;

use super::filter::on;
use crate::model::firewall::{Entry, FirewallFile, IpSet};

/// How many lines one rule may become.
const MAX_LINES: usize = 1024;

/// Whether a packet leaves the guest or reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The guest sends it.
    Out,
    /// The guest gets it.
    In,
}

/// Why a rule has no counterpart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped(pub String);

/// A network or a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// All addresses with these leading bits.
    Prefix(IpAddr, u8),
    /// All from the first to the last.
    Range(IpAddr, IpAddr),
}

impl Network {
    /// One address, a network, or a range.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((first, last)) = text.split_once('-') {
            let (first, last): (IpAddr, IpAddr) = (first.parse().ok()?, last.parse().ok()?);
            return (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self::Range(first, last));
        }
        let (address, prefix) = text.split_once('/').unwrap_or((text, ""));
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = if prefix.is_empty() {
            longest
        } else {
            prefix.parse().ok()?
        };
        (prefix <= longest).then_some(Self::Prefix(address, prefix))
    }

    /// Whether it is of IPv4.
    pub fn is_v4(self) -> bool {
        let (Self::Prefix(address, _) | Self::Range(address, _)) = self;
        address.is_ipv4()
    }

    /// The condition that an address of the packet lies in it.
    fn matching(self, side: &str) -> String {
        let family = if self.is_v4() { "ip" } else { "ip6" };
        format!("{family} {side} {self}")
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(address, prefix) => write!(f, "{address}/{prefix}"),
            Self::Range(first, last) => write!(f, "{first}-{last}"),
        }
    }
}

/// The lines of a rule in the chain of a direction: none if it is switched off or about the other direction.
pub fn lines(rule: &Entry, file: &FirewallFile, direction: Direction) -> Result<Vec<String>, Skipped> {
    let text = |key: &str| {
        rule.get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    if !on(rule, "enable", false) || text("iface").is_some_and(|iface| iface != "net0") {
        return Ok(Vec::new());
    }
    match (text("type"), direction) {
        (Some("in"), Direction::In) | (Some("out"), Direction::Out) => {}
        (Some("in" | "out"), _) => return Ok(Vec::new()),
        (kind, _) => return skip(format!("the type {} is not simulated", kind.unwrap_or("(none)"))),
    }
    let verdict = match text("action") {
        Some("ACCEPT") => "return",
        // A refusal cannot be answered from within a bridge.
        Some("DROP" | "REJECT") => "drop",
        action => {
            return skip(format!(
                "the action {} is not simulated",
                action.unwrap_or("(none)")
            ));
        }
    };
    let sources = sides(text("source"), file)?;
    let destinations = sides(text("dest"), file)?;
    let services = services(&text)?;
    if sources.len() * destinations.len() * services.len() > MAX_LINES {
        return skip("it names too many combinations".to_owned());
    }
    let mut lines = Vec::new();
    for source in &sources {
        for destination in destinations.iter().filter(|other| same_family(*source, **other)) {
            let addresses = [
                source.map(|source| source.matching("saddr")),
                destination.map(|destination| destination.matching("daddr")),
            ];
            for service in &services {
                let parts = addresses.iter().flatten().map(String::as_str);
                let parts = parts
                    .chain([service.as_str(), verdict])
                    .filter(|part| !part.is_empty());
                lines.push(parts.collect::<Vec<_>>().join(" "));
            }
        }
    }
    Ok(lines)
}

/// The networks of a set. Aliases stand for theirs; what is excepted from the set is not in it.
pub fn members(set: &IpSet, file: &FirewallFile) -> Vec<Network> {
    let counted = set
        .addresses
        .iter()
        .filter(|(_, entry)| !on(entry, "nomatch", false));
    counted.filter_map(|(cidr, _)| network(cidr, file)).collect()
}

fn skip<T>(why: String) -> Result<T, Skipped> {
    Err(Skipped(why))
}

fn same_family(source: Option<Network>, destination: Option<Network>) -> bool {
    match (source, destination) {
        (Some(source), Some(destination)) => source.is_v4() == destination.is_v4(),
        _ => true,
    }
}

/// The networks that a source or destination names; one `None` where it names none.
fn sides(value: Option<&str>, file: &FirewallFile) -> Result<Vec<Option<Network>>, Skipped> {
    let Some(value) = value else { return Ok(vec![None]) };
    let mut networks = Vec::new();
    for part in value.split(',').map(str::trim) {
        if let Some(name) = part.strip_prefix('+') {
            let name = name.strip_prefix("guest/").unwrap_or(name);
            let Some(set) = file.ipsets.get(name) else {
                return skip(format!("there is no set {name}"));
            };
            if set.addresses.values().any(|entry| on(entry, "nomatch", false)) {
                return skip(format!("the set {name} has exceptions"));
            }
            networks.extend(members(set, file).into_iter().map(Some));
        } else if let Some(found) = network(part, file) {
            networks.push(Some(found));
        } else {
            return skip(format!("{part} is no address"));
        }
    }
    Ok(networks)
}

fn network(text: &str, file: &FirewallFile) -> Option<Network> {
    let alias = file.aliases.get(text.strip_prefix("guest/").unwrap_or(text));
    let cidr = alias.and_then(|alias| alias.get("cidr")).and_then(Value::as_str);
    Network::parse(cidr.unwrap_or(text))
}

/// What the packet must carry, one condition for each alternative; one empty condition where anything will do.
fn services<'a>(text: &impl Fn(&str) -> Option<&'a str>) -> Result<Vec<String>, Skipped> {
    if let Some(name) = text("macro") {
        return macro_services(name);
    }
    let Some(protocol) = text("proto") else {
        return Ok(vec![String::new()]);
    };
    match protocol {
        "tcp" | "udp" | "sctp" => {
            let mut conditions = Vec::new();
            for side in ["sport", "dport"] {
                if let Some(value) = text(side) {
                    conditions.push(format!("{protocol} {side} {{ {} }}", port_list(value)?));
                }
            }
            if conditions.is_empty() {
                conditions.push(format!("meta l4proto {protocol}"));
            }
            Ok(vec![conditions.join(" ")])
        }
        "icmp" => Ok(vec![icmp(text("icmp-type"))?]),
        "ipv6-icmp" | "icmpv6" if text("icmp-type").is_none() => {
            Ok(vec!["meta l4proto ipv6-icmp".to_owned()])
        }
        other => match other.parse::<u8>() {
            Ok(number) => Ok(vec![format!("meta l4proto {number}")]),
            Err(_) => skip(format!("the protocol {other} is not simulated")),
        },
    }
}

fn icmp(kind: Option<&str>) -> Result<String, Skipped> {
    match kind {
        None | Some("any") => Ok("ip protocol icmp".to_owned()),
        Some(known @ ("echo-request" | "echo-reply" | "destination-unreachable" | "time-exceeded")) => {
            Ok(format!("icmp type {known}"))
        }
        Some(other) => match other.parse::<u8>() {
            Ok(number) => Ok(format!("icmp type {number}")),
            Err(_) => skip(format!("the ICMP type {other} is not simulated")),
        },
    }
}

/// Ports such as `80,443,8000:8010`.
fn port_list(value: &str) -> Result<String, Skipped> {
    let mut ports = Vec::new();
    for part in value.split(',').map(str::trim) {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        let (Some(first), Some(last)) = (port(first), port(last)) else {
            return skip(format!("the port {part} is not simulated"));
        };
        if first > last {
            return skip(format!("the ports {part} are none"));
        }
        ports.push(if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        });
    }
    ports.sort();
    ports.dedup();
    Ok(ports.join(", "))
}

fn port(text: &str) -> Option<u16> {
    match text {
        "ssh" => Some(22),
        "domain" => Some(53),
        "http" => Some(80),
        "https" => Some(443),
        number => number.parse().ok(),
    }
}

fn macro_services(name: &str) -> Result<Vec<String>, Skipped> {
    let services: &[&str] = match name {
        "Ping" => &["icmp type echo-request"],
        "SSH" => &["tcp dport 22"],
        "HTTP" => &["tcp dport 80"],
        "HTTPS" => &["tcp dport 443"],
        "Web" => &["tcp dport { 80, 443 }"],
        "DNS" => &["udp dport 53", "tcp dport 53"],
        "NTP" => &["udp dport 123"],
        "SMTP" => &["tcp dport 25"],
        _ => return skip(format!("the macro {name} is not simulated")),
    };
    Ok(services.iter().map(|service| (*service).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn file() -> FirewallFile {
        serde_json::from_value(json!({
            "options": {}, "rules": [],
            "ipsets": {"friends": {"comment": null, "addresses": {"10.0.0.8/30": {}, "fd00::1": {}}}},
            "aliases": {"office": {"cidr": "192.0.2.0/24"}},
        }))
        .unwrap()
    }

    fn of(rule: Value) -> Result<Vec<String>, Skipped> {
        let mut rule: Entry = serde_json::from_value(rule).unwrap();
        rule.entry("enable".to_owned()).or_insert(json!(1));
        rule.entry("type".to_owned()).or_insert(json!("in"));
        rule.entry("action".to_owned()).or_insert(json!("ACCEPT"));
        lines(&rule, &file(), Direction::In)
    }

    #[rstest]
    #[case(json!({}), &["return"])]
    #[case(json!({"action": "REJECT"}), &["drop"])]
    #[case(json!({"source": "10.64.0.1"}), &["ip saddr 10.64.0.1/32 return"])]
    #[case(json!({"source": "0.0.0.0/0"}), &["ip saddr 0.0.0.0/0 return"])]
    #[case(json!({"source": "10.0.0.1-10.0.0.9"}), &["ip saddr 10.0.0.1-10.0.0.9 return"])]
    #[case(json!({"source": "office"}), &["ip saddr 192.0.2.0/24 return"])]
    #[case(json!({"source": "+friends", "dest": "10.0.0.1"}), &["ip saddr 10.0.0.8/30 ip daddr 10.0.0.1/32 return"])]
    #[case(json!({"proto": "tcp", "dport": "80,443,8000:8010"}), &["tcp dport { 443, 80, 8000-8010 } return"])]
    #[case(json!({"proto": "udp"}), &["meta l4proto udp return"])]
    #[case(json!({"proto": "icmp", "icmp-type": "echo-request"}), &["icmp type echo-request return"])]
    #[case(json!({"macro": "DNS"}), &["udp dport 53 return", "tcp dport 53 return"])]
    #[case(json!({"enable": 0}), &[])]
    #[case(json!({"type": "out"}), &[])]
    #[case(json!({"iface": "net1"}), &[])]
    fn a_rule_becomes(#[case] rule: Value, #[case] lines: &[&str]) {
        assert_eq!(of(rule).unwrap(), lines);
    }

    #[rstest]
    #[case(json!({"type": "group", "action": "web"}), "the type group is not simulated")]
    #[case(json!({"source": "+nobody"}), "there is no set nobody")]
    #[case(json!({"source": "somewhere; drop"}), "somewhere; drop is no address")]
    #[case(json!({"proto": "tcp", "dport": "gopher"}), "the port gopher is not simulated")]
    #[case(json!({"macro": "Ceph"}), "the macro Ceph is not simulated")]
    fn what_has_no_counterpart_is_named(#[case] rule: Value, #[case] why: &str) {
        assert_eq!(of(rule), skip(why.to_owned()));
    }

    #[test]
    fn a_rule_of_too_many_combinations_is_refused() {
        let many = (0..200)
            .map(|last| format!("10.0.0.{last}"))
            .collect::<Vec<_>>()
            .join(",");
        assert!(of(json!({"source": many, "dest": many})).is_err());
    }
}
