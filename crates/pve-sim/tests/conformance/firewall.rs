//! A firewall file out of what an answer shows of it, or takes for granted.

use pve_sim::model::firewall::{Entry, FirewallFile, IpSet};
use pve_sim::model::world::World;
use serde_json::Value;

use crate::evidence::Unit;

/// What an entry shows besides what is in the file.
const SHOWN: &[&str] = &["digest", "pos", "ipversion", "errors"];

/// Prepares the file of the path's guest, or the datacenter's.
pub fn prepare(world: &mut World, unit: &Unit<'_>) {
    let pair = unit.asked;
    if !pair.segments.iter().any(|part| part == "firewall") {
        return;
    }
    let read = pair.method == "GET" && pair.status() == 200;
    if pair.segments.first().is_some_and(|part| part == "cluster") {
        if read && pair.data().is_object() {
            world.datacenter.firewall = entry(pair.data());
        }
        return;
    }
    let below: Vec<&str> = pair.segments.iter().skip(5).map(String::as_str).collect();
    let mut file = FirewallFile::default();
    match (read, below.as_slice()) {
        (true, [first, rest @ ..]) => shown(&mut file, (first, rest), pair.data()),
        _ => written(&mut file, unit, &below),
    }
    if let Some(vmid) = pair.vmid() {
        world.firewalls.insert(vmid, file);
    }
}

/// The file that an answer shows a part of.
fn shown(file: &mut FirewallFile, (part, rest): (&str, &[&str]), data: &Value) {
    let list = || data.as_array().into_iter().flatten();
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    match (part, rest) {
        ("options", _) => file.options = entry(data),
        ("rules", []) => {
            let mut rules: Vec<&Value> = list().collect();
            rules.sort_by_key(|rule| rule["pos"].as_u64());
            file.rules = rules.into_iter().map(entry).collect();
            for rule in list().filter(|rule| rule["errors"].is_null()) {
                add_sets(file, rule);
            }
        }
        ("rules", [pos, ..]) => {
            file.rules = vec![some_rule(); pos.parse().unwrap_or(0)];
            file.rules.push(entry(data));
        }
        ("ipset", []) => {
            for set in list() {
                let new = IpSet {
                    comment: set["comment"].as_str().map(str::to_owned),
                    ..IpSet::default()
                };
                file.ipsets.insert(text(set, "name"), new);
            }
        }
        ("ipset", [name, below @ ..]) => {
            let set = file.ipsets.entry((*name).to_owned()).or_default();
            let one = (!below.is_empty()).then_some(data);
            let all = list().chain(one).map(|item| (text(item, "cidr"), entry(item)));
            set.addresses = all.collect();
        }
        ("aliases", _) => file.aliases = list().map(|item| (text(item, "name"), alias(item))).collect(),
        ("refs", _) => {
            for item in list() {
                let name = text(item, "name");
                if item["type"] == "ipset" {
                    file.ipsets.insert(name, IpSet::default());
                } else {
                    file.aliases.insert(name, Entry::default());
                }
            }
        }
        _ => {}
    }
}

/// The file before a write.
fn written(file: &mut FirewallFile, unit: &Unit<'_>, below: &[&str]) {
    let pair = unit.asked;
    if unit.says("detected modified configuration") {
        file.options.insert("dhcp".to_owned(), Value::from(0));
    }
    if below.first() == Some(&"rules") && !unit.says("no rule at position") {
        file.rules = vec![some_rule(); 6];
    }
    for key in ["source", "dest"] {
        let set = pair.params.get(key).and_then(|value| value.strip_prefix('+'));
        let set = set
            .map(|set| set.strip_prefix("guest/").unwrap_or(set))
            .filter(|_| pair.status() == 200);
        if let Some(set) = set {
            file.ipsets.entry(set.to_owned()).or_default();
        }
    }
    if let Some(name) = unit.find(r"IPSet '([^']+)' already exists") {
        file.ipsets.entry(name).or_default();
    }
    let Some(name) = below
        .get(1)
        .filter(|_| below.first() == Some(&"ipset") && !unit.says("no such IPSet"))
    else {
        return;
    };
    let set = file.ipsets.entry((*name).to_owned()).or_default();
    let there = unit.find(r"address '([^']+)' already exists");
    let of_path = below.get(2).map(|cidr| (*cidr).to_owned());
    let any = unit.says("is not empty").then(|| "10.77.0.50".to_owned());
    for cidr in [there, of_path, any].into_iter().flatten() {
        set.addresses.insert(
            cidr.clone(),
            Entry::from([("cidr".to_owned(), Value::from(cidr))]),
        );
    }
}

fn add_sets(file: &mut FirewallFile, rule: &Value) {
    for key in ["source", "dest"] {
        if let Some(name) = rule[key].as_str().and_then(|value| value.strip_prefix('+')) {
            file.ipsets
                .entry(name.strip_prefix("guest/").unwrap_or(name).to_owned())
                .or_default();
        }
    }
}

fn entry(shown: &Value) -> Entry {
    let all = shown.as_object().into_iter().flatten();
    all.filter(|(key, _)| !SHOWN.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Of an alias the version of its address is in the file's list too.
fn alias(shown: &Value) -> Entry {
    let mut alias = entry(shown);
    if let Some(version) = shown.get("ipversion") {
        alias.insert("ipversion".to_owned(), version.clone());
    }
    alias
}

fn some_rule() -> Entry {
    let pairs =
        [("type", "in"), ("action", "ACCEPT")].map(|(key, value)| (key.to_owned(), Value::from(value)));
    let mut rule = Entry::from(pairs);
    rule.insert("enable".to_owned(), Value::from(0));
    rule
}
