//! The difference between a VM's configuration and its blueprint. Owns which keys are ours; a VM's name is not among
//! them, since people may change it.

use std::collections::{BTreeMap, BTreeSet};

use domain::{quantity::Bytes, stamp};

use super::blueprint::{Blueprint, Card};
use crate::provider::seen::{Guest, description};

/// A change of a VM's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Values to set. `sshkeys` holds the keys as plain lines; the client encodes them.
    pub set: BTreeMap<String, String>,
    /// Keys to delete.
    pub delete: Vec<String>,
}

impl Change {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.delete.is_empty()
    }
}

/// Settings of a template that a clone inherits and that must not reach a tenant's machine.
const INHERITED: &[&str] = &[
    "tags",
    "onboot",
    "searchdomain",
    "cipassword",
    "cicustom",
    "sockets",
    "vcpus",
    "cpulimit",
    "balloon",
    "hookscript",
];

/// What has to change for the VM to be as its blueprint says. `fresh` also clears what it inherited.
#[must_use]
pub fn change(want: &Blueprint, guest: &Guest, fresh: bool) -> Change {
    let mut set = BTreeMap::new();
    for (key, value) in desired(want, guest) {
        if !same(&key, guest.config.get(&key).map(String::as_str), &value) {
            set.insert(key, value);
        }
    }
    let mut delete: BTreeSet<String> = guest
        .config
        .keys()
        .filter(|key| is_second_card(key))
        .cloned()
        .collect();
    if fresh {
        delete.extend(
            INHERITED
                .iter()
                .filter(|key| is_set(guest, key))
                .map(|key| (*key).to_owned()),
        );
    }
    Change {
        set,
        delete: delete.into_iter().collect(),
    }
}

fn desired(want: &Blueprint, guest: &Guest) -> Vec<(String, String)> {
    [
        ("cores", want.cores.to_string()),
        ("memory", want.memory_mib.to_string()),
        ("net0", net0(&want.network)),
        ("ipconfig0", ipconfig0(&want.network)),
        ("nameserver", want.network.nameservers.join(" ")),
        ("ciuser", want.user.clone()),
        ("sshkeys", want.ssh_keys.join("\n")),
        ("description", stamp::stamped(description(guest), &want.stamp)),
        ("protection", "1".to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

fn net0(card: &Card) -> String {
    let vlan = card.vlan.map(|tag| format!(",tag={tag}")).unwrap_or_default();
    format!("virtio={},bridge={},firewall=1{vlan}", card.mac, card.bridge)
}

fn ipconfig0(card: &Card) -> String {
    format!("ip={}/{},gw={}", card.address, card.prefix, card.gateway)
}

/// Proxmox reorders and re-cases some values; these comparisons allow just that.
fn same(key: &str, seen: Option<&str>, wanted: &str) -> bool {
    let Some(seen) = seen else {
        return wanted.is_empty();
    };
    match key {
        "net0" | "ipconfig0" => parts(seen) == parts(wanted),
        "sshkeys" => keys(&percent_decoded(seen)) == keys(wanted),
        "description" => stamp::same_description(seen, wanted),
        _ => seen == wanted,
    }
}

fn parts(text: &str) -> BTreeSet<String> {
    text.split(',')
        .map(|part| part.trim().to_ascii_lowercase())
        .collect()
}

fn keys(text: &str) -> Vec<&str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect()
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = (bytes[i] == b'%').then(|| text.get(i + 1..i + 3)).flatten();
        if let Some(byte) = hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            out.push(byte);
            i += 3;
        } else {
            out.push(bytes[i]);
            i += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn is_second_card(key: &str) -> bool {
    ["net", "ipconfig"].iter().any(|kind| {
        key.strip_prefix(kind)
            .is_some_and(|n| n != "0" && !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    })
}

fn is_set(guest: &Guest, key: &str) -> bool {
    guest
        .config
        .get(key)
        .is_some_and(|value| !value.trim().is_empty())
}

/// The boot disk's key and size.
#[must_use]
pub fn boot_disk(guest: &Guest) -> Option<(String, Bytes)> {
    let ordered = guest
        .config
        .get("boot")
        .and_then(|boot| boot.split("order=").nth(1));
    let named = ordered.into_iter().flat_map(|order| order.split([';', ',']));
    let usual = ["scsi0", "virtio0", "sata0", "ide0"];
    named.chain(usual).find_map(|key| {
        let value = guest.config.get(key).filter(|v| !v.contains("media=cdrom"))?;
        let size = value.split(',').find_map(|part| part.strip_prefix("size="))?;
        Some((key.to_owned(), disk_size(size)?))
    })
}

/// Proxmox writes sizes with binary units of one letter.
fn disk_size(text: &str) -> Option<Bytes> {
    let (digits, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let suffix = if unit.is_empty() {
        String::new()
    } else {
        format!("{unit}i")
    };
    format!("{digits}{suffix}").parse().ok()
}
