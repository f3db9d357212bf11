//! A guest's firewall file: options, rules, address sets, aliases. Programs nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha1::{Digest as _, Sha1};

/// Flat entries: what a rule, an option list or an address of a set is made of.
pub type Entry = BTreeMap<String, Value>;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallFile {
    /// The options that are set.
    pub options: Entry,
    /// The rules, first match first.
    pub rules: Vec<Entry>,
    /// Sets by name: a comment and the addresses.
    pub ipsets: BTreeMap<String, IpSet>,
    /// Aliases by name.
    pub aliases: BTreeMap<String, Entry>,
}

/// A set of addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpSet {
    /// A comment.
    pub comment: Option<String>,
    /// The addresses, sorted as text.
    pub addresses: BTreeMap<String, Entry>,
}

/// The digest of one entry.
pub fn digest(entry: &Entry) -> String {
    digest_all([entry])
}

/// The digest of a list of entries.
pub fn digest_all<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    let mut hash = Sha1::new();
    for entry in entries {
        for (key, value) in entry.iter().filter(|(_, value)| !value.is_object()) {
            hash.update(format!("{key}:{}\n", plain(value)).as_bytes());
        }
    }
    hex::encode(hash.finalize())
}

/// The answer for one entry: its keys and a digest.
pub fn with_digest(entry: &Entry) -> Map<String, Value> {
    let mut shown: Map<String, Value> = entry.clone().into_iter().collect();
    shown.insert("digest".to_owned(), Value::from(digest(entry)));
    shown
}

/// The answer for a list: each entry carries the digest of the list.
pub fn list_with_digest<'a>(entries: impl IntoIterator<Item = &'a Entry> + Clone) -> Vec<Map<String, Value>> {
    let digest = digest_all(entries.clone());
    let shown = entries.into_iter().map(|entry| {
        let mut shown: Map<String, Value> = entry.clone().into_iter().collect();
        shown.insert("digest".to_owned(), Value::from(digest.as_str()));
        shown
    });
    shown.collect()
}

impl FirewallFile {
    /// The rules as they are listed, each with its position's facts.
    pub fn listed_rules(&self) -> Vec<Entry> {
        self.rules.iter().map(|rule| self.shown_rule(rule)).collect()
    }

    /// A rule with the version of its addresses and what is wrong with it.
    pub fn shown_rule(&self, rule: &Entry) -> Entry {
        let mut shown = rule.clone();
        let text = |key: &str| rule.get(key).and_then(Value::as_str);
        let mut addresses = [text("source"), text("dest")].into_iter().flatten();
        let of_protocol = text("proto").and_then(|proto| match proto {
            "icmp" => Some(4),
            "icmpv6" | "ipv6-icmp" => Some(6),
            _ => None,
        });
        if let Some(version) = addresses.find_map(ip_version).or(of_protocol) {
            shown.insert("ipversion".to_owned(), Value::from(version));
        }
        for key in ["source", "dest"] {
            let set = text(key).and_then(|value| value.strip_prefix('+'));
            if let Some(name) = set.map(|name| name.strip_prefix("guest/").unwrap_or(name))
                && !self.ipsets.contains_key(name)
            {
                shown.insert(
                    "errors".to_owned(),
                    serde_json::json!({key: format!("no such ipset '{name}'")}),
                );
            }
        }
        shown
    }
}

fn ip_version(address: &str) -> Option<u8> {
    let first = address.split(',').next()?;
    let first = first.split(['/', '-']).next()?;
    match first.parse::<std::net::IpAddr>().ok()? {
        std::net::IpAddr::V4(_) => Some(4),
        std::net::IpAddr::V6(_) => Some(6),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_recorded_ones() {
        assert_eq!(digest(&Entry::new()), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        let enabled = Entry::from([("enable".to_owned(), Value::from(1))]);
        assert_eq!(digest(&enabled), "bb9ed91416c7ca9fe0bdb701360217e37ab4497f");
        let address = [("cidr", "10.77.0.50"), ("comment", "addr")];
        let address = address
            .map(|(key, value)| (key.to_owned(), Value::from(value)))
            .into();
        assert_eq!(digest_all([&address]), "d8b4da708a62e752c3c815603c53d7ae348b21e5");
    }
}
