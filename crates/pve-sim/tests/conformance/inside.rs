//! What is inside a guest: its cloud-init values, and what its agent says of it.

use std::net::Ipv4Addr;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pve_sim::model::config::VmConfig;
use pve_sim::model::moment::Moment;
use pve_sim::model::vm::Power;
use pve_sim::model::world::World;
use serde_json::Value;

use crate::evidence::Unit;
use crate::pairs::plain;

/// Gives the path's guest what an answer shows of its inside.
pub fn prepare(world: &mut World, unit: &Unit<'_>) {
    let pair = unit.asked;
    let Some(vm) = pair.vmid().and_then(|vmid| world.vms.get_mut(&vmid)) else {
        return;
    };
    if pair.status() != 200 {
        return;
    }
    let path = pair.template();
    if path.contains("/agent/") {
        // Its system came up long ago.
        vm.power = Power::Running {
            since: Moment::default(),
            pid: 4242,
        };
        of_agent(&mut vm.config, &pair.data()["result"]);
    }
    if path.ends_with("/cloudinit") {
        of_list(&mut vm.config, pair.data());
    }
    if path.ends_with("/cloudinit/dump") {
        of_dump(&mut vm.config, pair.data().as_str().unwrap_or_default());
    }
}

/// A name, or cards with their addresses.
fn of_agent(config: &mut VmConfig, result: &Value) {
    if let Some(name) = result["host-name"].as_str() {
        config.set("name", name);
    }
    let cards = result.as_array().into_iter().flatten();
    for card in cards.filter(|card| card["name"] != "lo") {
        let index = card["name"]
            .as_str()
            .unwrap_or_default()
            .trim_start_matches("eth");
        let mac = card["hardware-address"].as_str().unwrap_or_default();
        config.set(
            &format!("net{index}"),
            format!("virtio={},bridge=vmbr0", mac.to_uppercase()),
        );
        let all = card["ip-addresses"].as_array().into_iter().flatten();
        for address in all.filter(|address| address["ip-address-type"] == "ipv4") {
            let ip = address["ip-address"].as_str().unwrap_or_default();
            config.set(
                &format!("ipconfig{index}"),
                format!("ip={ip}/{}", address["prefix"]),
            );
        }
    }
}

fn of_list(config: &mut VmConfig, list: &Value) {
    for item in list.as_array().into_iter().flatten() {
        config.set(item["key"].as_str().unwrap_or_default(), plain(&item["value"]));
    }
}

/// The values of which the text of an image was made.
fn of_dump(config: &mut VmConfig, text: &str) {
    let value = |key: &str| {
        let mut lines = text.lines().map(str::trim_start);
        let found = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        found.map(|value| value.trim_matches('\'').to_owned())
    };
    for (shown, key) in [
        ("hostname", "name"),
        ("user", "ciuser"),
        ("password", "cipassword"),
    ] {
        if let Some(value) = value(shown) {
            config.set(key, value);
        }
    }
    let domain = value("fqdn").and_then(|name| Some(name.split_once('.')?.1.to_owned()));
    if let Some(domain) = domain.filter(|domain| domain != "testbed.local") {
        config.set("searchdomain", domain);
    }
    if text.starts_with("#cloud-config") && !text.contains("package_upgrade") {
        config.set("ciupgrade", "0");
    }
    let keys: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("  - ssh-"))
        .collect();
    if !keys.is_empty() {
        let keys = format!("ssh-{}\n", keys.join("\nssh-"));
        config.set(
            "sshkeys",
            utf8_percent_encode(&keys, NON_ALPHANUMERIC).to_string(),
        );
    }
    if let Some(mac) = value("mac_address") {
        config.set("net0", format!("virtio={},bridge=vmbr0", mac.to_uppercase()));
    }
    if let (Some(address), Some(mask)) = (value("address"), value("netmask")) {
        let bits = mask
            .parse::<Ipv4Addr>()
            .map_or(32, |mask| mask.to_bits().count_ones());
        let gateway = value("gateway").map_or_else(String::new, |gateway| format!(",gw={gateway}"));
        config.set("ipconfig0", format!("ip={address}/{bits}{gateway}"));
    }
    // Servers and domains are lists of their own, behind the cards.
    let behind = |key: &str| {
        let after = text.split_once("type: nameserver")?.1.split_once(key)?.1;
        let first = after.lines().nth(1)?.trim_start().strip_prefix("- ")?;
        Some(first.trim_matches('\'').to_owned())
    };
    for (shown, key) in [("address:", "nameserver"), ("search:", "searchdomain")] {
        if let Some(value) = behind(shown) {
            config.set(key, value);
        }
    }
}
