//! The forms of values that have a name in the schema, and values that are lists of keys. A form that is not here
//! takes everything. The errors are the daemon's texts behind "invalid format - ".

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::check::{MISSING, UNKNOWN};
use super::{Property, TABLE};
use crate::api::{ipset, rules};
use crate::model::values;

/// The elements of a list.
pub fn split_list(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', ';', ' ', '\n', '\0'])
        .filter(|part| !part.is_empty())
}

/// Checks a value of the parameter `name`.
pub fn check(format: &str, name: &str, value: &str) -> Result<(), String> {
    if format == "pve-tag-list" {
        return values::check_tags(value);
    }
    match format.strip_suffix("-list") {
        Some(one) => split_list(value).try_for_each(|part| check_one(one, name, part)),
        None => check_one(format, name, value),
    }
}

fn check_one(format: &str, name: &str, value: &str) -> Result<(), String> {
    match format {
        "pve-vmid" => good(is_vmid(value), || {
            "value does not look like a valid VM ID\n".to_owned()
        }),
        "dns-name" => good(values::is_dns_name(value), || {
            "value does not look like a valid DNS name\n".to_owned()
        }),
        "urlencoded" => values::check_urlencoded(value),
        "pve-qm-ipconfig" => values::check_ipconfig(name, value),
        "pve-qm-cicustom" => values::check_cicustom(value),
        "mac-addr" => good(values::is_unicast_mac(value), || {
            "value does not look like a valid unicast MAC address\n".to_owned()
        }),
        "pve-fw-addr-spec" => rules::check_addresses(value),
        "pve-fw-protocol-spec" => rules::check_proto(value),
        "pve-fw-dport-spec" | "pve-fw-sport-spec" => rules::check_ports(value),
        "IPorCIDRorAlias" => ipset::check_cidr(value),
        "ip" => good(value.parse::<IpAddr>().is_ok(), || {
            "value does not look like a valid IP address\n".to_owned()
        }),
        "ipv4" => good(value.parse::<Ipv4Addr>().is_ok(), || {
            "value does not look like a valid IPv4 address\n".to_owned()
        }),
        "ipv6" => good(value.parse::<Ipv6Addr>().is_ok(), || {
            "value does not look like a valid IPv6 address\n".to_owned()
        }),
        _ => check_name(format, value),
    }
}

/// The forms of names.
fn check_name(format: &str, value: &str) -> Result<(), String> {
    match format {
        "pve-node" => good(is_word(value, "-"), || {
            "value does not look like a valid node name\n".to_owned()
        }),
        "pve-userid" => good(values::is_user_id(value), || {
            format!("value '{value}' does not look like a valid user name\n")
        }),
        "pve-storage-id" => good(is_word(value, "-_."), || {
            format!("storage ID '{value}' contains illegal characters\n")
        }),
        "pve-configid" => good(is_word(value, "-_"), || {
            format!("invalid configuration ID '{value}'\n")
        }),
        "pve-poolid" => good(value.split('/').all(|part| is_word(part, "-_.")), || {
            format!("pool name '{value}' contains invalid characters\n")
        }),
        "pve-roleid" | "pve-groupid" => {
            let kind = if format == "pve-roleid" { "role" } else { "group" };
            good(is_word(value, "-_."), || {
                format!("{kind} name '{value}' contains invalid characters\n")
            })
        }
        "pve-priv" => good(crate::model::privileges::ALL.contains(&value), || {
            format!("invalid privilege '{value}'\n")
        }),
        _ => Ok(()),
    }
}

fn good(good: bool, text: impl FnOnce() -> String) -> Result<(), String> {
    if good { Ok(()) } else { Err(text()) }
}

fn is_vmid(value: &str) -> bool {
    value
        .parse::<u32>()
        .is_ok_and(|vmid| (100..=999_999_999).contains(&vmid))
        && !value.starts_with(['0', '+'])
}

fn is_word(value: &str, more: &str) -> bool {
    !value.is_empty()
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

/// Whether values of this form list keys.
pub fn is_list_of_keys(format: &str) -> bool {
    TABLE.formats.contains_key(format)
}

/// The keys of a value, with aliases resolved; the error lacks the parameter's name in front of its dot.
pub fn parse_keys(format: &str, value: &str) -> Result<BTreeMap<String, String>, String> {
    let none = BTreeMap::new();
    let known = TABLE.formats.get(format).unwrap_or(&none);
    let default = known
        .iter()
        .find(|(_, property)| property.default)
        .map(|(name, _)| *name);
    let mut found = BTreeMap::new();
    for part in value.split(',').filter(|part| !part.trim().is_empty()) {
        let (key, text) = match (part.split_once('='), default) {
            (Some((key, text)), _) if !key.is_empty() => (key, text),
            (None, Some(default)) => (default, part),
            (None, None) => {
                return Err("value without key, but schema does not define a default key\n".to_owned());
            }
            (Some(_), _) => return Err("missing key in comma-separated list property\n".to_owned()),
        };
        let property = known.get(key);
        if let Some(names) = property.and_then(|property| property.names) {
            found.insert(names.to_owned(), key.to_owned());
        }
        let key = property.and_then(|property| property.alias).unwrap_or(key);
        if found.insert(key.to_owned(), text.to_owned()).is_some() {
            return Err(format!("duplicate key in comma-separated list property: {key}\n"));
        }
    }
    Ok(found)
}

/// Checks a value that lists keys.
pub fn check_keys(format: &str, name: &str, value: &str) -> Result<(), String> {
    let found = parse_keys(format, value)?;
    let Some(known) = TABLE.formats.get(format) else {
        return Ok(());
    };
    let mut errors = BTreeMap::new();
    for (key, text) in &found {
        let property = known.get(key.as_str());
        let verdict = property.map_or_else(
            || Err(UNKNOWN.to_owned()),
            |property| property.check_text(key, text),
        );
        errors.extend(verdict.err().map(|text| (key.as_str(), text)));
    }
    for (key, property) in known {
        let wanted = !property.optional && property.alias.is_none();
        if wanted && !found.contains_key(*key) {
            errors.insert(key, MISSING.to_owned());
        }
        check_need(key, property, &found, name, &mut errors);
    }
    if errors.is_empty() {
        return Ok(());
    }
    let lines = errors.iter().map(|(key, text)| format!("{name}.{key}: {text}\n"));
    Err(format!("format error\n{}", lines.collect::<String>()))
}

fn check_need<'a>(
    key: &str,
    property: &'a Property,
    found: &BTreeMap<String, String>,
    name: &str,
    errors: &mut BTreeMap<&'a str, String>,
) {
    if let Some(needed) = property.needs
        && found.contains_key(key)
        && !found.contains_key(needed)
    {
        errors.insert(needed, format!("missing property required by '{name}.{key}'"));
    }
}
