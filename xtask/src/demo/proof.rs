//! Whether the machine is what was asked, by the simulator's own truth and not by what the operator says. The
//! expectations are computed here from the specs alone: an oracle must not share the operator's mistakes.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail};
use crds::{Contract, Gateway, Machine, Offering, Pool, Slot};
use kube::{Api, ResourceExt};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::follow::{Rented, World};
use super::lines::{Told, holds};
use super::site::Site;

const CONDITIONS: [&str; 4] = ["Accepted", "Paid", "Scheduled", "Provisioned"];
/// A machine's host number in its network is its index and this.
const FIRST_HOST: u32 = 10;

/// A guest, as far as it counts.
#[derive(Clone, Debug, Deserialize)]
struct Vm {
    vmid: i32,
    node: String,
    status: String,
    pool: Option<String>,
    config: Map<String, Value>,
}

/// Everything that says what the VM must be.
struct Asked<'a> {
    contract: &'a Contract,
    offering: &'a Offering,
    machine: &'a Machine,
    slot: &'a Slot,
    pool: &'a Pool,
    gateway: &'a Gateway,
    hub_uid: &'a str,
}

/// In what the machines differ from what was asked; nothing, if all is well.
///
/// # Errors
/// When the simulator or the API server can't be asked, or an object is missing.
pub async fn check(site: &Site, world: &World, rented: &[Rented]) -> Result<Vec<String>> {
    let vms = truth(&site.sim.control_url).await?;
    let mut found = Vec::new();
    for Rented { key, .. } in rented {
        let contract = world.contracts.get(key).context("the Contract is gone")?;
        let slot = world
            .slot(contract)
            .context("the Contract's Machine holds no Slot")?;
        let namespace = slot.namespace().unwrap_or_default();
        let gateway = Api::<Gateway>::namespaced(site.client.clone(), &namespace)
            .get(slot.spec.gateway.as_str())
            .await
            .context("failed to read the Gateway")?;
        let asked = Asked {
            contract,
            offering: world.offering(contract).context("the Offering is gone")?,
            machine: world.machine(contract).context("the Machine is gone")?,
            slot,
            pool: world.pool(slot).context("the Pool is gone")?,
            gateway: &gateway,
            hub_uid: &site.hub_uid,
        };
        let deviations = asked.deviations(&vms)?;
        found.extend(
            deviations
                .into_iter()
                .map(|says| format!("contract {}: {says}", key.1)),
        );
    }
    Ok(found)
}

async fn truth(control_url: &str) -> Result<Vec<Vm>> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .build()
        .context("failed to build a client")?;
    let answer = http
        .get(format!("{control_url}/vms"))
        .send()
        .await
        .context("failed to ask the simulator")?;
    answer
        .json()
        .await
        .context("failed to decode the simulator's guests")
}

impl Asked<'_> {
    fn deviations(&self, vms: &[Vm]) -> Result<Vec<String>> {
        let conditions = self.contract.conditions();
        let unmet = CONDITIONS.iter().filter(|kind| !holds(conditions, kind));
        let mut found: Vec<String> = unmet
            .map(|kind| format!("condition {kind} is not True"))
            .collect();
        let stamp = self.stamp();
        let ours: Vec<&Vm> = vms
            .iter()
            .filter(|vm| vm.text("description").lines().any(|l| l == stamp))
            .collect();
        match ours.as_slice() {
            [vm] => found.extend(self.compare(vm)?),
            others => found.push(format!("{} VMs carry its stamp instead of one", others.len())),
        }
        Ok(found)
    }

    fn stamp(&self) -> String {
        let uid = |uid: Option<String>| uid.unwrap_or_default();
        let (machine, slot) = (uid(self.machine.uid()), uid(self.slot.uid()));
        format!(
            "decent-cloud.org/v1 hub={} machine={machine} slot={slot}",
            self.hub_uid
        )
    }

    fn compare(&self, vm: &Vm) -> Result<Vec<String>> {
        let resources = &self.offering.spec.resources;
        let keys: Vec<String> = self
            .contract
            .spec
            .ssh_keys
            .iter()
            .map(ToString::to_string)
            .collect();
        let checks = [
            ("status", vm.status.clone(), "running".to_owned()),
            ("VMID", vm.vmid.to_string(), self.slot.spec.vmid.to_string()),
            ("node", vm.node.clone(), self.slot.spec.node.to_string()),
            (
                "pool",
                vm.pool.clone().unwrap_or_default(),
                self.pool.spec.proxmox.pool.to_string(),
            ),
            ("cores", vm.text("cores"), resources.cpu.to_string()),
            (
                "memory in MiB",
                vm.text("memory"),
                mebibytes(resources.memory.as_str())?.to_string(),
            ),
            (
                "disk in MiB",
                vm.disk()?.to_string(),
                mebibytes(resources.disk.as_str())?.to_string(),
            ),
            ("address", vm.text("ipconfig0"), self.address()?),
            ("keys", vm.keys().join("\n"), keys.join("\n")),
            ("user", vm.text("ciuser"), self.offering.spec.user.to_string()),
        ];
        let wrong = checks.into_iter().filter(|(_, is, asked)| is != asked);
        Ok(wrong
            .map(|(what, is, asked)| format!("{what} of VM {} is {is:?}, asked was {asked:?}", vm.vmid))
            .collect())
    }

    /// As Proxmox writes it.
    fn address(&self) -> Result<String> {
        let network = &self.gateway.spec.network;
        let (base, length) = network
            .cidr
            .as_str()
            .split_once('/')
            .context("the Gateway's cidr has no '/'")?;
        let base: Ipv4Addr = base.parse().context("the Gateway's cidr is no network")?;
        let host = u32::try_from(self.slot.spec.index).context("the Slot's index is below 0")? + FIRST_HOST;
        let address = Ipv4Addr::from(u32::from(base) + host);
        Ok(format!("ip={address}/{length},gw={}", network.gateway))
    }
}

impl Vm {
    /// A value of the configuration as text; empty if it is not set.
    fn text(&self, key: &str) -> String {
        match self.config.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }

    /// Size of the disk that it boots from, in MiB.
    fn disk(&self) -> Result<u64> {
        let order = self.text("boot");
        let first = order
            .trim_start_matches("order=")
            .split(';')
            .next()
            .unwrap_or_default()
            .to_owned();
        let disk = self.text(&first);
        let size = disk.split(',').find_map(|part| part.strip_prefix("size="));
        mebibytes(&format!(
            "{}i",
            size.with_context(|| format!("the boot disk {first:?} has no size"))?
        ))
    }

    /// Keys that may log in.
    fn keys(&self) -> Vec<String> {
        let text = percent_decode_str(&self.text("sshkeys"))
            .decode_utf8_lossy()
            .into_owned();
        text.lines().map(str::to_owned).collect()
    }
}

/// A size such as `2Gi`, in MiB.
fn mebibytes(size: &str) -> Result<u64> {
    let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match size.strip_prefix(digits) {
        Some("Mi") => 1,
        Some("Gi") => 1024,
        Some("Ti") => 1024 * 1024,
        _ => bail!("{size:?} is no size in Mi, Gi or Ti"),
    };
    Ok(digits
        .parse::<u64>()
        .with_context(|| format!("{size:?} is no size"))?
        * factor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn vm(config: &Value) -> Vm {
        let vm =
            json!({ "vmid": 10000, "node": "pve1", "status": "running", "pool": "decent", "config": config });
        serde_json::from_value(vm).expect("a guest")
    }

    const UID: &str = "00000000-0000-4000-8000-000000000001";

    fn object<K: serde::de::DeserializeOwned>(kind: &str, spec: &Value, status: &Value) -> K {
        let metadata = json!({ "name": "x", "namespace": "p", "uid": UID });
        let api = "decent-cloud.org/v1alpha1";
        let object =
            json!({ "apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec, "status": status });
        serde_json::from_value(object).expect(kind)
    }

    /// Deviations of a guest from a contract for 2 cores, 2 GiB, 10 GiB, the key `k`, in the slot with index 300.
    fn judged(changes: &Value, provisioned: &str) -> Vec<String> {
        let of = |kind: &str| json!({ "type": kind, "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" });
        let mut conditions: Vec<Value> = CONDITIONS.iter().map(|kind| of(kind)).collect();
        conditions[3]["status"] = json!(provisioned);
        let contract_spec = json!({ "offeringRef": { "namespace": "p", "name": "small" }, "sshKeys": ["k"] });
        let resources = json!({ "cpu": 2, "memory": "2Gi", "disk": "10Gi" });
        let offering = json!({ "price": { "monthly": "1", "currency": "USD" }, "resources": resources, "template": { "name": "t" }, "pools": ["rack1"] });
        let machine = json!({ "contractRef": { "namespace": "t", "name": "web", "uid": UID }, "hubUID": UID, "sshKeys": ["k"],
            "offering": { "name": "small", "resources": resources, "template": { "name": "t" }, "pools": ["rack1"], "user": "root" } });
        let slot = json!({ "gateway": "ams1", "index": 300, "pool": "rack1", "vmid": 10000, "node": "pve1", "storage": "local",
            "templateVmid": 9000, "fullClone": false, "address": "10.64.1.54", "machineRef": { "name": "m", "uid": UID }, "contractUID": UID });
        let proxmox =
            json!({ "endpoints": ["https://a"], "tokenSecretRef": { "name": "s" }, "pool": "decent" });
        let pool = json!({ "proxmox": proxmox, "nodes": [{ "name": "pve1" }], "storage": "local", "templates": [], "bridge": "vmbr1",
            "vmidBase": 9700, "gatewayRef": { "name": "ams1" } });
        let network = json!({ "cidr": "10.64.0.0/16", "gateway": "10.64.0.1", "nameservers": ["10.64.0.1"] });
        let gateway = json!({ "dcId": "ams1", "domain": "example.org", "publicIPs": ["192.0.2.1"], "network": network });
        let mut config = json!({
            "description": format!("a note\ndecent-cloud.org/v1 hub=h machine={UID} slot={UID}"), "cores": "2", "memory": "2048",
            "boot": "order=scsi0", "scsi0": "x,size=10G", "ipconfig0": "ip=10.64.1.54/16,gw=10.64.0.1", "sshkeys": "k%0A",
            "ciuser": "root",
        });
        for (key, value) in changes.as_object().expect("changes") {
            config[key] = value.clone();
        }
        let asked = Asked {
            contract: &object(
                "Contract",
                &contract_spec,
                &json!({ "state": "Provisioning", "conditions": conditions }),
            ),
            offering: &object("Offering", &offering, &json!(null)),
            machine: &object("Machine", &machine, &json!(null)),
            slot: &object("Slot", &slot, &json!(null)),
            pool: &object("Pool", &pool, &json!(null)),
            gateway: &object("Gateway", &gateway, &json!(null)),
            hub_uid: "h",
        };
        asked.deviations(&[vm(&config)]).expect("a judgement")
    }

    #[test]
    fn a_machine_as_asked_has_no_deviation() {
        assert_eq!(judged(&json!({}), "True"), Vec::<String>::new());
    }

    #[test]
    fn each_deviation_is_found_and_named() {
        let cases = [
            ("cores", json!({ "cores": "1" })),
            ("memory", json!({ "memory": "512" })),
            ("disk", json!({ "scsi0": "x,size=2G" })),
            ("address", json!({ "ipconfig0": "ip=10.64.0.10/16,gw=10.64.0.1" })),
            ("keys", json!({ "sshkeys": "other%0A" })),
            ("user", json!({ "ciuser": "debian" })),
            (
                "0 VMs carry its stamp",
                json!({ "description": "decent-cloud.org/v1 hub=h machine=m slot=s" }),
            ),
        ];
        for (what, change) in cases {
            let found = judged(&change, "True");
            assert!(found.len() == 1 && found[0].contains(what), "{what}: {found:?}");
        }
        assert_eq!(judged(&json!({}), "False"), ["condition Provisioned is not True"]);
    }

    #[test]
    fn the_disk_is_the_one_it_boots_from() {
        let config =
            json!({ "boot": "order=scsi0;net0", "scsi0": "local:1/x.qcow2,size=10G", "ide2": "c,size=4M" });
        assert_eq!(vm(&config).disk().expect("a size"), 10 * 1024);
        assert!(vm(&json!({ "boot": "order=scsi0" })).disk().is_err());
    }

    #[test]
    fn keys_are_read_as_proxmox_keeps_them() {
        let config = json!({ "sshkeys": "ssh-ed25519%20AAAA%20a%40b%0Assh-rsa%20BBBB%0A" });
        assert_eq!(vm(&config).keys(), ["ssh-ed25519 AAAA a@b", "ssh-rsa BBBB"]);
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(mebibytes("512Mi").expect("a size"), 512);
        assert_eq!(mebibytes("2Gi").expect("a size"), 2048);
        assert!(mebibytes("2G").is_err());
    }
}
