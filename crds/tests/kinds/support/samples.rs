//! Manifests that nobody can object to: one with every field, one with the required ones only.

use serde_json::{Value, json};

pub const KINDS: [&str; 8] = [
    "Account", "Contract", "Gateway", "Machine", "Offering", "Pool", "Provider", "Slot",
];
pub const UID: &str = "0a1b2c3d-0000-4000-8000-000000000000";
pub const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHd8TBl3v3YxJm9Zb1lqQ2hXc2pQZ0xkS3ZUbXlSYUVu alice@laptop";
pub const AT: &str = "2026-01-01T00:00:00Z";
pub const PEM: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

/// An object of a kind with this spec.
pub fn object(kind: &str, spec: &Value) -> Value {
    let name = match kind {
        "Slot" => "ams1-0",
        "Provider" => "provider",
        _ => "sample",
    };
    json!({ "apiVersion": "decent-cloud.org/v1alpha1", "kind": kind, "metadata": { "name": name }, "spec": spec })
}

/// Every field set, but for the other half of "exactly one of".
pub fn full(kind: &str) -> Value {
    let spec = match kind {
        "Account" => account(),
        "Contract" => contract(),
        "Gateway" => gateway(),
        "Machine" => machine(),
        "Offering" => offering(),
        "Pool" => pool(),
        "Provider" => provider(),
        _ => slot(),
    };
    object(kind, &spec)
}

/// Only what must be given.
pub fn minimal(kind: &str) -> Value {
    let whole = full(kind)["spec"].clone();
    let keep = |fields: &[&str]| {
        fields
            .iter()
            .map(|f| ((*f).to_owned(), whole[*f].clone()))
            .collect()
    };
    let mut spec = Value::Object(match kind {
        "Account" => keep(&["namespace"]),
        "Contract" => keep(&["offeringRef", "sshKeys"]),
        "Gateway" => keep(&["dcId", "domain", "publicIPs", "network"]),
        "Machine" => keep(&["contractRef", "hubUID", "offering", "sshKeys"]),
        "Offering" => keep(&["price", "resources", "template", "pools"]),
        "Pool" => keep(&[
            "proxmox",
            "nodes",
            "storage",
            "templates",
            "bridge",
            "vmidBase",
            "gatewayRef",
        ]),
        "Provider" => keep(&[]),
        _ => return full(kind),
    });
    match kind {
        "Machine" => drop(
            spec["offering"]
                .as_object_mut()
                .expect("object")
                .remove("selfRental"),
        ),
        "Offering" => spec["price"] = json!({ "monthly": "12.50", "currency": "USD" }),
        "Pool" => spec["nodes"] = json!([{ "name": "pve1" }]),
        _ => {}
    }
    object(kind, &spec)
}

fn account() -> Value {
    json!({
        "publicKeys": [
            { "key": "0a".repeat(32), "label": "laptop", "addedAt": AT },
            { "key": "0b".repeat(32), "label": "phone", "addedAt": AT },
        ],
        "namespace": "tenant-alice",
        "username": "Alice@example.org",
        "contact": "alice@example.org",
        "limits": { "contracts": 3 },
        "provider": { "namespace": "acme" },
    })
}

fn contract() -> Value {
    json!({
        "offeringRef": { "namespace": "acme", "name": "small" },
        "sshKeys": [KEY, KEY],
        "durationHours": 24,
        "extendHours": [1, 87600],
        "payment": { "method": "Test" },
        "powerState": "Stopped",
        "operatingSystem": "Debian 13",
        "memo": "for the tests\nof June",
        "cancel": { "reason": "no longer needed" },
    })
}

fn gateway() -> Value {
    json!({
        "dcId": "ams1",
        "prefix": "gw",
        "domain": "example.org",
        "publicIPs": ["192.0.2.10", "192.0.2.11"],
        "ports": { "first": 20000, "last": 20009 },
        "network": { "cidr": "10.64.0.0/16", "gateway": "10.64.0.1", "nameservers": ["192.0.2.53", "192.0.2.54"] },
        "dns": { "cloudflare": { "zoneId": "023e105f4ecef8ad9ca31a8372d0c353", "tokenSecretRef": { "name": "zone" } } },
        "tls": { "acme": { "directory": "https://acme.example.org/dir", "email": "ops@example.org", "caBundle": PEM } },
    })
}

fn machine() -> Value {
    json!({
        "contractRef": { "namespace": "tenant-alice", "name": "web", "uid": UID },
        "hubUID": UID,
        "offering": {
            "name": "small",
            "resources": { "cpu": 2, "memory": "2Gi", "disk": "10Gi" },
            "template": { "name": "debian-13" },
            "pools": ["rack1", "rack2"],
            "user": "root",
            "selfRental": true,
        },
        "sshKeys": [KEY, KEY],
        "powerState": "Stopped",
        "admitted": true,
        "provisionBy": AT,
        "teardown": { "cause": "Cancelled", "at": AT, "by": "tenant-alice/web" },
    })
}

fn offering() -> Value {
    json!({
        "displayName": "Small",
        "description": "One line.\nAnother.",
        "visibility": "Shared",
        "allow": ["bob", "0a".repeat(32)],
        "stock": "OutOfStock",
        "draft": true,
        "price": { "monthly": "12.50", "currency": "USD", "setupFee": "0.00" },
        "resources": { "cpu": 2, "memory": "2Gi", "disk": "10Gi" },
        "template": { "name": "debian-13" },
        "pools": ["rack1", "rack2"],
        "hours": { "min": 1, "max": 720 },
        "user": "debian",
        "features": ["ssd", "ipv4"],
    })
}

fn pool() -> Value {
    json!({
        "proxmox": {
            "endpoints": ["https://pve1.example.org:8006", "https://192.0.2.2/"],
            "tokenSecretRef": { "name": "proxmox" },
            "fingerprint": (["A1"; 32].join(":")),
            "pool": "decent",
        },
        "nodes": [{ "name": "pve1" }, { "name": "pve2", "cordoned": true, "storage": "local-lvm" }],
        "storage": "fast",
        "cloneMode": "Linked",
        "templates": [{
            "name": "debian-13",
            "vmids": [{ "node": "pve1", "vmid": 9000 }, { "node": "pve2", "vmid": 9001 }],
            "digest": format!("sha256:{}", "0a".repeat(32)),
        }],
        "bridge": "vmbr1",
        "vlan": 12,
        "vmidBase": 10000,
        "gatewayRef": { "name": "ams1" },
        "networkIsolation": "External",
        "reserve": { "cpu": 1, "memory": "4Gi", "disk": "0" },
        "overcommit": { "cpu": "1.5" },
        "limits": { "clonesPerNode": 4 },
    })
}

fn provider() -> Value {
    json!({
        "displayName": "Acme",
        "location": "ams",
        "operator": "Own",
        "autoAccept": {
            "enabled": false,
            "rules": [
                { "offering": "large", "minHours": 2, "maxHours": 2 },
                { "offering": "small", "minHours": 1, "maxHours": 24 },
            ],
        },
        "contact": "ops@example.org",
        "paused": true,
    })
}

fn slot() -> Value {
    json!({
        "gateway": "ams1",
        "index": 0,
        "pool": "rack1",
        "vmid": 10000,
        "node": "pve1",
        "storage": "fast",
        "templateVmid": 9000,
        "fullClone": false,
        "address": "10.64.0.10",
        "machineRef": { "name": "m-1", "uid": UID },
        "contractUID": UID,
    })
}
