//! /version and /nodes: the list, a node's status, its network.

use serde_json::{Value, json};

use super::call::Call;
use super::reply::{Answer, Fault, Reply};
use crate::model::node::Node;

/// GET /version and /nodes/{node}/version
pub fn version(call: &mut Call<'_>) -> Reply {
    let version = call.world.version;
    Answer::of(json!({"version": version.full(), "release": version.release(), "repoid": "14a22df35955d97d"}))
}

/// GET /nodes
pub fn list(call: &mut Call<'_>) -> Reply {
    let mut nodes: Vec<&Node> = call.world.nodes.values().collect();
    nodes.sort_by_key(|node| node.number);
    let shown = nodes.into_iter().map(|node| {
        let mut entry = entry(call, node);
        entry["ssl_fingerprint"] = Value::from(call.world.datacenter.fingerprint.as_str());
        entry
    });
    Answer::of(shown.collect::<Vec<_>>())
}

/// What lists show of a node: sizes only to those who may audit it.
pub fn entry(call: &Call<'_>, node: &Node) -> Value {
    let mut entry = json!({
        "id": format!("node/{}", node.name), "node": node.name, "type": "node", "level": "",
        "status": if call.world.seems_online(node) { "online" } else { "offline" },
    });
    if !call.allows(&format!("/nodes/{}", node.name), "Sys.Audit") {
        return entry;
    }
    for (key, value) in [
        ("maxcpu", node.cores),
        ("maxmem", node.memory),
        ("maxdisk", node.disk),
    ] {
        entry[key] = Value::from(value);
    }
    if !call.world.seems_online(node) {
        return entry;
    }
    let (cpu, mem, disk) = load(call, node);
    entry["mem"] = Value::from(mem);
    entry["disk"] = Value::from(disk);
    entry["cpu"] = Value::from(cpu);
    entry["uptime"] = Value::from(node.uptime(call.world.now));
    entry
}

/// Processor share, memory and disk in use.
fn load(call: &Call<'_>, node: &Node) -> (f64, u64, u64) {
    let running = call
        .world
        .vms
        .values()
        .filter(|vm| vm.node == node.name && vm.running());
    let memory: u64 = running.map(|vm| vm.config.memory() / 4).sum();
    let disk = call
        .world
        .storages
        .get("local")
        .map_or(0, |local| local.used(&node.name));
    (0.05, (memory + (1 << 30)).min(node.memory), disk.min(node.disk))
}

/// GET /nodes/{node}/status
pub fn status(call: &mut Call<'_>) -> Reply {
    let name = call.node();
    let Some(node) = call.world.nodes.get(&name) else {
        return Err(Fault::died("no such node"));
    };
    let (cpu, mem, disk) = load(call, node);
    let release = "6.17.2-1-pve";
    Answer::of(json!({
        "uptime": node.uptime(call.world.now), "cpu": cpu, "wait": 0, "idle": 0,
        "loadavg": ["0.10", "0.08", "0.05"], "pveversion": format!("pve-manager/{}/14a22df35955d97d", call.world.version.full()),
        "kversion": format!("Linux {release} #1 SMP PREEMPT_DYNAMIC"), "ksm": {"shared": 0},
        "boot-info": {"mode": "legacy-bios"},
        "current-kernel": {"sysname": "Linux", "release": release, "version": "#1 SMP PREEMPT_DYNAMIC", "machine": "x86_64"},
        "memory": {"total": node.memory, "used": mem, "free": node.memory - mem, "available": node.memory - mem},
        "swap": {"total": 0, "used": 0, "free": 0},
        "rootfs": {"total": node.disk, "used": disk, "free": node.disk - disk, "avail": node.disk - disk},
        "cpuinfo": {
            "cpus": node.cores, "cores": node.cores, "sockets": 1, "model": "Simulated", "vendor": "AuthenticAMD",
            "mhz": "2600.000", "hvm": "1", "user_hz": 100, "family": "25", "flags": "fpu sse sse2",
        },
    }))
}

/// GET /nodes/{node}/network
pub fn network(call: &mut Call<'_>) -> Reply {
    let Some(node) = call.world.nodes.get(call.segment("node")) else {
        return Answer::of(json!([]));
    };
    let visible = node.bridges.iter().filter(|bridge| {
        let path = format!("/sdn/zones/localnetwork/{bridge}");
        call.allows(&path, "SDN.Use")
            || call.allows(&path, "SDN.Audit")
            || call.allows(&format!("/nodes/{}", node.name), "Sys.Audit")
    });
    let list = visible.enumerate().map(|(index, bridge)| {
        let mut entry = json!({
            "iface": bridge, "type": "bridge", "active": 1, "autostart": 1, "priority": index + 3, "method": "manual",
            "method6": "manual", "families": ["inet"], "bridge_ports": "", "bridge_stp": "off", "bridge_fd": "0",
        });
        if node.bridges.first() == Some(bridge) {
            let address = node.ip();
            entry["cidr"] = Value::from(format!("{address}/24"));
            entry["address"] = Value::from(address);
            entry["netmask"] = Value::from("24");
            entry["method"] = Value::from("static");
        }
        entry
    });
    Answer::of(list.collect::<Vec<_>>())
}

/// GET /nodes/{node}/sdn/zones
pub fn zones(call: &mut Call<'_>) -> Reply {
    let zone = "/sdn/zones/localnetwork";
    if call.need(zone, &["SDN.Audit", "SDN.Use"]).is_err() {
        return Answer::of(json!([]));
    }
    Answer::of(json!([{"zone": "localnetwork", "status": "available"}]))
}
