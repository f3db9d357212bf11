//! The preflight's reads: rights, quorum, firewall, storages, templates. Reads only; what could not be read stays unknown,
//! and a slow node delays nothing but its own part.

use std::{collections::BTreeSet, time::Duration};

use crds::PoolSpec;
use dc_proxmox::{Error, Permissions, Pve, StorageStatus};
use domain::{
    ids::{NodeName, StorageName, Vmid},
    pve::Class,
};
use futures::future::join_all;
use operator_core::provider::pool::{
    Answered, NodeSeen, StorageSeen, StorageState,
    lint::{TemplateSeen, storage},
};

use super::{
    connect::Connected,
    inventory::{Inventory, permitted},
};

/// How long what one node says is waited for.
const NODE_DEADLINE: Duration = Duration::from_secs(5);

/// Reads all that the verdict needs; `inventory` was read just now.
///
/// # Errors
/// No usable answer from the cluster as a whole.
pub async fn probe(spec: &PoolSpec, to: &Connected, inventory: &Inventory) -> Result<Answered, Error> {
    let pve = &to.pve;
    let (version, permissions, firewall) =
        tokio::join!(pve.version(), pve.permissions(), pve.firewall_enabled());
    let (version, Permissions(permissions), firewall) =
        (version?.version, permissions?, permitted(firewall)?);
    let (storages, templates) = tokio::join!(storages(spec, pve, inventory), templates(spec, pve, inventory));
    let nodes = inventory.resources.nodes.iter().map(|row| {
        let sized = row.maxcpu.is_some() && row.maxmem.is_some();
        (
            row.node.clone(),
            NodeSeen {
                online: inventory.online(&row.node),
                sized,
            },
        )
    });
    Ok(Answered {
        token: to.token.id().to_owned(),
        version,
        permissions,
        quorate: inventory.cluster.as_ref().map(|cluster| cluster.quorate),
        firewall,
        nodes: nodes.collect(),
        storages,
        templates,
    })
}

async fn storages(spec: &PoolSpec, pve: &Pve, inventory: &Inventory) -> Vec<StorageSeen> {
    let looks = spec.nodes.iter().map(|node| async {
        let name = storage(spec, node.name.as_str());
        let state = match (
            node.name.as_str().parse::<NodeName>(),
            name.parse::<StorageName>(),
        ) {
            (Ok(node), Ok(name)) if inventory.online(node.as_str()) => one_storage(pve, &node, &name).await,
            _ => StorageState::Unknown,
        };
        StorageSeen {
            node: node.name.to_string(),
            name: name.to_owned(),
            state,
        }
    });
    join_all(looks).await
}

async fn one_storage(pve: &Pve, node: &NodeName, name: &StorageName) -> StorageState {
    match tokio::time::timeout(NODE_DEADLINE, pve.storage_status(node, name)).await {
        Ok(Ok(status)) => judged(&status),
        Ok(Err(error)) if is_missing(&error) => StorageState::Missing,
        Ok(Err(_)) | Err(_) => StorageState::Unknown,
    }
}

fn judged(status: &StorageStatus) -> StorageState {
    if !status.enabled || !status.active {
        StorageState::Inactive
    } else if status.content.iter().any(|kind| kind == "images") {
        StorageState::Usable
    } else {
        StorageState::NoImages
    }
}

/// "No such storage." as the error of that parameter, or a sentence that names the storage.
fn is_missing(error: &Error) -> bool {
    let Some(answer) = error.answer() else {
        return false;
    };
    let told = answer
        .errors
        .get("storage")
        .is_some_and(|text| text.contains("No such storage"));
    told || (answer.reason.starts_with("storage '") && answer.reason.contains("does not exist"))
        || error.class() == Class::Gone
}

async fn templates(spec: &PoolSpec, pve: &Pve, inventory: &Inventory) -> Vec<TemplateSeen> {
    let vmids: BTreeSet<u32> = spec
        .templates
        .iter()
        .flat_map(|template| &template.vmids)
        .filter_map(|replica| u32::try_from(replica.vmid).ok())
        .collect();
    join_all(vmids.into_iter().map(|vmid| one_template(pve, inventory, vmid))).await
}

async fn one_template(pve: &Pve, inventory: &Inventory, vmid: u32) -> TemplateSeen {
    let mut seen = TemplateSeen {
        vmid,
        node: None,
        gone: false,
        template: false,
        config: None,
    };
    let Ok(id) = Vmid::try_from(vmid) else { return seen };
    let Some(row) = inventory.vm(id) else {
        // It may be hidden from the token; whether the VMID is free is told to everybody.
        seen.gone = matches!(
            tokio::time::timeout(NODE_DEADLINE, pve.vmid_free(id)).await,
            Ok(Ok(true))
        );
        return seen;
    };
    (seen.node, seen.template) = (Some(row.node.clone()), row.template);
    if inventory.online(&row.node)
        && let Ok(node) = row.node.parse::<NodeName>()
        && let Ok(Ok(config)) = tokio::time::timeout(NODE_DEADLINE, pve.vm_config(&node, id)).await
    {
        // The list may be some seconds behind; the configuration is not.
        seen.template = config.get("template") == Some("1");
        seen.config = Some(config.values);
    }
    seen
}
