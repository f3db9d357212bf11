//! A guest's firewall rules: a new one goes to the top and is off unless it says otherwise.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::model::firewall::{Entry, digest_all};

use super::call::Call;
use super::firewall::{check_digest, file, take, write};
use super::params::Params;
use super::reply::{Answer, Fault, Reply};

const KEYS: &[&str] = &[
    "type",
    "action",
    "enable",
    "source",
    "dest",
    "proto",
    "dport",
    "sport",
    "iface",
    "comment",
    "log",
    "macro",
    "icmp-type",
];
/// The macros that a rule may name, each with what it is for.
const MACROS: &str = include_str!("macros.txt");
/// Name and purpose of each macro.
pub fn macros() -> impl Iterator<Item = (&'static str, &'static str)> {
    MACROS.lines().filter_map(|line| line.split_once(' '))
}

const PROTOCOLS: &[&str] = &[
    "tcp",
    "udp",
    "icmp",
    "icmpv6",
    "ipv6-icmp",
    "igmp",
    "esp",
    "ah",
    "gre",
    "sctp",
    "ipv6",
    "all",
];

/// GET …/rules
pub fn list(call: &mut Call<'_>) -> Reply {
    let rules = file(call).listed_rules();
    let digest = digest_all(&rules);
    let shown = rules
        .into_iter()
        .enumerate()
        .map(|(pos, rule)| shown(rule, Value::from(pos), &digest));
    Answer::of(shown.map(Value::Object).collect::<Vec<_>>())
}

fn shown(rule: Entry, pos: Value, digest: &str) -> Map<String, Value> {
    let mut shown: Map<String, Value> = rule.into_iter().collect();
    shown.insert("pos".to_owned(), pos);
    shown.insert("digest".to_owned(), Value::from(digest));
    shown
}

/// GET …/rules/{pos}
pub fn get(call: &mut Call<'_>) -> Reply {
    let rules = file(call).listed_rules();
    let digest = digest_all(&rules);
    let at = position(call, rules.len())?;
    let rule = rules.into_iter().nth(at).unwrap_or_default();
    Answer::of(shown(rule, Value::from(at.to_string()), &digest))
}

fn position(call: &Call<'_>, count: usize) -> Result<usize, Fault> {
    let text = call.segment("pos");
    match text.parse::<usize>() {
        Ok(at) if at < count => Ok(at),
        Ok(_) => Err(Fault::died(format!("no rule at position {text}"))),
        Err(_) => Err(Fault::param(
            "pos",
            format!("type check ('integer') failed - got '{text}'"),
        )),
    }
}

/// POST …/rules
pub fn create(call: &mut Call<'_>) -> Reply {
    let mut file = file(call);
    let mut rule = Entry::from([("enable".to_owned(), Value::from(0))]);
    fill(&mut rule, call.params)?;
    check_sets(&rule, call)?;
    file.rules.insert(0, rule);
    write(call, file)?;
    Answer::null()
}

/// PUT …/rules/{pos}
pub fn update(call: &mut Call<'_>) -> Reply {
    let mut file = file(call);
    check_digest(call.params, &digest_all(&file.listed_rules()))?;
    let at = position(call, file.rules.len())?;
    if let Some(to) = call.params.number::<usize>("moveto") {
        let rule = file.rules.remove(at);
        // The new place is counted in the list before the move.
        let to = if to > at { to - 1 } else { to };
        file.rules.insert(to.min(file.rules.len()), rule);
    } else {
        let Some(rule) = file.rules.get_mut(at) else {
            return Answer::null();
        };
        for key in call
            .params
            .text("delete")
            .unwrap_or_default()
            .split([',', ';', ' '])
        {
            rule.remove(key);
        }
        fill(rule, call.params)?;
        check_sets(&rule.clone(), call)?;
    }
    write(call, file)?;
    Answer::null()
}

/// DELETE …/rules/{pos}
pub fn delete(call: &mut Call<'_>) -> Reply {
    let mut file = file(call);
    check_digest(call.params, &digest_all(&file.listed_rules()))?;
    let at = position(call, file.rules.len())?;
    file.rules.remove(at);
    write(call, file)?;
    Answer::null()
}

/// The check of one parameter's form.
type Form = fn(&str) -> Result<(), String>;

/// Takes the parameters into a rule and checks what they say together.
fn fill(rule: &mut Entry, params: &Params) -> Result<(), Fault> {
    let forms = [
        ("action", check_action as Form),
        ("iface", check_iface),
        ("macro", check_macro),
    ];
    for (key, check) in forms {
        let verdict = params.text(key).map_or(Ok(()), check);
        verdict.map_err(|text| Fault::param(key, text))?;
    }
    take(rule, params, KEYS);
    if let Some(Value::String(comment)) = rule.get_mut("comment") {
        *comment = comment.lines().next().unwrap_or_default().to_owned();
    }
    for port in ["dport", "sport"] {
        if rule.contains_key(port) && !rule.contains_key("proto") && !rule.contains_key("macro") {
            return Err(Fault::param(
                "proto",
                format!("missing property - '{port}' requires this property"),
            ));
        }
    }
    let family = |key: &str| match first_address(rule.get(key)?.as_str()?)? {
        IpAddr::V4(_) => Some(4),
        IpAddr::V6(_) => Some(6),
    };
    if let (Some(source), Some(dest)) = (family("source"), family("dest"))
        && source != dest
    {
        let text = "detected mixed ipv4/ipv6 addresses in source/dest";
        return Err(Fault::param("source", text));
    }
    Ok(())
}

fn check_sets(rule: &Entry, call: &Call<'_>) -> Result<(), Fault> {
    let sets = file(call).ipsets;
    for key in ["source", "dest"] {
        let name = rule
            .get(key)
            .and_then(Value::as_str)
            .and_then(|value| value.strip_prefix('+'))
            .map(|name| name.strip_prefix("guest/").unwrap_or(name));
        if let Some(name) = name.filter(|name| !sets.contains_key(*name)) {
            return Err(Fault::param(key, format!("no such ipset '{name}'")));
        }
    }
    Ok(())
}

fn first_address(list: &str) -> Option<IpAddr> {
    list.split(',').next()?.split(['/', '-']).next()?.parse().ok()
}

/// An action: a verdict or the name of a group.
fn check_action(value: &str) -> Result<(), String> {
    let group = value.chars().next().is_some_and(|c| c.is_ascii_lowercase());
    let verdict = matches!(value, "ACCEPT" | "DROP" | "REJECT");
    if verdict || group {
        Ok(())
    } else {
        Err(format!("unknown action '{value}'"))
    }
}

/// A list of addresses, a set or an alias.
pub fn check_addresses(value: &str) -> Result<(), String> {
    for part in value.split(',') {
        let numeric =
            part.chars().all(|c| c.is_ascii_hexdigit() || "./:-".contains(c)) && part.contains(['.', ':']);
        let address = part.split(['/', '-']).next().unwrap_or(part);
        if numeric && address.parse::<IpAddr>().is_err() {
            let bad = address
                .split('.')
                .find(|quad| quad.parse::<u8>().is_err())
                .unwrap_or(address);
            let text = format!("invalid IP address: Invalid quad in IP address {address} - {bad}");
            return Err(format!("{text}\n"));
        }
    }
    Ok(())
}

/// A protocol by name or number.
pub fn check_proto(value: &str) -> Result<(), String> {
    let known = PROTOCOLS.contains(&value) || value.parse::<u8>().is_ok();
    if known {
        Ok(())
    } else {
        Err(format!("unknown protocol '{value}'\n"))
    }
}

/// A list of ports and ranges.
pub fn check_ports(value: &str) -> Result<(), String> {
    let port = |text: &str| text.parse::<u16>().is_ok() || text.chars().all(|c| c.is_ascii_lowercase());
    match value
        .split([',', ':'])
        .find(|part| part.is_empty() || !port(part))
    {
        Some(bad) => Err(format!("invalid port '{bad}'\n")),
        None => Ok(()),
    }
}

/// A card of the guest, whether it has it or not.
fn check_iface(value: &str) -> Result<(), String> {
    let number = value.strip_prefix("net").filter(|number| !number.is_empty());
    let good = number.is_some_and(|number| number.chars().all(|c| c.is_ascii_digit()));
    if good {
        Ok(())
    } else {
        Err("value does not match the regex pattern 'net\\d+'".to_owned())
    }
}

/// A known macro.
fn check_macro(value: &str) -> Result<(), String> {
    if macros().any(|(name, _)| name == value) {
        Ok(())
    } else {
        Err(format!("unknown macro '{value}'"))
    }
}
