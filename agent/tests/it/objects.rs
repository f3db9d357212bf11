//! Objects as the hub would have them.

use agent_core::routes::Claim;
use agent_core::site::Site;
use crds::slot::SlotPhase;
use crds::{Gateway, Slot};
use domain::slot::SlotIndex;
use serde_json::{Value, json};

pub const FQDN: &str = "t1.gw.example.org";

/// A Gateway whose resolvers are these.
pub fn gateway(resolvers: &[&str], acme: Option<&Value>) -> Gateway {
    let tls = acme.map(|acme| json!({ "acme": acme }));
    serde_json::from_value(json!({
        "apiVersion": "decent-cloud.org/v1alpha1", "kind": "Gateway",
        "metadata": { "name": "t1", "namespace": "p", "uid": uid(1), "generation": 1 },
        "spec": {
            "dcId": "t1", "prefix": "gw", "domain": "example.org",
            "publicIPs": [super::bed::PUBLIC],
            "network": { "cidr": "10.64.0.0/16", "gateway": "10.64.0.1", "nameservers": resolvers },
            "tls": tls,
        },
    }))
    .unwrap()
}

pub fn site() -> Site {
    Site::of(&gateway(&["9.9.9.9"], None)).unwrap()
}

fn uid(n: u32) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}

/// The Slot of an index, the `attempt`th of its name.
pub fn slot(index: u32, attempt: u32, phase: SlotPhase) -> Slot {
    let mut status = json!({ "phase": format!("{phase:?}") });
    if phase != SlotPhase::Claimed {
        status["release"] = json!({ "cause": "Teardown", "at": "2026-01-01T00:00:00Z", "by": "operator" });
    }
    serde_json::from_value(json!({
        "apiVersion": "decent-cloud.org/v1alpha1", "kind": "Slot",
        "metadata": { "name": format!("t1-{index}"), "namespace": "p", "uid": uid(1000 * attempt + index) },
        "spec": {
            "gateway": "t1", "index": index, "pool": "pool", "vmid": 10_000 + index, "node": "pve1",
            "storage": "local", "templateVmid": 9000, "fullClone": false,
            "address": site().plan().ip(SlotIndex(index)).unwrap().to_string(),
            "machineRef": { "name": "m", "uid": uid(7) }, "contractUID": uid(1_000_000 * attempt + index),
        },
        "status": status,
    }))
    .unwrap()
}

pub fn claim(index: u32, attempt: u32, phase: SlotPhase) -> Claim {
    Claim::read(&slot(index, attempt, phase), &site()).unwrap()
}

/// A live one.
pub fn live(index: u32) -> Claim {
    claim(index, 1, SlotPhase::Claimed)
}

/// The same, released.
pub fn released(index: u32) -> Claim {
    claim(index, 1, SlotPhase::Releasing)
}

/// The public port that leads to this of the ten ports of an index: 0 is SSH.
pub fn port(index: u32, of_ten: u32) -> u16 {
    site().plan().ports(SlotIndex(index)).unwrap()[of_ten as usize].public
}
