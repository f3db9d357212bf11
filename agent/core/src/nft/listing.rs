//! What `nft -j list …` says of our table, decoded. Owns nft's output format; must not judge what it finds.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::fixed::MARK;
use super::{Elements, Forward, Meter, Refused};

/// nft's answer cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read nft's listing")]
pub struct ListingError(#[source] serde_json::Error);

/// The table as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Names of the chains that mark a fixed part; exactly one in a table of ours.
    pub marks: Vec<String>,
    /// Every rule as (chain, comment), in order within each chain; chains by name.
    pub rules: Vec<(String, String)>,
    /// Whether the table is switched off.
    pub dormant: bool,
    /// Its elements.
    pub elements: Elements,
}

/// What counters say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// By machine: sent.
    pub sent: BTreeMap<Ipv4Addr, Meter>,
    /// By machine: received.
    pub received: BTreeMap<Ipv4Addr, Meter>,
    /// Refused, by reason.
    pub refused: BTreeMap<Refused, Meter>,
}

#[derive(Deserialize)]
struct Document {
    nftables: Vec<Item>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item {
    table: Option<Table>,
    chain: Option<Named>,
    rule: Option<Rule>,
    set: Option<Set>,
    map: Option<Map>,
    counter: Option<Counter>,
}

#[derive(Deserialize)]
struct Table {
    #[serde(default)]
    flags: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Rule {
    chain: String,
    #[serde(default)]
    comment: String,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    #[serde(default)]
    elem: Vec<Element>,
}

#[derive(Deserialize)]
struct Map {
    name: String,
    #[serde(default)]
    elem: Vec<(u16, Concat)>,
}

#[derive(Deserialize)]
struct Concat {
    concat: Forward,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Element {
    Plain(Ipv4Addr),
    Full {
        elem: Full,
    },
    /// A network of an interval set.
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct Full {
    val: Ipv4Addr,
    #[serde(default)]
    counter: Option<Figures>,
}

#[derive(Deserialize)]
struct Counter {
    name: String,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Clone, Copy, Deserialize)]
struct Figures {
    packets: u64,
    bytes: u64,
}

impl From<Figures> for Meter {
    fn from(Figures { packets, bytes }: Figures) -> Self {
        Self { packets, bytes }
    }
}

/// Whether nft failed because there is no such table.
#[must_use]
pub fn is_missing(stderr: &str) -> bool {
    stderr.contains("No such file or directory")
}

/// The table, from `nft -j list table ip decent`.
///
/// # Errors
/// When it is not the listing of a table such as ours.
pub fn table(json: &[u8]) -> Result<Seen, ListingError> {
    let mut seen = Seen::default();
    for item in document(json)? {
        let Item {
            table,
            chain,
            rule,
            set,
            map,
            counter: _,
        } = item;
        seen.dormant |= table.is_some_and(|table| table.flags.is_some());
        seen.marks.extend(
            chain
                .map(|chain| chain.name)
                .filter(|name| name.starts_with(MARK)),
        );
        seen.rules
            .extend(rule.map(|Rule { chain, comment }| (chain, comment)));
        if let Some(Set { name, elem }) = set {
            match name.as_str() {
                "sent" => seen.elements.sent = meters(elem),
                "received" => seen.elements.received = meters(elem),
                _ => {}
            }
        }
        if let Some(Map { name, elem }) = map {
            let forwards = elem.into_iter().map(|(port, Concat { concat })| (port, concat));
            match name.as_str() {
                "tcp_fwd" => seen.elements.tcp = forwards.collect(),
                "udp_fwd" => seen.elements.udp = forwards.collect(),
                _ => {}
            }
        }
    }
    seen.rules.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(seen)
}

/// What counters say, from listings of sets and counters.
///
/// # Errors
/// When one of them cannot be read.
pub fn readings<'a>(listings: impl IntoIterator<Item = &'a [u8]>) -> Result<Reading, ListingError> {
    let mut reading = Reading::default();
    for json in listings {
        for item in document(json)? {
            if let Some(Set { name, elem }) = item.set {
                match name.as_str() {
                    "sent" => reading.sent = meters(elem),
                    "received" => reading.received = meters(elem),
                    _ => {}
                }
            }
            if let Some(Counter { name, figures }) = item.counter {
                let named = |refused: &Refused| name.strip_prefix("refused_") == Some(refused.name());
                let refused = Refused::ALL.into_iter().find(named);
                reading
                    .refused
                    .extend(refused.map(|refused| (refused, figures.into())));
            }
        }
    }
    Ok(reading)
}

/// The addresses in a set, from `nft -j list set ip decent limited`.
///
/// # Errors
/// When it cannot be read.
pub fn sources(json: &[u8]) -> Result<Vec<Ipv4Addr>, ListingError> {
    let sets = document(json)?.into_iter().filter_map(|item| item.set);
    Ok(sets.flat_map(|set| meters(set.elem).into_keys()).collect())
}

fn document(json: &[u8]) -> Result<Vec<Item>, ListingError> {
    serde_json::from_slice::<Document>(json)
        .map(|document| document.nftables)
        .map_err(ListingError)
}

fn meters(elements: Vec<Element>) -> BTreeMap<Ipv4Addr, Meter> {
    let read = |element| match element {
        Element::Plain(address) => Some((address, Meter::default())),
        Element::Full {
            elem: Full { val, counter },
        } => Some((val, counter.map(Meter::from).unwrap_or_default())),
        Element::Other(_) => None,
    };
    elements.into_iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"{"nftables": [
        {"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
        {"table": {"family": "ip", "name": "decent", "handle": 1}},
        {"counter": {"family": "ip", "name": "refused_mail", "table": "decent", "handle": 6, "packets": 2, "bytes": 120}},
        {"set": {"family": "ip", "name": "closed", "table": "decent", "type": "ipv4_addr", "handle": 12, "flags": ["interval"],
          "elem": [{"prefix": {"addr": "10.0.0.0", "len": 8}}, {"range": ["1.0.0.0", "1.0.0.9"]}, "192.168.3.4"]}},
        {"set": {"family": "ip", "name": "sent", "table": "decent", "handle": 8,
          "elem": [{"elem": {"val": "10.64.0.10", "counter": {"packets": 3, "bytes": 180}}}], "stmt": [{"counter": null}]}},
        {"map": {"family": "ip", "name": "tcp_fwd", "table": "decent", "type": "inet_service", "handle": 3,
          "map": "ipv4_addr . inet_service", "elem": [[20000, {"concat": ["10.64.0.10", 22]}]]}},
        {"chain": {"family": "ip", "table": "decent", "name": "fixed_00ff", "handle": 5}},
        {"rule": {"family": "ip", "table": "decent", "chain": "to_vm", "handle": 9, "comment": "0", "expr": [{"accept": null}]}},
        {"rule": {"family": "ip", "table": "decent", "chain": "input", "handle": 7, "expr": []}}
    ]}"#;

    #[test]
    fn a_listing_is_read() {
        let seen = table(TABLE.as_bytes()).unwrap();
        assert_eq!(seen.marks, ["fixed_00ff"]);
        assert_eq!(
            seen.rules,
            [("input".into(), String::new()), ("to_vm".into(), "0".into())]
        );
        let address = Ipv4Addr::new(10, 64, 0, 10);
        assert_eq!(seen.elements.tcp, BTreeMap::from([(20_000, (address, 22))]));
        assert_eq!(seen.elements.sent[&address].bytes, 180);
        assert!(!seen.dormant);
    }

    #[test]
    fn counters_are_read() {
        let reading = readings([TABLE.as_bytes()]).unwrap();
        assert_eq!(
            reading.refused,
            BTreeMap::from([(
                Refused::Mail,
                Meter {
                    packets: 2,
                    bytes: 120
                }
            )])
        );
        assert_eq!(reading.sent.len(), 1);
    }

    #[test]
    fn nonsense_is_an_error_and_a_missing_table_is_known_by_its_text() {
        assert!(table(b"").is_err());
        assert!(table(br#"{"nftables": [{"map": {"name": "tcp_fwd", "elem": [["ssh", 1]]}}]}"#).is_err());
        assert!(is_missing(
            "Error: No such file or directory\nlist table ip decent\n"
        ));
        assert!(!is_missing("Error: Operation not permitted"));
    }
}
