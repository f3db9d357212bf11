//! The ground truth, as no token sees it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use crate::model::firewall::FirewallFile;
use crate::model::vm::Vm;
use crate::model::world::World;
use crate::sim::Shared;

/// GET /vms
pub async fn list(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let world = shared.world();
    Json(world.vms.values().map(|vm| shown(&world, vm)).collect())
}

/// A guest with everything that is known of it.
pub fn shown(world: &World, vm: &Vm) -> Value {
    let config: Map<String, Value> = vm
        .config
        .iter()
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect();
    json!({
        "vmid": vm.vmid, "name": vm.config.get("name"), "node": vm.node, "status": vm.status(),
        "template": vm.config.template(), "config": config, "pending": vm.pending, "digest": vm.digest(),
        "pool": world.pools.of(vm.vmid), "firewall": world.firewalls.get(&vm.vmid).map(firewall),
        "deaf": world.deaf.contains(&vm.vmid), "lock_file_held": world.check_flock(vm.vmid).is_err(),
    })
}

fn firewall(file: &FirewallFile) -> Value {
    let sets = file
        .ipsets
        .iter()
        .map(|(name, set)| (name, set.addresses.keys().collect::<Vec<_>>()));
    let sets: std::collections::BTreeMap<_, _> = sets.collect();
    json!({"options": file.options, "rules": file.rules, "ipsets": sets})
}

/// GET /guests
pub async fn guests(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!(shared.guests.read()))
}

/// GET /tasks
pub async fn tasks(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let world = shared.world();
    let list = world.tasks.newest().take(1000).map(|task| {
        let mut entry = task.status();
        entry["log"] = json!(task.log);
        // The API knows whole seconds only.
        entry["ended_ms"] = json!(task.end.as_ref().map(|end| end.at.millis()));
        entry
    });
    Json(list.collect())
}
