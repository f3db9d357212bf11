//! What is to be taken: every sample, and every rule at its edge.

use anyhow::Result;
use serde_json::{Value, json};
use testkit::with_namespace;

use crate::rules::{named, parse};
use crate::support::samples::{self, KINDS, PEM};
use crate::support::{Case, check, rows, sample};

/// Kind and change of the full sample's spec.
const ROWS: &str = r#"
Account  | {"limits": {"contracts": 0}}
Account  | {"limits": {"contracts": 10000}}
Contract | {"durationHours": 1}
Contract | {"durationHours": 87600}
Gateway  | {"ports": {"first": 1024, "last": 65535}}
Gateway  | {"network": {"cidr": "10.64.0.0/16", "gateway": "10.64.0.9"}}
Gateway  | {"network": {"cidr": "10.64.0.0/16", "gateway": "10.64.0.11"}}
Gateway  | {"network": {"cidr": "10.64.0.0/16", "gateway": "10.64.255.254"}}
Gateway  | {"network": {"cidr": "10.64.0.16/28", "gateway": "10.64.0.17"}}
Gateway  | {"network": {"cidr": "10.0.0.0/8", "gateway": "10.0.255.255"}}
Offering | {"resources": {"cpu": 1, "memory": "16Mi", "disk": "1Gi"}}
Offering | {"resources": {"cpu": 512, "memory": "16384Ki", "disk": "1073741824k"}}
Offering | {"hours": {"min": 1, "max": 1}}
Offering | {"hours": {"min": 87600, "max": 87600}}
Offering | {"price": {"setupFee": "0"}}
Pool     | {"vlan": 1, "vmidBase": 100, "reserve": {"cpu": 0}}
Pool     | {"vlan": 4094, "vmidBase": 999900000, "reserve": {"cpu": 1024}}
Pool     | {"templates": [{"name": "a", "vmids": [{"node": "a", "vmid": 100}, {"node": "b", "vmid": 999999999}]}]}
Pool     | {"limits": {"clonesPerNode": 1}}
Pool     | {"limits": {"clonesPerNode": 16}}
Provider | {"autoAccept": {"rules": [{"offering": "a", "minHours": 1, "maxHours": 1}]}}
Provider | {"autoAccept": {"rules": [{"offering": "a", "minHours": 87600, "maxHours": 87600}]}}
"#;

fn slot(gateway: &str, index: i32, vmid: i32) -> Value {
    let change = json!({ "gateway": gateway, "index": index, "vmid": vmid, "templateVmid": vmid });
    let mut slot = sample("Slot", &change);
    slot["metadata"]["name"] = json!(format!("{gateway}-{index}"));
    slot
}

/// Every manifest that is to be taken.
pub fn good() -> Vec<Value> {
    let label = "a".repeat(63);
    let long = json!({ "dcId": label, "prefix": label, "domain": format!("{label}.{}", "a".repeat(54)) });
    let samples = KINDS
        .iter()
        .flat_map(|kind| [samples::full(kind), samples::minimal(kind)]);
    let edges = rows(ROWS).map(|[kind, change]| sample(kind, &parse(change)));
    let made = [
        sample("Gateway", &long),
        named("Gateway", &json!("a".repeat(40))),
        sample(
            "Pool",
            &json!({ "proxmox": { "fingerprint": null, "caBundle": PEM } }),
        ),
        slot("ams-1", 0, 100),
        slot("ams1", 99999, 999_999_999),
    ];
    samples.chain(edges).chain(made).collect()
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn each_rule_takes_its_edges() -> Result<()> {
    with_namespace(|ns| async move { check(&ns, good().into_iter().map(Case::accepted).collect()).await })
        .await
}
