//! /cluster: status, free ids, tasks.

use serde_json::{Value, json};

use crate::model::task::Task;

use super::call::Call;
use super::reply::{Answer, Fault, Reply};

/// GET /cluster/status
pub fn status(call: &mut Call<'_>) -> Reply {
    let world = &call.world;
    let alone = world.nodes.len() == 1;
    let entry = world.entry().map(|node| node.number);
    let mut list = Vec::new();
    if !alone {
        list.push(json!({
            "id": "cluster", "type": "cluster", "name": world.datacenter.name, "version": 2,
            "nodes": world.nodes.len(), "quorate": u8::from(world.quorate()),
        }));
    }
    let mut nodes: Vec<_> = world.nodes.values().collect();
    nodes.sort_by_key(|node| node.number);
    for node in nodes {
        list.push(json!({
            "id": format!("node/{}", node.name), "type": "node", "name": node.name, "ip": node.ip(), "level": "",
            "online": u8::from(world.seems_online(node)), "local": u8::from(entry == Some(node.number)),
            "nodeid": if alone { 0 } else { node.number },
        }));
    }
    Answer::of(list)
}

/// GET /cluster/nextid
pub fn nextid(call: &mut Call<'_>) -> Reply {
    let taken = &call.world.vms;
    if let Some(vmid) = call.params.number::<u32>("vmid") {
        if taken.contains_key(&vmid) {
            return Err(Fault::param("vmid", format!("VM {vmid} already exists")));
        }
        return Answer::of(vmid.to_string());
    }
    let range = call.world.datacenter.options.get("next-id");
    let bound = |name: &str| range?.get(name)?.as_str()?.parse().ok();
    let (lower, upper): (u32, u32) = (bound("lower").unwrap_or(100), bound("upper").unwrap_or(1_000_000));
    match (lower..upper).find(|vmid| !taken.contains_key(vmid)) {
        Some(vmid) => Answer::of(vmid.to_string()),
        None => Err(Fault::died(format!(
            "unable to get any free VMID in range [{lower}, {upper}]"
        ))),
    }
}

/// GET /cluster/tasks: of each node the newest tasks, to those who may audit it.
pub fn tasks(call: &mut Call<'_>) -> Reply {
    const SHOWN: usize = 25;
    let mut list: Vec<Value> = Vec::new();
    for (node, state) in &call.world.nodes {
        if !call.allows(&format!("/nodes/{node}"), "Sys.Audit") {
            continue;
        }
        let here = call
            .world
            .tasks
            .newest()
            .filter(|task| task.upid.node == *node)
            .take(SHOWN);
        let here: Vec<Task> = here.map(|task| task.before(state.died)).collect();
        let unsaved = unsaved(&here).map(|task| task.upid.text());
        list.extend(here.iter().map(|task| {
            let mut entry = task.listed_in_cluster();
            if unsaved
                .as_ref()
                .is_some_and(|upid| entry["upid"] == upid.as_str())
            {
                entry["saved"] = Value::from(1);
            }
            entry
        }));
    }
    list.sort_by_key(|task| std::cmp::Reverse(task["starttime"].as_u64()));
    Answer::of(list)
}

/// The last task of a node that ended, until another one begins: its mark is a number, which is then written down as
/// text.
fn unsaved(tasks: &[Task]) -> Option<&Task> {
    let ended = |task: &&Task| task.end.is_some();
    let last = tasks.iter().filter(ended).max_by_key(|task| {
        let at = task.end.as_ref().map(|end| end.at);
        (at, task.upid.pstart)
    })?;
    let after = |task: &Task| task.end.is_none() || task.upid.pstart > last.upid.pstart;
    (!tasks.iter().any(after)).then_some(last)
}
