//! The manifests of the measured market: one provider with one Pool, one tenant.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::sim::Facts;

/// Namespace of the provider.
pub const PROVIDER: &str = "provider-acme";
/// Namespace of the tenant.
pub const TENANT: &str = "tenant-bench";
/// Name of the Gateway.
pub const GATEWAY: &str = "ams1";
/// Name of the Pool.
pub const POOL: &str = "rack1";
/// Name of the Offering.
pub const OFFERING: &str = "small";
/// VMID of the first Slot.
pub const VMID_BASE: u32 = 10_000;
/// Size of the disk; the template's is smaller, so each machine grows its own.
pub const DISK: &str = "10Gi";

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKkQWn5ZqzXGdXgq2sPOUbxTgVqIIhFsIvmXWgKq8n9y bench";

fn build(kind: &str, namespace: Option<&str>, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "decent-cloud.org/v1alpha1", "kind": kind,
        "metadata": { "name": name, "namespace": namespace }, "spec": spec,
    })
}

/// Namespace of the operator's Lease.
pub fn system() -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "decent-system" } })
}

/// The provider's and the tenant's account.
pub fn accounts() -> [Value; 2] {
    let acme = json!({ "namespace": "tenant-acme", "provider": { "namespace": PROVIDER } });
    let bench = json!({ "namespace": TENANT, "limits": { "contracts": 10_000 } });
    [
        build("Account", None, "acme", &acme),
        build("Account", None, "bench", &bench),
    ]
}

/// All that the provider writes, in order.
pub fn site(sim: &Facts) -> Vec<Value> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "proxmox", "namespace": PROVIDER },
        "stringData": { "token": sim.token },
    });
    let provider = json!({ "displayName": "Acme", "location": "ams", "autoAccept": { "enabled": true } });
    let gateway = json!({
        "dcId": GATEWAY, "domain": "example.org", "publicIPs": ["192.0.2.10"],
        "network": { "cidr": "10.64.0.0/16", "gateway": "10.64.0.1", "nameservers": ["192.0.2.53"] },
    });
    let nodes: Vec<Value> = sim.templates.keys().map(|node| json!({ "name": node })).collect();
    let vmids: Vec<Value> = sim
        .templates
        .iter()
        .map(|(node, vmid)| json!({ "node": node, "vmid": vmid }))
        .collect();
    let pool = json!({
        "proxmox": {
            "endpoints": [sim.url], "tokenSecretRef": { "name": "proxmox" },
            "caBundle": sim.ca_pem, "pool": sim.pool,
        },
        "nodes": nodes, "storage": "local", "bridge": "vmbr1", "vmidBase": VMID_BASE,
        "templates": [{ "name": "debian-13", "vmids": vmids }], "gatewayRef": { "name": GATEWAY },
    });
    let offering = json!({
        "visibility": "Public", "price": { "monthly": "12.50", "currency": "USD" },
        "resources": { "cpu": 1, "memory": "512Mi", "disk": DISK },
        "template": { "name": "debian-13" }, "pools": [POOL], "hours": { "min": 1, "max": 87_600 },
    });
    let own = |kind, name, spec| build(kind, Some(PROVIDER), name, spec);
    vec![
        secret,
        own("Provider", "provider", &provider),
        own("Gateway", GATEWAY, &gateway),
        own("Pool", POOL, &pool),
        own("Offering", OFFERING, &offering),
    ]
}

/// What a tenant writes to rent one machine.
pub fn contract(name: &str) -> Value {
    let spec = json!({
        "offeringRef": { "namespace": PROVIDER, "name": OFFERING }, "sshKeys": [KEY],
        "durationHours": 720, "payment": { "method": "Test" },
    });
    build("Contract", Some(TENANT), name, &spec)
}

/// The keys as Proxmox takes them: percent-encoded, before the encoding of the form.
pub fn encoded_key() -> String {
    utf8_percent_encode(&format!("{KEY}\n"), NON_ALPHANUMERIC).to_string()
}
