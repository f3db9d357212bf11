//! /cluster/resources: current membership, tags and locks, published values, filtered without a word.

use serde_json::{Map, Value, json};

use crate::model::node::Node;
use crate::model::storage::Health;
use crate::model::vm::{Vm, object};
use crate::model::world::World;

use super::call::Call;
use super::reply::{Answer, Reply};

/// GET /cluster/resources
pub fn list(call: &mut Call<'_>) -> Reply {
    let only = call.params.text("type");
    let wanted = |kind: &str| only.is_none_or(|only| only == kind);
    let mut list: Vec<Value> = Vec::new();
    if only.is_none() {
        list.extend(pools(call));
    }
    if wanted("vm") {
        list.extend(guests(call));
    }
    if wanted("node") {
        list.extend(call.world.nodes.values().map(|node| node_entry(call, node)));
    }
    if wanted("storage") {
        list.extend(storages(call));
    }
    if wanted("sdn") {
        list.extend(zones(call));
    }
    Answer::of(list)
}

fn pools(call: &Call<'_>) -> Vec<Value> {
    let visible = call
        .world
        .pools
        .iter()
        .filter(|(name, _)| call.allows(&format!("/pool/{name}"), "Pool.Audit"));
    visible
        .map(|(name, _)| json!({"id": format!("/pool/{name}"), "pool": name, "type": "pool"}))
        .collect()
}

fn guests(call: &Call<'_>) -> Vec<Value> {
    let world = &call.world;
    let mut audits: std::collections::BTreeMap<&str, bool> = std::collections::BTreeMap::new();
    let mut list = Vec::new();
    for vm in world
        .vms
        .values()
        .filter(|vm| call.allows(&format!("/vms/{}", vm.vmid), "VM.Audit"))
    {
        let pool = world.pools.of(vm.vmid);
        let shown = pool.filter(|pool| {
            *audits
                .entry(pool)
                .or_insert_with(|| call.allows(&format!("/pool/{pool}"), "Pool.Audit"))
        });
        list.push(Value::Object(guest(world, vm, shown)));
    }
    list
}

/// A guest's entry: what the statistics daemon last published of its id, over what is known at once.
pub fn guest(world: &World, vm: &Vm, pool: Option<&str>) -> Map<String, Value> {
    let fresh = || Some(Node::publish(vm, world.now));
    let node = world.nodes.get(&vm.node);
    let published = if world.stats_lag.is_zero() && node.is_some_and(|node| node.online) {
        fresh()
    } else {
        node.and_then(|node| node.published.get(&vm.vmid).cloned())
    };
    let mut entry = published.unwrap_or_else(|| object(json!({"status": "unknown"})));
    entry.insert("id".to_owned(), Value::from(format!("qemu/{}", vm.vmid)));
    entry.insert("vmid".to_owned(), Value::from(vm.vmid));
    entry.insert("node".to_owned(), Value::from(vm.node.as_str()));
    entry.insert("type".to_owned(), Value::from("qemu"));
    for key in ["tags", "lock"] {
        if let Some(value) = vm.config.get(key) {
            entry.insert(key.to_owned(), Value::from(value));
        }
    }
    if let Some(pool) = pool {
        entry.insert("pool".to_owned(), Value::from(pool));
    }
    entry
}

fn node_entry(call: &Call<'_>, node: &Node) -> Value {
    let mut entry = super::nodes::entry(call, node);
    entry["cgroup-mode"] = Value::from(2);
    entry
}

fn storages(call: &Call<'_>) -> Vec<Value> {
    let mut list = Vec::new();
    for storage in call.world.storages.values() {
        let path = format!("/storage/{}", storage.name);
        if call
            .need(&path, &["Datastore.Audit", "Datastore.AllocateSpace"])
            .is_err()
        {
            continue;
        }
        for node in call.world.nodes.values().filter(|node| storage.on(&node.name)) {
            let mut entry = json!({
                "id": format!("storage/{}/{}", node.name, storage.name), "type": "storage", "node": node.name,
                "storage": storage.name, "plugintype": "dir", "content": storage.content.join(","),
                "shared": u8::from(storage.shared), "status": "unknown",
            });
            // Of what is not mounted there are no statistics.
            if storage.health != Health::Unmounted {
                entry["status"] = Value::from("available");
                entry["maxdisk"] = Value::from(storage.total);
                entry["disk"] = Value::from(storage.used(&node.name).min(storage.total));
            }
            list.push(entry);
        }
    }
    list
}

fn zones(call: &Call<'_>) -> Vec<Value> {
    if !call.allows("/sdn/zones/localnetwork", "SDN.Audit") {
        return Vec::new();
    }
    let entry = |node: &String| {
        json!({
            "id": format!("network/{node}/zone/localnetwork"), "type": "network", "network": "localnetwork",
            "network-type": "zone", "node": node, "status": "ok",
        })
    };
    call.world.nodes.keys().map(entry).collect()
}
