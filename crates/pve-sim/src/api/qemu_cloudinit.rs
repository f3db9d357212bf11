//! A guest's cloud-init image: what it is made of, and its files as text.

use std::fmt::Write as _;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use crate::model::config::{VmConfig, shown_value};
use crate::model::image::KEYS;

use super::call::Call;
use super::reply::{Answer, Reply, sync};

/// The domain of the nodes, which guests without one get.
const DOMAIN: &str = "testbed.local";

/// GET …/cloudinit
pub fn get(call: &mut Call<'_>) -> Reply {
    let config = call.vm()?.future();
    let list = KEYS
        .iter()
        .filter_map(|key| Some(json!({"key": key, "value": shown_value(key, config.get(key)?)})));
    Answer::of(list.collect::<Vec<_>>())
}

/// PUT …/cloudinit: writes the image anew, which a start does anyway.
pub fn put(call: &mut Call<'_>) -> Reply {
    let (node, vmid) = (call.node(), call.vmid());
    call.vm()?;
    call.world.check_flock(vmid).map_err(sync)?;
    call.world.vm_mut(&node, vmid).map_err(sync)?.outdated = None;
    Answer::null()
}

/// GET …/cloudinit/dump
pub fn dump(call: &mut Call<'_>) -> Reply {
    let config = call.vm()?.future();
    let name = call.vm()?.name();
    Answer::of(Value::from(match call.params.text("type") {
        Some("user") => user(&config, &name),
        Some("network") => network(&config),
        _ => meta(&config, &name),
    }))
}

fn user(config: &VmConfig, name: &str) -> String {
    let domain = config.get("searchdomain").unwrap_or(DOMAIN);
    let mut text =
        format!("#cloud-config\nhostname: {name}\nmanage_etc_hosts: true\nfqdn: {name}.{domain}\n");
    if let Some(user) = config.get("ciuser") {
        let _ = writeln!(text, "user: {user}");
    }
    if let Some(password) = config.get("cipassword") {
        let _ = writeln!(text, "password: {password}");
    }
    if let Some(keys) = config.get("sshkeys") {
        text.push_str("ssh_authorized_keys:\n");
        let keys = percent_decode_str(keys).decode_utf8_lossy().into_owned();
        for key in keys.lines().filter(|key| !key.trim().is_empty()) {
            let _ = writeln!(text, "  - {key}");
        }
    }
    text.push_str("chpasswd:\n  expire: False\nusers:\n  - default\n");
    if config.get("ciupgrade") != Some("0") {
        text.push_str("package_upgrade: true\n");
    }
    text
}

fn meta(config: &VmConfig, name: &str) -> String {
    let parts = user(config, name) + &network(config);
    format!("instance-id: {}\n", hex::encode(Sha1::digest(parts.as_bytes())))
}

fn network(config: &VmConfig) -> String {
    let mut text = "version: 1\nconfig:\n".to_owned();
    for (index, mac) in config.cards() {
        let _ = write!(
            text,
            "    - type: physical\n      name: eth{index}\n      mac_address: '{mac}'\n      subnets:\n"
        );
        subnets(
            &mut text,
            config.get(&format!("ipconfig{index}")).unwrap_or_default(),
        );
    }
    let domain = config.get("searchdomain").unwrap_or(DOMAIN);
    if let Some(servers) = config.get("nameserver") {
        text.push_str("    - type: nameserver\n      address:\n");
        for server in servers.split([' ', ',', ';']).filter(|server| !server.is_empty()) {
            let _ = writeln!(text, "      - '{server}'");
        }
        let _ = write!(text, "      search:\n      - '{domain}'\n");
    }
    text
}

fn subnets(text: &mut String, ipconfig: &str) {
    let part = |name: &str| {
        let mut parts = ipconfig.split(',').filter_map(|part| part.split_once('='));
        parts.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    match part("ip") {
        Some("dhcp") => text.push_str("      - type: dhcp4\n"),
        Some(cidr) => {
            let (address, bits) = cidr.split_once('/').unwrap_or((cidr, "32"));
            let bits: u32 = bits.parse().unwrap_or(32);
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
            let mask = std::net::Ipv4Addr::from(mask);
            let _ = write!(
                text,
                "      - type: static\n        address: '{address}'\n        netmask: '{mask}'\n"
            );
            if let Some(gateway) = part("gw") {
                let _ = writeln!(text, "        gateway: '{gateway}'");
            }
        }
        None => {}
    }
    match part("ip6") {
        Some("dhcp") => text.push_str("      - type: dhcp6\n"),
        Some("auto") => text.push_str("      - type: ipv6_slaac\n"),
        Some(address) => {
            let _ = write!(text, "      - type: static6\n        address: '{address}'\n");
            if let Some(gateway) = part("gw6") {
                let _ = writeln!(text, "        gateway: '{gateway}'");
            }
        }
        None => {}
    }
}
