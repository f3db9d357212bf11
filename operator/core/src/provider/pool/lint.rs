//! Templates are checked before machines are made of them, and never written: each is a template, has a boot disk and a
//! cloud-init drive, and is on the node that is named for it.

use std::collections::{BTreeMap, BTreeSet};

use crds::pool::{CloneMode, PoolSpec, TemplateVmid};

use super::{Bars, Finding};
use crate::{provider::place::Replica, reason::Reason};

/// What was seen of one template on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateSeen {
    /// Its VMID.
    pub vmid: u32,
    /// The node that has it, as far as the token sees; `None` if no node shows it.
    pub node: Option<String>,
    /// No VM of the cluster has that VMID, whatever the token may see.
    pub gone: bool,
    /// Whether the list shows it as a template.
    pub template: bool,
    /// Its configuration, each value as text; `None` if nobody could read it now.
    pub config: Option<BTreeMap<String, String>>,
}

/// What the check gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lint {
    /// What is wrong, each a sentence.
    pub findings: Vec<Finding>,
    /// What can be cloned: by node and the template's name.
    pub replicas: BTreeMap<(String, String), Replica>,
}

/// Checks all templates on the Pool's nodes. A node that is away proves nothing about the templates on it.
#[must_use]
pub fn lint(spec: &PoolSpec, seen: &[TemplateSeen], online: impl Fn(&str) -> bool) -> Lint {
    let mut lint = Lint::default();
    for template in &spec.templates {
        let name = template.name.as_str();
        lint.findings.extend(twice(name, &template.vmids));
        for replica in template
            .vmids
            .iter()
            .filter(|replica| spec.nodes.iter().any(|node| node.name == replica.node))
        {
            let node = replica.node.as_str();
            let vmid = u32::try_from(replica.vmid).unwrap_or_default();
            let Some(found) = seen.iter().find(|found| found.vmid == vmid) else {
                continue;
            };
            match check(spec, name, replica, found) {
                Ok(full_clone) => {
                    lint.replicas
                        .insert((node.to_owned(), name.to_owned()), Replica { vmid, full_clone });
                }
                Err(finding) if online(node) => lint.findings.push(finding),
                Err(_) => {}
            }
        }
    }
    lint
}

fn twice(name: &str, replicas: &[TemplateVmid]) -> Option<Finding> {
    let mut known = BTreeSet::new();
    let again = replicas.iter().find(|replica| !known.insert(replica.vmid))?;
    Some(broken(format!(
        "Template {name} names VMID {} for more than one node, but a VMID exists once in a cluster. \
         Make a template on each node and name its own VMID.",
        again.vmid
    )))
}

fn broken(message: String) -> Finding {
    Finding::new(Reason::TemplateMissing, Bars::All, message)
}

/// Whether clones must be full copies, or what is wrong.
fn check(spec: &PoolSpec, name: &str, replica: &TemplateVmid, seen: &TemplateSeen) -> Result<bool, Finding> {
    let TemplateVmid { node, vmid } = replica;
    let what = format!("Template {name} (VMID {vmid})");
    match seen.node.as_deref() {
        Some(on) if on == node.as_str() => {}
        Some(on) => {
            return Err(broken(format!(
                "{what} is on node {on}, not on {node}. Replicate it or take {node} out of the pool."
            )));
        }
        None => {
            return Err(broken(format!(
                "{what} isn't on node {node}. Replicate it or take {node} out of the pool."
            )));
        }
    }
    if !seen.template {
        return Err(broken(format!(
            "{what} on node {node} is an ordinary VM. Convert it to a template."
        )));
    }
    let Some(config) = &seen.config else {
        return clone_mode(spec, &what, replica, None);
    };
    let Some(disk) = boot_disk(config) else {
        return Err(broken(format!(
            "{what} on node {node} has no boot disk. Attach one and put it first in its boot order."
        )));
    };
    if !config.values().any(|value| is_cloudinit(value)) {
        return Err(broken(format!(
            "{what} on node {node} has no cloud-init drive. Add one: qm set {vmid} --ide2 {}:cloudinit",
            spec.storage
        )));
    }
    clone_mode(
        spec,
        &what,
        replica,
        disk.split_once(':').map(|(storage, _)| storage),
    )
}

fn clone_mode(
    spec: &PoolSpec,
    what: &str,
    replica: &TemplateVmid,
    on: Option<&str>,
) -> Result<bool, Finding> {
    let target = storage(spec, replica.node.as_str());
    let elsewhere = on.filter(|on| *on != target);
    match (spec.clone_mode, elsewhere) {
        (CloneMode::Full, _) => Ok(true),
        (CloneMode::Auto, elsewhere) => Ok(elsewhere.is_some()),
        (CloneMode::Linked, None) => Ok(false),
        (CloneMode::Linked, Some(on)) => Err(broken(format!(
            "{what} has its disk on storage {on}, but linked clones for {target} must come from there. \
             Move the disk or set spec.cloneMode: Auto."
        ))),
    }
}

/// The storage of boot disks on that node.
#[must_use]
pub fn storage<'a>(spec: &'a PoolSpec, node: &str) -> &'a str {
    let own = spec
        .nodes
        .iter()
        .find(|known| known.name.as_str() == node)
        .and_then(|known| known.storage.as_ref());
    own.unwrap_or(&spec.storage).as_str()
}

/// The volume that the template boots from.
fn boot_disk(config: &BTreeMap<String, String>) -> Option<&str> {
    let order = config
        .get("boot")
        .and_then(|boot| boot.split(',').find_map(|part| part.strip_prefix("order=")));
    let mut keys = order.map_or_else(Vec::new, |order| order.split(';').collect());
    if keys.is_empty() {
        keys.extend(config.get("bootdisk").map(String::as_str));
        keys.extend(["scsi0", "virtio0", "sata0", "ide0"]);
    }
    let disk = |key: &str| {
        config
            .get(key)
            .filter(|value| !value.contains("media=cdrom") && value.contains(':'))
    };
    let bus = |key: &str| {
        ["scsi", "virtio", "sata", "ide"]
            .iter()
            .any(|bus| key.starts_with(bus))
    };
    keys.into_iter()
        .filter(|key| bus(key))
        .find_map(disk)
        .map(String::as_str)
}

fn is_cloudinit(value: &str) -> bool {
    let volume = value.split(',').next().unwrap_or_default();
    let name = volume.rsplit(['/', ':']).next().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    value.contains("media=cdrom") && (stem.ends_with("-cloudinit") || stem == "cloudinit")
}
