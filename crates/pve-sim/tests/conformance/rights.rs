//! What the caller of a recorded request may do, as far as its answer tells.

use std::collections::BTreeSet;

use pve_sim::model::access::AclEntry;
use pve_sim::model::privileges;
use pve_sim::model::world::World;
use serde_json::Value;

use crate::accounts::{OTHER, SERVICE};
use crate::bed::POOL;
use crate::evidence::Unit;

/// Which rights the caller is given where the answer names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Those of the smallest role of the recording: a good answer must need no more.
    Smallest,
    /// All of them: for what was recorded after the role had been widened.
    Wide,
}

/// The smallest role of the recording, by path.
const SMALLEST: &[(&str, bool, &[&str])] = &[
    (
        "/pool/decent",
        true,
        &[
            "VM.Allocate",
            "VM.Audit",
            "VM.Config.CPU",
            "VM.Config.Memory",
            "VM.Config.Disk",
            "VM.Config.Network",
            "VM.Config.Options",
            "VM.PowerMgmt",
        ],
    ),
    ("/vms/9000", true, &["VM.Clone", "VM.Audit"]),
    ("/vms/9100", true, &["VM.Clone", "VM.Audit"]),
    ("/storage/local", true, &["Datastore.AllocateSpace"]),
    ("/sdn/zones/localnetwork/vmbr0", true, &["SDN.Use"]),
    ("/", false, &["Sys.Audit"]),
];

/// Gives the caller its rights.
pub fn grant(world: &mut World, unit: &Unit<'_>, rights: Rights) {
    let who = match unit.asked.raw["auth_name"].as_str() {
        Some("dc") => SERVICE,
        Some("svc") => OTHER,
        _ => return,
    };
    if is_filtered(&unit.asked.template(), unit) {
        if let Some(storage) = unit.asked.behind("storage") {
            give(
                world,
                who,
                (&format!("/storage/{storage}"), true),
                &["Datastore.AllocateSpace"],
            );
        }
        return derive(world, unit.asked.data(), who);
    }
    let denial = denial(unit);
    match (rights, &denial) {
        (Rights::Smallest, None) => {
            for (path, propagate, privs) in SMALLEST {
                give(world, who, (path, *propagate), privs);
            }
            if let Some(vmid) = unit
                .asked
                .vmid()
                .filter(|vmid| *vmid < 9000 && world.vms.contains_key(vmid))
            {
                world.pools.join(POOL, vmid);
            }
        }
        _ => give(world, who, ("/", true), privileges::ALL),
    }
    if let Some((path, lacking)) = denial {
        let left: Vec<&str> = privileges::ALL
            .iter()
            .copied()
            .filter(|name| !lacking.iter().any(|lack| lack == name))
            .collect();
        world.access.forget(&path);
        let user = who.split('!').next().unwrap_or(who);
        for holder in [user, who] {
            let role = format!("Lacking{path}");
            let left = left.iter().map(|name| (*name).to_owned()).collect();
            world.access.roles.insert(role.clone(), left);
            world.access.grant(AclEntry {
                path: path.clone(),
                who: holder.to_owned(),
                role,
                propagate: true,
            });
        }
    }
}

/// The path and the privileges that a refusal names; a bare one is about the guest to be made.
fn denial(unit: &Unit<'_>) -> Option<(String, Vec<String>)> {
    if unit.asked.status() == 403 && unit.asked.reason() == "Permission check failed" {
        return Some(("/".to_owned(), vec!["VM.Allocate".to_owned()]));
    }
    let path = unit.find(r"Permission check failed \((/[^,)]*), [\w.|]+\)")?;
    let names = unit.find(r"Permission check failed \(/[^,)]*, ([\w.|]+)\)")?;
    Some((path, names.split('|').map(str::to_owned).collect()))
}

/// Gives a role of these privileges to a token and its user.
fn give(world: &mut World, token: &str, (path, propagate): (&str, bool), privs: &[&str]) {
    let role = format!("Role{path}{propagate}");
    let privs: BTreeSet<String> = privs.iter().map(|name| (*name).to_owned()).collect();
    world.access.roles.entry(role.clone()).or_default().extend(privs);
    let user = token.split('!').next().unwrap_or(token);
    for who in [user, token] {
        world.access.grant(AclEntry {
            path: path.to_owned(),
            who: who.to_owned(),
            role: role.clone(),
            propagate,
        });
    }
}

/// Answers that leave out, without a word, what the caller has no right to.
fn is_filtered(template: &str, unit: &Unit<'_>) -> bool {
    let lists = [
        "/cluster/resources",
        "/cluster/tasks",
        "/cluster/options",
        "/nodes",
        "/nodes/{node}/qemu",
        "/nodes/{node}/tasks",
        "/nodes/{node}/storage",
        "/nodes/{node}/network",
        "/nodes/{node}/sdn/zones",
        "/nodes/{node}/storage/{storage}/content",
        "/access/acl",
        "/access/permissions",
        "/access/users",
        "/storage",
        "/pools",
    ];
    let filtered = lists.contains(&template) && !unit.asked.params.contains_key("poolid");
    filtered && unit.asked.method == "GET" && unit.asked.status() == 200
}

/// The rights that explain why a list shows what it shows.
fn derive(world: &mut World, data: &Value, who: &str) {
    if let Value::Object(map) = data {
        if map.contains_key("mac_prefix") {
            give(world, who, ("/", false), &["Sys.Audit"]);
        }
        for (path, privs) in map.iter().filter(|(path, _)| path.starts_with('/')) {
            derive_path(world, who, (path, privs));
        }
    }
    for entry in data.as_array().into_iter().flatten() {
        derive_entry(world, who, entry);
    }
    // The cluster's list of tasks, unlike a node's, shows nothing without this.
    let tasks = data.as_array().into_iter().flatten();
    for task in tasks.filter(|task| task["upid"].is_string() && task["pstart"].is_null()) {
        let path = format!("/nodes/{}", task["node"].as_str().unwrap_or_default());
        give(world, who, (&path, true), &["Sys.Audit"]);
    }
}

/// The privileges that a path is shown with.
fn derive_path(world: &mut World, who: &str, (path, privs): (&str, &Value)) {
    for propagate in [true, false] {
        let all = privs.as_object().into_iter().flatten();
        let held = all.filter(|(_, on)| (**on == 1) == propagate);
        let names: Vec<&str> = held.map(|(name, _)| name.as_str()).collect();
        if !names.is_empty() {
            give(world, who, (path, propagate), &names);
        }
    }
}

/// The rights that explain one entry of a list.
fn derive_entry(world: &mut World, who: &str, entry: &Value) {
    let text = |key: &str| entry[key].as_str().unwrap_or_default();
    let mut grants: Vec<(String, bool, &[&str])> = Vec::new();
    if let Some(vmid) = entry["vmid"].as_u64() {
        grants.push((format!("/vms/{vmid}"), true, &["VM.Audit"]));
    }
    for pool in [text("pool"), text("poolid")]
        .into_iter()
        .filter(|pool| !pool.is_empty())
    {
        grants.push((format!("/pool/{pool}"), false, &["Pool.Audit"]));
    }
    let foreign = !text("upid").is_empty() && !text("upid").contains(&format!(":{who}:"));
    if foreign || (entry["maxcpu"].is_number() && text("type") == "node") {
        grants.push((format!("/nodes/{}", text("node")), true, &["Sys.Audit"]));
    }
    let volume = text("volid").split(':').next().unwrap_or_default();
    for storage in [text("storage"), volume]
        .into_iter()
        .filter(|name| !name.is_empty())
    {
        let privs = &["Datastore.Audit", "Datastore.AllocateSpace"];
        grants.push((format!("/storage/{storage}"), true, privs));
    }
    match text("type") {
        "network" => grants.push(("/sdn/zones/localnetwork".to_owned(), true, &["SDN.Audit"])),
        "bridge" => {
            let path = format!("/sdn/zones/localnetwork/{}", text("iface"));
            grants.push((path, true, &["SDN.Use"]));
        }
        _ => {}
    }
    for (path, propagate, privs) in grants {
        give(world, who, (&path, propagate), privs);
    }
}
