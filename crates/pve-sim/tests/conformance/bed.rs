//! The cluster in which a request was recorded, as far as the request and its answers tell.

use std::time::Duration;

use pve_sim::model::access::Access;
use pve_sim::model::moment::Moment;
use pve_sim::model::pool::Pools;
use pve_sim::model::storage::{Health, Storage, StoredFile, split_volid};
use pve_sim::model::version::Version;
use pve_sim::model::world::World;
use pve_sim::{Lab, LabRequest, SimConfig};

use crate::evidence::Unit;
use crate::rights::{self, Rights};
use crate::{accounts, entries, firewall, guests, inside, request};

/// The pool of the recording.
pub const POOL: &str = "decent";

/// A laboratory in the state that a unit tells of.
pub fn lab(unit: &Unit<'_>, rights: Rights) -> Lab {
    let two = ["pve2", "no quorum", "Permission denied"]
        .iter()
        .any(|word| unit.pairs().any(|pair| pair.line.contains(word)));
    let lab = Lab::new(&SimConfig {
        nodes: if two { 2 } else { 1 },
        cores: 2,
        memory: 8 << 30,
        disk: 60 << 30,
        seed: Some(7),
        stats_lag: Duration::from_secs(10),
        ..SimConfig::default()
    });
    lab.world(|world| {
        clear(world);
        accounts::callers(world);
    });
    options(&lab, unit);
    lab.world(|world| {
        accounts::prepare(world, unit);
        storages(world, unit);
        script(world, unit);
        pools(world, unit);
        guests::prepare(world, unit);
        entries::apply(world, unit);
        inside::prepare(world, unit);
        firewall::prepare(world, unit);
        cluster(world, unit);
        let offline: Vec<String> = world
            .nodes
            .values()
            .filter(|node| !node.online)
            .map(|node| node.name.clone())
            .collect();
        world.nodes.values_mut().for_each(|node| node.online = true);
        world.publish();
        for node in world
            .nodes
            .values_mut()
            .filter(|node| offline.contains(&node.name))
        {
            (node.online, node.died) = (false, Some(Moment::default()));
        }
        entries::unpublish(world, unit);
        rights::grant(world, unit, rights);
    });
    lab
}

fn clear(world: &mut World) {
    world.vms.clear();
    world.pools = Pools::default();
    world.access = Access::fresh();
    world.storages.clear();
    world
        .storages
        .insert("local".to_owned(), Storage::dir("local", false, 60 << 30));
    world.datacenter.firewall.clear();
    for node in world.nodes.values_mut() {
        node.bridges = vec!["vmbr0".to_owned()];
        node.published.clear();
    }
}

/// The datacenter's options as the recorded changes before this request left them.
fn options(lab: &Lab, unit: &Unit<'_>) {
    for change in &unit.asked.settings {
        let _ = lab.call(LabRequest {
            method: "PUT".to_owned(),
            target: "/api2/json/cluster/options".to_owned(),
            headers: vec![
                request::by_token(accounts::ROOT),
                ("content-type".to_owned(), "application/json".to_owned()),
            ],
            body: change.to_string().into_bytes(),
        });
    }
}

/// The storages that are named, in the condition of which is spoken.
fn storages(world: &mut World, unit: &Unit<'_>) {
    let named = unit
        .asked
        .params
        .get("storage")
        .cloned()
        .into_iter()
        .chain(unit.asked.behind("storage").map(str::to_owned));
    for name in named.filter(|name| !name.contains(',')) {
        if name == "local"
            || unit.says(&format!("storage '{name}' does not exist"))
            || unit.says("No such storage.")
        {
            continue;
        }
        let mut storage = Storage::dir(&name, name == "shared", 60 << 30);
        storage.enabled = !unit.says(&format!("storage '{name}' is disabled"));
        if unit.says(&format!("storage '{name}' is not available")) {
            storage.nodes = vec!["pve2".to_owned()];
        }
        if unit.says(&format!("storage '{name}' does not support vm images")) {
            storage.content = vec!["iso".to_owned()];
        }
        if unit.says("is not mounted") {
            storage.health = Health::Unmounted;
        }
        if unit.says("qemu-img convert") && unit.says("exit code 1") {
            storage.total = 1 << 20;
        }
        if unit.asked.template() != "/storage" || unit.says("already defined") {
            world.storages.insert(name, storage);
        }
    }
}

fn pools(world: &mut World, unit: &Unit<'_>) {
    let pair = unit.asked;
    let named = pair.params.get("poolid").or(pair.params.get("pool")).cloned();
    let named = named.or_else(|| pair.behind("pools").map(str::to_owned));
    let named = named.filter(|name| !name.contains(' '));
    let makes = pair.method == "POST" && pair.template() == "/pools" && unit.good();
    let _ = world.pools.create(POOL, Some("managed by decent".to_owned()));
    let Some(name) = named else { return };
    if makes || unit.says(&format!("pool '{name}' does not exist")) {
        let _ = world.pools.delete(&name);
    } else if name != POOL {
        let _ = world.pools.create(&name, None);
    }
}

/// The script that a call found on a storage.
fn script(world: &mut World, unit: &Unit<'_>) {
    let found = unit.find(r"script '(\w+:[^']+)' is not executable");
    if let Some((storage, name)) = found.as_deref().and_then(split_volid) {
        let file = StoredFile {
            content: "snippets".to_owned(),
            size: 37,
            created: world.now,
        };
        let storage = world.storages.get_mut(storage).unwrap();
        storage.add_file("pve1", name, file);
    }
}

/// The nodes and the quorum.
fn cluster(world: &mut World, unit: &Unit<'_>) {
    let pair = unit.asked;
    if ["no quorum", ".conf.tmp.", "/etc/pve/firewall"]
        .iter()
        .any(|text| unit.says(text))
    {
        world.datacenter.parted = true;
    }
    if let Some(name) = unit.find(r"/pve-storage-(\w+)' - got timeout") {
        let (file, somebody) = (world.storage_lock(&name, "pve1"), world.locks.other());
        let _ = world.locks.take(file, somebody, false);
    }
    if unit.old_words() {
        world.version = Version::V8_4;
    }
    let entry = pair.node().is_none_or(|node| node == "pve1");
    let node = world.nodes.get_mut(pair.node().unwrap_or("pve1"));
    if let Some(node) = node.filter(|_| unit.says("Connection refused")) {
        let files = unit.says("RPCEnvironment");
        (node.services.files, node.services.daemon) = (!files, files || !entry);
        node.services.proxy = files || entry;
    }
    if pair.reason() == "No route to host" {
        let name = pair.node().unwrap_or_default().to_owned();
        let like = world.nodes.values().next().unwrap().clone();
        let node = world.nodes.entry(name.clone()).or_insert(like);
        (node.name, node.online) = (name, false);
    }
}
