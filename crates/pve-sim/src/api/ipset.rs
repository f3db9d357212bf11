//! A guest's address sets.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::model::firewall::{Entry, FirewallFile, IpSet, digest, list_with_digest};

use super::call::Call;
use super::firewall::{check_digest, file, take, write};
use super::reply::{Answer, Fault, Reply};

/// GET …/ipset
pub fn list(call: &mut Call<'_>) -> Reply {
    let entries: Vec<Entry> = file(call)
        .ipsets
        .into_iter()
        .map(|(name, set)| head(name, set))
        .collect();
    Answer::of(list_with_digest(&entries))
}

fn head(name: String, set: IpSet) -> Entry {
    let mut entry = Entry::from([("name".to_owned(), Value::from(name))]);
    entry.extend(
        set.comment
            .map(|comment| ("comment".to_owned(), Value::from(comment))),
    );
    entry
}

/// POST …/ipset
pub fn create(call: &mut Call<'_>) -> Reply {
    let mut file = file(call);
    let name = call.params.text("name").unwrap_or_default();
    let folded = name.to_lowercase();
    if file.ipsets.contains_key(name) {
        return Err(Fault::param("name", format!("IPSet '{name}' already exists")));
    }
    if let Some(old) = call.params.filled("rename") {
        let Some(set) = file.ipsets.remove(old) else {
            return Err(missing(old));
        };
        file.ipsets.insert(folded, set);
    } else {
        let comment = call.params.filled("comment").map(str::to_owned);
        // An upper-case name of a set that exists answers well and changes nothing.
        file.ipsets.entry(folded).or_insert_with(|| IpSet {
            comment,
            addresses: BTreeMap::new(),
        });
    }
    write(call, file)?;
    Answer::null()
}

fn missing(name: &str) -> Fault {
    Fault::died(format!("no such IPSet '{name}'"))
}

/// The file and the name of the set, which is in it.
fn find(call: &Call<'_>) -> Result<(FirewallFile, String), Fault> {
    let file = file(call);
    let name = call.segment("name").to_owned();
    if file.ipsets.contains_key(&name) {
        Ok((file, name))
    } else {
        Err(missing(&name))
    }
}

/// DELETE …/ipset/{name}
pub fn delete(call: &mut Call<'_>) -> Reply {
    let (mut file, name) = find(call)?;
    let full = file
        .ipsets
        .get(&name)
        .is_some_and(|set| !set.addresses.is_empty());
    if full && !call.params.flag("force") {
        return Err(Fault::died(format!("IPSet '{name}' is not empty")));
    }
    file.ipsets.remove(&name);
    write(call, file)?;
    Answer::null()
}

/// GET …/ipset/{name}
pub fn addresses(call: &mut Call<'_>) -> Reply {
    let (file, name) = find(call)?;
    let entries: Vec<Entry> = file
        .ipsets
        .get(&name)
        .into_iter()
        .flat_map(|set| set.addresses.values().cloned())
        .collect();
    Answer::of(list_with_digest(&entries))
}

/// POST …/ipset/{name}
pub fn add(call: &mut Call<'_>) -> Reply {
    let (mut file, name) = find(call)?;
    let sent = call.params.text("cidr").unwrap_or_default();
    let cidr = match Cidr::parse(sent) {
        Some(cidr) if cidr.bits == 0 => {
            return Err(Fault::param(
                "cidr",
                "a zero prefix is not allowed in ipset entries",
            ));
        }
        Some(cidr) => cidr.text(),
        None => return Err(Fault::died(format!("no such alias '{sent}'"))),
    };
    let Some(addresses) = file.ipsets.get_mut(&name).map(|set| &mut set.addresses) else {
        return Err(missing(&name));
    };
    if addresses.contains_key(&cidr) {
        return Err(Fault::param("cidr", format!("address '{cidr}' already exists")));
    }
    let mut entry = Entry::from([("cidr".to_owned(), Value::from(cidr.as_str()))]);
    take(&mut entry, call.params, &["comment", "nomatch"]);
    addresses.insert(cidr, entry);
    write(call, file)?;
    Answer::null()
}

/// The key of the path's address in the set.
fn key(call: &Call<'_>) -> String {
    let sent = call.segment("cidr");
    Cidr::parse(sent).map_or_else(|| sent.to_owned(), |cidr| cidr.text())
}

/// GET …/ipset/{name}/{cidr}
pub fn address(call: &mut Call<'_>) -> Reply {
    let (file, name) = find(call)?;
    let set = file.ipsets.get(&name).cloned().unwrap_or_default();
    match set.addresses.get(&key(call)) {
        None => Err(Fault::param("cidr", "no such IP/Network")),
        Some(entry) => {
            let mut shown: Map<String, Value> = entry.clone().into_iter().collect();
            shown.insert("digest".to_owned(), Value::from(digest(entry)));
            Answer::of(shown)
        }
    }
}

/// PUT …/ipset/{name}/{cidr}
pub fn change(call: &mut Call<'_>) -> Reply {
    let (mut file, name) = find(call)?;
    let key = key(call);
    let entry = file
        .ipsets
        .get_mut(&name)
        .and_then(|set| set.addresses.get_mut(&key));
    let Some(entry) = entry else {
        return Err(Fault::param("cidr", "no such IP/Network"));
    };
    check_digest(call.params, &digest(entry))?;
    take(entry, call.params, &["comment", "nomatch"]);
    write(call, file)?;
    Answer::null()
}

/// DELETE …/ipset/{name}/{cidr}; a missing one is fine.
pub fn remove(call: &mut Call<'_>) -> Reply {
    let (mut file, name) = find(call)?;
    let Some(set) = file.ipsets.get_mut(&name) else {
        return Err(missing(&name));
    };
    let listed = crate::model::firewall::digest_all(set.addresses.values());
    check_digest(call.params, &listed)?;
    set.addresses.remove(&key(call));
    write(call, file)?;
    Answer::null()
}

/// An address or network as sets keep it.
struct Cidr {
    address: IpAddr,
    bits: u8,
}

impl Cidr {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text
            .split_once('/')
            .map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits
            .map_or(Some(most), |bits| bits.parse().ok())
            .filter(|bits| *bits <= most)?;
        Some(Self {
            address: masked(address, bits),
            bits,
        })
    }

    fn text(&self) -> String {
        let most = if self.address.is_ipv4() { 32 } else { 128 };
        if self.bits == most {
            self.address.to_string()
        } else {
            format!("{}/{}", self.address, self.bits)
        }
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

/// An address, a network, or the name of an alias.
pub fn check_cidr(value: &str) -> Result<(), String> {
    let alias = value.chars().next().is_some_and(|c| c.is_ascii_alphabetic())
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if alias || Cidr::parse(value).is_some() {
        return Ok(());
    }
    Err("value does not look like a valid IP address or CIDR network\n".to_owned())
}

/// The version of an address or network.
pub fn ip_version(text: &str) -> Option<u8> {
    Cidr::parse(text).map(|cidr| if cidr.address.is_ipv4() { 4 } else { 6 })
}
