//! Objects for the tests of this crate.

use crds::slot::SlotPhase;
use crds::{Gateway, Slot};
use domain::ids::Uid;
use serde_json::json;

use crate::routes::{Claim, Route, Routes};
use crate::site::Site;

pub fn gateway() -> Gateway {
    serde_json::from_value(json!({
        "apiVersion": "decent-cloud.org/v1alpha1", "kind": "Gateway",
        "metadata": { "name": "ams1", "namespace": "p", "uid": uid(1).to_string(), "generation": 3 },
        "spec": {
            "dcId": "ams1", "prefix": "gw", "domain": "example.org",
            "publicIPs": ["203.0.113.7"],
            "network": { "cidr": "10.64.0.0/16", "gateway": "10.64.0.1", "nameservers": ["9.9.9.9"] },
            "tls": { "acme": { "directory": "https://ca.example/dir", "email": "ops@example.org" } },
        },
    }))
    .unwrap()
}

pub fn site() -> Site {
    Site::of(&gateway()).unwrap()
}

pub fn uid(n: u128) -> Uid {
    Uid::from_bytes(n.to_be_bytes())
}

pub fn slot(index: u32, n: u128, phase: SlotPhase) -> Slot {
    let release = json!({ "cause": "Teardown", "at": "2026-01-01T00:00:00Z", "by": "operator" });
    let status = match phase {
        SlotPhase::Claimed => json!({ "phase": "Claimed" }),
        other => json!({ "phase": format!("{other:?}"), "release": release }),
    };
    serde_json::from_value(json!({
        "apiVersion": "decent-cloud.org/v1alpha1", "kind": "Slot",
        "metadata": { "name": format!("ams1-{index}"), "namespace": "p", "uid": uid(n).to_string() },
        "spec": {
            "gateway": "ams1", "index": index, "pool": "pool", "vmid": 10_000 + index, "node": "pve1",
            "storage": "local", "templateVmid": 9000, "fullClone": false,
            "address": site().plan().ip(domain::slot::SlotIndex(index)).unwrap().to_string(),
            "machineRef": { "name": "m", "uid": uid(7).to_string() },
            "contractUID": uid(n + 1_000_000).to_string(),
        },
        "status": status,
    }))
    .unwrap()
}

pub fn claim(index: u32, n: u128, phase: SlotPhase) -> Claim {
    Claim::read(&slot(index, n, phase), &site()).unwrap()
}

pub fn route(index: u32, n: u128) -> Route {
    claim(index, n, SlotPhase::Claimed).route
}

pub fn routes(count: u32) -> Routes {
    (0..count)
        .map(|index| route(index, u128::from(index) + 100))
        .collect()
}
