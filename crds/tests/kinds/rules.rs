//! Rules of one object at its creation: each refuses what is beyond its edge.

use anyhow::Result;
use serde_json::{Value, json};
use testkit::with_namespace;

use crate::support::samples::{self, PEM};
use crate::support::{Case, check, rows, sample};

/// Kind, change of the full sample's spec, field, a part of the sentence.
const ROWS: &str = r#"
Account  | {"namespace": "default"}         | spec.namespace | must not be a namespace of Kubernetes itself
Account  | {"namespace": "kube-system"}     | spec.namespace | must not be a namespace of Kubernetes itself
Account  | {"namespace": "kube-public"}     | spec.namespace | must not be a namespace of Kubernetes itself
Account  | {"namespace": "kube-node-lease"} | spec.namespace | must not be a namespace of Kubernetes itself
Account  | {"limits": {"contracts": -1}}    | spec.limits.contracts | must be 0 to 10000
Account  | {"limits": {"contracts": 10001}} | spec.limits.contracts | must be 0 to 10000
Contract | {"durationHours": 0}     | spec.durationHours  | must be 1 to 87600 hours
Contract | {"durationHours": 87601} | spec.durationHours  | must be 1 to 87600 hours
Contract | {"extendHours": [1, 0]}  | spec.extendHours[1] | greater than or equal to 1
Contract | {"extendHours": [87601]} | spec.extendHours[0] | less than or equal to 87600
Gateway  | {"ports": {"first": 1023, "last": 2000}}   | spec.ports.first | must be 1024 to 65535
Gateway  | {"ports": {"first": 20000, "last": 65536}} | spec.ports.last  | must be 1024 to 65535
Gateway  | {"ports": {"first": 20000, "last": 20008}} | spec.ports       | must hold at least ten ports
Gateway  | {"network": {"cidr": "10.64.0.0/16", "gateway": "10.65.0.0"}}     | spec.network.gateway | gateway must be an address of cidr
Gateway  | {"network": {"cidr": "10.64.0.0/16", "gateway": "10.64.0.0"}}     | spec.network.gateway | not the first, the last or the eleventh
Gateway  | {"network": {"cidr": "10.64.0.0/16", "gateway": "10.64.0.10"}}    | spec.network.gateway | not the first, the last or the eleventh
Gateway  | {"network": {"cidr": "10.64.0.0/16", "gateway": "10.64.255.255"}} | spec.network.gateway | not the first, the last or the eleventh
Gateway  | {"network": {"cidr": "10.64.0.16/28", "gateway": "10.64.0.26"}}   | spec.network.gateway | not the first, the last or the eleventh
Gateway  | {"network": {"cidr": "10.64.0.16/28", "gateway": "10.64.0.31"}}   | spec.network.gateway | not the first, the last or the eleventh
Gateway  | {"network": {"cidr": "10.0.0.0/8", "gateway": "10.255.255.255"}}  | spec.network.gateway | not the first, the last or the eleventh
Gateway  | {"tls": {"acme": {"directory": "http://acme.example.org"}}} | spec.tls.acme.directory | must be an https address
Gateway  | {"tls": {"acme": {"directory": "acme"}}}     | spec.tls.acme.directory | must be an https address
Gateway  | {"tls": {"acme": {"directory": "https://"}}} | spec.tls.acme.directory | must be an https address
Gateway  | {"tls": {"acme": {"email": "nobody"}}}       | spec.tls.acme.email     | must be an e-mail address
Gateway  | {"publicIPs": ["192.0.2.1", "192.0.2.1"]}    | spec.publicIPs[1]       | Duplicate value
Offering | {"resources": {"cpu": 0}}               | spec.resources.cpu    | must be 1 to 512 processors
Offering | {"resources": {"cpu": 513}}             | spec.resources.cpu    | must be 1 to 512 processors
Offering | {"resources": {"memory": "15Mi"}}       | spec.resources.memory | must be at least 16Mi and whole MiB
Offering | {"resources": {"memory": "1G"}}         | spec.resources.memory | must be at least 16Mi and whole MiB
Offering | {"resources": {"memory": "1048577Ki"}}  | spec.resources.memory | must be at least 16Mi and whole MiB
Offering | {"resources": {"memory": "1073741825"}} | spec.resources.memory | must be at least 16Mi and whole MiB
Offering | {"resources": {"disk": "1500Mi"}}       | spec.resources.disk   | must be whole GiB
Offering | {"resources": {"disk": "10G"}}          | spec.resources.disk   | must be whole GiB
Offering | {"hours": {"min": 10, "max": 9}}        | spec.hours            | min must not be above max
Offering | {"hours": {"min": 0, "max": 1}}         | spec.hours.min        | must be 1 to 87600 hours
Offering | {"hours": {"min": 1, "max": 87601}}     | spec.hours.max        | must be 1 to 87600 hours
Offering | {"price": {"setupFee": "5"}}            | spec.price.setupFee   | must be 0: a setup fee is not billed yet
Offering | {"price": {"setupFee": "0.000000001"}}  | spec.price.setupFee   | must be 0: a setup fee is not billed yet
Offering | {"pools": ["a", "a"]}                   | spec.pools[1]         | Duplicate value
Offering | {"allow": ["a", "a"]}                   | spec.allow[1]         | Duplicate value
Pool     | {"proxmox": {"fingerprint": null}}         | spec.proxmox  | exactly one of caBundle and fingerprint must be set
Pool     | {"nodes": [{"name": "a"}, {"name": "a"}]}  | spec.nodes[1] | Duplicate value
Pool     | {"templates": [{"name": "a", "vmids": [{"node": "a", "vmid": 100}]}, {"name": "a", "vmids": [{"node": "a", "vmid": 100}]}]} | spec.templates[1] | Duplicate value
Pool     | {"templates": [{"name": "a", "vmids": [{"node": "a", "vmid": 100}, {"node": "a", "vmid": 101}]}]} | spec.templates[0].vmids[1] | Duplicate value
Pool     | {"templates": [{"name": "a", "vmids": [{"node": "a", "vmid": 99}]}]}         | spec.templates[0].vmids[0].vmid | must be 100 to 999999999
Pool     | {"templates": [{"name": "a", "vmids": [{"node": "a", "vmid": 1000000000}]}]} | spec.templates[0].vmids[0].vmid | must be 100 to 999999999
Pool     | {"vlan": 0}                      | spec.vlan                 | must be 1 to 4094
Pool     | {"vlan": 4095}                   | spec.vlan                 | must be 1 to 4094
Pool     | {"vmidBase": 99}                 | spec.vmidBase             | must be 100 to 999900000
Pool     | {"vmidBase": 999900001}          | spec.vmidBase             | must be 100 to 999900000
Pool     | {"reserve": {"cpu": -1}}         | spec.reserve.cpu          | must be 0 to 1024 processors
Pool     | {"reserve": {"cpu": 1025}}       | spec.reserve.cpu          | must be 0 to 1024 processors
Pool     | {"limits": {"clonesPerNode": 0}}  | spec.limits.clonesPerNode | must be 1 to 16
Pool     | {"limits": {"clonesPerNode": 17}} | spec.limits.clonesPerNode | must be 1 to 16
Provider | {"autoAccept": {"rules": [{"offering": "a", "minHours": 2, "maxHours": 1}]}}     | spec.autoAccept.rules[0]          | minHours must not be above maxHours
Provider | {"autoAccept": {"rules": [{"offering": "a", "minHours": 0, "maxHours": 1}]}}     | spec.autoAccept.rules[0].minHours | must be 1 to 87600 hours
Provider | {"autoAccept": {"rules": [{"offering": "a", "minHours": 1, "maxHours": 87601}]}} | spec.autoAccept.rules[0].maxHours | must be 1 to 87600 hours
Provider | {"autoAccept": {"rules": [{"offering": "a"}, {"offering": "a"}]}}                | spec.autoAccept.rules[1]          | Duplicate value
Slot     | {"index": -1}                | spec.index        | must be 0 to 99999
Slot     | {"index": 100000}            | spec.index        | must be 0 to 99999
Slot     | {"vmid": 99}                 | spec.vmid         | must be 100 to 999999999
Slot     | {"vmid": 1000000000}         | spec.vmid         | must be 100 to 999999999
Slot     | {"templateVmid": 99}         | spec.templateVmid | must be 100 to 999999999
Slot     | {"templateVmid": 1000000000} | spec.templateVmid | must be 100 to 999999999
Machine  | {"offering": {"resources": {"cpu": 0}}}        | spec.offering.resources.cpu    | must be 1 to 512 processors
Machine  | {"offering": {"resources": {"memory": "8Mi"}}} | spec.offering.resources.memory | must be at least 16Mi and whole MiB
Machine  | {"offering": {"resources": {"disk": "1Mi"}}}   | spec.offering.resources.disk   | must be whole GiB
"#;

/// Names, refused at `metadata.name`.
const NAMES: &str = r#"
Provider | "second"   | metadata.name | metadata.name must be 'provider'
Gateway  | "ams.1"    | metadata.name | metadata.name must be at most 40 characters without '.'
Gateway  | "a2345678901234567890123456789012345678901" | metadata.name | metadata.name must be at most 40 characters without '.'
Slot     | "ams1-00"  | metadata.name | metadata.name must be <gateway>-<index>
Slot     | "ams1-1"   | metadata.name | metadata.name must be <gateway>-<index>
Slot     | "ams1"     | metadata.name | metadata.name must be <gateway>-<index>
Slot     | "fra1-0"   | metadata.name | metadata.name must be <gateway>-<index>
Slot     | "ams1-0-0" | metadata.name | metadata.name must be <gateway>-<index>
"#;

/// The full sample under another name.
pub fn named(kind: &str, name: &Value) -> Value {
    let mut object = samples::full(kind);
    object["metadata"]["name"] = name.clone();
    object
}

/// Every refusal at creation that is not generated.
pub fn bad() -> Vec<Case> {
    let label = "a".repeat(63);
    let long = json!({ "dcId": label, "prefix": label, "domain": format!("{label}.{}", "a".repeat(55)) });
    let both = json!({ "proxmox": { "caBundle": PEM } });
    let by_spec =
        rows(ROWS).map(|[kind, change, path, says]| Case::refused(sample(kind, &parse(change)), path, says));
    let by_name =
        rows(NAMES).map(|[kind, name, path, says]| Case::refused(named(kind, &parse(name)), path, says));
    let made = [
        Case::refused(
            sample("Gateway", &long),
            "spec",
            "together must be at most 244 characters",
        ),
        Case::refused(
            sample("Pool", &both),
            "spec.proxmox",
            "exactly one of caBundle and fingerprint must be set",
        ),
    ];
    by_spec.chain(by_name).chain(made).collect()
}

/// The JSON of a row.
pub fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn each_rule_refuses_what_is_beyond() -> Result<()> {
    with_namespace(|ns| async move { check(&ns, bad()).await }).await
}
